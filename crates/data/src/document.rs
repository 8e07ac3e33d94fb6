//! A TOML document that is read key by key, with errors that point at file, line, and key.
//!
//! Reading by hand rather than through derived code gives every refusal, also of well-formed
//! values that make no sense, the place where a person has to look, and the nearest known key
//! where one is misspelt. This module knows TOML only, nothing of data sets.

use std::ops::Range;

use eval::suggest::nearest;
use eval::{Error, Result};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One table of a document, with its place in it.
pub(crate) struct Node<'a> {
    file: &'a str,
    text: &'a str,
    path: String,
    span: Range<usize>,
    table: &'a DeTable<'a>,
}

/// Parses `text`; `file` is named in errors.
///
/// # Errors
/// The text is not TOML.
pub(crate) fn parse<'a>(text: &'a str, file: &str) -> Result<Spanned<DeTable<'a>>> {
    DeTable::parse(text).map_err(|cause| {
        let line = line_of(text, cause.span().map_or(0, |span| span.start));
        Error::usage(format!("`{file}` line {line}: {}", cause.message()))
    })
}

impl<'a> Node<'a> {
    /// The whole document.
    pub(crate) fn root(file: &'a str, text: &'a str, table: &'a Spanned<DeTable<'a>>) -> Self {
        Self {
            file,
            text,
            path: String::new(),
            span: table.span(),
            table: table.get_ref(),
        }
    }

    /// Refuses every key that is not among `known`.
    pub(crate) fn only(&self, known: &[&str]) -> Result<()> {
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                let hint = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the keys known here are {}", known.join(", ")),
                };
                return Err(self.error(name, "this key is unknown here").hint(hint));
            }
        }
        Ok(())
    }

    /// The keys of this table.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.table.keys().map(|key| key.get_ref().as_ref())
    }

    /// Text that must be there and not empty.
    pub(crate) fn text(&self, key: &str) -> Result<String> {
        self.text_if_any(key)?.ok_or_else(|| self.missing(key))
    }

    /// Text that may be absent, but not empty.
    pub(crate) fn text_if_any(&self, key: &str) -> Result<Option<String>> {
        self.get(key)
            .map(|value| match value.as_str() {
                Some(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
                Some(_) => Err(self.error(key, "must not be empty")),
                None => Err(self.wrong(key, "text", value)),
            })
            .transpose()
    }

    /// A whole number that is not negative and must be there.
    pub(crate) fn count(&self, key: &str) -> Result<u64> {
        self.count_if_any(key)?.ok_or_else(|| self.missing(key))
    }

    /// A whole number that is not negative and may be absent.
    pub(crate) fn count_if_any(&self, key: &str) -> Result<Option<u64>> {
        self.get(key)
            .map(|value| match value {
                DeValue::Integer(digits) => u64::from_str_radix(digits.as_str(), digits.radix())
                    .map_err(|_| self.error(key, "must be a whole number of at least 0")),
                _ => Err(self.wrong(key, "a whole number", value)),
            })
            .transpose()
    }

    /// A finite number that must be there, written as integer or float.
    pub(crate) fn number(&self, key: &str) -> Result<f64> {
        let value = self.get(key).ok_or_else(|| self.missing(key))?;
        let parsed = match value {
            DeValue::Integer(digits) if digits.radix() == 10 => digits.as_str().parse::<f64>().ok(),
            DeValue::Float(digits) => digits.as_str().parse::<f64>().ok(),
            _ => None,
        };
        parsed
            .filter(|number| number.is_finite())
            .ok_or_else(|| self.wrong(key, "a number", value))
    }

    /// `true` or `false`, which must be there.
    pub(crate) fn flag(&self, key: &str) -> Result<bool> {
        let value = self.get(key).ok_or_else(|| self.missing(key))?;
        value
            .as_bool()
            .ok_or_else(|| self.wrong(key, "true or false", value))
    }

    /// A list of texts; empty where the key is absent.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<String>> {
        let Some(value) = self.get(key) else {
            return Ok(Vec::new());
        };
        let list = value
            .as_array()
            .ok_or_else(|| self.wrong(key, "a list of texts", value))?;
        list.iter()
            .map(|item| match item.get_ref().as_str() {
                Some(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
                _ => Err(self.error(key, "must be a list of texts that are not empty")),
            })
            .collect()
    }

    /// A table that must be there.
    pub(crate) fn node(&self, key: &str) -> Result<Node<'a>> {
        self.node_if_any(key)?.ok_or_else(|| self.missing(key))
    }

    /// A table that may be absent.
    pub(crate) fn node_if_any(&self, key: &str) -> Result<Option<Node<'a>>> {
        let Some(value) = self.table.get(key) else {
            return Ok(None);
        };
        match value.get_ref().as_table() {
            Some(table) => Ok(Some(self.below(key.to_owned(), value.span(), table))),
            None => Err(self.wrong(key, "a table", value.get_ref())),
        }
    }

    /// A list of tables; empty where the key is absent.
    pub(crate) fn nodes(&self, key: &str) -> Result<Vec<Node<'a>>> {
        let Some(value) = self.get(key) else {
            return Ok(Vec::new());
        };
        let list = value
            .as_array()
            .ok_or_else(|| self.wrong(key, "a list of tables", value))?;
        list.iter()
            .enumerate()
            .map(|(idx, item)| match item.get_ref().as_table() {
                Some(table) => Ok(self.below(format!("{key}[{idx}]"), item.span(), table)),
                None => Err(self.wrong(key, "a list of tables", item.get_ref())),
            })
            .collect()
    }

    /// An error at `key` of this table, or at the table itself where the key is absent.
    pub(crate) fn error(&self, key: &str, message: impl AsRef<str>) -> Error {
        let offset = self
            .table
            .keys()
            .find(|known| known.get_ref().as_ref() == key)
            .map_or(self.span.start, |known| known.span().start);
        let line = line_of(self.text, offset);
        let dotted = self.dotted(key);
        Error::usage(format!(
            "`{}` line {line}, key `{dotted}`: {}",
            self.file,
            message.as_ref()
        ))
    }

    fn missing(&self, key: &str) -> Error {
        self.error(key, "this key is missing")
    }

    fn wrong(&self, key: &str, wanted: &str, value: &DeValue<'_>) -> Error {
        self.error(key, format!("must be {wanted}, not {}", value.type_str()))
    }

    fn get(&self, key: &str) -> Option<&'a DeValue<'a>> {
        self.table.get(key).map(Spanned::get_ref)
    }

    fn below(&self, key: String, span: Range<usize>, table: &'a DeTable<'a>) -> Node<'a> {
        Node {
            file: self.file,
            text: self.text,
            path: self.dotted(&key),
            span,
            table,
        }
    }

    fn dotted(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

/// The line, counted from 1, on which the byte `offset` stands.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}
