//! Starting other programs, and outliving an interrupt until they have ended.
//!
//! A key press of Ctrl-C reaches every process of the terminal's group, so a child gets it without
//! our help. This program only remembers that it came, waits for the child, and exits with 130.

use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eval::{Error, Result, exit};

use crate::workspace::Workspace;

/// Starts programs for one command.
pub struct Launcher {
    workspace: Workspace,
    interrupted: Arc<AtomicBool>,
}

impl Launcher {
    /// A launcher in the workspace at or above the current folder.
    ///
    /// # Errors
    /// There is no workspace, or the handler for interrupts cannot be installed.
    pub fn new() -> Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&interrupted))
            .map_err(|e| Error::internal("cannot watch for interrupts").caused_by(e))?;
        Ok(Self {
            workspace: Workspace::find()?,
            interrupted,
        })
    }

    /// The workspace.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// Whether Ctrl-C was pressed.
    pub fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Runs a program to its end and returns its exit code.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(&self, command: &mut Command) -> Result<u8> {
        if self.interrupted() {
            return Ok(exit::INTERRUPTED);
        }
        let status = self
            .prepare(command)
            .status()
            .map_err(|e| not_started(command, e))?;
        Ok(self.code_of(command, status))
    }

    /// As [`Launcher::run`], with the program's stdout sent to our stderr: what it prints is no
    /// data of ours.
    ///
    /// # Errors
    /// As [`Launcher::run`].
    pub fn run_aside(&self, command: &mut Command) -> Result<u8> {
        self.run(command.stdout(std::io::stderr()))
    }

    /// As [`Launcher::run`], and returns what the program wrote to stdout.
    ///
    /// # Errors
    /// As [`Launcher::run`].
    pub fn capture(&self, command: &mut Command) -> Result<(u8, String)> {
        if self.interrupted() {
            return Ok((exit::INTERRUPTED, String::new()));
        }
        self.prepare(command)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let output = command.output().map_err(|e| not_started(command, e))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok((self.code_of(command, output.status), text))
    }

    /// Becomes a program: signals and the exit code are its own from here on.
    ///
    /// # Errors
    /// It cannot be started; otherwise this does not return.
    pub fn become_program(&self, command: &mut Command) -> Result<u8> {
        use std::os::unix::process::CommandExt;
        if self.interrupted() {
            return Ok(exit::INTERRUPTED);
        }
        let cause = self.prepare(command).exec();
        Err(not_started(command, cause))
    }

    /// Tells one of our programs where the workspace is. Cargo starts tests, which have workspaces
    /// of their own and must not be led to this one.
    fn prepare<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        if command.get_program() == cargo_program() {
            return command.env_remove(eval::env::WORKSPACE_ROOT);
        }
        command.env(eval::env::WORKSPACE_ROOT, self.workspace.root())
    }

    fn code_of(&self, command: &Command, status: ExitStatus) -> u8 {
        if self.interrupted() {
            return exit::INTERRUPTED;
        }
        match status.code() {
            Some(code) => u8::try_from(code).unwrap_or(exit::INTERNAL),
            None => {
                crate::output::note(&format!("{} ended by {status}", name(command)));
                exit::INTERNAL
            }
        }
    }
}

/// The `cargo` that started us, else the one on the search path, in the workspace's root.
pub fn cargo(workspace: &Workspace) -> Command {
    let mut command = Command::new(cargo_program());
    command.current_dir(workspace.root());
    command
}

fn cargo_program() -> std::ffi::OsString {
    std::env::var_os(CARGO).unwrap_or_else(|| "cargo".into())
}

/// The variable by which `cargo` tells the programs it starts where it is itself.
const CARGO: &str = "CARGO";

fn not_started(command: &Command, cause: std::io::Error) -> Error {
    Error::internal(format!("cannot start {}", name(command)))
        .caused_by(cause)
        .hint("`cargo xtask doctor` says which programs are missing")
}

fn name(command: &Command) -> String {
    format!("`{}`", command.get_program().to_string_lossy())
}
