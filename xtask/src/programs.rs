//! Building the programs of the workspace: one call of `cargo`, in release.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use eval::{Error, Result, exit};
use serde::Deserialize;

use crate::launcher::{Launcher, cargo};

/// Built programs by name.
pub struct Programs(BTreeMap<String, PathBuf>);

impl Programs {
    /// A command that starts the program `name`.
    ///
    /// # Errors
    /// The package has no program of that name.
    pub fn command(&self, name: &str) -> Result<Command> {
        self.path(name).map(Command::new)
    }

    /// Where the program `name` is.
    ///
    /// # Errors
    /// As [`Programs::command`].
    pub fn path(&self, name: &str) -> Result<&Path> {
        self.0.get(name).map(PathBuf::as_path).ok_or_else(|| {
            Error::new(
                exit::BUILD,
                format!("the package `{name}` builds no program `{name}`"),
            )
            .hint(format!("`crates/{name}/src/main.rs` makes one"))
        })
    }
}

/// One message of `cargo build --message-format=json-render-diagnostics`, as far as it matters.
#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Builds the programs `names` in release, with progress and diagnostics on stderr.
///
/// Cargo unites the features of third-party crates over the packages it is asked for. It is always
/// asked for the whole workspace, and told which programs to build: so the crates behind a program
/// are the same whichever command needs it, and none is ever built twice.
///
/// The output goes where `cargo` puts it by itself: the workspace's target folder, unless
/// `CARGO_TARGET_DIR` or a configuration file says otherwise.
///
/// # Errors
/// The build failed (exit code 101), was interrupted, or `cargo` cannot be started.
pub fn build(launcher: &Launcher, names: &[&str]) -> Result<Programs> {
    build_with(launcher, names, None)
}

/// As [`build`], with a cargo feature (`model/cuda`) that programs do not have by themselves.
///
/// # Errors
/// As [`build`].
pub fn build_with(launcher: &Launcher, names: &[&str], feature: Option<&str>) -> Result<Programs> {
    let mut command = cargo(launcher.workspace());
    command.args(["build", "--release", "--workspace"]);
    if let Some(feature) = feature {
        command.args(["--features", feature]);
    }
    for name in names {
        command.args(["--bin", name]);
    }
    command
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped());
    let failed = || Error::new(exit::BUILD, "the build failed");
    let mut child = command.spawn().map_err(|e| failed().caused_by(e))?;
    let mut programs = BTreeMap::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(|e| failed().caused_by(e))?;
            programs.extend(program_in(&line));
        }
    }
    let status = child.wait().map_err(|e| failed().caused_by(e))?;
    if launcher.interrupted() {
        return Err(Error::new(
            exit::INTERRUPTED,
            "interrupted during the build",
        ));
    }
    if status.success() {
        return Ok(Programs(programs));
    }
    Err(failed().hint("the compiler's messages are above"))
}

/// The program that a message announces, if it announces one.
fn program_in(line: &str) -> Option<(String, PathBuf)> {
    let message: Message = serde_json::from_str(line).ok()?;
    match (message.reason.as_str(), message.target, message.executable) {
        ("compiler-artifact", Some(target), Some(path)) => Some((target.name, path)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_artifacts_with_an_executable_are_programs() {
        let program = r#"{"reason":"compiler-artifact","target":{"name":"p","kind":["bin"]},
            "executable":"/t/release/p","fresh":true}"#;
        assert_eq!(
            program_in(program),
            Some(("p".into(), PathBuf::from("/t/release/p")))
        );
        let library = r#"{"reason":"compiler-artifact","target":{"name":"l"},"executable":null}"#;
        let finished = r#"{"reason":"build-finished","success":true}"#;
        for other in [library, finished, "warning: text that is no JSON"] {
            assert_eq!(program_in(other), None, "{other}");
        }
    }
}
