//! Prompts for chat models on the paper's own benchmarks, and on anything with a short answer.
//!
//! The wording is ours; what it asks for (where the answer is to stand) is what the official
//! programs ask for, so that the same extraction applies.

use std::str::FromStr;

use eval::{Error, Result};
use model::chat::{Message, Role};
use serde::{Deserialize, Serialize};

use super::question::Question;
use super::wording::{Aspect, Wording};
use crate::answers::{Benchmark, Extractor, extract};

/// What is asked, and so where the answer stands in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerKind {
    /// A number after four hashes (GSM8K).
    Number,
    /// A boxed expression (MATH).
    Boxed,
    /// One of the letters A to D (GPQA).
    Letter,
    /// A short text on the last line, compared without regard to case.
    Line,
}

impl AnswerKind {
    fn instruction(self) -> &'static str {
        match self {
            Self::Number => "End with a line of four hashes and the number alone, as in `#### 12`.",
            Self::Boxed => "Put the final answer into \\boxed{}.",
            Self::Letter => "End with the letter of one option, as in `##Answer: B##`.",
            Self::Line => "End with a line that holds the answer alone.",
        }
    }

    /// The normalised answer in a text; `None` where there is none.
    #[must_use]
    pub fn read(self, text: &str) -> Option<String> {
        match self {
            Self::Number => extract(Benchmark::Gsm8k, Extractor::Exact, text),
            Self::Boxed => extract(Benchmark::Math, Extractor::Exact, text),
            Self::Letter => extract(Benchmark::Gpqa, Extractor::Exact, text),
            Self::Line => {
                let line = text.lines().rev().map(str::trim).find(|l| !l.is_empty());
                line.map(str::to_lowercase)
            }
        }
    }
}

impl FromStr for AnswerKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "number" => Ok(Self::Number),
            "boxed" => Ok(Self::Boxed),
            "letter" => Ok(Self::Letter),
            "line" => Ok(Self::Line),
            _ => Err(
                Error::usage(format!("`{}` is no kind of answer", text.escape_debug()))
                    .hint("write `number`, `boxed`, `letter`, or `line`"),
            ),
        }
    }
}

/// Zero-shot conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChatWording {
    /// Where the answer stands.
    pub kind: AnswerKind,
    /// Tokens of an answer at most. Paper: 4096.
    pub n_tokens_max: usize,
}

impl ChatWording {
    fn system(self) -> Message {
        let text = format!(
            "You solve problems step by step and check your result. {}",
            self.kind.instruction()
        );
        Message::new(Role::System, text)
    }

    fn asked(question: &Question) -> Message {
        Message::new(Role::User, format!("Problem:\n{}", question.text))
    }
}

fn numbered(texts: &[&str]) -> String {
    let numbered = texts
        .iter()
        .enumerate()
        .map(|(idx, text)| format!("Solution {}:\n{text}\n\n", idx + 1));
    numbered.collect()
}

impl Wording for ChatWording {
    fn ask(&self, question: &Question) -> Vec<Message> {
        vec![self.system(), Self::asked(question)]
    }

    fn reconsider(&self, question: &Question, own: &str, peers: &[&str]) -> Vec<Message> {
        let text = format!(
            "Other solvers answered the same problem as follows.\n\n{}Compare their solutions with \
             yours, correct whatever is wrong, and answer the problem once more:\n{}\n{}",
            numbered(peers),
            question.text,
            self.kind.instruction()
        );
        vec![
            self.system(),
            Self::asked(question),
            Message::new(Role::Assistant, own),
            Message::new(Role::User, text),
        ]
    }

    fn aggregate(&self, question: &Question, proposals: &[&str]) -> Vec<Message> {
        let text = format!(
            "Several solvers answered the problem below; some of them may be wrong. Examine their \
             solutions critically and write one correct solution of your own. {}\n\n{}",
            self.kind.instruction(),
            numbered(proposals)
        );
        vec![
            Message::new(Role::System, text.trim_end()),
            Self::asked(question),
        ]
    }

    fn verify(&self, question: &Question, candidate: &str, aspect: Aspect) -> Vec<Message> {
        let system = format!(
            "You verify solutions. {} Answer with one word: yes if the solution passes, no if it \
             does not.",
            aspect.instruction()
        );
        let user = format!(
            "Problem:\n{}\n\nSolution:\n{candidate}\n\nDoes it pass?",
            question.text
        );
        vec![
            Message::new(Role::System, system),
            Message::new(Role::User, user),
        ]
    }

    fn read(&self, text: &str) -> Option<String> {
        self.kind.read(text)
    }

    fn stop(&self) -> Vec<String> {
        Vec::new()
    }

    fn n_tokens_max(&self) -> usize {
        self.n_tokens_max
    }
}
