//! The command line of this paper: the engine's, and `train` and `pairs` for one's own models.

fn main() -> std::process::ExitCode {
    eval::engine::main_with::<bvpo::Bvpo, bvpo::Own>(bvpo::carry_out)
}
