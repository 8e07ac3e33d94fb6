//! The only module that writes to the standard streams: data to stdout, all else to stderr.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use eval::{Error, Result};
use serde::Serialize;

use crate::console::Console;

/// Writes data to stdout. A reader that went away has what it wanted.
///
/// # Errors
/// stdout cannot be written, for instance because its disk is full.
pub(crate) fn data(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::io("write", "standard output", cause))
        }
        _ => Ok(()),
    }
}

/// Writes indented JSON to `path`, or to stdout where there is none.
///
/// # Errors
/// The file or stdout cannot be written.
pub(crate) fn json<T: Serialize>(path: Option<&Path>, value: &T) -> Result<()> {
    if let Some(path) = path {
        return eval::fs::write_json(path, value);
    }
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::internal("cannot encode the answer").caused_by(e))?;
    text.push('\n');
    data(&text)
}

/// Writes a failure to stderr.
pub(crate) fn failure(error: &Error) {
    Stderr.line(&error.report());
}

/// The console of a program.
pub(crate) struct Stderr;

impl Console for Stderr {
    fn line(&self, text: &str) {
        // Where stderr is gone there is nobody left to tell.
        let _ = writeln!(io::stderr().lock(), "{}", printable(text));
    }

    fn status(&self, text: &str) {
        // Back to the start of the line, write, and clear what is left of the longer old one.
        let _ = write!(io::stderr().lock(), "\r{}\x1b[K", printable(text));
    }

    fn is_terminal(&self) -> bool {
        io::stderr().is_terminal()
    }
}

/// Text from servers and helper programs must not steer the terminal.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_codes_are_shown_and_not_obeyed() {
        assert_eq!(printable("a\x1b[2Jb\nc"), "a\\u{1b}[2Jb\nc");
    }
}
