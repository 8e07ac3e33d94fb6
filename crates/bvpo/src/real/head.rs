//! The last feed-forward block, the last norm, and the vocabulary, with a gradient per token.
//!
//! The trainable set of tier 2: the gain of the norm before the last feed-forward block and that
//! of the final norm, 2 · 576 numbers for SmolLM2-135M. With both gains copied for every token,
//! one backward pass yields one gradient per token:
//!
//! ```text
//! u = rms(h) ⊙ g₁ ,  h' = h + down(silu(gate u) ⊙ up u) ,  z = rms(h') ⊙ g₂ ,  logits = E z
//! ```

use candle_core::{Device, Tensor, Var};
use eval::{Error, Result};
use model::config::{Activation, FeedForward, Norm};
use model::ops;
use model::train::OrFail;
use model::weights::Checkpoint;

/// Tokens of one backward pass: bounds the memory of logits.
const N_ROWS: usize = 128;

/// What is trained: both gains, one behind the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Gains(pub Vec<f64>);

/// Log-probabilities of tokens and their gradients in the gains.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenScores {
    /// `log π`, in nats.
    pub logprobs: Vec<f64>,
    /// `∇ log π` of each token, in the order of [`Gains`].
    pub gradients: Vec<Vec<f64>>,
}

/// The part of a decoder behind its last attention block.
#[derive(Clone, Debug)]
pub struct Head {
    gate: Tensor,
    up: Tensor,
    down: Tensor,
    vocabulary: Tensor,
    /// The same transposed, as the workspace's own product needs it: its results do not depend on
    /// threads.
    transposed: Tensor,
    ones: Tensor,
    eps: f64,
    reference: Gains,
}

/// Log-probabilities, and gradients by row in both gains.
type Computed = (Vec<f32>, [Vec<Vec<f32>>; 2]);

/// What a token is chosen from.
enum Choice<'a> {
    /// The whole vocabulary; one target per row.
    All(&'a [u32]),
    /// A few tokens, renormalised: their ids, and which of them is the target.
    Few(&'a [(Vec<u32>, usize)]),
}

impl Head {
    /// The head of a checkpoint.
    ///
    /// # Errors
    /// A tensor is missing, or the last block is of another kind than the one computed here.
    pub fn load(checkpoint: &Checkpoint) -> Result<Self> {
        let config = checkpoint.config();
        let is_silu = matches!(
            config.feed_forward,
            FeedForward::Gated {
                activation: Activation::Silu,
                ..
            }
        );
        let (Norm::Rms { eps }, true, false) = (config.norm, is_silu, config.norm_after) else {
            return Err(Error::inputs(format!(
                "`{}` is not of the Llama family: its last block is another one",
                checkpoint.name()
            )));
        };
        let tensor = |name: &str| -> Result<Tensor> {
            let view = checkpoint.tensor(name)?;
            let tensor = Tensor::from_vec(view.to_f32()?, view.shape.clone(), &Device::Cpu);
            tensor.or_fail(&format!("read `{name}`"))
        };
        let layer = format!("model.layers.{}", config.n_layers - 1);
        let mut gains = checkpoint
            .tensor(&format!("{layer}.post_attention_layernorm.weight"))?
            .to_f32()?;
        gains.extend(checkpoint.tensor("model.norm.weight")?.to_f32()?);
        let vocabulary = tensor(if config.tied {
            "model.embed_tokens.weight"
        } else {
            "lm_head.weight"
        })?;
        let transposed = vocabulary.t().and_then(|t| t.contiguous());
        let ones = Tensor::ones(config.n_hidden, candle_core::DType::F32, &Device::Cpu);
        Ok(Self {
            gate: tensor(&format!("{layer}.mlp.gate_proj.weight"))?,
            up: tensor(&format!("{layer}.mlp.up_proj.weight"))?,
            down: tensor(&format!("{layer}.mlp.down_proj.weight"))?,
            transposed: transposed.or_fail("transpose the vocabulary")?,
            vocabulary,
            ones: ones.or_fail("make ones")?,
            eps: eps.into(),
            reference: Gains(gains.into_iter().map(f64::from).collect()),
        })
    }

    /// The gains as they are in the file.
    #[must_use]
    pub fn reference(&self) -> &Gains {
        &self.reference
    }

    fn n_hidden(&self) -> usize {
        self.reference.0.len() / 2
    }

    /// Scores of `targets` after `states` (`[n · n_hidden]`), over the whole vocabulary.
    ///
    /// # Errors
    /// Lengths do not fit, or a computation fails.
    pub fn tokens(&self, gains: &Gains, states: &[f32], targets: &[u32]) -> Result<TokenScores> {
        let mut found = TokenScores::default();
        for (states, targets) in self.chunks(states, targets) {
            self.add(gains, states, &Choice::All(targets), &mut found)?;
        }
        Ok(found)
    }

    /// The same where each token is chosen from a few alone: `(ids, index of the target)`.
    ///
    /// # Errors
    /// As [`Head::tokens`].
    pub fn choices(
        &self,
        gains: &Gains,
        states: &[f32],
        choices: &[(Vec<u32>, usize)],
    ) -> Result<TokenScores> {
        let mut found = TokenScores::default();
        for (states, choices) in self.chunks(states, choices) {
            self.add(gains, states, &Choice::Few(choices), &mut found)?;
        }
        Ok(found)
    }

    /// The ids of the `k` most likely tokens after each state, most likely first, without those
    /// that `is_legal` refuses.
    ///
    /// # Errors
    /// A computation fails.
    pub fn most_likely(
        &self,
        gains: &Gains,
        states: &[f32],
        k: usize,
        is_legal: &dyn Fn(u32) -> bool,
    ) -> Result<Vec<Vec<u32>>> {
        let [first, last] = self.copies(gains, states.len() / self.n_hidden())?;
        let logits = self
            .outputs(states, first.as_tensor(), last.as_tensor())
            .and_then(|z| ops::linear(&z, &self.vocabulary, None))
            .and_then(|logits| logits.to_vec2::<f32>())
            .or_fail("compute logits")?;
        let pick = |row: Vec<f32>| {
            let mut order: Vec<u32> = (0..row.len() as u32).filter(|id| is_legal(*id)).collect();
            order.sort_by(|a, b| row[*b as usize].total_cmp(&row[*a as usize]).then(a.cmp(b)));
            order.truncate(k);
            order
        };
        Ok(logits.into_iter().map(pick).collect())
    }

    fn chunks<'a, T>(
        &self,
        states: &'a [f32],
        targets: &'a [T],
    ) -> impl Iterator<Item = (&'a [f32], &'a [T])> {
        let states = states.chunks(N_ROWS * self.n_hidden());
        states.zip(targets.chunks(N_ROWS))
    }

    /// Both gains, copied for each of `n` rows.
    fn copies(&self, gains: &Gains, n: usize) -> Result<[Var; 2]> {
        let n_hidden = self.n_hidden();
        let copy = |values: &[f64]| {
            let row: Vec<f32> = values.iter().map(|value| *value as f32).collect();
            Tensor::from_vec(row.repeat(n), (n, n_hidden), &Device::Cpu)
                .and_then(|tensor| Var::from_tensor(&tensor))
                .or_fail("copy the gains")
        };
        let (first, last) = gains.0.split_at(n_hidden);
        Ok([copy(first)?, copy(last)?])
    }

    /// `z` of every row.
    fn outputs(
        &self,
        states: &[f32],
        first: &Tensor,
        last: &Tensor,
    ) -> candle_core::Result<Tensor> {
        let n_hidden = self.n_hidden();
        let h = Tensor::from_slice(states, (states.len() / n_hidden, n_hidden), &Device::Cpu)?;
        let u = (ops::rms_norm(&h, &self.ones, self.eps)? * first)?;
        let gate = ops::linear(&u, &self.gate, None)?;
        let inner = ops::silu_gate(&gate, &ops::linear(&u, &self.up, None)?)?;
        let h = (h + ops::linear(&inner, &self.down, None)?)?;
        ops::rms_norm(&h, &self.ones, self.eps)? * last
    }

    fn add(
        &self,
        gains: &Gains,
        states: &[f32],
        choice: &Choice<'_>,
        found: &mut TokenScores,
    ) -> Result<()> {
        let n = states.len() / self.n_hidden();
        let [first, last] = self.copies(gains, n)?;
        let compute = || -> candle_core::Result<Computed> {
            let z = self.outputs(states, first.as_tensor(), last.as_tensor())?;
            // What is back-propagated from `z` on. The vocabulary is not trained, so its part of
            // the way back is closed: ∇_z log p = E[target] − Σ p E.
            let (logprobs, scalar) = match choice {
                Choice::All(targets) => {
                    let targets = Tensor::from_slice(targets, n, &Device::Cpu)?;
                    let logits = ops::linear(&z.detach(), &self.vocabulary, None)?;
                    let mean = ops::linear(&ops::softmax(&logits)?, &self.transposed, None)?;
                    let slope = (self.vocabulary.index_select(&targets, 0)? - mean)?;
                    let logprobs = ops::token_logprobs(&logits, &targets)?;
                    (logprobs, (z * slope)?.sum_all()?)
                }
                Choice::Few(choices) => {
                    let logprobs = self.few(&z, choices)?;
                    let sum = logprobs.sum_all()?;
                    (logprobs, sum)
                }
            };
            let mut gradients = ops::backward(&scalar)?;
            let mut of = |copies: &Var| match gradients.remove(copies.as_tensor())? {
                Some(gradient) => gradient.to_vec2::<f32>(),
                None => candle_core::bail!("the gains receive no gradient"),
            };
            Ok((logprobs.to_vec1()?, [of(&first)?, of(&last)?]))
        };
        let (logprobs, [of_first, of_last]) = compute().or_fail("score tokens")?;
        found.logprobs.extend(logprobs.into_iter().map(f64::from));
        for (mut own, rest) in of_first.into_iter().zip(of_last) {
            own.extend(rest);
            let own = own.into_iter().map(f64::from);
            found.gradients.push(own.collect());
        }
        Ok(())
    }

    /// Log-probabilities among a few tokens each; all rows have equally many.
    fn few(&self, z: &Tensor, choices: &[(Vec<u32>, usize)]) -> candle_core::Result<Tensor> {
        let (n, n_hidden) = z.dims2()?;
        let k = choices.first().map_or(0, |(ids, _)| ids.len());
        let ids: Vec<u32> = choices.iter().flat_map(|(ids, _)| ids.clone()).collect();
        let ids = Tensor::from_vec(ids, n * k, &Device::Cpu)?;
        let rows = self.vocabulary.index_select(&ids, 0)?;
        let rows = rows.reshape((n, k, n_hidden))?;
        let logits = rows.broadcast_mul(&z.reshape((n, 1, n_hidden))?)?.sum(2)?;
        let targets: Vec<u32> = choices.iter().map(|(_, target)| *target as u32).collect();
        let targets = Tensor::from_vec(targets, n, &Device::Cpu)?;
        ops::token_logprobs(&logits, &targets)
    }
}
