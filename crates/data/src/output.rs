//! JSON on stdout or into a file, and the console on stderr.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use eval::output::printable;
use eval::{Error, Result, output};
use serde::Serialize;

use crate::console::Console;

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
    output::data(&text)
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
