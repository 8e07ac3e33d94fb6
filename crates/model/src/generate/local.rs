//! The engine and a tokenizer behind [`LanguageModel`].

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eval::{Error, Result};

use super::batcher::Batcher;
use super::prefix::PrefixCache;
use super::{Choice, Completion, CompletionRequest, LanguageModel, Score, ScoreRequest, TokenSink};
use crate::infer::{Engine, EngineOptions, Sequence};
use crate::text::Tokenizer;
use crate::weights::Checkpoint;

/// How a local model shares the machine among requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalOptions {
    /// Samples that are generated at the same time at most; the others wait for a place.
    pub n_batch_max: usize,
    /// Bytes that caches of earlier prompts may take; 0 forgets every prompt after its call.
    pub prefix_cache_bytes: usize,
}

/// A model that runs here.
pub struct LocalModel {
    name: String,
    engine: Engine,
    tokenizer: Option<Arc<Tokenizer>>,
    end_tokens: Vec<u32>,
    options: LocalOptions,
    prefixes: Mutex<PrefixCache>,
}

impl LocalModel {
    /// A model of an engine and the tokenizer of its vocabulary (without one, texts are empty and
    /// stop strings refused). Answers end at the tokenizer's stop tokens.
    ///
    /// # Errors
    /// An option or an end token makes no sense.
    pub fn new(
        name: impl Into<String>,
        engine: Engine,
        tokenizer: Option<Arc<Tokenizer>>,
        options: LocalOptions,
    ) -> Result<Self> {
        if options.n_batch_max == 0 {
            return Err(Error::usage("n_batch_max is 0").hint("give at least 1"));
        }
        let end_tokens = tokenizer
            .as_ref()
            .map_or_else(Vec::new, |tokenizer| tokenizer.stop_ids().to_vec());
        Ok(Self {
            name: name.into(),
            engine,
            tokenizer,
            end_tokens,
            options,
            prefixes: Mutex::new(PrefixCache::new(options.prefix_cache_bytes)),
        })
    }

    /// Opens the weights at `path` and the tokenizer that comes with them: in the same GGUF file,
    /// or in `tokenizer.json` beside safetensors, where a model trained here may have none.
    ///
    /// # Errors
    /// As [`Checkpoint::open`], [`Engine::load`], and [`Tokenizer::from_checkpoint`].
    pub fn open(path: &Path, engine: EngineOptions, options: LocalOptions) -> Result<Self> {
        let checkpoint = Checkpoint::open(path)?;
        let has_tokenizer =
            checkpoint.gguf().is_some() || checkpoint.folder().join("tokenizer.json").exists();
        let tokenizer = has_tokenizer
            .then(|| Tokenizer::from_checkpoint(&checkpoint).map(Arc::new))
            .transpose()?;
        let engine = Engine::load(&checkpoint, engine)?;
        Self::new(checkpoint.name(), engine, tokenizer, options)
    }

    /// An empty batch on this model: for requests that come one after the other, and for taps.
    #[must_use]
    pub fn batch(&self) -> Batcher<'_> {
        Batcher::new(self)
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The tokenizer, where the model has one.
    #[must_use]
    pub fn tokenizer(&self) -> Option<&Arc<Tokenizer>> {
        self.tokenizer.as_ref()
    }

    /// Tokens that end a text.
    #[must_use]
    pub fn end_tokens(&self) -> &[u32] {
        &self.end_tokens
    }

    pub(super) fn options(&self) -> LocalOptions {
        self.options
    }

    /// Refuses a prompt without tokens, with unknown ones, or beyond the context.
    pub(super) fn check_prompt(&self, prompt: &[u32]) -> Result<()> {
        if prompt.is_empty() {
            return Err(Error::usage("a prompt is empty")
                .hint("give at least the token that begins a text"));
        }
        let (n_tokens, n_context) = (prompt.len(), self.n_context());
        if n_tokens > n_context {
            return Err(Error::usage(format!(
                "a prompt has {n_tokens} tokens, the model holds {n_context}"
            ))
            .hint("shorten the prompt"));
        }
        self.check_tokens(prompt)
    }

    pub(super) fn check_tokens(&self, tokens: &[u32]) -> Result<()> {
        let n_vocab = self.engine.config().n_vocab;
        match tokens.iter().find(|id| **id as usize >= n_vocab) {
            Some(id) => Err(Error::usage(format!(
                "token {id} is not among the {n_vocab} of the model"
            ))
            .hint("encode the text with the tokenizer of this model")),
            None => Ok(()),
        }
    }

    /// A sequence that has seen a beginning of `prompt`, if an earlier call left one.
    pub(super) fn cached(&self, prompt: &[u32]) -> Option<Sequence> {
        self.prefixes().take(prompt)
    }

    /// Leaves a sequence, which has seen exactly `tokens`, to later calls.
    pub(super) fn remember(&self, tokens: Vec<u32>, sequence: Sequence) {
        self.prefixes().insert(tokens, sequence);
    }

    /// A panic elsewhere leaves the cache whole: its entries are never half-written.
    fn prefixes(&self) -> MutexGuard<'_, PrefixCache> {
        self.prefixes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LanguageModel for LocalModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn n_context(&self) -> usize {
        self.engine.config().n_context
    }

    fn complete(
        &self,
        requests: &[CompletionRequest],
        mut sink: Option<TokenSink<'_>>,
    ) -> Result<Vec<Completion>> {
        let mut batch = self.batch();
        for request in requests {
            batch.submit(request.clone())?;
        }
        let mut completions: Vec<Option<Completion>> = vec![None; requests.len()];
        while !batch.is_idle() {
            for (id, completion) in batch.step(&mut sink, None)? {
                completions[id] = Some(completion);
            }
        }
        Ok(completions.into_iter().flatten().collect())
    }

    fn score(&self, requests: &[ScoreRequest]) -> Result<Vec<Score>> {
        self.score_all(requests)
    }

    fn choose(&self, prompt: &[u32], options: &[Vec<u32>]) -> Result<Choice> {
        self.choose_one(prompt, options)
    }

    fn hidden(&self, prompts: &[Vec<u32>], layer: usize) -> Result<Vec<Vec<f32>>> {
        self.hidden_all(prompts, layer)
    }
}
