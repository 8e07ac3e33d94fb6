//! What the program prints: data to the standard output, everything else to the standard error.

use std::process::ExitCode;

use eval::{Error, Result, output};

/// Width of tables where the output is no terminal.
const PIPED_COLUMNS: u16 = 110;

/// Writes data to the standard output, with a line end where it has none.
///
/// # Errors
/// As [`output::data`].
pub fn data(text: &str) -> Result<()> {
    let line_end = if text.ends_with('\n') { "" } else { "\n" };
    output::data(&format!("{text}{line_end}"))
}

/// Reports a failure and gives its exit code.
#[must_use]
pub fn fail(error: &Error) -> ExitCode {
    output::failure(error);
    ExitCode::from(error.exit_code())
}

/// Characters a line of the output can hold.
#[must_use]
pub fn width() -> u16 {
    terminal_size::terminal_size_of(std::io::stdout()).map_or(PIPED_COLUMNS, |(width, _)| width.0)
}
