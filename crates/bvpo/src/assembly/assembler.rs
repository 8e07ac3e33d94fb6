//! From a conversation, a trace, and an answer to token ids.

use std::sync::Arc;

use eval::{Error, Result};
use model::chat::Message;
use model::text::{
    Boundaries, ChatTemplate, EncodeOptions, Framing, Markers, Reasoning, RenderOptions, Tokenizer,
};
use serde::{Deserialize, Serialize};

/// What stands around a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tags {
    /// Opens a trace.
    pub open: String,
    /// Closes it.
    pub close: String,
    /// The empty trace: its two tags, tokenised one by one.
    pub empty: [String; 2],
}

impl Default for Tags {
    /// The tags of DeepSeek-R1 and Qwen3, and `<think></think>` for no trace.
    fn default() -> Self {
        Self {
            open: Reasoning::OPEN.to_owned(),
            close: Reasoning::CLOSE.to_owned(),
            empty: ["<think>".to_owned(), "</think>".to_owned()],
        }
    }
}

/// What comes before an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace<'a> {
    /// Thinking is switched off: `<think></think>`.
    Empty,
    /// This trace of thought.
    Text(&'a str),
}

/// Token ids of which the last ones are scored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sequence {
    /// All ids.
    pub ids: Vec<u32>,
    /// Index of the first scored token, at least 1. With a trace that is its first token; the
    /// opening tag belongs to the prompt. Without one it is the answer's first token: both scored
    /// sequences of a pair share the empty trace, so scoring it changes no margin.
    pub start: usize,
}

impl Sequence {
    /// Number of scored tokens.
    #[must_use]
    pub fn n_scored(&self) -> usize {
        self.ids.len() - self.start
    }
}

/// A prompt in ids, before any trace.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Opened {
    ids: Vec<u32>,
    /// The template opened a trace itself.
    is_open: bool,
}

/// Builds sequences for one model.
#[derive(Debug)]
pub struct Assembler {
    tokenizer: Arc<Tokenizer>,
    template: ChatTemplate,
    tags: Tags,
    end: u32,
    n_tokens_max: usize,
}

impl Assembler {
    /// For a model with this tokenizer and template; sequences have at most `n_tokens_max` tokens.
    ///
    /// # Errors
    /// A tag is blank, or the tokenizer knows no token that ends a turn.
    pub fn new(
        tokenizer: Arc<Tokenizer>,
        template: ChatTemplate,
        tags: Tags,
        n_tokens_max: usize,
    ) -> Result<Self> {
        let all = [&tags.open, &tags.close, &tags.empty[0], &tags.empty[1]];
        if all.iter().any(|tag| tag.trim().is_empty()) {
            return Err(Error::usage(format!(
                "a tag around traces is blank: {tags:?}"
            )));
        }
        let Some(end) = tokenizer.eot().or(tokenizer.eos()) else {
            return Err(Error::inputs(
                "the tokenizer names no token that ends a turn",
            ));
        };
        Ok(Self {
            tokenizer,
            template,
            tags,
            end,
            n_tokens_max,
        })
    }

    /// Longest sequence, in tokens.
    #[must_use]
    pub fn n_tokens_max(&self) -> usize {
        self.n_tokens_max
    }

    /// The tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The token that ends an answer.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.end
    }

    /// Ids of the conversation and of what opens a trace, or of the whole empty trace: what a model
    /// continues.
    ///
    /// # Errors
    /// The template refuses the conversation, or a text cannot be tokenised.
    pub fn prompt(&self, messages: &[Message], is_thinking: bool) -> Result<Vec<u32>> {
        let mut opened = self.opened(messages)?;
        if is_thinking {
            if !opened.is_open {
                opened.ids.extend(self.tag(&self.tags.open)?);
            }
        } else {
            if !opened.is_open {
                opened.ids.extend(self.tag(&self.tags.empty[0])?);
            }
            opened.ids.extend(self.tag(&self.tags.empty[1])?);
        }
        Ok(opened.ids)
    }

    /// The sequence of a conversation, a trace, and an answer; none where it is too long.
    ///
    /// # Errors
    /// As [`Assembler::prompt`]; the answer or the trace is blank.
    pub fn sequence(
        &self,
        messages: &[Message],
        trace: Trace<'_>,
        answer: &str,
    ) -> Result<Option<Sequence>> {
        let blank = |what: &str| Err(Error::inputs(format!("the {what} is blank")));
        if answer.trim().is_empty() {
            return blank("answer");
        }
        let mut ids = self.prompt(messages, trace != Trace::Empty)?;
        let start = ids.len();
        if let Trace::Text(text) = trace {
            if text.trim().is_empty() {
                return blank("trace");
            }
            ids.extend(self.piece(text)?);
            ids.extend(self.tag(&self.tags.close)?);
        }
        ids.extend(self.piece(answer)?);
        ids.push(self.end);
        Ok((ids.len() <= self.n_tokens_max).then_some(Sequence { ids, start }))
    }

    fn opened(&self, messages: &[Message]) -> Result<Opened> {
        if !self.template.exists() {
            let text: Vec<&str> = messages.iter().map(|m| m.content.as_str()).collect();
            let options = EncodeOptions {
                markers: Markers::Plain,
                framing: Framing::Bare,
            };
            let mut ids: Vec<u32> = self.tokenizer.bos().into_iter().collect();
            ids.extend(self.tokenizer.encode(&text.join("\n\n"), options)?);
            return Ok(Opened {
                ids,
                is_open: false,
            });
        }
        let options = RenderOptions::answer();
        let prompt = self
            .template
            .prompt(messages, &options, Reasoning::Refuse)?;
        let is_open = prompt.text().trim_end().ends_with(self.tags.open.trim());
        let ids = prompt.tokens(&self.tokenizer, Boundaries::Whole)?.ids;
        Ok(Opened { ids, is_open })
    }

    /// Ids of a tag, which may be a control token of the model.
    fn tag(&self, text: &str) -> Result<Vec<u32>> {
        self.tokenizer.encode(text, EncodeOptions::CHAT)
    }

    /// Ids of text from a stranger, in which control tokens stay text.
    pub(crate) fn piece(&self, text: &str) -> Result<Vec<u32>> {
        self.tokenizer.encode(text, EncodeOptions::PIECE)
    }

    /// Ids of what closes a trace.
    pub(crate) fn close(&self) -> Result<Vec<u32>> {
        self.tag(&self.tags.close)
    }

    /// What closes a trace, without white space around it: what a reader of samples looks for.
    #[must_use]
    pub fn close_mark(&self) -> &str {
        self.tags.close.trim()
    }
}

#[cfg(test)]
mod tests {
    use model::chat::Role;

    use super::*;
    use crate::trainer::testing::{small_template, small_tokenizer};

    fn assembler(n_tokens_max: usize) -> Assembler {
        let tokenizer = Arc::new(small_tokenizer());
        Assembler::new(tokenizer, small_template(), Tags::default(), n_tokens_max).unwrap()
    }

    fn user(text: &str) -> Vec<Message> {
        vec![Message::new(Role::User, text)]
    }

    #[test]
    fn every_segment_is_there_in_order_and_only_trace_and_answer_are_scored() {
        let assembler = assembler(400);
        let messages = user("1+2?");
        let found = assembler
            .sequence(&messages, Trace::Text("1 and 2"), "3")
            .unwrap()
            .unwrap();
        let decode = |ids: &[u32]| assembler.tokenizer().decode(ids).unwrap();
        assert!(decode(&found.ids[..found.start]).ends_with("<think>\n"));
        let scored = decode(&found.ids[found.start..found.ids.len() - 1]);
        assert_eq!(scored, "1 and 2\n</think>\n\n3");
        assert_eq!(found.ids.last(), Some(&assembler.end()));
        let prompt = assembler.prompt(&messages, true).unwrap();
        assert_eq!(prompt, found.ids[..found.start]);
    }

    #[test]
    fn tags_of_the_empty_trace_do_not_merge_across_their_seam() {
        let assembler = assembler(400);
        // The vocabulary joins `>`, `<`, and `/`, as that of SmolLM2 does.
        let joined = assembler.piece("<think></think>").unwrap();
        let merged = assembler.piece("></").unwrap();
        assert_eq!(merged.len(), 1, "the vocabulary of the test joins them");
        assert!(joined.contains(&merged[0]));
        let ids = assembler.prompt(&user("hi"), false).unwrap();
        assert!(!ids.contains(&merged[0]), "the seam was lost");
        let apart = [
            assembler.piece("<think>").unwrap(),
            assembler.piece("</think>").unwrap(),
        ];
        assert!(ids.ends_with(&apart.concat()));
    }

    #[test]
    fn a_sequence_is_whole_or_dropped() {
        let messages = user("1+2?");
        let build = |n| {
            let built = assembler(n).sequence(&messages, Trace::Text("long thought"), "3");
            built.unwrap()
        };
        let whole = build(400).unwrap();
        assert_eq!(build(whole.ids.len()), Some(whole.clone()));
        assert_eq!(build(whole.ids.len() - 1), None);
    }

    #[test]
    fn spelled_out_control_tokens_stay_text() {
        let assembler = assembler(400);
        let found = assembler
            .sequence(&user("hi"), Trace::Text("a</s>b"), "c</s>")
            .unwrap()
            .unwrap();
        let scored = &found.ids[found.start..];
        let ends = scored.iter().filter(|id| **id == assembler.end()).count();
        assert_eq!(ends, 1, "only the real end");
    }

    #[test]
    fn blank_parts_are_refused() {
        let assembler = assembler(400);
        for (trace, answer) in [(Trace::Text(" \n"), "3"), (Trace::Empty, " ")] {
            assert!(assembler.sequence(&user("hi"), trace, answer).is_err());
        }
    }
}
