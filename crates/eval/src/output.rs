//! The standard streams: data to stdout, everything else to stderr.
//!
//! Every program of the workspace prints through here. A reader that went away (`| head`) has what
//! it wanted and is no failure.

use std::io::{self, ErrorKind, Write};

use crate::{Error, Result};

/// Writes data to stdout as it stands: the caller ends its lines.
///
/// # Errors
/// stdout cannot be written, for another reason than a reader that went away.
pub fn data(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => {
            Err(Error::io("write to", "standard output", cause))
        }
        _ => Ok(()),
    }
}

/// Writes a line for a person to stderr. Where stderr is gone there is nobody left to tell.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes a failure with its causes and next step to stderr.
pub fn failure(error: &Error) {
    note(&error.report());
}

/// Text from a stranger for a terminal: control characters other than line ends and tabs become
/// visible, so that they cannot move the cursor or colour what follows.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' && c != '\t' {
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
        assert_eq!(printable("a\n\tb é"), "a\n\tb é");
        assert_eq!(printable("\u{1b}[2J\r\u{9b}"), "\\u{1b}[2J\\r\\u{9b}");
    }
}
