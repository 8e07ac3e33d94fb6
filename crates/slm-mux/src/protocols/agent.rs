//! An agent: a model, and how it is spoken to.

use std::sync::Arc;

use eval::Result;
use eval::digest::Digest;
use model::chat::{ChatModel, ChatRequest, Message};
use model::generate::Sampling;
use serde::{Deserialize, Serialize};

use super::question::Question;
use super::tokens::Tokens;
use super::wording::Wording;

/// One member of a pool: a model together with the wording that suits it. Two agents may share a
/// model.
#[derive(Clone)]
pub struct Agent {
    /// Name, as it goes into records.
    pub name: String,
    /// Who answers.
    pub model: Arc<dyn ChatModel>,
    /// How questions are put.
    pub wording: Arc<dyn Wording>,
}

/// How agents are asked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asking {
    /// 0 takes the most likely token. Paper: 0.3 in the comparison, 0.5 for the search.
    pub temperature: f32,
    /// Seed of everything drawn; every request gets one of its own that follows from it.
    pub seed: u64,
}

/// One answer of one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The text as it came.
    pub text: String,
    /// The normalised answer in it; `None` where none could be read.
    pub answer: Option<String>,
}

impl Agent {
    /// Puts a question and draws `n_samples` answers. `purpose` sets this request's seed apart from
    /// those of other requests about the same question.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn ask(
        &self,
        question: &Question,
        n_samples: usize,
        asking: Asking,
        purpose: &str,
    ) -> Result<(Vec<Reply>, Tokens)> {
        let mut request = self.request(question, asking, purpose);
        request.n_samples = n_samples;
        self.send(request).await
    }

    /// The request that puts a question for one answer.
    #[must_use]
    pub fn request(&self, question: &Question, asking: Asking, purpose: &str) -> ChatRequest {
        self.request_with(question, self.wording.ask(question), asking, purpose)
    }

    /// Sends a conversation about `question`.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn say(
        &self,
        question: &Question,
        messages: Vec<Message>,
        asking: Asking,
        purpose: &str,
    ) -> Result<(Reply, Tokens)> {
        let request = self.request_with(question, messages, asking, purpose);
        let (replies, tokens) = self.send(request).await?;
        let reply = replies.into_iter().next();
        // A model that answers with no choice at all said nothing that could be read.
        let reply = reply.unwrap_or(Reply {
            text: String::new(),
            answer: None,
        });
        Ok((reply, tokens))
    }

    fn request_with(
        &self,
        question: &Question,
        messages: Vec<Message>,
        asking: Asking,
        purpose: &str,
    ) -> ChatRequest {
        let base = asking.seed.to_string();
        let parts = [&base, &self.name, &question.task, &question.id, purpose];
        ChatRequest {
            messages,
            n_samples: 1,
            n_tokens_max: self.wording.n_tokens_max(),
            sampling: sampling(asking.temperature, derived_seed(&parts)),
            stop: self.wording.stop(),
        }
    }

    async fn send(&self, request: ChatRequest) -> Result<(Vec<Reply>, Tokens)> {
        let answer = self.model.chat(&request).await?;
        let replies = answer.choices.into_iter().map(|choice| Reply {
            answer: self.wording.read(&choice.text),
            text: choice.text,
        });
        Ok((replies.collect(), Tokens::of(&answer.usage)))
    }
}

/// Draws from the whole distribution, as the paper does.
#[must_use]
pub fn sampling(temperature: f32, seed: u64) -> Sampling {
    Sampling {
        temperature,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        seed,
    }
}

/// A seed that follows from `parts`, so that no request's randomness depends on the order in which
/// requests are made.
#[must_use]
pub fn derived_seed(parts: &[&str]) -> u64 {
    // A unit separator cannot be confused with the parts' own characters.
    let digest = Digest::of(parts.join("\u{1f}").as_bytes());
    let digits = &digest.as_hex()[..16];
    u64::from_str_radix(digits, 16).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_where_parts_do() {
        let seeds = [
            derived_seed(&["0", "a", "b"]),
            derived_seed(&["0", "ab", ""]),
            derived_seed(&["1", "a", "b"]),
            derived_seed(&["0", "b", "a"]),
        ];
        for (idx, seed) in seeds.iter().enumerate() {
            assert!(!seeds[..idx].contains(seed), "{seeds:?}");
            assert_ne!(*seed, 0);
        }
        assert_eq!(derived_seed(&["0", "a", "b"]), seeds[0]);
    }
}
