//! `cargo xtask`: the workspace's command line.
//!
//! It finds papers by place (a folder below `crates/` with a `paper.toml`), checks every argument
//! before it builds anything, builds the programs a command needs with one call of `cargo`, and
//! starts them. It never measures, judges, or formats a result: papers measure, `eval` judges,
//! `report` formats.
//!
//! It refuses to depend on anything heavy: a tidy test counts its crates.

mod bench;
mod ci;
mod cli;
mod criterion;
mod doctor;
mod launcher;
mod list;
mod output;
mod passes;
mod peers;
mod programs;
mod reproduce;
mod request;
mod scaffold;
mod serve;
mod show;
mod text;
mod weights;
mod workspace;

use std::process::ExitCode;

use clap::Parser;
use eval::Result;

use crate::cli::{Cli, Command};
use crate::launcher::Launcher;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match Launcher::new().and_then(|launcher| carry_out(&launcher, cli.command)) {
        Ok(exit_code) => ExitCode::from(exit_code),
        Err(error) => {
            output::error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Carries out one command and returns the exit code.
fn carry_out(launcher: &Launcher, command: Command) -> Result<u8> {
    match command {
        Command::List(args) => list::list(launcher.workspace(), args.format),
        Command::Show(args) => show::show(launcher.workspace(), &args.paper, args.format),
        Command::Plan(selection) => reproduce::plan(launcher, &selection),
        Command::Reproduce(args) => reproduce::reproduce(launcher, &args),
        Command::Compare(args) => passes::compare(launcher, &args),
        Command::Report(args) => passes::report(launcher, &args),
        Command::Data(args) => passes::data(launcher, &args),
        Command::Serve(args) => serve::serve(launcher, &args),
        Command::New(args) => scaffold::new(launcher.workspace(), &args),
        Command::Doctor(args) => doctor::doctor(launcher.workspace(), args.format),
        Command::Bench(args) => bench::bench(launcher, &args),
        Command::Ci => ci::ci(launcher),
    }
}
