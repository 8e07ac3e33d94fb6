//! Metadata of a GGUF file, decoded on demand from the mapped bytes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use eval::Result;

use crate::weights::source::{Cursor, Source, shown};

/// Metadata of a GGUF file: typed getters by key. An absent key is `None`, a value of another type
/// is an error.
///
/// Arrays stay in the file until they are asked for, so that a vocabulary costs nothing twice.
pub struct Gguf {
    source: Arc<Source>,
    entries: BTreeMap<String, Value>,
}

/// Where a value lies.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// Type of the value, or of the items of an array.
    pub kind: Kind,
    /// How many items an array has.
    pub n_items: Option<usize>,
    /// Its bytes; of a single text, without the length.
    pub range: Range<usize>,
}

/// Type of a metadata value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Flag,
    Text,
    Array,
    U64,
    I64,
    F64,
}

impl Kind {
    pub fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            0 => Self::U8,
            1 => Self::I8,
            2 => Self::U16,
            3 => Self::I16,
            4 => Self::U32,
            5 => Self::I32,
            6 => Self::F32,
            7 => Self::Flag,
            8 => Self::Text,
            9 => Self::Array,
            10 => Self::U64,
            11 => Self::I64,
            12 => Self::F64,
            _ => return None,
        })
    }

    /// Bytes of one value; of texts and arrays, which have their own lengths, none.
    pub fn bytes(self) -> u64 {
        match self {
            Self::U8 | Self::I8 | Self::Flag => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
            Self::Text | Self::Array => 0,
        }
    }
}

impl Gguf {
    pub(super) fn new(source: Arc<Source>, entries: BTreeMap<String, Value>) -> Self {
        Self { source, entries }
    }

    /// All keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// A text.
    ///
    /// # Errors
    /// The value has another type or is not UTF-8.
    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        let Some(value) = self.single(key)? else {
            return Ok(None);
        };
        if value.kind != Kind::Text {
            return Err(self.wrong(key, value, "a text"));
        }
        self.utf8(key, &self.source.bytes()[value.range.clone()])
            .map(Some)
    }

    /// A whole number of any stored width.
    ///
    /// # Errors
    /// The value has another type or exceeds 63 bits.
    pub fn integer(&self, key: &str) -> Result<Option<i64>> {
        let Some(value) = self.single(key)? else {
            return Ok(None);
        };
        integer(value.kind, &self.source.bytes()[value.range.clone()])
            .map(Some)
            .ok_or_else(|| self.wrong(key, value, "a whole number"))
    }

    /// A floating-point number.
    ///
    /// # Errors
    /// The value has another type or is not finite.
    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.single(key)? else {
            return Ok(None);
        };
        number(value.kind, &self.source.bytes()[value.range.clone()])
            .filter(|number| number.is_finite())
            .map(Some)
            .ok_or_else(|| self.wrong(key, value, "a finite floating-point number"))
    }

    /// A truth value.
    ///
    /// # Errors
    /// The value has another type.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        let Some(value) = self.single(key)? else {
            return Ok(None);
        };
        if value.kind != Kind::Flag {
            return Err(self.wrong(key, value, "true or false"));
        }
        Ok(Some(self.source.bytes()[value.range.start] == 1))
    }

    /// An array of texts, borrowed from the file.
    ///
    /// # Errors
    /// The value has another type or an item is not UTF-8.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<&str>>> {
        let Some((value, n_items)) = self.array(key)? else {
            return Ok(None);
        };
        if value.kind != Kind::Text {
            return Err(self.wrong(key, value, "an array of texts"));
        }
        let mut cursor = Cursor::over(&self.source, value.range.clone());
        let mut texts = Vec::with_capacity(n_items);
        for _ in 0..n_items {
            let length = cursor.u64(key)?;
            texts.push(self.utf8(key, cursor.take(length, key)?)?);
        }
        Ok(Some(texts))
    }

    /// An array of whole numbers.
    ///
    /// # Errors
    /// The value has another type or an item exceeds 63 bits.
    pub fn integers(&self, key: &str) -> Result<Option<Vec<i64>>> {
        self.items(key, "an array of whole numbers", integer)
    }

    /// An array of floating-point numbers; they may be infinite or NaN.
    ///
    /// # Errors
    /// The value has another type.
    pub fn numbers(&self, key: &str) -> Result<Option<Vec<f32>>> {
        self.items(key, "an array of floating-point numbers", |kind, bytes| {
            number(kind, bytes).map(|number| number as f32)
        })
    }

    fn items<T>(
        &self,
        key: &str,
        wanted: &str,
        decode: impl Fn(Kind, &[u8]) -> Option<T>,
    ) -> Result<Option<Vec<T>>> {
        let Some((value, _)) = self.array(key)? else {
            return Ok(None);
        };
        let width = usize::try_from(value.kind.bytes()).unwrap_or(0);
        if width == 0 {
            return Err(self.wrong(key, value, wanted));
        }
        self.source.bytes()[value.range.clone()]
            .chunks_exact(width)
            .map(|bytes| decode(value.kind, bytes))
            .collect::<Option<Vec<_>>>()
            .map(Some)
            .ok_or_else(|| self.wrong(key, value, wanted))
    }

    fn single(&self, key: &str) -> Result<Option<&Value>> {
        match self.entries.get(key) {
            Some(value) if value.n_items.is_some() => Err(self.wrong(key, value, "a single value")),
            value => Ok(value),
        }
    }

    fn array(&self, key: &str) -> Result<Option<(&Value, usize)>> {
        match self.entries.get(key) {
            None => Ok(None),
            Some(value) => match value.n_items {
                Some(n_items) => Ok(Some((value, n_items))),
                None => Err(self.wrong(key, value, "an array")),
            },
        }
    }

    fn wrong(&self, key: &str, value: &Value, wanted: &str) -> eval::Error {
        let (kind, at) = (value.kind, value.range.start);
        let stored = match value.n_items {
            Some(n_items) => format!("{n_items} items of type {kind:?}"),
            None => format!("a value of type {kind:?}"),
        };
        self.source.damaged(format_args!(
            "`{}` at offset {at} is {stored} and cannot be read as {wanted}",
            shown(key)
        ))
    }

    fn utf8<'a>(&self, key: &str, bytes: &'a [u8]) -> Result<&'a str> {
        std::str::from_utf8(bytes).map_err(|_| {
            self.source.damaged(format_args!(
                "`{}` holds `{}`, which is not UTF-8",
                shown(key),
                shown(&String::from_utf8_lossy(&bytes[..bytes.len().min(64)]))
            ))
        })
    }
}

fn integer(kind: Kind, bytes: &[u8]) -> Option<i64> {
    Some(match kind {
        Kind::U8 => u8::from_le_bytes(bytes.try_into().ok()?).into(),
        Kind::I8 => i8::from_le_bytes(bytes.try_into().ok()?).into(),
        Kind::U16 => u16::from_le_bytes(bytes.try_into().ok()?).into(),
        Kind::I16 => i16::from_le_bytes(bytes.try_into().ok()?).into(),
        Kind::U32 => u32::from_le_bytes(bytes.try_into().ok()?).into(),
        Kind::I32 => i32::from_le_bytes(bytes.try_into().ok()?).into(),
        Kind::U64 => u64::from_le_bytes(bytes.try_into().ok()?).try_into().ok()?,
        Kind::I64 => i64::from_le_bytes(bytes.try_into().ok()?),
        Kind::F32 | Kind::F64 | Kind::Flag | Kind::Text | Kind::Array => return None,
    })
}

fn number(kind: Kind, bytes: &[u8]) -> Option<f64> {
    match kind {
        Kind::F32 => Some(f32::from_le_bytes(bytes.try_into().ok()?).into()),
        Kind::F64 => Some(f64::from_le_bytes(bytes.try_into().ok()?)),
        _ => None,
    }
}
