//! Losses and exact log-probabilities under masks.
//!
//! Weights are aligned with the ids of the batch, `[n_sequences * n_tokens]` row-major: the weight
//! of a token belongs to predicting *it* from what is before it, so the first token of a row and
//! padding must have weight 0. A mask is a weight of 0 or 1.

use candle_core::{Device, Tensor};
use eval::{Error, Result};

use super::batch::Batch;
use super::decoder::Decoder;
use super::experts::Routing;
use super::hooks::Hook;
use super::tensor::OrFail;
use crate::ops::{self, Affine};

impl Decoder {
    /// Log-probability of every token given those before it, in nats,
    /// `[n_sequences, n_tokens − 1]`: column `t` belongs to token `t + 1`; padding is 0. Logits are
    /// not kept for the backward pass, so this is the way to a loss over a large vocabulary.
    ///
    /// # Errors
    /// As [`Decoder::states`]; the batch has a single column.
    pub fn logprobs(&self, batch: &Batch, hook: &mut dyn Hook) -> Result<Tensor> {
        logprobs_of_states(self, &self.states(batch, hook)?.states, batch)
    }
}

/// [`Decoder::logprobs`] from states that [`Decoder::states`] returned.
///
/// # Errors
/// As [`Decoder::logprobs`].
pub fn logprobs_of_states(decoder: &Decoder, states: &Tensor, batch: &Batch) -> Result<Tensor> {
    let head = Affine {
        weight: decoder.head_weight()?,
        bias: None,
    };
    let targets = targets(batch)?;
    let all = ops::linear_token_logprobs(states, head, &targets);
    trim(&all.or_fail("compute log-probabilities")?, batch)
}

/// As [`Decoder::logprobs`], from logits `[n_sequences, n_tokens, n_vocab]`.
///
/// # Errors
/// Shapes do not fit, or the batch has a single column.
pub fn token_logprobs(logits: &Tensor, batch: &Batch) -> Result<Tensor> {
    let targets = targets(batch)?;
    let all = ops::token_logprobs(logits, &targets);
    trim(&all.or_fail("compute log-probabilities")?, batch)
}

/// Weighted mean cross-entropy of the next token in nats, `−Σ w·log p / Σ w`, a scalar.
///
/// # Errors
/// As [`token_logprobs`]; weights do not fit the batch (see the module), or sum to 0.
pub fn cross_entropy(logits: &Tensor, batch: &Batch, weights: &[f32]) -> Result<Tensor> {
    mean_loss(&token_logprobs(logits, batch)?, batch, weights)
}

/// The same from log-probabilities `[n_sequences, n_tokens − 1]`.
///
/// # Errors
/// As [`cross_entropy`].
pub fn mean_loss(logprobs: &Tensor, batch: &Batch, weights: &[f32]) -> Result<Tensor> {
    let weights = shifted(batch, weights)?;
    let total: f64 = weights.iter().sum();
    if total <= 0.0 {
        return Err(Error::usage("no token has a weight in the loss"));
    }
    ops::mean_nll(logprobs, Some(&weights)).or_fail("compute the loss")
}

/// Exact log-probability of each sequence's weighted tokens, `Σ w·log p`, in nats,
/// `[n_sequences]`.
///
/// # Errors
/// Weights do not fit the batch.
pub fn sequence_logprobs(logprobs: &Tensor, batch: &Batch, weights: &[f32]) -> Result<Tensor> {
    let weights = shifted(batch, weights)?;
    let sum = || -> candle_core::Result<Tensor> {
        let weights = Tensor::from_vec(weights, logprobs.shape(), &Device::Cpu)?;
        (logprobs * weights.to_dtype(logprobs.dtype())?)?.sum(1)
    };
    sum().or_fail("sum log-probabilities")
}

/// Load-balancing loss of mixture-of-experts blocks, averaged over them:
/// `n_experts · Σ_e f_e · p̄_e`, where `f_e` is the part of (token, choice) pairs that went to
/// expert `e` and `p̄_e` its mean router probability (Fedus et al. 2022, eq. 4 to 6, with the
/// choices of top-k counted alike). Padding does not count. 1 when routing is even. For one block
/// it is the auxiliary loss of transformers divided by the experts per token.
///
/// # Errors
/// There is no routing, or it is not of this batch.
pub fn balance_loss(routing: &[Routing], batch: &Batch) -> Result<Tensor> {
    let Some(first) = routing.first() else {
        return Err(Error::usage("the decoder has no experts to balance"));
    };
    let real = batch.real();
    let n_real = real.iter().sum::<f32>();
    let mean = || -> candle_core::Result<Tensor> {
        let dtype = first.probabilities.dtype();
        let mut sum = Tensor::zeros((), dtype, &Device::Cpu)?;
        for block in routing {
            let (_, n_experts) = block.probabilities.dims2()?;
            let mut parts = vec![0.0_f64; n_experts];
            for (row, chosen) in block.chosen.chunks_exact(block.n_active).enumerate() {
                for expert in chosen {
                    parts[*expert as usize] += f64::from(real[row]);
                }
            }
            let scale = n_experts as f64
                / (f64::from(n_real) * block.n_active as f64)
                / f64::from(n_real)
                / routing.len() as f64;
            let parts: Vec<f64> = parts.iter().map(|part| part * scale).collect();
            let parts = Tensor::from_vec(parts, (1, n_experts), &Device::Cpu)?.to_dtype(dtype)?;
            let real = Tensor::from_slice(&real, (real.len(), 1), &Device::Cpu)?.to_dtype(dtype)?;
            let counted = block.probabilities.broadcast_mul(&real)?;
            sum = (sum + counted.broadcast_mul(&parts)?.sum_all()?)?;
        }
        Ok(sum)
    };
    mean().or_fail("balance the experts")
}

/// Ids moved one place to the left: what each position predicts; 0 in the last column.
fn targets(batch: &Batch) -> Result<Tensor> {
    let (n_sequences, n_tokens) = (batch.n_sequences(), batch.n_tokens());
    if n_tokens < 2 {
        return Err(Error::usage(
            "a single token predicts nothing: sequences need at least two",
        ));
    }
    let mut targets = vec![0_u32; batch.ids().len()];
    for (row, ids) in batch.ids().chunks_exact(n_tokens).enumerate() {
        let start = row * n_tokens;
        targets[start..start + n_tokens - 1].copy_from_slice(&ids[1..]);
    }
    Tensor::from_vec(targets, (n_sequences, n_tokens), &Device::Cpu).or_fail("shift the ids")
}

/// Drops the last column, which predicts nothing, and zeroes padding.
fn trim(logprobs: &Tensor, batch: &Batch) -> Result<Tensor> {
    let n_tokens = batch.n_tokens();
    let trim = || -> candle_core::Result<Tensor> {
        let kept = logprobs.narrow(1, 0, n_tokens - 1)?;
        if batch.lengths().iter().all(|length| *length == n_tokens) {
            return Ok(kept);
        }
        let shape = (batch.n_sequences(), n_tokens);
        let real = Tensor::from_vec(batch.real(), shape, &Device::Cpu)?;
        kept * real
            .narrow(1, 1, n_tokens - 1)?
            .to_dtype(logprobs.dtype())?
    };
    trim().or_fail("mask log-probabilities")
}

/// Weights without the first column, which nothing predicts.
fn shifted(batch: &Batch, weights: &[f32]) -> Result<Vec<f64>> {
    let n_tokens = batch.n_tokens();
    if weights.len() != batch.ids().len() {
        return Err(Error::usage(format!(
            "{} weights for a batch of {} tokens",
            weights.len(),
            batch.ids().len()
        )));
    }
    let mut kept = Vec::with_capacity(weights.len());
    for (row, weights) in weights.chunks_exact(n_tokens).enumerate() {
        for (token, weight) in weights.iter().enumerate() {
            let idle = token == 0 || token >= batch.lengths()[row];
            if !weight.is_finite() || (idle && *weight != 0.0) {
                return Err(Error::usage(format!(
                    "weight {weight} at token {token} of sequence {row}: the first token and \
                     padding are not predicted, and weights are numbers"
                )));
            }
            if token > 0 {
                kept.push(f64::from(*weight));
            }
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `p = softmax([0, ln 2, ln 5])` at every place: 1/8, 2/8, 5/8.
    fn logits(n_sequences: usize, n_tokens: usize) -> Tensor {
        let row = [0.0, 2_f64.ln(), 5_f64.ln()];
        let all: Vec<f64> = row
            .iter()
            .copied()
            .cycle()
            .take(n_sequences * n_tokens * 3)
            .collect();
        Tensor::from_vec(all, (n_sequences, n_tokens, 3), &Device::Cpu).unwrap()
    }

    #[test]
    fn log_probabilities_and_losses_follow_from_known_probabilities() {
        let batch = Batch::new(&[vec![0, 1, 2], vec![2, 0]]).unwrap();
        let logprobs = token_logprobs(&logits(2, 3), &batch).unwrap();
        let values: Vec<Vec<f64>> = logprobs.to_vec2().unwrap();
        let expected = [[0.25_f64.ln(), 0.625_f64.ln()], [0.125_f64.ln(), 0.0]];
        for (row, expected) in values.iter().zip(&expected) {
            for (value, expected) in row.iter().zip(expected) {
                assert!((value - expected).abs() < 1e-12, "{value} {expected}");
            }
        }
        let weights = [0.0, 1.0, 3.0, 0.0, 2.0, 0.0];
        let loss = mean_loss(&logprobs, &batch, &weights).unwrap();
        let expected = -(0.25_f64.ln() + 3.0 * 0.625_f64.ln() + 2.0 * 0.125_f64.ln()) / 6.0;
        assert!((loss.to_scalar::<f64>().unwrap() - expected).abs() < 1e-12);
        let sums = sequence_logprobs(&logprobs, &batch, &batch.all_targets()).unwrap();
        let sums: Vec<f64> = sums.to_vec1().unwrap();
        assert!((sums[0] - (0.25_f64 * 0.625).ln()).abs() < 1e-12);
        assert!((sums[1] - 0.125_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn weights_on_what_is_not_predicted_are_refused() {
        let batch = Batch::new(&[vec![0, 1, 2], vec![2, 0]]).unwrap();
        let logits = logits(2, 3);
        for bad in [
            [1.0, 1.0, 1.0, 0.0, 1.0, 0.0],
            [0.0, 1.0, 1.0, 0.0, 1.0, 1.0],
            [0.0, 1.0, f32::NAN, 0.0, 1.0, 0.0],
            [0.0; 6],
        ] {
            assert!(cross_entropy(&logits, &batch, &bad).is_err(), "{bad:?}");
        }
        assert!(cross_entropy(&logits, &batch, &[0.0, 1.0]).is_err());
        let single = Batch::new(&[vec![1]]).unwrap();
        assert!(token_logprobs(&logits.narrow(1, 0, 1).unwrap(), &single).is_err());
    }

    #[test]
    fn even_routing_costs_one_and_collapsed_routing_costs_the_number_of_experts() {
        let batch = Batch::new(&[vec![0, 1], vec![2]]).unwrap();
        let routing = |rows: Vec<f64>, chosen: Vec<u32>| Routing {
            layer: 0,
            probabilities: Tensor::from_vec(rows, (4, 2), &Device::Cpu).unwrap(),
            chosen,
            n_active: 1,
        };
        let loss = |routing: Routing| {
            let loss = balance_loss(&[routing], &batch).unwrap();
            loss.to_scalar::<f64>().unwrap()
        };
        let collapsed = routing(vec![1., 0., 1., 0., 1., 0., 0., 1.], vec![0, 0, 0, 1]);
        assert!(
            (loss(collapsed) - 2.0).abs() < 1e-12,
            "padding must not count"
        );
        let even = routing(vec![0.5; 8], vec![0, 1, 0, 1]);
        assert!((loss(even) - 1.0).abs() < 1e-12);
    }
}
