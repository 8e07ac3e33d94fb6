//! From the command line to a command, and from its outcome to an exit code.

use std::process::ExitCode;

use clap::Parser;
use eval::{Result, exit, output};

use super::args::{Action, Command};
use super::{complete, inspect, score, serve, tokenize};

/// Runs the command line of the process; the exit code is one of `eval::exit`.
#[must_use]
pub fn main() -> ExitCode {
    // Clap prints help and usage errors itself, with exit codes 0 and 2.
    match carry_out(Command::parse().action) {
        Ok(exit_code) => ExitCode::from(exit_code),
        Err(error) => {
            output::failure(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn carry_out(action: Action) -> Result<u8> {
    match action {
        Action::Serve(args) => return serve::serve(&args),
        Action::Complete(args) => complete::complete(&args)?,
        Action::Score(args) => score::score(&args)?,
        Action::Tokenize(args) => tokenize::tokenize(&args)?,
        Action::Inspect(args) => inspect::inspect(&args)?,
    }
    Ok(exit::COMPLETE)
}
