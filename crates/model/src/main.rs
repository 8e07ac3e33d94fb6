//! The program `model`: one model on this machine, served, continued, scored, and inspected.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
