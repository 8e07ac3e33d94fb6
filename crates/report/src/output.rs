//! The one place that prints: data to the standard output, everything else to the standard error.

use std::io::Write;
use std::process::ExitCode;

use eval::{Error, Result};

/// Width of tables where the output is no terminal.
const PIPED_COLUMNS: u16 = 110;

/// Writes data to the standard output. A reader that went away is no failure.
///
/// # Errors
/// The output cannot be written.
pub fn data(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let written = out
        .write_all(text.as_bytes())
        .and_then(|()| {
            if text.ends_with('\n') {
                Ok(())
            } else {
                out.write_all(b"\n")
            }
        })
        .and_then(|()| out.flush());
    match written {
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("write to", "standard output", cause))
        }
        _ => Ok(()),
    }
}

/// Says something beside the data. If even that cannot be written, nobody is listening.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Reports a failure and gives its exit code.
#[must_use]
pub fn fail(error: &Error) -> ExitCode {
    say(&error.report());
    ExitCode::from(error.exit_code())
}

/// Characters a line of the output can hold.
#[must_use]
pub fn width() -> u16 {
    terminal_size::terminal_size_of(std::io::stdout()).map_or(PIPED_COLUMNS, |(width, _)| width.0)
}
