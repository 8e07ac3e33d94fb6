//! What a chat model is asked and what it answers.

use std::future::Future;
use std::pin::Pin;

use eval::{Error, Result};
use serde::{Deserialize, Serialize};

use super::attempts::Attempts;
use crate::generate::{Finish, Sampling};

/// A future that may be sent between threads, as trait objects need it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Somebody who answers a conversation.
pub trait ChatModel: Send + Sync {
    /// Name of the model, as it goes into rows and transcripts.
    fn name(&self) -> &str;

    /// Answers. Requests may run at the same time; each is independent of the others.
    ///
    /// The first answer is the one scored: transport faults are retried and recorded in
    /// [`ChatAnswer::attempts`], contents never are.
    ///
    /// # Errors
    /// The request makes no sense, or nobody answers it.
    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatAnswer>>;

    /// The log of everything sent on behalf of requests, answered or not; `None` for those who send
    /// nothing.
    fn attempts(&self) -> Option<&Attempts> {
        None
    }
}

impl<M: ChatModel + ?Sized> ChatModel for std::sync::Arc<M> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatAnswer>> {
        (**self).chat(request)
    }

    fn attempts(&self) -> Option<&Attempts> {
        (**self).attempts()
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions.
    System,
    /// The one who asks.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
    /// The trace of thought that came before an answer; kept apart so that no template drops it
    /// unseen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
}

impl Message {
    /// A turn without a trace of thought.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
            reasoning: None,
        }
    }
}

/// A conversation to answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatRequest {
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// Independent answers wanted.
    pub n_samples: usize,
    /// Tokens at most per answer.
    pub n_tokens_max: usize,
    /// How tokens are drawn; the seed makes an answer repeatable where the model honours it.
    pub sampling: Sampling,
    /// Texts that end an answer.
    pub stop: Vec<String>,
}

impl ChatRequest {
    /// Checks what every answerer needs: a conversation, room for an answer, finite settings.
    ///
    /// # Errors
    /// Something is empty, zero, or no number; the message names the field.
    pub fn validate(&self) -> Result<()> {
        let refuse = |what: &str| {
            Err(
                Error::usage(format!("the chat request makes no sense: {what}"))
                    .hint("see `ChatRequest` for what each field means"),
            )
        };
        if self.messages.is_empty() {
            return refuse("it has no messages");
        }
        if self.n_samples == 0 || self.n_samples > N_SAMPLES_MAX {
            return refuse(&format!("n_samples = {}", self.n_samples));
        }
        if self.n_tokens_max == 0 {
            return refuse("n_tokens_max = 0");
        }
        let Sampling {
            temperature,
            top_p,
            min_p,
            ..
        } = self.sampling;
        if !temperature.is_finite() || temperature < 0.0 {
            return refuse(&format!("temperature = {temperature}"));
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return refuse(&format!("top_p = {top_p}, which is not in (0, 1]"));
        }
        if !(0.0..=1.0).contains(&min_p) {
            return refuse(&format!("min_p = {min_p}, which is not in [0, 1]"));
        }
        if self.stop.iter().any(String::is_empty) {
            return refuse("a stop text is empty");
        }
        Ok(())
    }
}

/// More answers to one question than this are a mistake in some loop, not a wish.
const N_SAMPLES_MAX: usize = 4096;

/// Answers to one conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatAnswer {
    /// The model that answered, as it names itself.
    pub model: String,
    /// One per sample asked for.
    pub choices: Vec<ChatChoice>,
    /// What it took.
    pub usage: ChatUsage,
    /// How often the question was sent: 1 without faults, 0 when it came from a cache or recording.
    pub attempts: u32,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatChoice {
    /// The answer.
    pub text: String,
    /// Its trace of thought, where the model gives one apart from the answer.
    pub reasoning: Option<String>,
    /// Why it ended.
    pub finish: Finish,
}

/// Tokens and money an answer took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatUsage {
    /// Tokens of the prompt.
    pub n_prompt: u64,
    /// Tokens generated over all samples.
    pub n_generated: u64,
    /// Cost in US dollars, where a price is known.
    pub cost_usd: Option<f64>,
}
