//! The command line of this paper; everything behind it is the engine's.

fn main() -> std::process::ExitCode {
    eval::main::<hanabi::Hanabi>()
}
