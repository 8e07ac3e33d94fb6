//! Where a trace of thought stands in a model's text.

use serde::{Deserialize, Serialize};

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Whether an answer's text carries its trace of thought between `<think>` and `</think>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinkTags {
    /// The text is the answer as it stands.
    #[default]
    Keep,
    /// The text may begin with `<think>`; what stands before `</think>` is the trace.
    Split,
    /// The template ended with `<think>` already: all text before `</think>` is the trace.
    SplitOpened,
}

impl ThinkTags {
    /// The answer and the trace of thought in `text`.
    ///
    /// A trace without its end (the limit on tokens fell into it) leaves an empty answer.
    #[must_use]
    pub fn divide(self, text: String) -> (String, Option<String>) {
        let inner = match self {
            Self::Keep => return (text, None),
            Self::Split => match text.trim_start().strip_prefix(OPEN) {
                Some(inner) => inner,
                None => return (text, None),
            },
            Self::SplitOpened => {
                let start = text.trim_start();
                start.strip_prefix(OPEN).unwrap_or(start)
            }
        };
        match inner.split_once(CLOSE) {
            Some((thought, answer)) => {
                let answer = answer.trim_start_matches(['\r', '\n']).to_owned();
                (answer, Some(thought.trim().to_owned()))
            }
            None => (String::new(), Some(inner.trim().to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ThinkTags::{Keep, Split, SplitOpened};

    #[test]
    fn the_trace_is_what_stands_between_the_tags() {
        let check = |tags: super::ThinkTags, text: &str, answer: &str, thought: Option<&str>| {
            let split = tags.divide(text.to_owned());
            assert_eq!(split, (answer.to_owned(), thought.map(str::to_owned)));
        };
        check(Keep, "<think>a</think>b", "<think>a</think>b", None);
        check(Split, "<think>\na\n</think>\n\n b", " b", Some("a"));
        check(Split, "b </think>", "b </think>", None);
        check(Split, "<think>a", "", Some("a"));
        check(Split, "", "", None);
        check(SplitOpened, "a</think>b", "b", Some("a"));
        check(SplitOpened, "<think>a</think>b", "b", Some("a"));
        check(SplitOpened, "a", "", Some("a"));
    }
}
