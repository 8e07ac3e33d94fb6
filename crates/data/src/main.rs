//! The program `data`: data sets and weights, from manifests to verified local files.

use std::process::ExitCode;

fn main() -> ExitCode {
    data::cli::main()
}
