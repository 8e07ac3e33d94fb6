//! The engine: a decoder's packed weights and what it can be asked.

use std::sync::{Mutex, PoisonError};

use eval::{Error, Result};

use super::block::{Block, NormWeights};
use super::forward::{Pass, Workspace};
use super::load::{Loader, NamedTensors, Source};
use super::sequence::CacheShape;
use super::{Outputs, Sequence, States, Step, Tap};
use crate::config::{DecoderConfig, Positions};
use crate::kernels::{Cpu, Matrix, Precision, Rotary, Threads};
use crate::weights::Checkpoint;

/// Rows that a forward pass is given at most by the callers in this crate: longer prompts are fed
/// in chunks. Large enough that reading the weights is shared by many rows, small enough that the
/// activations of a layer stay in the second-level cache.
pub const CHUNK_TOKENS: usize = 256;

/// Rows that the head is applied to at once: bounds the memory of logits.
const HEAD_ROWS: usize = 16;

/// How an engine is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// How products treat quantised weights.
    pub precision: Precision,
    /// Threads of one forward pass, at least 1. Results do not depend on it.
    pub n_threads: usize,
}

/// A decoder ready to run. Calls may come from several threads at once.
#[derive(Debug)]
pub struct Engine {
    pub(super) config: DecoderConfig,
    pub(super) cpu: Cpu,
    pub(super) embedding: Matrix,
    pub(super) position_embedding: Option<Matrix>,
    pub(super) blocks: Vec<Block>,
    pub(super) norm: NormWeights,
    pub(super) head: Matrix,
    pub(super) rotary: Option<Rotaries>,
    spare: Mutex<Vec<Workspace>>,
}

/// Rotary frequencies of full and of windowed layers.
#[derive(Debug)]
pub(super) struct Rotaries {
    pub(super) full: Rotary,
    pub(super) windowed: Option<Rotary>,
}

impl Engine {
    /// Packs the weights of a checkpoint.
    ///
    /// # Errors
    /// A tensor is missing, has another shape, is not part of the model, or holds NaN.
    pub fn load(checkpoint: &Checkpoint, options: EngineOptions) -> Result<Self> {
        checkpoint.verify_finite()?;
        Self::build(checkpoint.config().clone(), checkpoint, options)
    }

    /// Packs tensors held in memory, such as those of a model trained here.
    ///
    /// # Errors
    /// As [`Engine::load`].
    pub fn from_tensors(
        config: DecoderConfig,
        tensors: NamedTensors,
        options: EngineOptions,
    ) -> Result<Self> {
        config.validate()?;
        Self::build(config, &tensors, options)
    }

    fn build(config: DecoderConfig, source: &dyn Source, options: EngineOptions) -> Result<Self> {
        let cpu = Cpu::new(Threads::new(options.n_threads)?)?;
        let loader = Loader::new(source, &config, options.precision)?;
        let embedding = loader.matrix("model.embed_tokens.weight")?;
        let position_embedding = match config.positions {
            Positions::Learned => Some(loader.matrix("model.position_embeddings.weight")?),
            Positions::Rotary { .. } => None,
        };
        let head = if config.tied {
            embedding.clone()
        } else {
            loader.matrix("lm_head.weight")?
        };
        let blocks = (0..config.n_layers).map(|layer| Block::load(&loader, &config, layer));
        Ok(Self {
            blocks: blocks.collect::<Result<_>>()?,
            norm: NormWeights::load(&loader, config.norm, "model.norm")?,
            rotary: Rotaries::new(&config),
            cpu,
            embedding,
            position_embedding,
            head,
            config,
            spare: Mutex::new(Vec::new()),
        })
    }

    /// The model's shape.
    #[must_use]
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// A sequence without a past.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        Sequence::new(&self.config)
    }

    /// Feeds every step's tokens to its sequence in one ragged batch, and returns the final states
    /// of the tokens that asked for an output. A row's result does not depend on the other rows.
    ///
    /// # Errors
    /// A step has no tokens or an unknown one, its sequence would outgrow the context, or it comes
    /// from a model of another shape. Nothing has changed then.
    pub fn forward(&self, steps: &mut [Step<'_>], tap: Option<&mut dyn Tap>) -> Result<States> {
        self.check(steps)?;
        let mut workspace = self.workspace();
        let states = Pass::new(self, steps, tap).run(&mut workspace);
        self.keep(workspace);
        Ok(states)
    }

    /// Hidden states after layer `layer` (0 is the embedding, the number of layers the last block
    /// before the final norm) at every token of each prompt: `[n_tokens * n_hidden]`, row-major.
    /// Later layers are not computed.
    ///
    /// # Errors
    /// As [`Engine::forward`]; there is no such layer.
    pub fn hidden(&self, prompts: &[Vec<u32>], layer: usize) -> Result<Vec<Vec<f32>>> {
        let n_layers = self.config.n_layers;
        if layer > n_layers {
            return Err(
                Error::usage(format!("there is no layer {layer} in {n_layers}"))
                    .hint("0 is the embedding, the number of layers the last block"),
            );
        }
        let mut sequences: Vec<Sequence> = prompts.iter().map(|_| self.sequence()).collect();
        for (sequence, tokens) in sequences.iter_mut().zip(prompts) {
            let outputs = Outputs::None;
            self.check(&mut [Step {
                sequence,
                tokens,
                outputs,
            }])?;
        }
        let mut workspace = self.workspace();
        let states = sequences.iter_mut().zip(prompts).map(|(sequence, prompt)| {
            let mut states = Vec::with_capacity(prompt.len() * self.config.n_hidden);
            for tokens in prompt.chunks(CHUNK_TOKENS) {
                let outputs = Outputs::None;
                let steps = &mut [Step {
                    sequence,
                    tokens,
                    outputs,
                }];
                states.extend_from_slice(
                    Pass::new(self, steps, None).run_until(layer, &mut workspace),
                );
            }
            states
        });
        let states = states.collect();
        self.keep(workspace);
        Ok(states)
    }

    /// Applies the head to `states` and hands each row's logits (`n_vocab` of them) to `each`,
    /// in order.
    pub fn logits(&self, states: &States, each: &mut dyn FnMut(usize, &[f32])) {
        let mut workspace = self.workspace();
        let Workspace { inner, logits, .. } = &mut workspace;
        let n_vocab = self.config.n_vocab;
        let rows = states.values.chunks(HEAD_ROWS * self.config.n_hidden);
        for (chunk_idx, x) in rows.enumerate() {
            let n_rows = x.len() / self.config.n_hidden;
            logits.resize(n_rows * n_vocab, 0.0);
            let outs = &mut [logits.as_mut_slice()];
            let scratch = &mut inner.scratch;
            self.cpu.apply(&[&self.head], x, n_rows, outs, scratch);
            for (row, logits) in logits.chunks_exact(n_vocab).enumerate() {
                each(chunk_idx * HEAD_ROWS + row, logits);
            }
        }
        self.keep(workspace);
    }

    /// `ln Σ exp` of one row of logits, in nats: what makes log-probabilities of them.
    #[must_use]
    pub fn log_sum_exp(&self, logits: &[f32]) -> f64 {
        self.cpu.log_sum_exp(logits)
    }

    fn check(&self, steps: &mut [Step<'_>]) -> Result<()> {
        let (n_vocab, n_context) = (self.config.n_vocab, self.config.n_context);
        let shape = CacheShape::of(&self.config);
        for step in steps {
            if step.tokens.is_empty() {
                return Err(Error::usage("there are no tokens to feed to the model")
                    .hint("give at least the token that begins a text"));
            }
            if let Some(id) = step.tokens.iter().find(|id| **id as usize >= n_vocab) {
                return Err(Error::usage(format!(
                    "token {id} is not among the {n_vocab} of the model"
                ))
                .hint("encode the text with the tokenizer of this model"));
            }
            let n_tokens = step.sequence.n_tokens() + step.tokens.len();
            if n_tokens > n_context {
                return Err(Error::usage(format!(
                    "a sequence of {n_tokens} tokens does not fit the {n_context} of the model"
                ))
                .hint("shorten the prompt"));
            }
            if step.sequence.shape != shape {
                return Err(Error::usage("a sequence comes from another model")
                    .hint("begin it with `sequence` of the engine that continues it"));
            }
        }
        Ok(())
    }

    /// Working memory of an earlier call, or new one. A panic elsewhere leaves nothing half-done:
    /// its content never influences a result.
    fn workspace(&self) -> Workspace {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        spare.pop().unwrap_or_default()
    }

    fn keep(&self, workspace: Workspace) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        spare.push(workspace);
    }
}

impl Rotaries {
    fn new(config: &DecoderConfig) -> Option<Self> {
        let Positions::Rotary { theta, scale } = config.positions else {
            return None;
        };
        Some(Self {
            full: Rotary::new(config.n_head, theta, scale),
            windowed: config
                .window
                .map(|window| Rotary::new(config.n_head, window.theta, 1.0)),
        })
    }
}
