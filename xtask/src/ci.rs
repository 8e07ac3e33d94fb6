//! `ci`: the gate, step by step, stopping at the first failure.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use clap::Parser;
use eval::{Error, Result, exit};

use crate::cli::Cli;
use crate::launcher::{Launcher, cargo};
use crate::{output, text};

/// What a step does.
enum Step {
    /// `cargo` with these words. A failure is exit code 101, as a failed build is.
    Cargo(&'static [&'static str]),
    /// `cargo deny`, where it is installed.
    Deny(&'static [&'static str]),
    /// Every script `crates/<crate>/python/check`, each of which ends with 77 where it cannot run,
    /// and says why itself.
    Bindings,
    /// One of our own commands, with its own exit code.
    Own(&'static [&'static str]),
}

/// The exit code of a script that was skipped, as test runners agree on.
const SKIPPED_CODE: u8 = 77;

/// The gate. `cargo deny` leaves advisories out: they need the network, and change without us.
const STEPS: [(&str, Step); 6] = [
    ("format", Step::Cargo(&["fmt", "--all", "--check"])),
    (
        "lints",
        Step::Cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ]),
    ),
    ("tests", Step::Cargo(&["test", "--workspace"])),
    ("Python bindings", Step::Bindings),
    (
        "licences and bans",
        Step::Deny(&["deny", "check", "licenses", "bans", "sources"]),
    ),
    (
        "every paper at scale smoke",
        Step::Own(&["reproduce", "--all", "--scale", "smoke"]),
    ),
];

/// Runs the gate and returns the exit code of the first step that failed, or 0.
///
/// # Errors
/// A program cannot be started.
pub fn ci(launcher: &Launcher) -> Result<u8> {
    for (step_idx, (name, step)) in STEPS.iter().enumerate() {
        let number = format!("ci {}/{}", step_idx + 1, STEPS.len());
        output::note(&format!("{number}: {name}"));
        let start = Instant::now();
        let code = carry_out(launcher, step)?;
        let time = text::seconds(start.elapsed().as_secs_f64());
        match code {
            Some(exit::COMPLETE) => output::note(&format!("{number}: {name}: ok, {time}")),
            Some(code) => {
                output::note(&format!(
                    "{number}: {name}: FAILED with exit code {code}, {time}"
                ));
                return Ok(code);
            }
            None => output::note(&format!("{number}: {name}: SKIPPED, {}", why(step))),
        }
    }
    Ok(exit::COMPLETE)
}

/// What is said where a step cannot run on this machine.
fn why(step: &Step) -> &'static str {
    match step {
        Step::Deny(_) => {
            "`cargo deny` is not installed (cargo install cargo-deny --locked): licences and bans \
             are UNCHECKED here"
        }
        Step::Bindings | Step::Cargo(_) | Step::Own(_) => {
            "the lines above say why: this is UNCHECKED here"
        }
    }
}

/// The step's exit code, or `None` if it cannot run here.
fn carry_out(launcher: &Launcher, step: &Step) -> Result<Option<u8>> {
    let run = |words: &[&str]| launcher.run(cargo(launcher.workspace()).args(words));
    let code = match step {
        Step::Own(words) => return own(launcher, words).map(Some),
        Step::Deny(_) if !has_deny(launcher)? => return Ok(None),
        Step::Bindings => match bindings(launcher)? {
            SKIPPED_CODE => return Ok(None),
            code => code,
        },
        Step::Cargo(words) | Step::Deny(words) => run(words)?,
    };
    Ok(Some(match code {
        exit::COMPLETE | exit::INTERRUPTED => code,
        _ => exit::BUILD,
    }))
}

/// The first code that is not 0, of the checks of all bindings; a skipped one yields to a failure.
fn bindings(launcher: &Launcher) -> Result<u8> {
    let folder = launcher.workspace().root().join("crates");
    let entries = std::fs::read_dir(&folder).map_err(|e| Error::io("list", &folder, e))?;
    let mut scripts: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok())
        .map(|entry| entry.path().join("python").join("check"))
        .filter(|path| path.is_file())
        .collect();
    scripts.sort();
    let mut worst = exit::COMPLETE;
    for script in scripts {
        match launcher.run_aside(&mut Command::new(script))? {
            exit::COMPLETE => {}
            SKIPPED_CODE => worst = SKIPPED_CODE,
            code => return Ok(code),
        }
    }
    Ok(worst)
}

fn has_deny(launcher: &Launcher) -> Result<bool> {
    let mut command = cargo(launcher.workspace());
    command
        .args(["deny", "--version"])
        .stderr(std::process::Stdio::null());
    let output = command
        .output()
        .map_err(|e| Error::internal("cannot start `cargo`").caused_by(e))?;
    Ok(output.status.success())
}

/// One of our own commands, in this process.
fn own(launcher: &Launcher, words: &[&str]) -> Result<u8> {
    let words = std::iter::once("cargo xtask").chain(words.iter().copied());
    let cli = Cli::try_parse_from(words)
        .map_err(|cause| Error::internal("a step of `ci` is no command").caused_by(cause))?;
    crate::carry_out(launcher, cli.command).or_else(|error| {
        output::error(&error);
        Ok(error.exit_code())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_steps_are_commands_of_ours() {
        for (name, step) in &STEPS {
            if let Step::Own(words) = step {
                let words = std::iter::once("cargo xtask").chain(words.iter().copied());
                assert!(Cli::try_parse_from(words).is_ok(), "{name}");
            }
        }
    }
}
