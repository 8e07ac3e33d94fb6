//! `model tokenize`.

use eval::{Result, output};
use model::text::{EncodeOptions, Framing, Markers, Tokenizer};
use serde_json::{Value, json};

use super::args::{Format, TokenizeArgs};
use super::document::print_json;

/// Prints the token ids of a text.
///
/// # Errors
/// The tokenizer cannot be read, or the text is too long.
pub fn tokenize(args: &TokenizeArgs) -> Result<()> {
    let tokenizer = Tokenizer::open(&args.weights)?;
    let markers = match args.markers {
        true => Markers::Parse,
        false => Markers::Plain,
    };
    let framing = Framing::Model;
    let ids = tokenizer.encode(&args.text, EncodeOptions { markers, framing })?;
    let bytes = |id: &u32| tokenizer.token_bytes(*id).unwrap_or_default();
    let text = |id: &u32| String::from_utf8_lossy(bytes(id)).into_owned();
    match args.format {
        Format::Json => {
            let tokens: Vec<Value> = ids
                .iter()
                .map(|id| json!({ "id": id, "text": text(id), "bytes": bytes(id) }))
                .collect();
            print_json(&json!({ "format": 1, "tokens": tokens }))
        }
        Format::Text => {
            let line = |id: &u32| format!("{id:>8}  {:?}\n", text(id));
            output::data(&ids.iter().map(line).collect::<String>())
        }
    }
}
