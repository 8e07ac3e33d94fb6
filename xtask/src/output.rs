//! The one module that prints.
//!
//! stdout carries data only: tables, JSON, paths. Everything else goes to stderr. A reader that
//! went away (a broken pipe) is no failure.

use std::io::{ErrorKind, Write};

use eval::{Error, Result};
use serde::Serialize;

/// Writes data to stdout, with a line end.
///
/// # Errors
/// stdout cannot be written, for another reason than a reader that went away.
pub fn data(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{}", text.trim_end_matches('\n')).and_then(|()| stdout.flush());
    match written {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => {
            Err(Error::io("write to", "stdout", cause))
        }
        _ => Ok(()),
    }
}

/// Writes one indented JSON document to stdout.
///
/// # Errors
/// As [`data`].
pub fn json<T: Serialize>(value: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|cause| Error::internal("cannot encode the answer as JSON").caused_by(cause))?;
    data(&text)
}

/// Writes a line about what is going on to stderr.
pub fn note(text: &str) {
    // Nobody can be told that stderr is gone.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes an error with its causes and next step to stderr.
pub fn error(error: &Error) {
    note(&error.report());
}
