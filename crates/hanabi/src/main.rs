//! The command line of this paper; what it adds to the engine's lies in the library.

fn main() -> std::process::ExitCode {
    eval::engine::main_with::<hanabi::Hanabi, hanabi::Own>(hanabi::carry_out)
}
