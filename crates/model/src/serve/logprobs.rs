//! Log-probabilities in the two shapes of the protocol.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Codec;
use crate::generate::TokenLogprob;

/// What the protocol writes for a probability of zero: JSON has no infinities.
const LOGPROB_MIN: f32 = -9999.0;

fn finite(logprob: f32) -> f32 {
    match logprob.is_finite() {
        true => logprob,
        false => LOGPROB_MIN,
    }
}

/// A token as text; a part of a character is written byte by byte, as `\xf0\x9f`.
pub fn token_text(codec: &dyn Codec, id: u32) -> String {
    match String::from_utf8(codec.token_bytes(id).unwrap_or_default()) {
        Ok(text) => text,
        Err(error) => error
            .into_bytes()
            .iter()
            .map(|byte| format!("\\x{byte:02x}"))
            .collect(),
    }
}

/// The same in completions, where such tokens carry a prefix.
fn token_key(codec: &dyn Codec, id: u32) -> String {
    let is_text = codec
        .token_bytes(id)
        .is_none_or(|bytes| std::str::from_utf8(&bytes).is_ok());
    match is_text {
        true => token_text(codec, id),
        false => format!("bytes:{}", token_text(codec, id)),
    }
}

/// `logprobs` of a chat choice.
pub fn of_chat(codec: &dyn Codec, tokens: &[TokenLogprob]) -> Value {
    let entry = |id: u32, logprob: f32| {
        json!({
            "token": token_text(codec, id),
            "logprob": finite(logprob),
            "bytes": codec.token_bytes(id).unwrap_or_default(),
        })
    };
    let content: Vec<Value> = tokens
        .iter()
        .map(|token| {
            let top: Vec<Value> = token
                .alternatives
                .iter()
                .map(|&(i, l)| entry(i, l))
                .collect();
            let mut value = entry(token.id, token.logprob);
            value["top_logprobs"] = Value::Array(top);
            value
        })
        .collect();
    json!({ "content": content, "refusal": null })
}

/// `logprobs` of a completion's choice, piece by piece.
///
/// Offsets count the characters of the choice's `text` before a token; a token that begins within
/// a character has the offset of that character.
#[derive(Debug, Default)]
pub struct CompletionLogprobs {
    n_chars: usize,
    partial: Vec<u8>,
}

/// A token of a completion: id, log-probability where it has one, and alternatives where they are
/// wanted.
pub type Listed<'a> = (u32, Option<f32>, Option<&'a [(u32, f32)]>);

impl CompletionLogprobs {
    /// The next tokens, as a value of their own.
    pub fn of(&mut self, codec: &dyn Codec, listed: &[Listed<'_>]) -> Value {
        let (mut tokens, mut logprobs, mut tops) = (Vec::new(), Vec::new(), Vec::new());
        let mut offsets = Vec::new();
        for &(id, logprob, alternatives) in listed {
            offsets.push(self.n_chars);
            self.advance(&codec.token_bytes(id).unwrap_or_default());
            tokens.push(token_key(codec, id));
            logprobs.push(logprob.map(finite));
            tops.push(alternatives.map(|alternatives| {
                let own = logprob.map(|logprob| (id, logprob));
                top(codec, own.into_iter().chain(alternatives.iter().copied()))
            }));
        }
        let has_tops = tops.iter().any(Option::is_some);
        json!({
            "tokens": tokens,
            "token_logprobs": logprobs,
            "top_logprobs": has_tops.then_some(tops),
            "text_offset": offsets,
        })
    }

    /// Counts the characters that are complete with these bytes.
    fn advance(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        let mut n_read = 0;
        for chunk in self.partial.utf8_chunks() {
            self.n_chars += chunk.valid().chars().count();
            n_read += chunk.valid().len();
            let is_last = n_read + chunk.invalid().len() == self.partial.len();
            let is_open = std::str::from_utf8(chunk.invalid())
                .is_err_and(|error| error.error_len().is_none());
            if is_last && is_open {
                break;
            }
            self.n_chars += usize::from(!chunk.invalid().is_empty());
            n_read += chunk.invalid().len();
        }
        self.partial.drain(..n_read);
    }
}

/// Alternatives by text; of tokens with the same text the most likely one counts.
fn top(codec: &dyn Codec, entries: impl Iterator<Item = (u32, f32)>) -> BTreeMap<String, f32> {
    let mut top: BTreeMap<String, f32> = BTreeMap::new();
    for (id, logprob) in entries {
        let logprob = finite(logprob);
        let best = top.entry(token_key(codec, id)).or_insert(logprob);
        *best = best.max(logprob);
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_when_they_are_complete() {
        let mut counter = CompletionLogprobs::default();
        let emoji = "🦀".as_bytes();
        for (bytes, n_chars) in [
            (&b"ab"[..], 2),
            (&emoji[..2], 2),
            (&emoji[2..], 3),
            (&b"\xff"[..], 4),
            (&emoji[..1], 4),
            (&b"z"[..], 6),
        ] {
            counter.advance(bytes);
            assert_eq!(counter.n_chars, n_chars, "{bytes:?}");
        }
    }
}
