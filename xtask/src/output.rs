//! What the runner prints: whole lines and JSON on stdout, everything else on stderr.

use eval::{Error, Result, output};
use serde::Serialize;

pub use eval::output::{failure as error, note};

/// Writes data to stdout, with a line end.
///
/// # Errors
/// As [`output::data`].
pub fn data(text: &str) -> Result<()> {
    output::data(&format!("{}\n", text.trim_end_matches('\n')))
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
