//! The decoder family: one description that the fast engine and the trainable decoder both read.
//!
//! Llama, Qwen2, Qwen3 (dense and mixture of experts), Gemma 3, and the small decoders trained here
//! differ in a handful of choices; each is a field. Tensors carry the names of the Hugging Face hub
//! (`model.layers.0.self_attn.q_proj.weight`), whatever the file they come from, and attention rows
//! are in the hub's order (rotation by halves).

use eval::{Error, Result};
use serde::{Deserialize, Serialize};

/// Shape and choices of a decoder-only transformer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoderConfig {
    /// Name of the architecture as its publisher spells it (`llama`, `qwen3moe`, `gemma3`,
    /// `local`).
    pub architecture: String,
    /// Tokens in the vocabulary (rows of the embedding).
    pub n_vocab: usize,
    /// Width of the residual stream.
    pub n_hidden: usize,
    /// Transformer blocks.
    pub n_layers: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads; query heads share them in equal groups.
    pub n_kv_heads: usize,
    /// Width of one head.
    pub n_head: usize,
    /// Longest sequence, in tokens.
    pub n_context: usize,
    /// Normalisation in front of attention, feed-forward, and head.
    pub norm: Norm,
    /// Normalise attention and feed-forward outputs too, before they join the residual (Gemma 3).
    pub norm_after: bool,
    /// RMS-normalise each query and key head (Qwen3, Gemma 3).
    pub norm_qk: bool,
    /// How positions enter.
    pub positions: Positions,
    /// Bias on the query, key, and value projections (Qwen2).
    pub bias_qkv: bool,
    /// Bias on the attention output and feed-forward projections (GPT-2 style blocks).
    pub bias_out: bool,
    /// Scores are multiplied by this before the softmax (`1/√n_head` unless the model says so).
    pub attention_scale: f32,
    /// Layers that see only a window of the past.
    pub window: Option<Window>,
    /// Feed-forward layers.
    pub feed_forward: FeedForward,
    /// Embeddings are multiplied by this (Gemma: `√n_hidden`; 1 elsewhere).
    pub embedding_scale: f32,
    /// The head is the embedding transposed.
    pub tied: bool,
}

/// A normalisation layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Norm {
    /// `x / √(mean x² + eps) · weight`; the weight as applied (Gemma's stored `w` is read as `1 +
    /// w`).
    Rms {
        /// Added under the root.
        eps: f32,
    },
    /// `(x − mean) / √(var + eps) · weight + bias`.
    Layer {
        /// Added under the root.
        eps: f32,
    },
}

/// How a token's position enters the computation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Positions {
    /// Rotation of query and key halves.
    Rotary {
        /// Base of the frequencies.
        theta: f32,
        /// Positions are divided by this (linear scaling; 1 elsewhere).
        scale: f32,
    },
    /// A learned vector per position, added to the embedding
    /// (`model.position_embeddings.weight`).
    Learned,
}

/// Sliding-window attention in most layers, full attention in every `full_every`-th (Gemma 3).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// A token sees itself and `n_tokens − 1` before it.
    pub n_tokens: usize,
    /// Layer `i` (from 0) is full when `(i + 1) % full_every == 0`; 0 means that none is.
    pub full_every: usize,
    /// Base of the rotary frequencies in windowed layers, unscaled.
    pub theta: f32,
}

/// The feed-forward layer of every block.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FeedForward {
    /// `down(activation(gate x) ⊙ up x)`.
    Gated {
        /// Inner width.
        n_inner: usize,
        /// On the gate.
        activation: Activation,
    },
    /// `down(activation(up x))`.
    Plain {
        /// Inner width.
        n_inner: usize,
        /// Between the two projections.
        activation: Activation,
    },
    /// Gated experts, `n_active` of `n_experts` per token, softmax router
    /// (`mlp.gate`, `mlp.experts.{e}.{gate,up,down}_proj`).
    Experts {
        /// Inner width of one expert.
        n_inner: usize,
        /// Experts of a layer.
        n_experts: usize,
        /// Experts that a token is sent to.
        n_active: usize,
        /// Weights of the chosen experts are divided by their sum.
        renormalise: bool,
        /// On the gate.
        activation: Activation,
    },
}

/// An activation function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x · σ(x)`.
    Silu,
    /// `x/2 · (1 + tanh(√(2/π)(x + 0.044715 x³)))`.
    GeluTanh,
}

impl DecoderConfig {
    /// Whether layer `layer` (from 0) sees only a window, and which.
    #[must_use]
    pub fn window_of(&self, layer: usize) -> Option<Window> {
        self.window.filter(|window| {
            window.full_every == 0 || !(layer + 1).is_multiple_of(window.full_every)
        })
    }

    /// Checks that the numbers fit each other and stay within sane limits, so that later code may
    /// divide by them and allocate from them.
    ///
    /// # Errors
    /// A count is zero or absurd, heads do not share keys evenly, or a constant is not finite.
    pub fn validate(&self) -> Result<()> {
        const LIMIT: usize = 1 << 24;
        let refuse = |what: String| {
            Err(
                Error::inputs(format!("the model's configuration is wrong: {what}")).hint(
                    "take the file from its publisher again; `data verify` compares its bytes",
                ),
            )
        };
        let (n_inner, n_experts, n_active) = match self.feed_forward {
            FeedForward::Gated { n_inner, .. } | FeedForward::Plain { n_inner, .. } => {
                (n_inner, 1, 1)
            }
            FeedForward::Experts {
                n_inner,
                n_experts,
                n_active,
                ..
            } => (n_inner, n_experts, n_active),
        };
        for (name, count) in [
            ("n_vocab", self.n_vocab),
            ("n_hidden", self.n_hidden),
            ("n_layers", self.n_layers),
            ("n_heads", self.n_heads),
            ("n_kv_heads", self.n_kv_heads),
            ("n_head", self.n_head),
            ("n_context", self.n_context),
            ("n_inner", n_inner),
            ("n_experts", n_experts),
            ("n_active", n_active),
        ] {
            if count == 0 || count > LIMIT {
                return refuse(format!("{name} = {count}"));
            }
        }
        if !self.n_heads.is_multiple_of(self.n_kv_heads) {
            let (heads, keys) = (self.n_heads, self.n_kv_heads);
            return refuse(format!(
                "{heads} query heads cannot share {keys} key heads evenly"
            ));
        }
        if n_active > n_experts {
            return refuse(format!("{n_active} experts per token of {n_experts}"));
        }
        if let Some(what) = self.fault_of_positions() {
            return refuse(what);
        }
        let (Norm::Rms { eps } | Norm::Layer { eps }) = self.norm;
        let constants = [self.attention_scale, self.embedding_scale, eps];
        if constants.iter().any(|constant| !constant.is_finite()) {
            return refuse(format!(
                "scales and epsilon must be finite, not {constants:?}"
            ));
        }
        Ok(())
    }

    /// What is wrong with rotary angles and windows.
    fn fault_of_positions(&self) -> Option<String> {
        let mut constants = Vec::new();
        if let Positions::Rotary { theta, scale } = self.positions {
            if !self.n_head.is_multiple_of(2) {
                let width = self.n_head;
                return Some(format!("rotary positions need an even head, not {width}"));
            }
            constants.extend([("theta", theta), ("scale", scale)]);
        }
        if let Some(window) = self.window {
            if window.n_tokens == 0 {
                return Some("its attention window has no tokens".to_owned());
            }
            constants.push(("theta of windowed layers", window.theta));
        }
        let wrong = |&&(_, constant): &&(_, f32)| !constant.is_finite() || constant <= 0.0;
        let (name, constant) = constants.iter().find(wrong)?;
        Some(format!("the rotary {name} is {constant}"))
    }
}
