//! A tokenizer from a hub folder: `tokenizer.json`, and beside it the names of special tokens.

use std::collections::BTreeMap;
use std::path::Path;

use eval::{Error, Result};
use serde_json::Value;

use super::encoding::Encoding;
use super::special::Special;
use super::tokenizer::{Engine, Framing, Markers, Tokenizer};
use super::vocabulary::{Kind, Spelling, Vocabulary};

/// Longest run of characters of one class that goes to the hub's pattern engine.
///
/// That engine backtracks, and gives up in silence after a million steps of one match
/// (fancy-regex 0.17): the rest of the text would stay one word. The published expressions take a
/// handful of steps per character of a run, so a tenth of that limit is safe.
const RUN_MAX_CHARS: usize = 100_000;

/// The `tokenizers` crate, configured by the file.
#[derive(Debug)]
pub(super) struct Hub {
    /// Control tokens in the text become their ids.
    parsing: tokenizers::Tokenizer,
    /// Control tokens in the text stay text.
    plain: tokenizers::Tokenizer,
}

impl Tokenizer {
    /// Reads a hub `tokenizer.json`; special tokens are named by `tokenizer_config.json` and
    /// `generation_config.json` in the same folder, where they are. Ids equal those of the Python
    /// package `tokenizers`.
    ///
    /// # Errors
    /// The file cannot be read, is no tokenizer, or spells bytes in a way that is not known here.
    pub fn from_file(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|cause| Error::io("read", path, cause))?;
        let sibling = |name: &str| -> Result<Value> {
            let path = path.with_file_name(name);
            match std::fs::read(&path) {
                Ok(bytes) => parse(&bytes, &path.display().to_string()),
                Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(Value::Null),
                Err(cause) => Err(Error::io("read", &path, cause)),
            }
        };
        let (names, ids) = (
            sibling("tokenizer_config.json")?,
            sibling("generation_config.json")?,
        );
        from_json(&bytes, &path.display().to_string(), &names, &ids)
    }
}

/// Builds from the contents of `tokenizer.json`, `tokenizer_config.json`, and
/// `generation_config.json` (null where absent).
pub(super) fn from_json(
    bytes: &[u8],
    name: &str,
    config: &Value,
    generation: &Value,
) -> Result<Tokenizer> {
    let description = parse(bytes, name)?;
    let mut parsing = tokenizers::Tokenizer::from_bytes(bytes)
        .map_err(|cause| Error::inputs(format!("`{name}` is no tokenizer")).caused_by(cause))?;
    // Settings of some earlier call that were saved with the file; the reference ignores them too.
    parsing
        .with_truncation(None)
        .map_err(|cause| Error::internal("cannot switch truncation off").caused_by(cause))?;
    parsing.with_padding(None);
    let mut plain = parsing.clone();
    plain.set_encode_special_tokens(true);
    let vocabulary = vocabulary(&parsing, &description, name)?;
    let hub = Hub { parsing, plain };
    let special = special(&hub, &vocabulary, config, generation)?;
    Ok(Tokenizer::assemble(
        Engine::Hub(Box::new(hub)),
        vocabulary,
        special,
        Default::default(),
    ))
}

impl Hub {
    /// Ids of `text`, without those that frame it.
    ///
    /// # Errors
    /// A run of like characters is too long for the pattern engine, or the engine fails.
    pub(super) fn encode(&self, text: &str, markers: Markers) -> Result<Encoding> {
        let run = longest_run(text);
        if run > RUN_MAX_CHARS {
            return Err(Error::inputs(format!(
                "a text repeats one kind of character {run} times; at most {RUN_MAX_CHARS} are \
                 tokenised with `tokenizer.json`"
            ))
            .hint(
                "cut the text, or use the model's GGUF file, whose tokenizer has no such limit",
            ));
        }
        let tokenizer = match markers {
            Markers::Parse => &self.parsing,
            Markers::Plain => &self.plain,
        };
        self.run(tokenizer, text, Framing::Bare)
    }

    fn run(
        &self,
        tokenizer: &tokenizers::Tokenizer,
        text: &str,
        framing: Framing,
    ) -> Result<Encoding> {
        let found = tokenizer
            .encode(text, framing == Framing::Model)
            .map_err(|cause| Error::inputs("cannot tokenise a text").caused_by(cause))?;
        let mut encoding = Encoding::default();
        let mut reached = 0;
        for (&id, &(_, end)) in found.get_ids().iter().zip(found.get_offsets()) {
            reached = reached.max(end);
            encoding.push(id, reached);
        }
        Ok(encoding)
    }
}

/// Characters of the longest run of letters, digits, white space, or others.
fn longest_run(text: &str) -> usize {
    let class = |letter: char| {
        (
            letter.is_alphabetic(),
            letter.is_numeric(),
            letter.is_whitespace(),
        )
    };
    let (mut longest, mut run, mut before) = (0, 0, None);
    for letter in text.chars() {
        run = if before == Some(class(letter)) {
            run + 1
        } else {
            1
        };
        before = Some(class(letter));
        longest = longest.max(run);
    }
    longest
}

fn parse(bytes: &[u8], name: &str) -> Result<Value> {
    serde_json::from_slice(bytes)
        .map_err(|cause| Error::inputs(format!("`{name}` is no valid JSON")).caused_by(cause))
}

/// Tokens in order of their ids, with what they stand for.
fn vocabulary(
    tokenizer: &tokenizers::Tokenizer,
    description: &Value,
    name: &str,
) -> Result<Vocabulary> {
    let spelling = spelling(&description["decoder"]).ok_or_else(|| {
        Error::inputs(format!(
            "`{name}` turns ids into text in a way that is not known here: {}",
            description["decoder"]
        ))
        .hint("known are byte-level and SentencePiece decoders")
    })?;
    let byte_fallback = description["model"]["byte_fallback"] == Value::Bool(true);
    let by_id: BTreeMap<u32, String> = tokenizer
        .get_vocab(true)
        .into_iter()
        .map(|(text, id)| (id, text))
        .collect();
    let added = tokenizer.get_added_tokens_decoder();
    let n_vocab = by_id
        .last_key_value()
        .map_or(0, |(&id, _)| u64::from(id) + 1);
    // A vocabulary may have gaps, but one that is mostly gaps is a broken file.
    if n_vocab > 4 * by_id.len() as u64 + 1024 {
        let n_tokens = by_id.len();
        return Err(Error::inputs(format!(
            "`{name}` numbers {n_tokens} tokens up to {n_vocab}"
        )));
    }
    let is_byte = |text: &str| {
        byte_fallback && text.len() == 6 && text.starts_with("<0x") && text.ends_with('>')
    };
    let token = |id: u64| {
        let id = u32::try_from(id).unwrap_or(u32::MAX);
        match by_id.get(&id) {
            None => ("", Kind::Unused),
            Some(text) => match added.get(&id) {
                Some(token) if token.special => (text.as_str(), Kind::Control),
                // The decoder treats other added tokens like all the rest.
                _ if is_byte(text) => (text.as_str(), Kind::Byte),
                _ => (text.as_str(), Kind::Normal),
            },
        }
    };
    Vocabulary::new(spelling, (0..n_vocab).map(token))
}

/// How the decoder of a `tokenizer.json` spells bytes.
fn spelling(decoder: &Value) -> Option<Spelling> {
    match decoder["type"].as_str()? {
        "ByteLevel" => Some(Spelling::ByteLevel),
        "Metaspace" => Some(Spelling::SentencePiece),
        "Replace" => {
            let replaces = decoder["pattern"]["String"] == "▁" && decoder["content"] == " ";
            replaces.then_some(Spelling::SentencePiece)
        }
        "Sequence" => decoder["decoders"].as_array()?.iter().find_map(spelling),
        _ => None,
    }
}

/// Special tokens by the names and ids in the files beside `tokenizer.json`, framing by trial.
fn special(
    hub: &Hub,
    vocabulary: &Vocabulary,
    config: &Value,
    generation: &Value,
) -> Result<Special> {
    let named = |key: &str| {
        let value = &config[key];
        let name = value.as_str().or_else(|| value["content"].as_str())?;
        vocabulary.id_of(name)
    };
    let numbered = |key: &str| -> Vec<u32> {
        let value = &generation[key];
        let items = value
            .as_array()
            .map_or(std::slice::from_ref(value), Vec::as_slice);
        let ids = items.iter().filter_map(Value::as_u64);
        ids.filter_map(|id| u32::try_from(id).ok())
            .filter(|&id| vocabulary.kind(id).is_some())
            .collect()
    };
    let ends = numbered("eos_token_id");
    let framed = hub.run(&hub.parsing, "a", Framing::Model)?.ids;
    let bare = hub.run(&hub.parsing, "a", Framing::Bare)?.ids;
    let at = framed
        .windows(bare.len().max(1))
        .position(|window| window == bare);
    let (front, back) = match at {
        Some(at) if !bare.is_empty() => (framed[..at].to_vec(), framed[at + bare.len()..].to_vec()),
        _ => (Vec::new(), Vec::new()),
    };
    let mut special = Special {
        bos: named("bos_token").or_else(|| numbered("bos_token_id").first().copied()),
        eos: named("eos_token").or_else(|| ends.first().copied()),
        eot: None,
        stop: ends,
        front,
        back,
    };
    special.complete(vocabulary);
    Ok(special)
}
