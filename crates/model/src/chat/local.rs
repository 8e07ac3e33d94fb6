//! A language model of this process as a chat model.
//!
//! One thread owns the computing. Requests wait in a bounded queue; those that wait together are
//! computed together, which changes how long they take and, by the promise of [`LanguageModel`],
//! nothing else: a request with a seed has the same answer whatever runs beside it.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use eval::{Error, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::format::{FormatOptions, PromptFormat, TemplateFormat};
use super::interface::{BoxFuture, ChatAnswer, ChatChoice, ChatModel, ChatRequest, ChatUsage};
use super::reasoning::ThinkTags;
use crate::generate::{
    Completion, CompletionRequest, LanguageModel, LocalModel, LocalOptions, TokenEvent,
};
use crate::infer::{Engine, EngineOptions, Precision};
use crate::text::{ChatTemplate, Tokenizer};
use crate::weights::Checkpoint;

/// Samples that the engine generates at the same time.
const N_SAMPLES_AT_ONCE: usize = 32;
/// What the engine may keep of earlier prompts: conversations of a cell often begin alike.
const PREFIX_CACHE_BYTES: usize = 256 << 20;

/// How requests share the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalSettings {
    /// Requests computed together at most.
    pub n_batch_max: usize,
    /// Requests that wait at most; further ones wait until there is room.
    pub n_waiting_max: usize,
    /// Whether answers carry a trace of thought in their text.
    pub think_tags: ThinkTags,
}

impl Default for LocalSettings {
    fn default() -> Self {
        Self {
            n_batch_max: 8,
            n_waiting_max: 64,
            think_tags: ThinkTags::Keep,
        }
    }
}

/// A piece of an answer, while it is generated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatDelta {
    /// Which sample of the request.
    pub sample: usize,
    /// Text that has become certain. Traces of thought are not split off it.
    pub text: String,
}

/// A chat model in this process. Dropping a request's future ends its computing at the next token.
pub struct Local {
    name: String,
    queue: mpsc::Sender<Job>,
    think_tags: ThinkTags,
}

struct Job {
    request: ChatRequest,
    deltas: Option<mpsc::UnboundedSender<ChatDelta>>,
    reply: oneshot::Sender<Result<Completion>>,
}

impl Local {
    /// Opens a weight file or hub folder with its own tokenizer and chat template, quantised
    /// weights being multiplied as they are stored.
    ///
    /// # Errors
    /// A file is absent or damaged, the architecture is unknown, the model has no chat template, or
    /// a setting is zero.
    pub fn open(path: &Path, n_threads: usize, settings: LocalSettings) -> Result<Self> {
        let checkpoint = Checkpoint::open(path)?;
        let tokenizer = Arc::new(Tokenizer::from_checkpoint(&checkpoint)?);
        let template = ChatTemplate::from_checkpoint(&checkpoint)?;
        let format = TemplateFormat::new(template, tokenizer.clone(), FormatOptions::default())?;
        let options = EngineOptions {
            precision: Precision::Quantised,
            n_threads,
        };
        let engine = Engine::load(&checkpoint, options)?;
        let options = LocalOptions {
            n_batch_max: N_SAMPLES_AT_ONCE,
            prefix_cache_bytes: PREFIX_CACHE_BYTES,
        };
        let model = LocalModel::new(checkpoint.name(), engine, Some(tokenizer), options)?;
        Self::new(Arc::new(model), Arc::new(format), settings)
    }

    /// Starts the thread that computes.
    ///
    /// # Errors
    /// A setting is zero, or the thread cannot be started.
    pub fn new(
        model: Arc<dyn LanguageModel>,
        format: Arc<dyn PromptFormat>,
        settings: LocalSettings,
    ) -> Result<Self> {
        if settings.n_batch_max == 0 || settings.n_waiting_max == 0 {
            return Err(Error::usage(
                "local model settings: `n_batch_max` and `n_waiting_max` must be at least 1",
            ));
        }
        let name = model.name().to_owned();
        let (queue, jobs) = mpsc::channel(settings.n_waiting_max);
        let worker = Worker {
            model,
            format,
            n_batch_max: settings.n_batch_max,
        };
        std::thread::Builder::new()
            .name("local-chat".to_owned())
            .spawn(move || worker.run(jobs))
            .map_err(|cause| {
                Error::internal("cannot start the thread of the local model").caused_by(cause)
            })?;
        Ok(Self {
            name,
            queue,
            think_tags: settings.think_tags,
        })
    }

    /// Answers as [`ChatModel::chat`] does, and sends text to `deltas` as soon as it is certain. At
    /// most one piece is sent per token, so the channel holds no more than the answer.
    ///
    /// # Errors
    /// As [`ChatModel::chat`].
    pub async fn chat_streamed(
        &self,
        request: &ChatRequest,
        deltas: mpsc::UnboundedSender<ChatDelta>,
    ) -> Result<ChatAnswer> {
        self.answer(request, Some(deltas)).await
    }

    async fn answer(
        &self,
        request: &ChatRequest,
        deltas: Option<mpsc::UnboundedSender<ChatDelta>>,
    ) -> Result<ChatAnswer> {
        request.validate()?;
        let gone = || Error::internal("the local model's thread has ended");
        let (reply, answer) = oneshot::channel();
        let job = Job {
            request: request.clone(),
            deltas,
            reply,
        };
        self.queue.send(job).await.map_err(|_| gone())?;
        let completion = answer.await.map_err(|_| gone())??;
        Ok(self.translate(completion))
    }

    fn translate(&self, completion: Completion) -> ChatAnswer {
        let usage = ChatUsage {
            n_prompt: completion.usage.n_prompt as u64,
            n_generated: completion.usage.n_generated as u64,
            cost_usd: None,
        };
        let choices = completion.samples.into_iter().map(|sample| {
            let (text, reasoning) = self.think_tags.divide(sample.text);
            ChatChoice {
                text,
                reasoning,
                finish: sample.finish,
            }
        });
        ChatAnswer {
            model: self.name.clone(),
            choices: choices.collect(),
            usage,
            attempts: 1,
        }
    }
}

impl ChatModel for Local {
    fn name(&self) -> &str {
        &self.name
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatAnswer>> {
        Box::pin(self.answer(request, None))
    }
}

struct Worker {
    model: Arc<dyn LanguageModel>,
    format: Arc<dyn PromptFormat>,
    n_batch_max: usize,
}

impl Worker {
    /// Computes until nobody can ask any more.
    fn run(self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < self.n_batch_max
                && let Ok(job) = jobs.try_recv()
            {
                batch.push(job);
            }
            batch.retain(|job| !job.reply.is_closed());
            self.answer(batch);
        }
    }

    fn answer(&self, batch: Vec<Job>) {
        let mut ready = Vec::new();
        for job in batch {
            match guarded(|| self.prompt(&job.request)) {
                Ok(request) => ready.push((job, request)),
                Err(error) => drop(job.reply.send(Err(error))),
            }
        }
        if ready.is_empty() {
            return;
        }
        let (jobs, requests): (Vec<Job>, Vec<CompletionRequest>) = ready.into_iter().unzip();
        match self.complete(&jobs, &requests) {
            Ok(completions) => {
                for (job, completion) in jobs.into_iter().zip(completions) {
                    drop(job.reply.send(Ok(completion)));
                }
            }
            // One bad request fails a whole call; alone, each gets its own answer or error.
            Err(_) if jobs.len() > 1 => {
                for (job, request) in jobs.into_iter().zip(requests) {
                    let alone = self.complete(std::slice::from_ref(&job), &[request]);
                    let outcome = alone.and_then(|mut all| all.pop().ok_or_else(too_few));
                    drop(job.reply.send(outcome));
                }
            }
            Err(error) => {
                if let Some(job) = jobs.into_iter().next() {
                    drop(job.reply.send(Err(error)));
                }
            }
        }
    }

    fn prompt(&self, request: &ChatRequest) -> Result<CompletionRequest> {
        Ok(CompletionRequest {
            prompt: self.format.prompt(&request.messages)?,
            n_samples: request.n_samples,
            n_tokens_max: request.n_tokens_max,
            sampling: request.sampling.clone(),
            stop: request.stop.clone(),
            stop_tokens: self.format.stop_tokens().to_vec(),
            n_alternatives: 0,
        })
    }

    fn complete(&self, jobs: &[Job], requests: &[CompletionRequest]) -> Result<Vec<Completion>> {
        let mut sink = |event: TokenEvent<'_>| hear(&jobs[event.request], event);
        let completions = guarded(|| self.model.complete(requests, Some(&mut sink)))?;
        if completions.len() != requests.len() {
            return Err(too_few());
        }
        Ok(completions)
    }
}

/// Passes text on; `false` once nobody waits for the answer.
fn hear(job: &Job, event: TokenEvent<'_>) -> bool {
    if let Some(deltas) = &job.deltas
        && !event.text.is_empty()
    {
        let delta = ChatDelta {
            sample: event.sample,
            text: event.text.to_owned(),
        };
        if deltas.send(delta).is_err() {
            return false;
        }
    }
    !job.reply.is_closed()
}

fn too_few() -> Error {
    Error::internal("the language model answered fewer requests than it was asked")
}

/// A bug in a model costs the requests of its batch, not every later one.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Error::internal(
            "the language model panicked; its message is on stderr",
        ))
    })
}
