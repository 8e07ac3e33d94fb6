//! One error type for expected failures: what went wrong, why, what to do next, and the exit code.
//!
//! Messages are lowercase fragments that read after "failed to …" or "error: …". Bugs are
//! assertions, never values of this type.

use std::fmt;
use std::path::Path;

use crate::exit;

/// Shorthand for a result with the workspace's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An expected failure.
#[derive(Debug)]
pub struct Error {
    message: String,
    hint: Option<String>,
    exit_code: u8,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure that leaves the program with `exit_code` (of [`crate::exit`]).
    pub fn new(exit_code: u8, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            exit_code,
            source: None,
        }
    }

    /// The command line or a hand-written file is not understood.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(exit::USAGE, message)
    }

    /// An input is missing or altered.
    pub fn inputs(message: impl Into<String>) -> Self {
        Self::new(exit::INPUTS, message)
    }

    /// Stored results are incomplete or damaged; running again mends them.
    pub fn incomplete(message: impl Into<String>) -> Self {
        Self::new(exit::INCOMPLETE, message)
    }

    /// A failure of the machine or of a helper program.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(exit::INTERNAL, message)
    }

    /// A file-system failure: what we were doing, on which path, and the cause.
    ///
    /// ```
    /// # use eval::Error;
    /// let cause = std::io::Error::from(std::io::ErrorKind::NotFound);
    /// let error = Error::io("read", "results/x/run.json", cause);
    /// assert!(error.to_string().starts_with("cannot read `results/x/run.json`"));
    /// ```
    pub fn io(doing: &str, path: impl AsRef<Path>, cause: std::io::Error) -> Self {
        let hint = match cause.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Some("free some space, then give the same command again: finished cells are kept")
            }
            std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
                Some("choose a folder that can be written, or change its permissions")
            }
            _ => None,
        };
        let mut error = Self::internal(format!("cannot {doing} `{}`", path.as_ref().display()));
        error.hint = hint.map(str::to_owned);
        error.source = Some(Box::new(cause));
        error
    }

    /// Adds the next step, ideally a command that can be pasted.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(cause.into());
        self
    }

    /// The exit code of [`crate::exit`] that this failure leads to.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }

    /// The next step, where one is known.
    #[must_use]
    pub fn next_step(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The whole text for a person: message, one cause per line, hint after a blank line.
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = format!("error: {}", self.message);
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(&format!("\n  caused by: {error}"));
            cause = error.source();
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\n\nhint: {hint}"));
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}
