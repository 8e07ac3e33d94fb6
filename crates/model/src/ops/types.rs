//! What the operations are told besides tensors.

use candle_core::{Result, Tensor};

use crate::config::{Activation, Norm};

/// A linear map: `x · weightᵀ + bias`.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a> {
    /// `[n_out, n_in]`.
    pub weight: &'a Tensor,
    /// `[n_out]`.
    pub bias: Option<&'a Tensor>,
}

/// A normalisation with its weights.
#[derive(Clone, Copy, Debug)]
pub struct NormWeights<'a> {
    /// Which one, and what is added under the root.
    pub norm: Norm,
    /// `[n_hidden]`.
    pub weight: &'a Tensor,
    /// `[n_hidden]`; must be absent for [`Norm::Rms`].
    pub bias: Option<&'a Tensor>,
}

/// Who sees whom in attention.
#[derive(Clone, Copy, Debug)]
pub struct AttentionOptions<'a> {
    /// A token sees itself and what is before it; otherwise also what is after it.
    pub causal: bool,
    /// A token sees itself and `window − 1` tokens before it (needs `causal`).
    pub window: Option<usize>,
    /// Scores are multiplied by this before the softmax.
    pub scale: f64,
    /// `[n_batch, n_tokens]`, u32: a token sees only tokens of its own segment. Segment 0 is
    /// padding: nobody sees it, and its own result is zero.
    pub segments: Option<&'a Tensor>,
}

/// Sines and cosines of rotary positions, by halves (element `i` is paired with `i + n_head/2`).
#[derive(Clone, Debug)]
pub struct Rotary {
    pub(crate) n_half: usize,
    pub(crate) cos: Vec<f64>,
    pub(crate) sin: Vec<f64>,
}

impl Rotary {
    /// Tables for positions `0..n_positions` of heads of width `n_head` (even). Angle of pair `i`
    /// at position `p`: `p / scale · theta^(−2i/n_head)` (Su et al., RoFormer, eq. 15).
    ///
    /// # Errors
    /// `n_head` is odd or zero, or `theta` or `scale` is not a positive number.
    pub fn new(n_head: usize, n_positions: usize, theta: f64, scale: f64) -> Result<Self> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if n_head == 0 || !n_head.is_multiple_of(2) || !positive(theta) || !positive(scale) {
            candle_core::bail!(
                "rotary positions need an even head and positive constants, not head {n_head}, \
                 theta {theta}, scale {scale}"
            );
        }
        let n_half = n_head / 2;
        let mut cos = Vec::with_capacity(n_positions * n_half);
        let mut sin = Vec::with_capacity(n_positions * n_half);
        for position in 0..n_positions {
            for pair in 0..n_half {
                let frequency = theta.powf(-2.0 * pair as f64 / n_head as f64);
                let angle = position as f64 / scale * frequency;
                cos.push(angle.cos());
                sin.push(angle.sin());
            }
        }
        Ok(Self { n_half, cos, sin })
    }

    /// Positions that the tables hold.
    #[must_use]
    pub fn n_positions(&self) -> usize {
        self.cos.len() / self.n_half
    }
}

/// The residual attention block `x + out(attention(rotary(query(n)), rotary(key(n)), value(n)))`
/// with `n = norm(x)`, as one operation: one edge of the graph per block instead of a dozen.
#[derive(Clone, Copy, Debug)]
pub struct AttentionBlock<'a> {
    /// In front of the projections.
    pub norm: NormWeights<'a>,
    /// `[n_heads · n_head, n_hidden]`.
    pub query: Affine<'a>,
    /// `[n_kv_heads · n_head, n_hidden]`.
    pub key: Affine<'a>,
    /// `[n_kv_heads · n_head, n_hidden]`.
    pub value: Affine<'a>,
    /// `[n_hidden, n_heads · n_head]`.
    pub out: Affine<'a>,
    /// Width of one head.
    pub n_head: usize,
    /// Positions, where they enter here.
    pub rotary: Option<&'a Rotary>,
    /// Who sees whom.
    pub options: AttentionOptions<'a>,
}

/// The residual feed-forward block `x + down(activation(gate(n)) ⊙ up(n))`, or without a gate
/// `x + down(activation(up(n)))`, with `n = norm(x)`, as one operation.
#[derive(Clone, Copy, Debug)]
pub struct FeedForwardBlock<'a> {
    /// In front of the projections.
    pub norm: NormWeights<'a>,
    /// `[n_inner, n_hidden]`.
    pub gate: Option<Affine<'a>>,
    /// `[n_inner, n_hidden]`.
    pub up: Affine<'a>,
    /// `[n_hidden, n_inner]`.
    pub down: Affine<'a>,
    /// On the gate, or on `up` where there is none.
    pub activation: Activation,
}

/// Gated experts, stacked.
#[derive(Clone, Copy, Debug)]
pub struct Experts<'a> {
    /// `[n_experts, n_inner, n_hidden]`.
    pub gate: &'a Tensor,
    /// `[n_experts, n_inner, n_hidden]`.
    pub up: &'a Tensor,
    /// `[n_experts, n_hidden, n_inner]`.
    pub down: &'a Tensor,
    /// On the gate.
    pub activation: Activation,
}

/// One step of AdamW (Loshchilov and Hutter 2019, algorithm 2; decay decoupled and multiplied by
/// the learning rate, as PyTorch does).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment, after its bias correction.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Gradients are multiplied by this first (clipping; 1 leaves them).
    pub grad_scale: f64,
    /// Number of this step, from 1.
    pub step: u64,
}

/// Candle's error as the workspace's.
#[must_use]
pub fn failed(error: candle_core::Error) -> eval::Error {
    eval::Error::internal("a tensor operation failed").caused_by(error)
}
