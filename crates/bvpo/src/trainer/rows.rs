//! The file of preference pairs: one prompt a line.
//!
//! ```json
//! {"id": "q1", "prompt": "What is 1+2?",
//!  "thinking": [{"chosen": {"reasoning": "1 and 2 make 3.", "answer": "3"},
//!                "rejected": {"reasoning": "1 and 2 make 4.", "answer": "4"}}],
//!  "empty": {"chosen": {"answer": "3"}, "rejected": {"answer": "12"}}}
//! ```
//!
//! | field | meaning |
//! |---|---|
//! | `id` | name of the row, unique in the file |
//! | `prompt` or `messages` | what the user says, or a whole conversation (`role`, `content`) |
//! | `thinking` | pairs generated with a trace; the first is `D_t`, each further one an independent replicate of the traces (for `average`, `adaptive`, and the diagnostics) |
//! | `empty` | the pair generated without a trace, `D_e` |
//! | `chosen`, `rejected` | responses: `reasoning` (with thinking only), `answer`, and optionally `score` |

use std::collections::BTreeSet;
use std::path::Path;

use eval::{Error, Result};
use model::chat::{Message, Role};
use serde::{Deserialize, Serialize};

/// One prompt with its preferences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairRow {
    /// Name, unique in the file.
    pub id: String,
    /// What the user says; or `messages`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The conversation up to the model's turn; or `prompt`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
    /// Pairs with a trace: the first, and independent replicates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thinking: Vec<Preference>,
    /// The pair without a trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty: Option<Preference>,
}

/// Two responses of which the first is preferred.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preference {
    /// The better response.
    pub chosen: Response,
    /// The worse response.
    pub rejected: Response,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// The trace; absent where thinking was switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// The answer.
    pub answer: String,
    /// What the reward model gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

impl PairRow {
    /// The conversation.
    #[must_use]
    pub fn conversation(&self) -> Vec<Message> {
        match &self.prompt {
            Some(text) => vec![Message::new(Role::User, text)],
            None => self.messages.clone(),
        }
    }

    /// Everything that is said in the row.
    pub(crate) fn texts(&self) -> Vec<String> {
        let asked = self
            .conversation()
            .into_iter()
            .map(|message| message.content);
        let responses = self.thinking.iter().chain(&self.empty);
        let responses = responses.flat_map(|pair| [&pair.chosen, &pair.rejected]);
        let said = responses.flat_map(|r| r.reasoning.iter().chain([&r.answer]).cloned());
        asked.chain(said).collect()
    }

    /// What is wrong with the row, if anything.
    fn flaw(&self) -> Option<String> {
        let blank = |text: &str| text.trim().is_empty();
        if blank(&self.id) {
            return Some("`id` is blank".to_owned());
        }
        match (&self.prompt, self.messages.last()) {
            (Some(_), Some(_)) => return Some("has both `prompt` and `messages`".to_owned()),
            (None, None) => return Some("has neither `prompt` nor `messages`".to_owned()),
            (Some(text), None) if blank(text) => return Some("`prompt` is blank".to_owned()),
            (None, Some(last)) if last.role == Role::Assistant => {
                return Some("`messages` ends with the model's turn".to_owned());
            }
            _ => {}
        }
        if self.thinking.is_empty() && self.empty.is_none() {
            return Some("has neither `thinking` nor `empty`".to_owned());
        }
        let with_trace = self.thinking.iter().map(|pair| (pair, true));
        let without = self.empty.iter().map(|pair| (pair, false));
        with_trace
            .chain(without)
            .find_map(|(pair, has_trace)| pair.flaw(has_trace))
    }
}

impl Preference {
    fn flaw(&self, has_trace: bool) -> Option<String> {
        for (which, response) in [("chosen", &self.chosen), ("rejected", &self.rejected)] {
            if response.answer.trim().is_empty() {
                return Some(format!("`{which}` has a blank `answer`"));
            }
            let reasoning = response.reasoning.as_deref().unwrap_or("");
            if has_trace == reasoning.trim().is_empty() {
                return Some(if has_trace {
                    format!("`{which}` of `thinking` has no `reasoning`")
                } else {
                    format!("`{which}` of `empty` has `reasoning`")
                });
            }
            if response.score.is_some_and(|score| !score.is_finite()) {
                return Some(format!("`{which}` has a `score` that is no number"));
            }
        }
        let same = self.chosen.reasoning == self.rejected.reasoning
            && self.chosen.answer == self.rejected.answer;
        same.then(|| "`chosen` and `rejected` are the same".to_owned())
    }
}

/// Reads a file of pairs and checks every line.
///
/// # Errors
/// The file cannot be read, is empty, or a line is wrong; the message names file, line, and value.
pub fn read_rows(path: &Path) -> Result<Vec<PairRow>> {
    let rows: Vec<PairRow> = read_lines(path)?;
    let shown = path.display();
    let mut names = BTreeSet::new();
    for (line_idx, row) in rows.iter().enumerate() {
        let line = line_idx + 1;
        let flaw = row.flaw().or_else(|| {
            let is_new = names.insert(row.id.as_str());
            (!is_new).then(|| "another row has the same `id`".to_owned())
        });
        if let Some(flaw) = flaw {
            let id = eval::output::printable(&row.id);
            return Err(
                Error::usage(format!("`{shown}`, line {line} (`{id}`): {flaw}"))
                    .hint("`bvpo train --help` describes the file"),
            );
        }
    }
    if rows.is_empty() {
        return Err(Error::usage(format!("`{shown}` has no pairs")));
    }
    Ok(rows)
}

/// Reads a file of one JSON object a line; blank lines are passed over only at the end.
///
/// # Errors
/// The file cannot be read, or a line is not what is expected; the message names file and line.
pub(crate) fn read_lines<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = std::fs::read_to_string(path).map_err(|cause| {
        Error::inputs(format!("cannot read `{}`", path.display())).caused_by(cause)
    })?;
    let parse = |(line_idx, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|cause| {
            let shown = path.display();
            Error::usage(format!(
                "cannot understand `{shown}`, line {}",
                line_idx + 1
            ))
            .caused_by(cause)
            .hint("the file holds one JSON object a line; see `--help`")
        })
    };
    text.trim_end().lines().enumerate().map(parse).collect()
}

/// Writes one JSON value a line, whole or not at all.
///
/// # Errors
/// The disk refuses.
pub(crate) fn write_lines<T: Serialize>(path: &Path, values: &[T]) -> Result<()> {
    let mut text = String::new();
    for value in values {
        let line = serde_json::to_string(value)
            .map_err(|e| Error::internal("a line cannot be encoded").caused_by(e))?;
        text.push_str(&line);
        text.push('\n');
    }
    eval::fs::write_atomic(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        r#"{"id":"a","prompt":"p","empty":{"chosen":{"answer":"1"},"rejected":{"answer":"2"}}}"#;

    fn read(text: &str) -> Result<Vec<PairRow>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.jsonl");
        std::fs::write(&path, text).unwrap();
        read_rows(&path)
    }

    fn refused(line: &str) -> String {
        let error = read(&format!("{GOOD}\n{line}\n")).unwrap_err();
        assert_eq!(error.exit_code(), eval::exit::USAGE);
        error.report()
    }

    #[test]
    fn rows_read_back_as_written() {
        let rows = read(&format!("{GOOD}\n\n")).unwrap();
        assert_eq!(rows.len(), 1);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("again.jsonl");
        write_lines(&path, &rows).unwrap();
        assert_eq!(read_rows(&path).unwrap(), rows);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{GOOD}\n"));
    }

    #[test]
    fn a_wrong_line_is_named_with_its_number_and_flaw() {
        let pair = r#"{"chosen":{"answer":"1"},"rejected":{"answer":"2"}}"#;
        let response = r#"{"reasoning":"r","answer":"1"}"#;
        let traced = format!(r#"{{"chosen":{response},"rejected":{response}}}"#);
        for (line, flaw) in [
            ("{\"id\":\"b\"".to_owned(), "line 2"),
            (GOOD.to_owned(), "same `id`"),
            (
                format!(r#"{{"id":"b","empty":{pair}}}"#),
                "neither `prompt`",
            ),
            (
                format!(r#"{{"id":"b","prompt":" ","empty":{pair}}}"#),
                "`prompt` is blank",
            ),
            (
                r#"{"id":"b","prompt":"p"}"#.to_owned(),
                "neither `thinking`",
            ),
            (
                format!(r#"{{"id":"b","prompt":"p","thinking":[{pair}]}}"#),
                "`chosen` of `thinking` has no `reasoning`",
            ),
            (
                format!(r#"{{"id":"b","prompt":"p","empty":{traced}}}"#),
                "`chosen` of `empty` has `reasoning`",
            ),
            (
                format!(r#"{{"id":"b","prompt":"p","thinking":[{traced}]}}"#),
                "are the same",
            ),
            (
                format!(r#"{{"id":"b","promt":"p","empty":{pair}}}"#),
                "promt",
            ),
        ] {
            let report = refused(&line);
            assert!(
                report.contains(flaw) && report.contains("line 2"),
                "{report}"
            );
        }
        assert!(read("\n").unwrap_err().to_string().contains("has no pairs"));
    }
}
