//! JSON documents on stdout.

use eval::{Result, output};
use serde_json::Value;

/// Writes one JSON document to stdout.
///
/// # Errors
/// As [`output::data`].
pub fn print_json(document: &Value) -> Result<()> {
    output::data(&format!("{document:#}\n"))
}
