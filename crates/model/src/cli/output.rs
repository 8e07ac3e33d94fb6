//! The only place that prints: data to stdout, everything else to stderr.

use std::io::{self, Write};

use eval::{Error, Result};
use serde_json::Value;

/// Writes data to stdout. A reader that has seen enough (`| head`) is no failure.
///
/// # Errors
/// stdout cannot be written for another reason.
pub fn data(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::internal("cannot write to stdout").caused_by(cause))
        }
        _ => Ok(()),
    }
}

/// Writes one JSON document to stdout.
///
/// # Errors
/// As [`data`].
pub fn json(document: &Value) -> Result<()> {
    data(&format!("{document:#}\n"))
}

/// A line for a person, to stderr.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// An error with its causes and hint, to stderr.
pub fn failure(error: &Error) {
    note(&error.report());
}

/// Text from a stranger for a terminal: control characters other than line ends and tabs become
/// visible, so that they cannot move the cursor or colour what follows.
#[must_use]
pub fn shown(text: &str) -> String {
    let is_plain = |c: char| !c.is_control() || c == '\n' || c == '\t';
    text.chars()
        .flat_map(|c| match is_plain(c) {
            true => vec![c],
            false => c.escape_default().collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_a_stranger_do_not_reach_the_terminal() {
        assert_eq!(shown("a\n\tb é"), "a\n\tb é");
        assert_eq!(shown("\u{1b}[2J\r\u{9b}"), "\\u{1b}[2J\\r\\u{9b}");
    }
}
