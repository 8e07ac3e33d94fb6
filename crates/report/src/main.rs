//! The program `report`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    report::cli::main()
}
