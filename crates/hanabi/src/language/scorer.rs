//! Which of several continuations a language model finds most likely.

use std::path::Path;
use std::sync::Arc;

use eval::{Error, Result};
use model::chat::Message;
use model::generate::{LanguageModel, LocalModel, LocalOptions, ScoreRequest};
use model::infer::{Engine, EngineOptions, Precision};
use model::serve::{Codec, TextCodec};
use model::text::{ChatTemplate, Tokenizer};
use model::weights::Checkpoint;

/// Prompts computed together, at most; a scorer asks one at a time.
const N_BATCH_MAX: usize = 4;
/// Bytes for caches of earlier prompts, so that the rules are computed once per seat.
const PREFIX_CACHE_BYTES: usize = 256 << 20;

/// A language model and its text side. A model with a chat template is asked in its own form; a
/// base model continues the plain text.
pub struct Scorer {
    model: Arc<dyn LanguageModel>,
    codec: Arc<dyn Codec>,
}

impl Scorer {
    /// A model and the codec of its vocabulary.
    pub fn new(model: Arc<dyn LanguageModel>, codec: Arc<dyn Codec>) -> Self {
        Self { model, codec }
    }

    /// Opens a weight file with its tokenizer and template.
    ///
    /// # Errors
    /// A file is absent or damaged, or the architecture is unknown.
    pub fn open(path: &Path, n_threads: usize) -> Result<Self> {
        let checkpoint = Checkpoint::open(path)?;
        let tokenizer = Arc::new(Tokenizer::from_checkpoint(&checkpoint)?);
        let template = ChatTemplate::from_checkpoint(&checkpoint)?;
        let options = EngineOptions {
            precision: Precision::Quantised,
            n_threads,
        };
        let engine = Engine::load(&checkpoint, options)?;
        let options = LocalOptions {
            n_batch_max: N_BATCH_MAX,
            prefix_cache_bytes: PREFIX_CACHE_BYTES,
        };
        let name = checkpoint.name().to_owned();
        let model = LocalModel::new(name, engine, Some(Arc::clone(&tokenizer)), options)?;
        Ok(Self::new(
            Arc::new(model),
            Arc::new(TextCodec::new(tokenizer, template)),
        ))
    }

    /// Name of the model.
    #[must_use]
    pub fn name(&self) -> &str {
        self.model.name()
    }

    /// The conversation up to `lead`, which begins the model's answer and ends without a space.
    ///
    /// # Errors
    /// The template refuses the conversation, or the text is longer than the tokenizer takes.
    pub fn prompt(&self, messages: &[Message], lead: &str) -> Result<Vec<u32>> {
        if self.codec.has_chat() {
            let mut ids = self.codec.encode_chat(messages)?;
            ids.extend(self.codec.encode_piece(lead)?);
            return Ok(ids);
        }
        let mut text = String::new();
        for message in messages {
            text.push_str(&message.content);
            text.push_str("\n\n");
        }
        text.push_str(lead);
        Ok(self.codec.encode(&text)?.ids)
    }

    /// Ids of a text that continues a prompt.
    ///
    /// # Errors
    /// The text is longer than the tokenizer takes.
    pub fn piece(&self, text: &str) -> Result<Vec<u32>> {
        self.codec.encode_piece(text)
    }

    /// How likely each option is as the continuation of a prompt.
    ///
    /// # Errors
    /// There is no option, one is empty, or the prompt leaves no room for them.
    pub fn choose(&self, prompt: &[u32], options: &[String]) -> Result<Likelihoods> {
        if options.is_empty() {
            return Err(Error::internal("there are no options to choose from"));
        }
        let continuations: Vec<Vec<u32>> = options
            .iter()
            .map(|option| self.piece(option))
            .collect::<Result<_>>()?;
        let request = ScoreRequest {
            prompt: prompt.to_vec(),
            continuations,
        };
        let scores = self.model.score(&[request])?;
        let score = scores
            .first()
            .ok_or_else(|| Error::internal("the language model gave no score"))?;
        let tokens = &score.logprobs;
        Ok(Likelihoods {
            logprobs: tokens
                .iter()
                .map(|tokens| tokens.iter().copied().map(f64::from).sum())
                .collect(),
            n_tokens: tokens.iter().map(Vec::len).collect(),
        })
    }
}

/// Log-probabilities of options, in nats.
#[derive(Clone, Debug, PartialEq)]
pub struct Likelihoods {
    /// Of each whole option.
    pub logprobs: Vec<f64>,
    /// Tokens of each option.
    pub n_tokens: Vec<usize>,
}

impl Likelihoods {
    /// The option with the highest log-probability (the first among equals).
    #[must_use]
    pub fn best(&self) -> usize {
        first_largest(&self.logprobs)
    }

    /// The option with the highest log-probability per token (the first among equals).
    #[must_use]
    pub fn best_per_token(&self) -> usize {
        let per_token = self.logprobs.iter().zip(&self.n_tokens);
        let per_token: Vec<f64> = per_token.map(|(sum, n)| sum / (*n).max(1) as f64).collect();
        first_largest(&per_token)
    }

    /// Probabilities normalised over the options: they sum to one.
    #[must_use]
    pub fn probabilities(&self) -> Vec<f64> {
        let largest = self
            .logprobs
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = self.logprobs.iter().map(|l| (l - largest).exp()).collect();
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / sum).collect()
    }
}

fn first_largest(values: &[f64]) -> usize {
    let mut best = 0;
    for (idx, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = idx;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_options_win_per_token_only() {
        let found = Likelihoods {
            logprobs: vec![-3.0, -4.0, -3.0],
            n_tokens: vec![1, 4, 1],
        };
        assert_eq!((found.best(), found.best_per_token()), (0, 1));
        let p = found.probabilities();
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((p[0] / p[1] - 1.0_f64.exp()).abs() < 1e-12);
    }
}
