//! What templates expect of Python and the template engine does otherwise.
//!
//! Python's white space includes four control characters that Unicode's does not; a few string
//! methods are missing; `tojson` is Hugging Face's (no HTML escapes, Python's separators); strings
//! and mappings count as sequences.

use minijinja::value::{Kwargs, Rest, ValueKind, ValueOrKwargs, from_args};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::json::{Layout, dumps};

/// Installs all of it.
pub(super) fn install(environment: &mut Environment<'static>) {
    environment.set_unknown_method_callback(method);
    environment.add_filter("tojson", tojson);
    environment.add_filter("trim", |text: &Value, letters: Option<&str>| {
        Value::from(strip(&text.to_string(), letters, Side::BOTH))
    });
    environment.add_test("sequence", |value: &Value| {
        matches!(
            value.kind(),
            ValueKind::Seq | ValueKind::String | ValueKind::Map
        )
    });
}

/// `str.isspace` of CPython: Unicode's white space and U+001C to U+001F.
fn is_space(letter: char) -> bool {
    letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter)
}

#[derive(Clone, Copy)]
struct Side {
    start: bool,
    end: bool,
}

impl Side {
    const BOTH: Self = Self {
        start: true,
        end: true,
    };
    const START: Self = Self {
        start: true,
        end: false,
    };
    const END: Self = Self {
        start: false,
        end: true,
    };
}

/// A text without the white space around it, as Python's `strip` sees it.
pub(super) fn stripped(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// A text without the white space behind it, as Python's `rstrip` sees it.
pub(super) fn stripped_end(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

fn strip(text: &str, letters: Option<&str>, side: Side) -> String {
    let goes = |letter: char| match letters {
        Some(letters) => letters.contains(letter),
        None => is_space(letter),
    };
    let text = if side.start {
        text.trim_start_matches(goes)
    } else {
        text
    };
    let text = if side.end {
        text.trim_end_matches(goes)
    } else {
        text
    };
    text.to_owned()
}

/// Methods of strings that differ or are missing; everything else goes to the compatibility crate.
fn method(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    let Some(text) = value.as_str() else {
        return minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args);
    };
    let one_text = || from_args::<(&str,)>(args).map(|(other,)| other);
    let side = match name {
        "strip" => Some(Side::BOTH),
        "lstrip" => Some(Side::START),
        "rstrip" => Some(Side::END),
        _ => None,
    };
    if let Some(side) = side {
        let (letters,): (Option<&str>,) = from_args(args)?;
        return Ok(Value::from(strip(text, letters, side)));
    }
    match name {
        "title" => {
            let () = from_args(args)?;
            Ok(Value::from(title(text)))
        }
        "splitlines" => {
            let (keep,): (Option<bool>,) = from_args(args)?;
            Ok(lines(text, keep.unwrap_or(false)))
        }
        "split" | "rsplit" => split(text, name == "rsplit", args),
        "removeprefix" => {
            let prefix = one_text()?;
            Ok(Value::from(text.strip_prefix(prefix).unwrap_or(text)))
        }
        "removesuffix" => {
            let suffix = one_text()?;
            Ok(Value::from(text.strip_suffix(suffix).unwrap_or(text)))
        }
        "partition" | "rpartition" => {
            let separator = one_text()?;
            let from_end = name == "rpartition";
            let found = if from_end {
                text.rsplit_once(separator)
            } else {
                text.split_once(separator)
            };
            let parts = match found {
                Some((before, after)) => [before, separator, after],
                None if from_end => ["", "", text],
                None => [text, "", ""],
            };
            Ok(parts.into_iter().map(Value::from).collect())
        }
        _ => minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args),
    }
}

/// `str.split` and `str.rsplit` with `sep` and `maxsplit`, by position or by name.
fn split(text: &str, from_end: bool, args: &[Value]) -> Result<Value, Error> {
    let (separator, maximum, named): (Option<Value>, Option<i64>, Kwargs) = from_args(args)?;
    let separator = match separator {
        Some(separator) => Some(separator),
        None => named.get("sep")?,
    };
    let maximum = match maximum {
        Some(maximum) => maximum,
        None => named.get::<Option<i64>>("maxsplit")?.unwrap_or(-1),
    };
    named.assert_all_used()?;
    let n_parts = usize::try_from(maximum).map_or(usize::MAX, |maximum| maximum.saturating_add(1));
    let separator = separator.filter(|separator| !separator.is_none());
    let mut parts: Vec<String> = match separator.as_ref().map(|separator| separator.as_str()) {
        Some(Some("")) => return Err(wrong("empty separator")),
        Some(None) => return Err(wrong("the separator is no string")),
        Some(Some(separator)) if from_end => text
            .rsplitn(n_parts, separator)
            .map(str::to_owned)
            .collect(),
        Some(Some(separator)) => text.splitn(n_parts, separator).map(str::to_owned).collect(),
        None => words(text, n_parts, from_end),
    };
    if from_end {
        parts.reverse();
    }
    Ok(parts.into_iter().map(Value::from).collect())
}

/// Splits at runs of white space, at most into `n_parts`; from the end, last part first.
fn words(text: &str, n_parts: usize, from_end: bool) -> Vec<String> {
    let side = if from_end { Side::END } else { Side::START };
    let mut parts = Vec::new();
    let mut rest = strip(text, None, side);
    while !rest.is_empty() {
        let gap = if from_end {
            rest.char_indices().rfind(|&(_, letter)| is_space(letter))
        } else {
            rest.char_indices().find(|&(_, letter)| is_space(letter))
        };
        match gap {
            Some((at, letter)) if parts.len() + 1 < n_parts => {
                let after = at + letter.len_utf8();
                let (part, left) = if from_end {
                    (&rest[after..], &rest[..at])
                } else {
                    (&rest[..at], &rest[after..])
                };
                parts.push(part.to_owned());
                rest = strip(left, None, side);
            }
            // No gap is left, or no split: the rest stays as it is.
            _ => {
                parts.push(rest);
                break;
            }
        }
    }
    parts
}

/// `str.title`: a letter after anything but a letter is a capital, the others are small.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for letter in text.chars() {
        if inside {
            out.extend(letter.to_lowercase());
        } else {
            // A ligature becomes a capital and small letters (`Ff`).
            let mut capitals = letter.to_uppercase();
            out.extend(capitals.next());
            out.extend(capitals.flat_map(char::to_lowercase));
        }
        inside = letter.is_lowercase() || letter.is_uppercase();
    }
    out
}

/// `str.splitlines`: Python ends a line at eleven characters and at `\r\n`.
fn lines(text: &str, keep: bool) -> Value {
    let ends = |letter: char| {
        matches!(
            letter,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((at, letter)) = rest.char_indices().find(|&(_, letter)| ends(letter)) {
        let n_end = if rest[at..].starts_with("\r\n") {
            2
        } else {
            letter.len_utf8()
        };
        parts.push(&rest[..if keep { at + n_end } else { at }]);
        rest = &rest[at + n_end..];
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    parts.into_iter().map(Value::from).collect()
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, what.to_owned())
}

/// `tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)` as
/// `transformers.utils.chat_template_utils` defines it.
fn tojson(value: &Value, options: Rest<ValueOrKwargs>) -> Result<String, Error> {
    let options = options.into_values();
    let (positions, named): (&[Value], Kwargs) = from_args(&options)?;
    let option = |position: usize, name: &str| match positions.get(position) {
        Some(value) => Ok(Some(value.clone())),
        None => named.get::<Option<Value>>(name),
    };
    let (ensure_ascii, indent) = (option(0, "ensure_ascii"), option(1, "indent"));
    let (separators, sort_keys) = (option(2, "separators"), option(3, "sort_keys"));
    named.assert_all_used()?;
    let is_true = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let indent = match indent?.filter(|indent| !indent.is_none()) {
        None => None,
        Some(indent) => Some(match indent.as_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(usize::try_from(indent)?.min(64)),
        }),
    };
    let (item_separator, key_separator) = match separators?.filter(|value| !value.is_none()) {
        None if indent.is_some() => (",".to_owned(), ": ".to_owned()),
        None => (", ".to_owned(), ": ".to_owned()),
        Some(pair) => {
            let texts: Vec<Value> = pair.try_iter()?.collect();
            match &texts[..] {
                [item, key] => (item.to_string(), key.to_string()),
                _ => return Err(wrong("separators are two texts")),
            }
        }
    };
    let layout = Layout {
        ensure_ascii: is_true(ensure_ascii?),
        indent,
        item_separator,
        key_separator,
        sort_keys: is_true(sort_keys?),
    };
    dumps(value, &layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected texts computed with CPython 3.11: `json.dumps(<expression>, ensure_ascii=False)`.
    #[test]
    fn methods_do_what_python_s_do() {
        let check = |expression: &str, expected: &str| {
            let mut environment = Environment::new();
            install(&mut environment);
            let source = format!("{{{{ ({expression}) | tojson }}}}");
            assert_eq!(
                environment.render_str(&source, ()).unwrap(),
                expected,
                "{expression}"
            );
        };
        check(r"'\x1c a \u00a0\x1f'.strip()", "\"a\"");
        check(r"'xxaxx'.strip('x')", "\"a\"");
        check(r"'  a '.lstrip()", "\"a \"");
        check(r"'  a '.rstrip()", "\"  a\"");
        check(r"' a b  c '.split()", "[\"a\", \"b\", \"c\"]");
        check(r"' a b  c '.split(none, 1)", "[\"a\", \"b  c \"]");
        check(r"' a b  c '.rsplit(none, 1)", "[\" a b\", \"c\"]");
        check(r"'a '.split(none, 0)", "[\"a \"]");
        check(r"''.split()", "[]");
        check(r"' '.split()", "[]");
        check(r"'a,b,c'.split(',', 1)", "[\"a\", \"b,c\"]");
        check(r"'a,b,c'.rsplit(',', 1)", "[\"a,b\", \"c\"]");
        check(r"'a,b,c'.split(',', maxsplit=1)", "[\"a\", \"b,c\"]");
        check(r"'a,b'.split(sep=',')", "[\"a\", \"b\"]");
        check(r"'abc'.split('x')", "[\"abc\"]");
        check(r"''.split('x')", "[\"\"]");
        check(r"'a b'.partition(' ')", "[\"a\", \" \", \"b\"]");
        check(r"'a b c'.rpartition(' ')", "[\"a b\", \" \", \"c\"]");
        check(r"'ab'.partition('x')", "[\"ab\", \"\", \"\"]");
        check(r"'ab'.rpartition('x')", "[\"\", \"\", \"ab\"]");
        check(r"'prefix-x'.removeprefix('prefix-')", "\"x\"");
        check(r"'x.py'.removesuffix('.py')", "\"x\"");
        check(r"'x'.removesuffix('y')", "\"x\"");
        check(
            r"'it\'s o-k ABC \ufb00 1st'.title()",
            "\"It'S O-K Abc Ff 1St\"",
        );
        check(
            r"'a\r\nb\rc\x1dd\u2028e\n'.splitlines()",
            "[\"a\", \"b\", \"c\", \"d\", \"e\"]",
        );
        check(r"'a\r\nb\n'.splitlines(true)", "[\"a\\r\\n\", \"b\\n\"]");
        check(r"''.splitlines()", "[]");
        check(r"[1e-7, 1e16, 0.0001]", "[1e-07, 1e+16, 0.0001]");
        check(
            r"[1e15, 123456789.125]",
            "[1000000000000000.0, 123456789.125]",
        );
        check(r"[-0.0, 5e-324]", "[-0.0, 5e-324]");
        check(r"1.7976931348623157e308", "1.7976931348623157e+308");
    }
}
