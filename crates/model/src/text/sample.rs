//! Small tokenizers for tests, with ids that their makers computed
//! (`tests/fixtures/text/make_small.py`).

use eval::Result;
use serde_json::Value;

use super::gguf::{Metadata, from_metadata};
use super::hub::from_json;
use super::tokenizer::Tokenizer;

const SMALL: &str = include_str!("../../tests/fixtures/text/small.json");
const HUB: &str = include_str!("../../tests/fixtures/text/small_tokenizer.json");

/// Metadata from JSON, as a GGUF file would hold it.
pub(super) struct Stored(pub(super) Value);

impl Metadata for Stored {
    fn text(&self, key: &str) -> Result<Option<&str>> {
        Ok(self.0[key].as_str())
    }
    fn integer(&self, key: &str) -> Result<Option<i64>> {
        Ok(self.0[key].as_i64())
    }
    fn flag(&self, key: &str) -> Result<Option<bool>> {
        Ok(self.0[key].as_bool())
    }
    fn texts(&self, key: &str) -> Result<Option<Vec<&str>>> {
        let items = self.0[key].as_array();
        Ok(items.map(|items| items.iter().map(|item| item.as_str().unwrap()).collect()))
    }
    fn integers(&self, key: &str) -> Result<Option<Vec<i64>>> {
        let items = self.0[key].as_array();
        Ok(items.map(|items| items.iter().map(|item| item.as_i64().unwrap()).collect()))
    }
    fn numbers(&self, key: &str) -> Result<Option<Vec<f32>>> {
        let items = self.0[key].as_array();
        Ok(items.map(|items| {
            items
                .iter()
                .map(|item| item.as_f64().unwrap() as f32)
                .collect()
        }))
    }
}

/// A text and the ids that the maker of the vocabulary gives it.
pub(super) type Known = Vec<(String, Vec<u32>)>;

fn known(texts: &Value, ids: &Value) -> Known {
    let texts: Vec<String> = serde_json::from_value(texts.clone()).unwrap();
    let ids: Vec<Vec<u32>> = serde_json::from_value(ids.clone()).unwrap();
    texts.into_iter().zip(ids).collect()
}

/// Metadata of a byte-level vocabulary by its `pre`, and known ids.
pub(super) fn bpe_metadata(pre: &str) -> (Value, Known) {
    let small: Value = serde_json::from_str(SMALL).unwrap();
    let bpe = small["bpe"].as_array().unwrap();
    let bpe = bpe.iter().find(|bpe| bpe["pre"] == pre).unwrap();
    let metadata = serde_json::json!({
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": bpe["tokens"],
        "tokenizer.ggml.token_type": bpe["types"],
        "tokenizer.ggml.merges": bpe["merges"],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    });
    (metadata, known(&small["texts"], &bpe["ids"]))
}

/// Metadata of a SentencePiece vocabulary, and known ids.
pub(super) fn sentencepiece_metadata(adds_space: bool) -> (Value, Known) {
    let small: Value = serde_json::from_str(SMALL).unwrap();
    let piece = &small["sentencepiece"][usize::from(adds_space)];
    assert_eq!(piece["add_space"], adds_space);
    let metadata = serde_json::json!({
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": piece["tokens"],
        "tokenizer.ggml.token_type": piece["types"],
        "tokenizer.ggml.scores": piece["scores"],
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_space_prefix": adds_space,
    });
    (metadata, known(&small["plain_texts"], &piece["ids"]))
}

/// A byte-level tokenizer.
pub(super) fn bpe(pre: &str) -> Tokenizer {
    from_metadata(&Stored(bpe_metadata(pre).0)).unwrap()
}

/// A SentencePiece tokenizer.
pub(super) fn sentencepiece(adds_space: bool) -> Tokenizer {
    from_metadata(&Stored(sentencepiece_metadata(adds_space).0)).unwrap()
}

/// The `smollm` vocabulary as a hub file.
pub(super) fn hub() -> Tokenizer {
    let config = serde_json::json!({
        "bos_token": "<|im_start|>",
        "eos_token": {"content": "<|im_end|>"},
    });
    let generation = serde_json::json!({"eos_token_id": [2, 0]});
    from_json(HUB.as_bytes(), "small_tokenizer.json", &config, &generation).unwrap()
}
