//! A tokenizer from the metadata of a GGUF file alone.

use eval::{Error, Result};

use super::bpe::Bpe;
use super::markers::MarkerSet;
use super::sentencepiece::SentencePiece;
use super::special::Special;
use super::split::Splitter;
use super::tokenizer::{Engine, Tokenizer};
use super::vocabulary::{Kind, Spelling, Vocabulary};
use crate::weights::Gguf;

/// Typed metadata: what [`Gguf`] offers, so that tests can do without a weight file.
pub(super) trait Metadata {
    fn text(&self, key: &str) -> Result<Option<&str>>;
    fn integer(&self, key: &str) -> Result<Option<i64>>;
    fn flag(&self, key: &str) -> Result<Option<bool>>;
    fn texts(&self, key: &str) -> Result<Option<Vec<&str>>>;
    fn integers(&self, key: &str) -> Result<Option<Vec<i64>>>;
    fn numbers(&self, key: &str) -> Result<Option<Vec<f32>>>;
}

impl Metadata for Gguf {
    fn text(&self, key: &str) -> Result<Option<&str>> {
        self.text(key)
    }
    fn integer(&self, key: &str) -> Result<Option<i64>> {
        self.integer(key)
    }
    fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.flag(key)
    }
    fn texts(&self, key: &str) -> Result<Option<Vec<&str>>> {
        self.texts(key)
    }
    fn integers(&self, key: &str) -> Result<Option<Vec<i64>>> {
        self.integers(key)
    }
    fn numbers(&self, key: &str) -> Result<Option<Vec<f32>>> {
        self.numbers(key)
    }
}

const MODEL: &str = "tokenizer.ggml.model";
const PRE: &str = "tokenizer.ggml.pre";
pub(super) const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";
const MERGES: &str = "tokenizer.ggml.merges";
const SCORES: &str = "tokenizer.ggml.scores";
const UNKNOWN: &str = "tokenizer.ggml.unknown_token_id";
const ADD_SPACE: &str = "tokenizer.ggml.add_space_prefix";

impl Tokenizer {
    /// Builds the tokenizer that a GGUF file describes: byte-level BPE (`gpt2`) or SentencePiece
    /// (`llama`). Ids equal llama.cpp's.
    ///
    /// # Errors
    /// The metadata is missing, contradicts itself, or names a tokenizer that is not known here.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self> {
        from_metadata(gguf)
    }
}

/// Builds from any metadata.
pub(super) fn from_metadata(metadata: &dyn Metadata) -> Result<Tokenizer> {
    let model = required(metadata.text(MODEL)?, MODEL)?;
    let spelling = match model {
        "gpt2" => Spelling::ByteLevel,
        "llama" => Spelling::SentencePiece,
        other => {
            return Err(Error::inputs(format!(
                "`{MODEL}` is `{other}`; `gpt2` and `llama` are known here"
            ))
            .hint("take a hub folder with `tokenizer.json` instead"));
        }
    };
    let tokens = required(metadata.texts(TOKENS)?, TOKENS)?;
    let kinds = kinds(metadata, tokens.len())?;
    let vocabulary = Vocabulary::new(spelling, tokens.into_iter().zip(kinds))?;
    let special = Special::from_metadata(metadata, &vocabulary, spelling)?;
    let engine = match spelling {
        Spelling::ByteLevel => {
            let pre = required(metadata.text(PRE)?, PRE)?;
            let merges = required(metadata.texts(MERGES)?, MERGES)?;
            Engine::Bpe(Bpe::new(&vocabulary, Splitter::named(pre)?, &merges)?)
        }
        Spelling::SentencePiece => {
            let scores = required(metadata.numbers(SCORES)?, SCORES)?;
            let unknown = token_id(metadata, UNKNOWN, &vocabulary)?;
            let adds_space = metadata.flag(ADD_SPACE)?.unwrap_or(true);
            let piece = SentencePiece::new(&vocabulary, &scores, unknown, adds_space)?;
            Engine::SentencePiece(piece)
        }
    };
    let markers = |wanted: fn(Kind) -> bool| {
        let ids = vocabulary.kinds().filter(|&(_, kind)| wanted(kind));
        MarkerSet::new(ids.filter_map(|(id, _)| Some((vocabulary.spoken(id)?, id))))
    };
    let user = markers(|kind| kind == Kind::UserDefined);
    let all = markers(|kind| matches!(kind, Kind::UserDefined | Kind::Control | Kind::Unknown));
    Ok(Tokenizer::assemble(
        engine,
        vocabulary,
        special,
        [user, all],
    ))
}

fn required<T>(value: Option<T>, key: &str) -> Result<T> {
    value.ok_or_else(|| {
        Error::inputs(format!("the file has no `{key}`")).hint(
            "convert the model again with a current converter, or take a hub folder with \
             `tokenizer.json`",
        )
    })
}

/// Reads the kinds of all tokens; without them every token is normal.
fn kinds(metadata: &dyn Metadata, n_tokens: usize) -> Result<Vec<Kind>> {
    let Some(numbers) = metadata.integers(TYPES)? else {
        return Ok(vec![Kind::Normal; n_tokens]);
    };
    if numbers.len() != n_tokens {
        let n_types = numbers.len();
        return Err(Error::inputs(format!(
            "{n_types} token types for {n_tokens} tokens"
        )));
    }
    let kind = |number: &i64| {
        Kind::from_number(*number).ok_or_else(|| {
            Error::inputs(format!("`{TYPES}` holds {number}; 1 to 6 have a meaning"))
        })
    };
    numbers.iter().map(kind).collect()
}

/// Reads the id of a token.
pub(super) fn token_id(
    metadata: &dyn Metadata,
    key: &str,
    vocabulary: &Vocabulary,
) -> Result<Option<u32>> {
    let Some(number) = metadata.integer(key)? else {
        return Ok(None);
    };
    let id = u32::try_from(number).ok();
    match id.filter(|&id| vocabulary.kind(id).is_some()) {
        Some(id) => Ok(Some(id)),
        None => Err(Error::inputs(format!(
            "`{key}` is {number}, but there are {} tokens",
            vocabulary.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::text::sample::{Stored, bpe_metadata, sentencepiece_metadata};
    use crate::text::{EncodeOptions, Framing, Markers};

    #[test]
    fn byte_level_ids_equal_those_of_the_tokenizers_package() {
        for pre in ["gpt-2", "smollm", "qwen2", "llama-bpe"] {
            let (metadata, known) = bpe_metadata(pre);
            let tokenizer = from_metadata(&Stored(metadata)).unwrap();
            assert!(known.len() > 60);
            for (text, ids) in known {
                let found = tokenizer.encode(&text, EncodeOptions::CHAT).unwrap();
                assert_eq!(found, ids, "{pre}: {text:?}");
            }
        }
    }

    #[test]
    fn sentencepiece_ids_equal_those_of_the_sentencepiece_package() {
        for adds_space in [false, true] {
            let (metadata, known) = sentencepiece_metadata(adds_space);
            let tokenizer = from_metadata(&Stored(metadata)).unwrap();
            assert!(known.len() > 60);
            for (text, ids) in known.into_iter().filter(|(text, _)| !text.is_empty()) {
                let found = tokenizer.encode(&text, EncodeOptions::PIECE).unwrap();
                assert_eq!(found, ids, "space {adds_space}: {text:?}");
            }
        }
    }

    #[test]
    fn framing_follows_the_file() {
        let (mut metadata, _) = bpe_metadata("smollm");
        let framed = |metadata: &serde_json::Value| {
            let tokenizer = from_metadata(&Stored(metadata.clone())).unwrap();
            let ids = tokenizer.encode("", EncodeOptions::TEXT).unwrap();
            (ids, tokenizer.add_bos(), tokenizer.add_eos())
        };
        assert_eq!(framed(&metadata), (vec![], false, false));
        metadata["tokenizer.ggml.add_bos_token"] = json!(true);
        metadata["tokenizer.ggml.add_eos_token"] = json!(true);
        assert_eq!(framed(&metadata), (vec![1, 2], true, true));
        // llama.cpp's defaults where the file says nothing.
        assert!(framed(&bpe_metadata("llama-bpe").0).1);
        assert!(framed(&sentencepiece_metadata(true).0).1);
    }

    #[test]
    fn the_ends_of_turns_are_found_by_name() {
        let (mut metadata, _) = bpe_metadata("smollm");
        let tokenizer = from_metadata(&Stored(metadata.clone())).unwrap();
        assert_eq!(tokenizer.stop_ids(), [0, 2]);
        assert_eq!(
            (tokenizer.bos(), tokenizer.eos(), tokenizer.eot()),
            (Some(1), Some(2), Some(2))
        );
        // A user-defined token of that name (an HTML tag, say) does not end anything.
        metadata["tokenizer.ggml.token_type"][0] = json!(4);
        let tokenizer = from_metadata(&Stored(metadata)).unwrap();
        assert_eq!(tokenizer.stop_ids(), [2]);
    }

    #[test]
    fn user_defined_tokens_are_cut_out_even_of_plain_text() {
        let (mut metadata, _) = bpe_metadata("smollm");
        metadata["tokenizer.ggml.token_type"][0] = json!(4);
        let tokenizer = from_metadata(&Stored(metadata)).unwrap();
        let text = "a<|endoftext|><|im_end|>";
        let plain = EncodeOptions {
            markers: Markers::Plain,
            framing: Framing::Bare,
        };
        let ids = tokenizer.encode(text, plain).unwrap();
        assert_eq!(ids[1], 0);
        assert!(!ids.contains(&2), "{ids:?}");
        assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    }

    #[test]
    fn contradictions_are_named() {
        let check = |change: fn(&mut serde_json::Value), expected: &str| {
            let (mut metadata, _) = bpe_metadata("smollm");
            change(&mut metadata);
            let error = from_metadata(&Stored(metadata)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(|m| m["tokenizer.ggml.model"] = json!("bert"), "`bert`");
        check(
            |m| m["tokenizer.ggml.model"] = json!(null),
            "no `tokenizer.ggml.model`",
        );
        check(
            |m| m["tokenizer.ggml.pre"] = json!(null),
            "no `tokenizer.ggml.pre`",
        );
        check(|m| m["tokenizer.ggml.pre"] = json!("new"), "`new`");
        check(|m| m["tokenizer.ggml.tokens"] = json!([]), "0 tokens");
        check(|m| m["tokenizer.ggml.token_type"][3] = json!(9), "holds 9");
        check(
            |m| m["tokenizer.ggml.token_type"] = json!([1]),
            "1 token types for 700 tokens",
        );
        check(
            |m| m["tokenizer.ggml.merges"][0] = json!("zz yy"),
            "merge 0 (`zz yy`)",
        );
        check(
            |m| m["tokenizer.ggml.merges"][1] = json!("zz"),
            "merge 1 (`zz`)",
        );
        check(|m| m["tokenizer.ggml.eos_token_id"] = json!(700), "is 700");
        check(|m| m["tokenizer.ggml.eos_token_id"] = json!(-1), "is -1");
        let (mut metadata, _) = sentencepiece_metadata(false);
        metadata["tokenizer.ggml.scores"] = json!([1.0]);
        let error = from_metadata(&Stored(metadata)).unwrap_err().to_string();
        assert!(error.contains("1 scores for 900 tokens"), "{error}");
    }
}
