//! Log-probabilities of the scored tokens, differentiable.

use candle_core::{Device, Tensor};
use eval::{Error, Result};
use model::ops::{self, Affine};
use model::train::{Batch, Decoder, OrFail};

use crate::assembly::Sequence;

/// Scores of a batch of sequences.
#[derive(Clone, Debug)]
pub struct Scores {
    /// Per scored token of all sequences, `[n_scored]`, in the graph of the decoder.
    tokens: Tensor,
    /// Scored tokens of each sequence.
    lengths: Vec<usize>,
    /// Sum of each sequence, in nats.
    pub logprobs: Vec<f64>,
}

/// Scores sequences in one forward pass. The head, a fifth of a small model, is applied to the
/// states that predict a scored token and to no others.
///
/// # Errors
/// There is no sequence, one has nothing to score, or it does not fit the decoder.
pub fn score(decoder: &Decoder, sequences: &[&Sequence]) -> Result<Scores> {
    let ids: Vec<&[u32]> = sequences.iter().map(|s| s.ids.as_slice()).collect();
    let batch = Batch::new(&ids)?;
    let (mut places, mut targets) = (Vec::new(), Vec::new());
    for (row, sequence) in sequences.iter().enumerate() {
        if sequence.start == 0 || sequence.start >= sequence.ids.len() {
            return Err(Error::internal(format!(
                "a sequence of {} tokens is scored from {}",
                sequence.ids.len(),
                sequence.start
            )));
        }
        for token in sequence.start..sequence.ids.len() {
            places.push((row * batch.n_tokens() + token - 1) as u32);
            targets.push(sequence.ids[token]);
        }
    }
    let states = decoder.states(&batch, &mut ())?.states;
    let head = Affine {
        weight: decoder.head_weight()?,
        bias: None,
    };
    let n_scored = targets.len();
    let tokens = || -> candle_core::Result<Tensor> {
        let places = Tensor::from_vec(places, n_scored, &Device::Cpu)?;
        let targets = Tensor::from_vec(targets, n_scored, &Device::Cpu)?;
        let picked = states.flatten(0, 1)?.index_select(&places, 0)?;
        ops::linear_token_logprobs(&picked, head, &targets)
    };
    let tokens = tokens().or_fail("score sequences")?;
    let lengths: Vec<usize> = sequences.iter().map(|s| s.n_scored()).collect();
    let values = tokens
        .to_dtype(candle_core::DType::F64)
        .and_then(|values| values.to_vec1::<f64>())
        .or_fail("read log-probabilities")?;
    let mut rest = values.as_slice();
    let mut logprobs = Vec::with_capacity(lengths.len());
    for length in &lengths {
        let (own, others) = rest.split_at(*length);
        logprobs.push(own.iter().sum());
        rest = others;
    }
    Ok(Scores {
        tokens,
        lengths,
        logprobs,
    })
}

impl Scores {
    /// `Σ slope_i · log π(s_i)`, a scalar whose gradient is that of a loss with these derivatives.
    ///
    /// # Errors
    /// There is not one slope per sequence.
    pub fn weighted(&self, slopes: &[f64]) -> Result<Tensor> {
        if slopes.len() != self.lengths.len() {
            return Err(Error::internal("one slope per sequence is needed"));
        }
        let each = self.lengths.iter().zip(slopes);
        let weights: Vec<f64> = each.flat_map(|(n, slope)| vec![*slope; *n]).collect();
        let sum = || -> candle_core::Result<Tensor> {
            let weights = Tensor::from_vec(weights, self.tokens.shape(), &Device::Cpu)?;
            (&self.tokens * weights.to_dtype(self.tokens.dtype())?)?.sum_all()
        };
        sum().or_fail("weigh log-probabilities")
    }
}
