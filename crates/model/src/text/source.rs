//! Where chat templates come from: GGUF metadata, or the files of a hub folder.

use std::collections::BTreeMap;
use std::path::Path;

use eval::{Error, Result};
use serde_json::Value;

use super::gguf::{Metadata, TOKENS as TEXTS};
use super::template::ChatTemplate;
use crate::weights::{Checkpoint, Gguf};

const TEMPLATE: &str = "tokenizer.chat_template";

/// Special tokens that templates may write, by their hub names, with the keys of GGUF files.
const TOKENS: [(&str, &str); 4] = [
    ("bos_token", "tokenizer.ggml.bos_token_id"),
    ("eos_token", "tokenizer.ggml.eos_token_id"),
    ("unk_token", "tokenizer.ggml.unknown_token_id"),
    ("pad_token", "tokenizer.ggml.padding_token_id"),
];

impl ChatTemplate {
    /// The template of an opened model, or [`ChatTemplate::none`] where it has none.
    ///
    /// # Errors
    /// There is a template, but it cannot be read.
    pub fn from_checkpoint(checkpoint: &Checkpoint) -> Result<Self> {
        match checkpoint.gguf() {
            Some(gguf) => Self::from_gguf(gguf),
            None => Self::from_folder(checkpoint.folder(), None),
        }
    }

    /// The template in a GGUF file's metadata, or [`ChatTemplate::none`].
    ///
    /// # Errors
    /// There is a template, but it cannot be read.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self> {
        from_metadata(gguf)
    }

    /// The template of a hub folder: `chat_template.jinja`, or `chat_template` in
    /// `tokenizer_config.json`, which is a text or a list of named ones. `name` chooses among
    /// several; without it the one called `default` is taken, or the only one.
    ///
    /// # Errors
    /// There is a template, but it cannot be read, or there is none of that name.
    pub fn from_folder(folder: &Path, name: Option<&str>) -> Result<Self> {
        let model = folder.file_name().map_or_else(
            || folder.display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        );
        let config = match read(&folder.join("tokenizer_config.json"))? {
            Some(text) => serde_json::from_str(&text).map_err(|cause| {
                let path = folder.join("tokenizer_config.json");
                Error::inputs(format!("`{}` is no valid JSON", path.display())).caused_by(cause)
            })?,
            None => Value::Null,
        };
        let mut tokens = BTreeMap::new();
        for (key, _) in TOKENS {
            let token = &config[key];
            if let Some(text) = token.as_str().or_else(|| token["content"].as_str()) {
                tokens.insert(key.to_owned(), text.to_owned());
            }
        }
        let mut named = named(&config["chat_template"]);
        // A file of its own is newer than the entry, and is the default template.
        if let Some(source) = read(&folder.join("chat_template.jinja"))? {
            named.insert("default".to_owned(), source);
        }
        let source = match (name, named.len()) {
            (None, 0) => return Ok(Self::none(&model)),
            (None, 1) => named.values().next(),
            (None, _) => named.get("default"),
            (Some(name), _) => named.get(name),
        };
        let Some(source) = source else {
            let names: Vec<&str> = named.keys().map(String::as_str).collect();
            let wanted = name.unwrap_or("default");
            return Err(
                Error::inputs(format!("`{model}` has no chat template called `{wanted}`"))
                    .hint(format!("it has: {}", names.join(", "))),
            );
        };
        Self::new(source, &model, tokens)
    }
}

/// Reads the template of any metadata.
pub(super) fn from_metadata(metadata: &dyn Metadata) -> Result<ChatTemplate> {
    let model = metadata.text("general.name")?.unwrap_or("the model");
    let Some(source) = metadata.text(TEMPLATE)? else {
        return Ok(ChatTemplate::none(model));
    };
    let texts = metadata.texts(TEXTS)?.unwrap_or_default();
    let mut tokens = BTreeMap::new();
    for (name, key) in TOKENS {
        let id = metadata.integer(key)?;
        let index = id.and_then(|id| usize::try_from(id).ok());
        if let Some(&text) = index.and_then(|index| texts.get(index)) {
            tokens.insert(name.to_owned(), text.to_owned());
        }
    }
    ChatTemplate::new(source, model, tokens)
}

/// Templates by name, from a text or a list of `{name, template}`.
fn named(value: &Value) -> BTreeMap<String, String> {
    if let Some(source) = value.as_str() {
        return BTreeMap::from([("default".to_owned(), source.to_owned())]);
    }
    let items = value.as_array().map_or(&[][..], Vec::as_slice);
    let pairs = items.iter().filter_map(|item| {
        Some((
            item["name"].as_str()?.to_owned(),
            item["template"].as_str()?.to_owned(),
        ))
    });
    pairs.collect()
}

/// The text of a file, or nothing where there is no such file.
fn read(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::io("read", path, cause)),
    }
}
