//! JSON as chat templates see it: keys keep their order, and text is written as Python writes it.

use std::fmt;

use eval::{Error, Result};
use minijinja::Value;
use minijinja::value::ValueKind;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value whose keys keep the order they were written in, as a template's `tojson` shows it.
///
/// It reads from JSON text directly (a [`serde_json::Value`] in between would sort the keys).
#[derive(Clone, Debug, PartialEq)]
pub struct Json(pub(super) Value);

impl Json {
    /// Reads JSON text.
    ///
    /// # Errors
    /// The text is no JSON.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .map_err(|cause| Error::inputs("a value is no valid JSON").caused_by(cause))
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self(Value::from(value))
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Self {
        Self(Value::from(value))
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Builder).map(Self)
    }
}

/// Builds template values from any self-describing format.
struct Builder;

impl<'de> Visitor<'de> for Builder {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::from(()))
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Json(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::from(values))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, Json(value))) = entries.next_entry::<String, Json>()? {
            pairs.push((key, value));
        }
        Ok(Value::from_pairs(pairs))
    }
}

/// How [`dumps`] lays a value out: the options of Python's `json.dumps`.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// Other characters than ASCII are escaped.
    pub(super) ensure_ascii: bool,
    /// What a level is indented by; `None` keeps everything on one line.
    pub(super) indent: Option<String>,
    /// Between items.
    pub(super) item_separator: String,
    /// Between key and value.
    pub(super) key_separator: String,
    /// Keys in alphabetical order.
    pub(super) sort_keys: bool,
}

/// Writes a value as Python's `json.dumps` does (CPython 3, `json/encoder.py`).
///
/// # Errors
/// The value is undefined, no JSON, or nested beyond the limit.
pub(super) fn dumps(value: &Value, layout: &Layout) -> Result<String, minijinja::Error> {
    let mut out = String::new();
    write(value, layout, 0, &mut out)?;
    Ok(out)
}

/// Nesting that is written; Python's own recursion ends near 1,000.
const DEPTH_MAX: usize = 128;

fn refuse(what: String) -> minijinja::Error {
    minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, what)
}

fn write(
    value: &Value,
    layout: &Layout,
    depth: usize,
    out: &mut String,
) -> Result<(), minijinja::Error> {
    if depth > DEPTH_MAX {
        return Err(refuse(format!(
            "a value is nested deeper than {DEPTH_MAX} levels"
        )));
    }
    match value.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => out.push_str(&number(value)),
        ValueKind::String => quote(value.as_str().unwrap_or_default(), layout.ensure_ascii, out),
        ValueKind::Seq | ValueKind::Iterable => {
            let items: Vec<Value> = value.try_iter()?.collect();
            let n_items = items.len();
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                line(layout, depth + 1, out);
                write(item, layout, depth + 1, out)?;
                separate(layout, index + 1 < n_items, out);
            }
            close(layout, depth, n_items, ']', out);
        }
        ValueKind::Map => {
            let mut keys: Vec<Value> = value.try_iter()?.collect();
            if layout.sort_keys {
                keys.sort();
            }
            let n_items = keys.len();
            out.push('{');
            for (index, key) in keys.iter().enumerate() {
                line(layout, depth + 1, out);
                match key.kind() {
                    ValueKind::String => write(key, layout, depth, out)?,
                    ValueKind::Number | ValueKind::Bool | ValueKind::None => {
                        out.push('"');
                        write(key, layout, depth, out)?;
                        out.push('"');
                    }
                    other => return Err(refuse(format!("a key of {other} is no JSON"))),
                }
                out.push_str(&layout.key_separator);
                write(&value.get_item(key)?, layout, depth + 1, out)?;
                separate(layout, index + 1 < n_items, out);
            }
            close(layout, depth, n_items, '}', out);
        }
        other => return Err(refuse(format!("a value of kind {other} is no JSON"))),
    }
    Ok(())
}

fn line(layout: &Layout, depth: usize, out: &mut String) {
    if let Some(indent) = &layout.indent {
        out.push('\n');
        out.push_str(&indent.repeat(depth));
    }
}

fn separate(layout: &Layout, more: bool, out: &mut String) {
    if more {
        out.push_str(&layout.item_separator);
    }
}

fn close(layout: &Layout, depth: usize, n_items: usize, bracket: char, out: &mut String) {
    if n_items > 0 {
        line(layout, depth, out);
    }
    out.push(bracket);
}

/// A number as Python's `repr` writes it.
fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    let Ok(float) = f64::try_from(value.clone()) else {
        return value.to_string();
    };
    if !float.is_finite() {
        let name = if float.is_nan() { "NaN" } else { "Infinity" };
        return if float < 0.0 {
            format!("-{name}")
        } else {
            name.to_owned()
        };
    }
    // Shortest digits; scientific from 1e16 up and below 1e-4 (CPython, `float_repr_style`).
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = float.to_string();
        return if plain.contains('.') {
            plain
        } else {
            plain + ".0"
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn quote(text: &str, ensure_ascii: bool, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            _ if letter < ' ' || (ensure_ascii && letter > '~') => {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
}
