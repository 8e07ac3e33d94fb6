//! The command line of this paper; what it adds to the engine's lies in the library.

fn main() -> std::process::ExitCode {
    eval::engine::main_with::<slm_mux::SlmMux, slm_mux::Own>(slm_mux::carry_out)
}
