//! What a language model is asked and what it answers.

use eval::Result;
use serde::{Deserialize, Serialize};

/// A language model over token ids.
///
/// Requests of one call share batches; samples of one request share the computation and the cache
/// of
/// their prompt. Results come in the order of the requests and do not depend on the other requests
/// of
/// the call.
pub trait LanguageModel: Send + Sync {
    /// Name of the model, as a person knows it.
    fn name(&self) -> &str;

    /// Longest sequence (prompt and answer), in tokens.
    fn n_context(&self) -> usize;

    /// Continues each prompt. `sink` hears of every token as soon as it is certain, in the order in
    /// which they are drawn.
    ///
    /// # Errors
    /// A prompt is empty, holds an unknown id, or leaves no room for an answer; a setting of
    /// [`Sampling`] makes no sense.
    fn complete(
        &self,
        requests: &[CompletionRequest],
        sink: Option<TokenSink<'_>>,
    ) -> Result<Vec<Completion>>;

    /// Log-probability of given continuations, exactly under the model's softmax at temperature 1.
    ///
    /// # Errors
    /// As [`LanguageModel::complete`]; a continuation is empty.
    fn score(&self, requests: &[ScoreRequest]) -> Result<Vec<Score>>;

    /// Which of `options` the model continues `prompt` with, and how likely each is.
    ///
    /// # Errors
    /// As [`LanguageModel::score`]; there are no options.
    fn choose(&self, prompt: &[u32], options: &[Vec<u32>]) -> Result<Choice>;

    /// Hidden states after layer `layer` (0 is the embedding, `n_layers` the last block before the
    /// final norm) at every token of each prompt: `[n_tokens * n_hidden]`, row-major.
    ///
    /// # Errors
    /// As [`LanguageModel::complete`]; there is no such layer.
    fn hidden(&self, prompts: &[Vec<u32>], layer: usize) -> Result<Vec<Vec<f32>>>;
}

/// Hears tokens while they are generated; returns `false` to end that sample.
pub type TokenSink<'a> = &'a mut dyn FnMut(TokenEvent<'_>) -> bool;

/// One token of one sample, while it is generated.
#[derive(Clone, Copy, Debug)]
pub struct TokenEvent<'a> {
    /// Which request of the call.
    pub request: usize,
    /// Which sample of the request.
    pub sample: usize,
    /// The token.
    pub token: &'a TokenLogprob,
    /// Text that became certain with it: whole characters, nothing that may still turn out to be
    /// the
    /// beginning of a stop string.
    pub text: &'a str,
}

/// A prompt to continue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompletionRequest {
    /// Token ids, with whatever begins a text.
    pub prompt: Vec<u32>,
    /// Independent answers wanted.
    pub n_samples: usize,
    /// Tokens at most per answer.
    pub n_tokens_max: usize,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Texts that end an answer; they are not part of it.
    pub stop: Vec<String>,
    /// Tokens that end an answer; they are not part of its text.
    pub stop_tokens: Vec<u32>,
    /// Alternatives to report with each token (0: only the token's own log-probability).
    pub n_alternatives: usize,
}

/// How the next token is drawn. Filters apply in the order temperature, top-k, top-p, min-p.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// 0 takes the most likely token (the smallest id among equals).
    pub temperature: f32,
    /// Keep the `k` most likely; 0 keeps all.
    pub top_k: usize,
    /// Keep the smallest set with at least this probability; 1 keeps all.
    pub top_p: f32,
    /// Drop tokens less likely than this times the most likely; 0 keeps all.
    pub min_p: f32,
    /// Sample `i` of the request draws from a ChaCha stream keyed by (seed, i).
    pub seed: u64,
}

/// Answers to one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// One per sample asked for.
    pub samples: Vec<Sample>,
    /// What it took.
    pub usage: Usage,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Text up to a stop string or token.
    pub text: String,
    /// Tokens drawn, the ending one included.
    pub tokens: Vec<TokenLogprob>,
    /// Why it ended.
    pub finish: Finish,
}

/// A token and how likely the model found it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprob {
    /// Token id.
    pub id: u32,
    /// Natural logarithm of its probability at temperature 1, before any filter, in nats.
    pub logprob: f32,
    /// The most likely tokens at this place, most likely first.
    pub alternatives: Vec<(u32, f32)>,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// A stop string, a stop token, or the model's own end of text.
    Stop,
    /// The limit on tokens or the context.
    Length,
    /// The listener ended it.
    Cancelled,
}

/// Tokens a request took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, counted once per sample as endpoints bill them.
    pub n_prompt: usize,
    /// Tokens of prompts that were really computed: shared prefixes count once.
    pub n_prompt_evaluated: usize,
    /// Tokens generated over all samples.
    pub n_generated: usize,
}

/// A prompt and the continuations to score after it; they share its computation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreRequest {
    /// Token ids before the continuation.
    pub prompt: Vec<u32>,
    /// Continuations, none of them empty.
    pub continuations: Vec<Vec<u32>>,
}

/// Log-probabilities of the continuations of one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Per continuation, per token: natural logarithm of its probability given all before it.
    pub logprobs: Vec<Vec<f32>>,
    /// What it took.
    pub usage: Usage,
}

/// The outcome of a constrained choice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Index of the most likely option (the first among equals).
    pub best: usize,
    /// Log-probability of each whole option, in nats.
    pub logprobs: Vec<f64>,
    /// The same, normalised over the options: they sum to one.
    pub probabilities: Vec<f64>,
}
