//! The bytes of one weight file, and a cursor that never reads or allocates past them.
//!
//! Every length a file states is compared with a cap and with the bytes that are left before
//! anything is taken from it. Text from a file is escaped and shortened before it is shown.

use std::fmt::Display;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use eval::{Error, Result};
use memmap2::Mmap;

use super::DType;

/// What to do about a file whose bytes contradict themselves.
const FETCH_AGAIN: &str =
    "take the file from its publisher again; `cargo xtask data verify` compares its bytes";

/// One weight file, mapped or in memory.
pub(super) struct Source {
    shown: String,
    bytes: Bytes,
}

enum Bytes {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

impl Source {
    /// Maps the file at `path`.
    ///
    /// The map follows the file: a file that another program shortens while it is open ends this
    /// program. Files brought by `data` are replaced by renaming, never overwritten.
    pub fn map(path: &Path) -> Result<Self> {
        let file = open(path)?;
        let metadata = file
            .metadata()
            .map_err(|cause| Error::io("read", path, cause))?;
        let bytes = if metadata.len() == 0 {
            // An empty file cannot be mapped everywhere.
            Bytes::Owned(Vec::new())
        } else {
            // SAFETY: the map is read-only and private to this value, whose lifetime bounds every
            // slice of it. That nobody shortens the file meanwhile is the caller's part, as said
            // above; no type invariant rests on the content.
            Bytes::Mapped(
                unsafe { Mmap::map(&file) }.map_err(|cause| Error::io("map", path, cause))?,
            )
        };
        Ok(Self {
            shown: path.display().to_string(),
            bytes,
        })
    }

    /// Bytes already in memory; `shown` names them in errors.
    pub fn memory(shown: &str, bytes: Vec<u8>) -> Self {
        Self {
            shown: shown.to_owned(),
            bytes: Bytes::Owned(bytes),
        }
    }

    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Owned(bytes) => bytes,
        }
    }

    /// How errors name the file.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The file contradicts itself or its format.
    pub fn damaged(&self, what: impl Display) -> Error {
        damaged(&self.shown, what)
    }

    /// The file is sound, but asks for something that is not implemented.
    pub fn unsupported(&self, what: impl Display) -> Error {
        unsupported(&self.shown, what)
    }
}

/// `file` contradicts itself or its format.
pub(super) fn damaged(file: &str, what: impl Display) -> Error {
    Error::inputs(format!("`{file}` is damaged: {what}")).hint(FETCH_AGAIN)
}

/// `file` is sound, but asks for something that is not implemented.
pub(super) fn unsupported(file: &str, what: impl Display) -> Error {
    Error::inputs(format!("`{file}` is not supported: {what}")).hint(
        "use a plain llama, qwen2, qwen3, qwen3moe, or gemma3 text model, as GGUF or safetensors",
    )
}

/// Opens the regular file at `path` for reading; a missing one is a missing input.
pub(super) fn open(path: &Path) -> Result<File> {
    // Looked at first, because opening a named pipe would wait for its writer.
    let is_file = std::fs::metadata(path).map(|metadata| metadata.is_file());
    if is_file.as_ref().is_ok_and(|is_file| !is_file) {
        return Err(
            Error::inputs(format!("`{}` is not a regular file", path.display()))
                .hint("name a weight file, or the folder that holds it"),
        );
    }
    is_file.and_then(|_| File::open(path)).map_err(|cause| {
        if cause.kind() == std::io::ErrorKind::NotFound {
            Error::inputs(format!("there is no file `{}`", path.display()))
                .hint("`cargo xtask data list` shows the weights that can be fetched")
                .caused_by(cause)
        } else {
            Error::io("open", path, cause)
        }
    })
}

/// Text from a file as it may be shown: control characters escaped, at most 80 characters.
pub(super) fn shown(text: &str) -> String {
    const LIMIT: usize = 80;
    let mut out: String = text
        .chars()
        .take(LIMIT)
        .collect::<String>()
        .escape_debug()
        .collect();
    if text.chars().nth(LIMIT).is_some() {
        out.push('…');
    }
    out
}

/// Where a tensor lies and how it is stored.
#[derive(Clone, Debug)]
pub(super) struct TensorInfo {
    /// How elements are stored.
    pub dtype: DType,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// Its bytes, from the beginning of the file.
    pub range: Range<usize>,
}

/// Reads a source from front to back.
pub(super) struct Cursor<'a> {
    source: &'a Source,
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    /// At the beginning of `source`.
    pub fn new(source: &'a Source) -> Self {
        Self::over(source, 0..source.bytes().len())
    }

    /// Over `range` of `source`, which lies within it.
    pub fn over(source: &'a Source, range: Range<usize>) -> Self {
        let end = range.end.min(source.bytes().len());
        Self {
            source,
            at: range.start.min(end),
            end,
        }
    }

    /// Offset of the next byte.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Bytes from here to the end.
    pub fn left(&self) -> usize {
        self.end - self.at
    }

    /// Steps over `n_bytes` and returns where they lie.
    pub fn skip(&mut self, n_bytes: u64, what: &str) -> Result<Range<usize>> {
        match usize::try_from(n_bytes) {
            Ok(n_bytes) if n_bytes <= self.left() => {
                let start = self.at;
                self.at += n_bytes;
                Ok(start..self.at)
            }
            _ => Err(self.source.damaged(format_args!(
                "{what} at offset {} needs {n_bytes} bytes, but only {} are left",
                self.at,
                self.left()
            ))),
        }
    }

    /// The next `n_bytes`.
    pub fn take(&mut self, n_bytes: u64, what: &str) -> Result<&'a [u8]> {
        let range = self.skip(n_bytes, what)?;
        Ok(&self.source.bytes()[range])
    }

    /// A little-endian number of 32 bits.
    pub fn u32(&mut self, what: &str) -> Result<u32> {
        self.array(what).map(u32::from_le_bytes)
    }

    /// A little-endian number of 64 bits.
    pub fn u64(&mut self, what: &str) -> Result<u64> {
        self.array(what).map(u64::from_le_bytes)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N as u64, what)?);
        Ok(bytes)
    }
}
