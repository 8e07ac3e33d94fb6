//! Tokenizer and chat template of a GGUF file as the files of a hub folder, so that a model that
//! was trained from one is a model of its own.
//!
//! Byte-level vocabularies are written as `tokenizer.json` says them; whether the written one gives
//! the same ids is tried on the run's own texts before anything is trained.

use std::path::Path;

use eval::{Error, Result};
use model::text::{ChatTemplate, EncodeOptions, Tokenizer};
use model::weights::{Checkpoint, Gguf};
use serde_json::{Value, json};

/// GPT-2's expression for words (Radford et al. 2019, `encoder.py`) needs no spelling out: the
/// byte-level step brings it. Llama 3's and Qwen2's stand in their published `tokenizer.json`; they
/// differ in how many digits make a word.
fn words(digits: &str) -> String {
    let (words, rest) = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    );
    format!("{words}|{digits}|{rest}")
}

/// Kinds of tokens in GGUF files.
const CONTROL: i64 = 3;
/// As [`CONTROL`]: added by the model's makers, cut out of plain text.
const USER_DEFINED: i64 = 4;

/// Writes `tokenizer.json`, `tokenizer_config.json`, and `generation_config.json` for the tokenizer
/// and template in a GGUF file, and compares the ids of `texts`; nothing for other checkpoints,
/// whose files are beside them.
///
/// # Errors
/// The vocabulary is of a kind that is not written here, or the written one gives other ids; the
/// hint says what to do instead.
pub fn write_text_side(checkpoint: &Checkpoint, folder: &Path, texts: &[String]) -> Result<()> {
    let Some(gguf) = checkpoint.gguf() else {
        return Ok(());
    };
    let ours = Tokenizer::from_gguf(gguf)?;
    let template = ChatTemplate::from_gguf(gguf)?;
    let description = description(gguf, &ours)?;
    eval::fs::create_folder(folder)?;
    for (name, value) in [
        ("tokenizer.json", description),
        ("tokenizer_config.json", names(gguf, &template)?),
        ("generation_config.json", endings(&ours)),
    ] {
        eval::fs::write_json(&folder.join(name), &value)?;
    }
    let written = Tokenizer::open(folder)?;
    let traits = |t: &Tokenizer| (t.n_vocab(), t.bos(), t.eos(), t.add_bos(), t.add_eos());
    let same_text = |text: &String| -> Result<bool> {
        let of = |tokenizer: &Tokenizer, options| tokenizer.encode(text, options);
        Ok(
            of(&ours, EncodeOptions::TEXT)? == of(&written, EncodeOptions::TEXT)?
                && of(&ours, EncodeOptions::CHAT)? == of(&written, EncodeOptions::CHAT)?,
        )
    };
    let mut is_same = traits(&ours) == traits(&written)
        && ours.stop_ids() == written.stop_ids()
        && ChatTemplate::from_folder(folder, None)?.source() == template.source();
    for text in texts {
        is_same = is_same && same_text(text)?;
    }
    if is_same {
        return Ok(());
    }
    Err(refused(
        "its tokenizer gives other ids once written as `tokenizer.json`",
    ))
}

fn refused(why: &str) -> Error {
    Error::inputs(format!(
        "a whole model cannot be written from this GGUF file: {why}"
    ))
    .hint("train adapters (without `--full`), or take the model's hub folder as `--model`")
}

/// `tokenizer.json`.
fn description(gguf: &Gguf, tokenizer: &Tokenizer) -> Result<Value> {
    let kind = gguf.text("tokenizer.ggml.model")?.unwrap_or_default();
    if kind != "gpt2" {
        return Err(refused(&format!("its vocabulary is of the kind `{kind}`")));
    }
    let texts = |key: &str| Ok::<_, Error>(gguf.texts(key)?.unwrap_or_default());
    let (tokens, merges) = (
        texts("tokenizer.ggml.tokens")?,
        texts("tokenizer.ggml.merges")?,
    );
    let kinds = gguf
        .integers("tokenizer.ggml.token_type")?
        .unwrap_or_default();
    let vocabulary: serde_json::Map<String, Value> = tokens
        .iter()
        .enumerate()
        .map(|(id, token)| ((*token).to_owned(), json!(id)))
        .collect();
    let added = tokens.iter().zip(&kinds).enumerate();
    let added: Vec<Value> = added
        .filter(|(_, (_, kind))| [CONTROL, USER_DEFINED].contains(kind))
        .map(|(id, (token, kind))| {
            json!({"id": id, "content": token, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": *kind == CONTROL})
        })
        .collect();
    let pre = gguf.text("tokenizer.ggml.pre")?.unwrap_or_default();
    let (cutter, whole_words) = pre_tokenizer(pre)?;
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": null, "pre_tokenizer": cutter, "post_processor": frame(&tokens, tokenizer),
        "decoder": byte_level(false),
        "model": {"type": "BPE", "dropout": null, "unk_token": null,
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
            "byte_fallback": false, "ignore_merges": whole_words, "vocab": vocabulary,
            "merges": merges},
    }))
}

fn byte_level(use_regex: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
        "use_regex": use_regex})
}

/// How words are cut, and whether a word that is a token is not merged up to.
fn pre_tokenizer(pre: &str) -> Result<(Value, bool)> {
    let sequence = |first: Value, use_regex: bool| {
        let both = [first, byte_level(use_regex)];
        json!({"type": "Sequence", "pretokenizers": both})
    };
    let split = |pattern: String| {
        json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated",
            "invert": false})
    };
    Ok(match pre {
        "gpt-2" | "phi-2" | "olmo" | "mpt" => (byte_level(true), false),
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" => {
            let digits = json!({"type": "Digits", "individual_digits": true});
            (sequence(digits, true), false)
        }
        "llama-bpe" | "llama3" | "llama-v3" => (sequence(split(words(r"\p{N}{1,3}")), false), true),
        "qwen2" | "deepseek-r1-qwen" | "stablelm2" => {
            (sequence(split(words(r"\p{N}")), false), false)
        }
        other => return Err(refused(&format!("it cuts words in the way `{other}`"))),
    })
}

/// The ids that begin and end a whole text, as a template; null where there are none.
fn frame(tokens: &[&str], tokenizer: &Tokenizer) -> Value {
    let special = |id: Option<u32>, wanted: bool| {
        let id = id.filter(|_| wanted)?;
        let name = *tokens.get(id as usize)?;
        Some((name, json!({"id": name, "ids": [id], "tokens": [name]})))
    };
    let front = special(tokenizer.bos(), tokenizer.add_bos());
    let back = special(tokenizer.eos(), tokenizer.add_eos());
    if front.is_none() && back.is_none() {
        return Value::Null;
    }
    let around = |sequences: &[&str]| -> Vec<Value> {
        let mark = |(name, _): &(&str, Value)| json!({"SpecialToken": {"id": name, "type_id": 0}});
        let inner = sequences
            .iter()
            .map(|id| json!({"Sequence": {"id": id, "type_id": 0}}));
        let (front, back) = (front.iter().map(mark), back.iter().map(mark));
        front.chain(inner).chain(back).collect()
    };
    let known: serde_json::Map<String, Value> = front
        .iter()
        .chain(&back)
        .map(|(name, token)| ((*name).to_owned(), token.clone()))
        .collect();
    json!({"type": "TemplateProcessing", "single": around(&["A"]), "pair": around(&["A", "B"]),
        "special_tokens": known})
}

/// `tokenizer_config.json`: the template, and the names of special tokens.
fn names(gguf: &Gguf, template: &ChatTemplate) -> Result<Value> {
    let tokens = gguf.texts("tokenizer.ggml.tokens")?.unwrap_or_default();
    let mut found = serde_json::Map::new();
    for (name, key) in [
        ("bos_token", "bos"),
        ("eos_token", "eos"),
        ("unk_token", "unknown"),
        ("pad_token", "padding"),
    ] {
        let id = gguf.integer(&format!("tokenizer.ggml.{key}_token_id"))?;
        let index = id.and_then(|id| usize::try_from(id).ok());
        if let Some(token) = index.and_then(|index| tokens.get(index)) {
            found.insert(name.to_owned(), json!(token));
        }
    }
    if template.exists() {
        found.insert("chat_template".to_owned(), json!(template.source()));
    }
    Ok(Value::Object(found))
}

/// `generation_config.json`: what ends a text.
fn endings(tokenizer: &Tokenizer) -> Value {
    json!({"bos_token_id": tokenizer.bos(), "eos_token_id": tokenizer.stop_ids()})
}

#[cfg(test)]
#[path = "../../../model/tests/weights/build.rs"]
#[expect(dead_code, reason = "shared with tests that need broken files too")]
mod build;

#[cfg(test)]
mod tests {
    use super::build::{File, Value as Entry, sized, text};
    use super::*;

    const SMALL: &str = include_str!("../../../model/tests/fixtures/text/small.json");

    /// A GGUF file with one of the small vocabularies, and ids that the Python package `tokenizers`
    /// gave for it (`make_small.py` beside that file).
    fn checkpoint(vocabulary: &Value, change: fn(&mut File)) -> Checkpoint {
        let strings =
            |key: &str| -> Vec<String> { serde_json::from_value(vocabulary[key].clone()).unwrap() };
        let sizes = build::Sizes {
            n_layers: 1,
            n_hidden: 32,
            n_head: 4,
            n_inner: 64,
        };
        let mut file = sized("llama", &sizes);
        let tokens = strings("tokens");
        file.tensors
            .retain(|tensor| tensor.name != "token_embd.weight");
        file.add("token_embd.weight", &[tokens.len(), 32], |i| (i % 7) as f32);
        let kinds: Vec<i32> = serde_json::from_value(vocabulary["types"].clone()).unwrap();
        file.set("tokenizer.ggml.model", text("gpt2"));
        file.set(
            "tokenizer.ggml.pre",
            text(vocabulary["pre"].as_str().unwrap()),
        );
        file.set("tokenizer.ggml.tokens", Entry::Texts(tokens));
        file.set("tokenizer.ggml.token_type", Entry::I32s(kinds));
        file.set("tokenizer.ggml.merges", Entry::Texts(strings("merges")));
        file.set("tokenizer.ggml.bos_token_id", Entry::U32(1));
        file.set("tokenizer.ggml.eos_token_id", Entry::U32(2));
        file.set("tokenizer.chat_template", text("{{ messages[0].content }}"));
        change(&mut file);
        Checkpoint::from_gguf_bytes("small", file.bytes()).unwrap()
    }

    fn vocabularies() -> (Vec<Value>, Vec<String>) {
        let small: Value = serde_json::from_str(SMALL).unwrap();
        let texts = serde_json::from_value(small["texts"].clone()).unwrap();
        (small["bpe"].as_array().unwrap().clone(), texts)
    }

    #[test]
    fn written_vocabularies_give_the_ids_of_the_tokenizers_package() {
        let (vocabularies, texts) = vocabularies();
        assert!(vocabularies.len() >= 4 && texts.len() > 60);
        for vocabulary in vocabularies {
            let folder = tempfile::tempdir().unwrap();
            let checkpoint = checkpoint(&vocabulary, |_| {});
            write_text_side(&checkpoint, folder.path(), &texts).unwrap();
            let written = Tokenizer::open(folder.path()).unwrap();
            let ids: Vec<Vec<u32>> = serde_json::from_value(vocabulary["ids"].clone()).unwrap();
            for (text, ids) in texts.iter().zip(ids) {
                let found = written.encode(text, EncodeOptions::CHAT).unwrap();
                assert_eq!(found, ids, "{}: {text:?}", vocabulary["pre"]);
            }
            let template = ChatTemplate::from_folder(folder.path(), None).unwrap();
            assert_eq!(template.source(), "{{ messages[0].content }}");
        }
    }

    #[test]
    fn framing_is_written_too() {
        let (vocabularies, texts) = vocabularies();
        let framed = |file: &mut File| {
            for key in ["add_bos_token", "add_eos_token"] {
                file.set(&format!("tokenizer.ggml.{key}"), Entry::Raw(7, vec![1]));
            }
        };
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = checkpoint(&vocabularies[0], framed);
        write_text_side(&checkpoint, folder.path(), &texts).unwrap();
        let written = Tokenizer::open(folder.path()).unwrap();
        assert!(written.add_bos() && written.add_eos());
        assert_eq!(written.encode("", EncodeOptions::TEXT).unwrap(), [1, 2]);
    }

    #[test]
    fn what_cannot_be_written_is_refused_with_a_way_out() {
        let (vocabularies, _) = vocabularies();
        let folder = tempfile::tempdir().unwrap();
        let unknown = checkpoint(&vocabularies[0], |file| {
            file.set("tokenizer.ggml.pre", text("default"));
        });
        let error = write_text_side(&unknown, folder.path(), &[]).unwrap_err();
        assert!(error.report().contains("`default`"), "{}", error.report());
        assert!(
            error.report().contains("without `--full`"),
            "{}",
            error.report()
        );
        assert!(!folder.path().join("tokenizer.json").exists());
    }
}
