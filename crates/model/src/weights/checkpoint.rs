//! A model on disk, opened: configuration, tensors under hub names, metadata.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eval::{Error, Result};

use super::layout::{layout, layout_len};
use super::slots::{Change, Slot, add, is_redundant, place_gguf};
use super::source::{Source, TensorInfo, damaged, open, shown, unsupported};
use super::{Gguf, TensorView, finite, gguf, hub};
use crate::config::DecoderConfig;

/// Longest `config.json`.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Longest `model.safetensors.index.json`.
const INDEX_BYTES_MAX: u64 = 8 << 20;

/// A weight file or hub folder, mapped into memory and checked.
///
/// After [`Checkpoint::open`] the tensors are exactly those of [`layout`] for the configuration,
/// with its shapes, and every byte range lies within its file. Values are not looked at: NaN and
/// infinities are found by [`Checkpoint::verify_finite`], which reads everything once and which
/// every engine calls before it computes. The files must not be changed while they are open.
pub struct Checkpoint {
    config: DecoderConfig,
    folder: PathBuf,
    name: String,
    gguf: Option<Gguf>,
    sources: Vec<Arc<Source>>,
    slots: BTreeMap<String, Slot>,
}

impl Checkpoint {
    /// Opens a `.gguf` file, a `.safetensors` file with `config.json` beside it, or a folder: a
    /// hub folder (`config.json` with `model.safetensors` or `model.safetensors.index.json`) or one
    /// with a single `.gguf` file.
    ///
    /// # Errors
    /// A file is missing or damaged, or describes a model that is not supported. The message names
    /// the file and the offset or value.
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Self::open_folder(path);
        }
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let extension = path.extension().map(|text| text.to_ascii_lowercase());
        match extension.as_ref().and_then(|text| text.to_str()) {
            Some("gguf") => {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                Self::from_gguf(Source::map(path)?, folder, &stem)
            }
            Some("safetensors") => {
                let config = folder.join("config.json");
                let text = read_capped(&config, CONFIG_BYTES_MAX)?;
                let config = (config.display().to_string(), text);
                Self::from_hub(config, vec![(Source::map(path)?, None)], folder)
            }
            _ => Err(Error::inputs(format!(
                "`{}` is neither a `.gguf` nor a `.safetensors` file",
                path.display()
            ))
            .hint("name such a file, or a folder with `config.json` and `model.safetensors`")),
        }
    }

    fn open_folder(folder: &Path) -> Result<Self> {
        let config = folder.join("config.json");
        if !config.is_file() {
            return Self::open(&only_gguf(folder)?);
        }
        let text = read_capped(&config, CONFIG_BYTES_MAX)?;
        let config = (config.display().to_string(), text);
        let single = folder.join("model.safetensors");
        if single.is_file() {
            let source = Source::map(&single)?;
            return Self::from_hub(config, vec![(source, None)], folder.to_owned());
        }
        let index = folder.join("model.safetensors.index.json");
        let shards = hub::shards(&index, &read_capped(&index, INDEX_BYTES_MAX)?)?;
        let sources = shards
            .into_iter()
            .map(|(file, names)| Ok((Source::map(&folder.join(file))?, Some(names))))
            .collect::<Result<_>>()?;
        Self::from_hub(config, sources, folder.to_owned())
    }

    /// Reads a GGUF file that is already in memory; `name` names it in errors.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_gguf_bytes(name: &str, bytes: Vec<u8>) -> Result<Self> {
        Self::from_gguf(Source::memory(name, bytes), PathBuf::from("."), name)
    }

    /// Reads a safetensors file and its `config.json` that are already in memory; `name` names
    /// them in errors.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_safetensors_bytes(name: &str, config: &[u8], bytes: Vec<u8>) -> Result<Self> {
        let config = (format!("{name}/config.json"), config.to_owned());
        let source = Source::memory(name, bytes);
        Self::from_hub(config, vec![(source, None)], PathBuf::from(name))
    }

    fn from_gguf(source: Source, folder: PathBuf, stem: &str) -> Result<Self> {
        let source = Arc::new(source);
        let header = gguf::read(&source)?;
        let config = gguf::config(&source, &header)?;
        check(source.shown(), &config)?;
        let mut slots = BTreeMap::new();
        for (name, info) in header.tensors {
            place_gguf(&source, &config, &name, info, &mut slots)?;
        }
        let name = header.metadata.text("general.name")?.unwrap_or(stem);
        let name = shown(name);
        let checkpoint = Self {
            config,
            folder,
            name,
            gguf: Some(header.metadata),
            sources: vec![source],
            slots,
        };
        checkpoint.refuse_other_layout()?;
        Ok(checkpoint)
    }

    /// `config` is name and text of the `config.json`; a source comes with the tensors that the
    /// index expects in it.
    fn from_hub(
        config: (String, Vec<u8>),
        sources: Vec<(Source, Option<Vec<String>>)>,
        folder: PathBuf,
    ) -> Result<Self> {
        let (file, text) = config;
        let (config, norms) = hub::config(&file, &text)?;
        check(&file, &config)?;
        let mut checkpoint = Self {
            name: folder_name(&folder),
            config,
            folder,
            gguf: None,
            sources: Vec::new(),
            slots: BTreeMap::new(),
        };
        for (source, expected) in sources {
            let tensors = hub::read(&source)?;
            if let Some(expected) = &expected {
                same_names(&source, expected, &tensors)?;
            }
            for (name, info) in tensors {
                if is_redundant(&checkpoint.config, &name) {
                    continue;
                }
                let change = if norms == hub::Norms::LessOne && name.ends_with("norm.weight") {
                    Change::LessOne
                } else {
                    Change::None
                };
                let slot = Slot {
                    source: checkpoint.sources.len(),
                    dtype: info.dtype,
                    shape: info.shape,
                    range: info.range,
                    change,
                };
                add(&source, &mut checkpoint.slots, name, slot)?;
            }
            checkpoint.sources.push(Arc::new(source));
        }
        checkpoint.refuse_other_layout()?;
        Ok(checkpoint)
    }

    /// The tensors must be those of the configuration, no fewer and no more.
    fn refuse_other_layout(&self) -> Result<()> {
        let file = self.sources.first().map_or("", |source| source.shown());
        for (name, shape) in layout(&self.config) {
            match self.slots.get(&name) {
                // ggml keeps vectors unquantised, and their blocks would cut heads.
                Some(slot) if shape.len() == 1 && slot.dtype.block().0 > 1 => {
                    return Err(unsupported(
                        file,
                        format_args!("the vector `{name}` is quantised as {:?}", slot.dtype),
                    ));
                }
                Some(slot) if slot.shape == shape => {}
                Some(slot) => {
                    return Err(damaged(
                        file,
                        format_args!(
                            "the tensor `{name}` has the shape {:?}, but the configuration asks \
                             for {shape:?}",
                            slot.shape
                        ),
                    ));
                }
                None => {
                    return Err(damaged(
                        file,
                        format_args!("the tensor `{name}` of {shape:?} is missing"),
                    ));
                }
            }
        }
        // Every expected name is there, so a difference in number is a name too many.
        if self.slots.len() != layout_len(&self.config) {
            let expected: BTreeSet<String> = layout(&self.config).map(|(name, _)| name).collect();
            let other = self.slots.keys().find(|name| !expected.contains(*name));
            return Err(unsupported(
                file,
                format_args!(
                    "the tensor `{}` has no place in the architecture `{}`",
                    shown(other.map_or("", String::as_str)),
                    self.config.architecture
                ),
            ));
        }
        Ok(())
    }

    /// The model's shape, validated.
    #[must_use]
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// Hub names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.slots.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this hub name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.slots.contains_key(name)
    }

    /// The tensor of this hub name: rows in the hub's order, norm weights as applied.
    ///
    /// The bytes are borrowed from the file, except of reordered queries and keys (llama in GGUF)
    /// and of norms that files store less one (Gemma on the hub): those are copies.
    ///
    /// # Errors
    /// There is no such tensor.
    pub fn tensor(&self, name: &str) -> Result<TensorView<'_>> {
        let Some(slot) = self.slots.get(name) else {
            return Err(Error::inputs(format!(
                "`{}` has no tensor `{}`",
                self.sources.first().map_or("", |source| source.shown()),
                shown(name)
            )));
        };
        slot.view(self.sources[slot.source].bytes())
    }

    /// Reads every tensor once and refuses NaN and infinities: in elements, and in the scales and
    /// minima of quantised blocks (their quants are finite whatever the bits).
    ///
    /// # Errors
    /// Names the file, the first such tensor by name, and the offset.
    pub fn verify_finite(&self) -> Result<()> {
        for (name, slot) in &self.slots {
            let source = &self.sources[slot.source];
            let bytes = &source.bytes()[slot.range.clone()];
            if let Some(at) = finite::first_other(slot.dtype, bytes) {
                return Err(source.damaged(format_args!(
                    "the tensor `{name}` has a value that is not finite at offset {}",
                    slot.range.start + at
                )));
            }
        }
        Ok(())
    }

    /// Metadata of a GGUF file: tokenizer, chat template.
    #[must_use]
    pub fn gguf(&self) -> Option<&Gguf> {
        self.gguf.as_ref()
    }

    /// The folder that holds the file, where a `tokenizer.json` would lie too.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Name of the model: `general.name` of a GGUF file, else the folder's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint")
            .field("name", &self.name)
            .field("n_tensors", &self.slots.len())
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

fn same_names(
    source: &Source,
    expected: &[String],
    tensors: &BTreeMap<String, TensorInfo>,
) -> Result<()> {
    for name in expected {
        if !tensors.contains_key(name) {
            return Err(source.damaged(format_args!(
                "it has no tensor `{}`, which the index expects in it",
                shown(name)
            )));
        }
    }
    if expected.len() != tensors.len() {
        return Err(source.damaged(format_args!(
            "it has {} tensors, but the index knows {} of it",
            tensors.len(),
            expected.len()
        )));
    }
    Ok(())
}

fn check(file: &str, config: &DecoderConfig) -> Result<()> {
    config.validate().map_err(|error| damaged(file, error))
}

fn folder_name(folder: &Path) -> String {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let name = absolute.file_name().unwrap_or_default();
    shown(&name.to_string_lossy())
}

/// The whole of a small file; a longer one is refused before it is read.
fn read_capped(path: &Path, cap: u64) -> Result<Vec<u8>> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    file.take(cap + 1)
        .read_to_end(&mut bytes)
        .map_err(|cause| Error::io("read", path, cause))?;
    if bytes.len() as u64 > cap {
        return Err(damaged(
            &path.display().to_string(),
            format_args!("it is longer than {cap} bytes"),
        ));
    }
    Ok(bytes)
}

/// The single `.gguf` file of a folder without `config.json`.
fn only_gguf(folder: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder).map_err(|cause| Error::io("list", folder, cause))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|cause| Error::io("list", folder, cause))?
            .path();
        if path.extension().is_some_and(|text| text == "gguf") {
            found.push(path);
        }
    }
    match (found.pop(), found.is_empty()) {
        (Some(path), true) => Ok(path),
        (last, _) => Err(Error::inputs(format!(
            "`{}` has no `config.json` and {} `.gguf` files",
            folder.display(),
            found.len() + usize::from(last.is_some())
        ))
        .hint("name the file itself")),
    }
}
