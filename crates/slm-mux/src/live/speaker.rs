//! A small language model of this machine that completes plain text.

use std::path::Path;
use std::sync::Arc;

use eval::engine::DataFiles;
use eval::{Error, Result};
use model::chat::{BoxFuture, ChatModel, Local, LocalSettings, Message, PromptFormat};
use model::generate::{LanguageModel, LocalModel, LocalOptions};
use model::infer::{EngineOptions, Precision};
use model::text::{EncodeOptions, Tokenizer};

use crate::protocols::{Aspect, Question, Tokens, Verifier, Wording};

/// Samples that are generated at the same time.
const N_SAMPLES_AT_ONCE: usize = 32;
/// What the engine may keep of earlier prompts: questions of a task begin alike.
const PREFIX_CACHE_BYTES: usize = 64 << 20;

/// The contents of messages one after the other, without any template: for models that continue
/// plain text.
pub struct PlainText {
    tokenizer: Arc<Tokenizer>,
}

impl PromptFormat for PlainText {
    fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>> {
        let text: String = messages.iter().map(|m| m.content.as_str()).collect();
        self.tokenizer.encode(&text, EncodeOptions::TEXT)
    }

    fn stop_tokens(&self) -> &[u32] {
        self.tokenizer.stop_ids()
    }
}

/// One model, to be sampled directly or as a chat model.
#[derive(Clone)]
pub struct Speaker {
    model: Arc<LocalModel>,
    format: Arc<PlainText>,
    chat: Arc<Local>,
}

impl Speaker {
    /// Opens a weight file with its own tokenizer, weights being multiplied as they are stored.
    ///
    /// # Errors
    /// The file is absent or damaged, or has no tokenizer.
    pub fn open(path: &Path, n_threads: usize) -> Result<Self> {
        let engine = EngineOptions {
            precision: Precision::Quantised,
            n_threads,
        };
        let options = LocalOptions {
            n_batch_max: N_SAMPLES_AT_ONCE,
            prefix_cache_bytes: PREFIX_CACHE_BYTES,
        };
        Self::new(LocalModel::open(path, engine, options)?)
    }

    /// Opens the GGUF file among verified files.
    ///
    /// # Errors
    /// There is none, or as [`Speaker::open`].
    pub fn of_files(files: &DataFiles, n_threads: usize) -> Result<Self> {
        for name in files.names() {
            if name.ends_with(".gguf") {
                return Self::open(&files.file(name)?, n_threads);
            }
        }
        Err(Error::inputs("the weights hold no GGUF file"))
    }

    fn new(model: LocalModel) -> Result<Self> {
        let tokenizer = model.tokenizer().cloned().ok_or_else(|| {
            Error::inputs(format!("`{}` comes without a tokenizer", model.name()))
        })?;
        let model = Arc::new(model);
        let format = Arc::new(PlainText { tokenizer });
        let chat = Local::new(model.clone(), format.clone(), LocalSettings::default())?;
        Ok(Self {
            model,
            format,
            chat: Arc::new(chat),
        })
    }

    /// The model itself.
    #[must_use]
    pub fn model(&self) -> &LocalModel {
        &self.model
    }

    /// The model as one that answers conversations (their contents, one after the other).
    #[must_use]
    pub fn chat(&self) -> Arc<dyn ChatModel> {
        self.chat.clone()
    }

    /// The tokens of a conversation.
    ///
    /// # Errors
    /// The tokenizer refuses the text.
    pub fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>> {
        self.format.prompt(messages)
    }

    /// Tokens that end an answer.
    #[must_use]
    pub fn stop_tokens(&self) -> &[u32] {
        self.format.stop_tokens()
    }

    /// This model as a verifier that is asked by likelihood.
    ///
    /// # Errors
    /// The tokenizer refuses the words.
    pub fn verifier(&self, wording: Arc<dyn Wording>) -> Result<LikelihoodVerifier> {
        let word = |text| self.format.tokenizer.encode(text, EncodeOptions::PIECE);
        Ok(LikelihoodVerifier {
            options: vec![word(" yes")?, word(" no")?],
            model: self.model.clone(),
            format: self.format.clone(),
            wording,
        })
    }
}

/// Approval as the probability of "yes" against "no" after the question. It computes on the thread
/// that asks.
pub struct LikelihoodVerifier {
    model: Arc<LocalModel>,
    format: Arc<PlainText>,
    wording: Arc<dyn Wording>,
    /// The tokens of "yes" and of "no".
    options: Vec<Vec<u32>>,
}

impl Verifier for LikelihoodVerifier {
    fn approve<'a>(
        &'a self,
        question: &'a Question,
        candidate: &'a str,
        aspect: Aspect,
    ) -> BoxFuture<'a, Result<(f64, Tokens)>> {
        Box::pin(async move {
            let messages = self.wording.verify(question, candidate, aspect);
            let prompt = self.format.prompt(&messages)?;
            let choice = self.model.choose(&prompt, &self.options)?;
            // One token is read off, as if it had been generated.
            let tokens = Tokens {
                n_calls: 1,
                n_prompt: prompt.len() as u64,
                n_generated: 1,
            };
            Ok((choice.probabilities[0], tokens))
        })
    }
}
