//! The only place of this program that prints: data to stdout, everything else to stderr.

use std::io::{self, Write};

use eval::{Error, Result};

/// Writes data to stdout. A reader that has seen enough (`| head`) is no failure.
///
/// # Errors
/// stdout cannot be written for another reason.
pub(super) fn data(text: &str) -> Result<()> {
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

/// A line for a person, to stderr.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
