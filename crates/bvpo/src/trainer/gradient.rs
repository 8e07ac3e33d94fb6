//! The gradient of a weighted sum of pair losses.

use eval::{Error, Result};
use model::train::{Decoder, Gradients};

use super::data::ScoredPair;
use super::score::score;
use crate::assembly::Sequence;
use crate::method::loss::{PreferenceLoss, pair_loss};

/// One summand: `weight · ℓ(pair)`.
#[derive(Clone, Copy, Debug)]
pub struct Term<'a> {
    /// The pair.
    pub pair: &'a ScoredPair,
    /// Its weight.
    pub weight: f64,
}

/// What one pair came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairOutcome {
    /// `ℓ(pair)`.
    pub loss: f64,
    /// Difference of the implicit rewards.
    pub margin: f64,
    /// Weight of its term.
    pub weight: f64,
}

/// The gradient of `Σ weight · ℓ(pair)` in every trainable parameter, and each pair's outcome;
/// `n_at_once` pairs share a forward and a backward pass.
///
/// # Errors
/// There is no term, or the decoder cannot compute one.
pub fn gradient(
    decoder: &Decoder,
    loss: &dyn PreferenceLoss,
    terms: &[Term<'_>],
    n_at_once: usize,
) -> Result<(Gradients, Vec<PairOutcome>)> {
    let mut sum: Option<Gradients> = None;
    let mut outcomes = Vec::with_capacity(terms.len());
    for chunk in terms.chunks(n_at_once.max(1)) {
        let sequences: Vec<&Sequence> = chunk
            .iter()
            .flat_map(|term| [&term.pair.chosen.sequence, &term.pair.rejected.sequence])
            .collect();
        let scores = score(decoder, &sequences)?;
        let mut slopes = Vec::with_capacity(sequences.len());
        for (term, logprobs) in chunk.iter().zip(scores.logprobs.chunks_exact(2)) {
            let chosen = term.pair.chosen.scored(logprobs[0]);
            let rejected = term.pair.rejected.scored(logprobs[1]);
            let at = pair_loss(loss, &chosen, &rejected);
            if !at.value.is_finite() {
                return Err(Error::internal(format!(
                    "the loss is {} at log-probabilities {logprobs:?}",
                    at.value
                ))
                .hint("training has diverged: lower the learning rate"));
            }
            slopes.extend([term.weight * at.chosen, term.weight * at.rejected]);
            outcomes.push(PairOutcome {
                loss: at.value,
                margin: loss.reward(&chosen).value - loss.reward(&rejected).value,
                weight: term.weight,
            });
        }
        let part = Gradients::of(&scores.weighted(&slopes)?, decoder.parameters())?;
        match &mut sum {
            Some(sum) => sum.add(&part)?,
            none => *none = Some(part),
        }
    }
    let sum = sum.ok_or_else(|| Error::internal("a gradient of no pairs"))?;
    Ok((sum, outcomes))
}

#[cfg(test)]
mod tests {
    use model::train::Precision;

    use super::*;
    use crate::method::loss::{Dpo, Ipo, SimPo};
    use crate::trainer::data::Example;
    use crate::trainer::testing::{example, tiny_decoder};

    fn terms(examples: &[Example]) -> Vec<Term<'_>> {
        let pairs = examples
            .iter()
            .flat_map(|e| e.thinking.iter().chain(&e.empty));
        let weighed = pairs.enumerate();
        weighed
            .map(|(i, pair)| Term {
                pair,
                weight: 0.2 + 0.1 * i as f64,
            })
            .collect()
    }

    #[test]
    fn gradients_are_derivatives_of_the_weighted_loss() {
        let decoder = tiny_decoder(true).to_precision(Precision::F64).unwrap();
        let examples = [example(1), example(2)];
        let terms = terms(&examples);
        let losses: [&dyn PreferenceLoss; 3] = [
            &Dpo { beta: 0.3 },
            &SimPo {
                beta: 2.0,
                gamma: 0.5,
            },
            &Ipo { tau: 0.2 },
        ];
        for loss in losses {
            let (gradients, outcomes) = gradient(&decoder, loss, &terms, 2).unwrap();
            assert_eq!(outcomes.len(), terms.len());
            let values = decoder.parameters().flat().unwrap();
            let direction: Vec<f64> = (0..values.len())
                .map(|i| (i * 7919 % 23) as f64 / 11.0 - 1.0)
                .collect();
            let mut found = 0.0;
            let mut rest = direction.as_slice();
            for (name, _) in decoder.parameters().trainable() {
                let tensor = gradients.get(name).unwrap().flatten_all().unwrap();
                let own: Vec<f64> = tensor.to_vec1().unwrap();
                let (mine, others) = rest.split_at(own.len());
                found += own.iter().zip(mine).map(|(g, d)| g * d).sum::<f64>();
                rest = others;
            }
            let at = |step: f64| {
                let moved = values.iter().zip(&direction).map(|(v, d)| v + step * d);
                let moved: Vec<f64> = moved.collect();
                decoder.parameters().set_flat(&moved).unwrap();
                let (_, outcomes) = gradient(&decoder, loss, &terms, 2).unwrap();
                outcomes.iter().map(|o| o.weight * o.loss).sum::<f64>()
            };
            let h = 2e-4;
            let slope = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
            decoder.parameters().set_flat(&values).unwrap();
            let apart = (found / slope - 1.0).abs();
            assert!(apart < 1e-7, "{}: {found} against {slope}", loss.name());
        }
    }

    #[test]
    fn scoring_what_both_responses_share_changes_no_margin() {
        // F2: the empty trace is the same in both responses of its pair.
        let decoder = tiny_decoder(true).to_precision(Precision::F64).unwrap();
        let mut shared = example(3).empty.unwrap();
        let prompt = shared.chosen.sequence.ids[..6].to_vec();
        for candidate in [&mut shared.chosen, &mut shared.rejected] {
            candidate.sequence.ids[..6].copy_from_slice(&prompt);
            candidate.sequence.start = 6;
        }
        let mut longer = shared.clone();
        longer.chosen.sequence.start = 2;
        longer.rejected.sequence.start = 2;
        let loss = Dpo { beta: 0.7 };
        let at = |pair| gradient(&decoder, &loss, &[Term { pair, weight: 1.0 }], 1).unwrap();
        let ((short, told), (long, told_longer)) = (at(&shared), at(&longer));
        assert!((told[0].margin - told_longer[0].margin).abs() < 1e-9);
        for (a, b) in short.flat().unwrap().iter().zip(long.flat().unwrap()) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }

    #[test]
    fn accumulation_does_not_change_the_gradient() {
        let decoder = tiny_decoder(true);
        let examples = [example(4), example(5)];
        let terms = terms(&examples);
        let loss = Dpo { beta: 0.3 };
        let at_once = |n| {
            gradient(&decoder, &loss, &terms, n)
                .unwrap()
                .0
                .flat()
                .unwrap()
        };
        let whole = at_once(terms.len());
        let norm = whole.iter().map(|g| g * g).sum::<f32>().sqrt();
        for n in [1, 4] {
            let apart = at_once(n)
                .iter()
                .zip(&whole)
                .map(|(a, b)| (a - b).powi(2))
                .sum::<f32>();
            assert!(apart.sqrt() < 1e-5 * norm, "{n}");
        }
        assert!(gradient(&decoder, &loss, &[], 1).is_err());
    }
}
