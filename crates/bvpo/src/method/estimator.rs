//! Gradient estimators: what each does with the sequences of one preference example.
//!
//! Every estimator of the paper, and every baseline, is a weighted sum of score vectors
//! `∇ log π_θ(s|x)` whose weights depend on log-probabilities alone:
//!
//! | estimator | gradient of | section |
//! |---|---|---|
//! | [`Trace`] | `ℓ_t` with one sampled trace per side: ordinary DPO on (trace, answer) | 2.1 |
//! | [`Empty`] | `ℓ_e`: DPO with thinking switched off | 2.1 |
//! | [`Mix`] | `α ℓ_t + (1−α) ℓ_e`: the paper's combined gradient `g_c` | 2.1, Eq. 2 |
//! | [`MeanOfTraces`] | the mean of `ℓ_t` over K independent trace pairs | F5 |
//! | [`ImportanceWeighted`] | `ℓ_K`, which tends to the marginal loss as K grows | F6 |
//! | [`Union`] | `ℓ_t` or `ℓ_e`, by the toss of a coin per example | F7 |
//! | [`Shrink`] | `α ℓ_t`: the zero vector in place of `g_e`, the null control | F11 |
//! | [`Marginal`] | `ℓ_m`, where every trace is given: the oracle | 2.1 |
//! | [`Adaptive`] | the mix whose weight is estimated from two replicates | F8 |
//!
//! So a tabular world, a small network, and a real model differ only in how they turn weights into
//! a gradient.

use std::fmt::Debug;

use super::loss::{PreferenceLoss, Scored, log_sum_exp, pair_loss};

/// The sequences of one preference example, scored under the present policy.
#[derive(Clone, Copy, Debug)]
pub struct Example<'a> {
    /// Draws of `(r⁺, y⁺)`; for [`Marginal`], every trace with `y⁺`.
    pub chosen: &'a [Scored],
    /// Draws of `(r⁻, y⁻)`, likewise; as many as `chosen`.
    pub rejected: &'a [Scored],
    /// `(∅, y'⁺)`.
    pub empty_chosen: Scored,
    /// `(∅, y'⁻)`.
    pub empty_rejected: Scored,
    /// Scored tokens of `y⁺` and `y⁻` alone: what a length-normalised marginal loss divides by.
    pub answer_tokens: [usize; 2],
    /// A uniform number from [0, 1) that belongs to this visit of the example: [`Union`]'s coin.
    pub coin: f64,
}

/// A loss and the weight of each sequence's score vector in its gradient.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// The value of the loss whose gradient this is.
    pub loss: f64,
    /// Derivatives with respect to the log-probabilities of `Example::chosen`.
    pub chosen: Vec<f64>,
    /// The same of `Example::rejected`.
    pub rejected: Vec<f64>,
    /// The same of `Example::empty_chosen`.
    pub empty_chosen: f64,
    /// The same of `Example::empty_rejected`.
    pub empty_rejected: f64,
}

impl Weights {
    fn zero(example: &Example) -> Self {
        Self {
            chosen: vec![0.0; example.chosen.len()],
            rejected: vec![0.0; example.rejected.len()],
            ..Self::default()
        }
    }

    /// Adds `scale` times the loss of trace draw `draw`.
    fn add_trace(&mut self, loss: &dyn PreferenceLoss, example: &Example, draw: usize, scale: f64) {
        let (Some(plus), Some(minus)) = (example.chosen.get(draw), example.rejected.get(draw))
        else {
            return;
        };
        let at = pair_loss(loss, plus, minus);
        self.loss += scale * at.value;
        self.chosen[draw] += scale * at.chosen;
        self.rejected[draw] += scale * at.rejected;
    }

    /// Adds `scale` times the loss of the empty pair.
    fn add_empty(&mut self, loss: &dyn PreferenceLoss, example: &Example, scale: f64) {
        let at = pair_loss(loss, &example.empty_chosen, &example.empty_rejected);
        self.loss += scale * at.value;
        self.empty_chosen += scale * at.chosen;
        self.empty_rejected += scale * at.rejected;
    }
}

/// A way to estimate the ideal gradient from the sequences of one example.
pub trait Estimator: Debug + Send + Sync {
    /// Trace draws per side that the estimator looks at; 0 where it needs none. [`Marginal`] takes
    /// whatever it is given.
    fn n_traces(&self) -> usize;

    /// Whether the estimator looks at the empty pair.
    fn uses_empty(&self) -> bool;

    /// The loss of the example and the weight of every score vector. Draws beyond
    /// [`Estimator::n_traces`] get weight 0; draws that are missing count as absent.
    fn weights(&self, loss: &dyn PreferenceLoss, example: &Example) -> Weights;

    /// Short name: `mix-0.5`.
    fn name(&self) -> String;
}

/// `∇ℓ_t` with one trace per side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace;

impl Estimator for Trace {
    fn n_traces(&self) -> usize {
        1
    }

    fn uses_empty(&self) -> bool {
        false
    }

    fn weights(&self, loss: &dyn PreferenceLoss, example: &Example) -> Weights {
        let mut weights = Weights::zero(example);
        weights.add_trace(loss, example, 0, 1.0);
        weights
    }

    fn name(&self) -> String {
        "trace".to_owned()
    }
}

/// `∇ℓ_e`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Empty;

impl Estimator for Empty {
    fn n_traces(&self) -> usize {
        0
    }

    fn uses_empty(&self) -> bool {
        true
    }

    fn weights(&self, loss: &dyn PreferenceLoss, example: &Example) -> Weights {
        let mut weights = Weights::zero(example);
        weights.add_empty(loss, example, 1.0);
        weights
    }

    fn name(&self) -> String {
        "empty".to_owned()
    }
}

/// `g_c(α) = α g_t + (1−α) g_e` (Eq. 2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    /// Weight α of the trace gradient, from 0 to 1. Paper: 0.5 everywhere.
    pub alpha: f64,
}

impl Estimator for Mix {
    fn n_traces(&self) -> usize {
        1
    }

    fn uses_empty(&self) -> bool {
        true
    }

    fn weights(&self, loss: &dyn PreferenceLoss, example: &Example) -> Weights {
        let mut weights = Weights::zero(example);
        weights.add_trace(loss, example, 0, self.alpha);
        weights.add_empty(loss, example, 1.0 - self.alpha);
        weights
    }

    fn name(&self) -> String {
        format!("mix-{}", self.alpha)
    }
}

/// The mean of `∇ℓ_t` over K independent trace pairs (F5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeanOfTraces {
    /// Trace pairs K.
    pub n_traces: usize,
}

impl Estimator for MeanOfTraces {
    fn n_traces(&self) -> usize {
        self.n_traces
    }

    fn uses_empty(&self) -> bool {
        false
    }

    fn weights(&self, loss: &dyn PreferenceLoss, example: &Example) -> Weights {
        let mut weights = Weights::zero(example);
        let n_draws = self.n_traces.min(example.chosen.len());
        for draw in 0..n_draws {
            weights.add_trace(loss, example, draw, 1.0 / n_draws as f64);
        }
        weights
    }

    fn name(&self) -> String {
        format!("mean-{}", self.n_traces)
    }
}

/// `∇ℓ_K`: the loss at `log (1/K) Σ_k exp ρ_θ(r_k, y)` (F6), with `r_k ~ π_ref(r|x,y)`.
///
/// The mean estimates the ratio `π_θ(y|x) / π_ref(y|x)`, so that the loss must be one on ratios
/// (DPO, IPO); with SimPO it stands for SimPO on ratios, without length normalisation of the
/// reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportanceWeighted {
    /// Trace pairs K.
    pub n_traces: usize,
}

impl Estimator for ImportanceWeighted {
    fn n_traces(&self) -> usize {
        self.n_traces
    }

    fn uses_empty(&self) -> bool {
        false
    }

    fn weights(&self, loss: &dyn PreferenceLoss, example: &Example) -> Weights {
        let side = |draws: &[Scored], n_tokens: usize| {
            let n_draws = self.n_traces.min(draws.len());
            let ratios: Vec<f64> = draws[..n_draws].iter().map(Scored::log_ratio).collect();
            let pooled = log_sum_exp(ratios.iter().copied());
            let sequence = Scored {
                logprob: pooled - (n_draws as f64).ln(),
                reference: 0.0,
                n_tokens,
            };
            (sequence, shares(&ratios, pooled, draws.len()))
        };
        pooled(loss, example, side)
    }

    fn name(&self) -> String {
        format!("iw-{}", self.n_traces)
    }
}

/// `∇ℓ_m` where the example holds every trace: the oracle that no large model can afford.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marginal;

impl Estimator for Marginal {
    fn n_traces(&self) -> usize {
        0
    }

    fn uses_empty(&self) -> bool {
        false
    }

    fn weights(&self, loss: &dyn PreferenceLoss, example: &Example) -> Weights {
        let side = |draws: &[Scored], n_tokens: usize| {
            let joints: Vec<f64> = draws.iter().map(|draw| draw.logprob).collect();
            let logprob = log_sum_exp(joints.iter().copied());
            let sequence = Scored {
                logprob,
                reference: log_sum_exp(draws.iter().map(|draw| draw.reference)),
                n_tokens,
            };
            (sequence, shares(&joints, logprob, draws.len()))
        };
        pooled(loss, example, side)
    }

    fn name(&self) -> String {
        "marginal".to_owned()
    }
}

/// Each term's share of the pooled sum; equal shares of nothing where all terms vanish.
fn shares(terms: &[f64], pooled: f64, n: usize) -> Vec<f64> {
    let mut shares = vec![0.0; n];
    if pooled > f64::NEG_INFINITY {
        for (share, term) in shares.iter_mut().zip(terms) {
            *share = (term - pooled).exp();
        }
    }
    shares
}

/// The weights of a loss on two pooled sequences; no draws give no gradient.
fn pooled(
    loss: &dyn PreferenceLoss,
    example: &Example,
    side: impl Fn(&[Scored], usize) -> (Scored, Vec<f64>),
) -> Weights {
    if example.chosen.is_empty() || example.rejected.is_empty() {
        return Weights::zero(example);
    }
    let (plus, plus_shares) = side(example.chosen, example.answer_tokens[0]);
    let (minus, minus_shares) = side(example.rejected, example.answer_tokens[1]);
    let at = pair_loss(loss, &plus, &minus);
    Weights {
        loss: at.value,
        chosen: plus_shares.iter().map(|share| at.chosen * share).collect(),
        rejected: minus_shares
            .iter()
            .map(|share| at.rejected * share)
            .collect(),
        ..Weights::default()
    }
}

/// DPO on the shuffled union of both preference sets (F7): by its coin an example contributes its
/// trace pair or its empty pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Union;

impl Estimator for Union {
    fn n_traces(&self) -> usize {
        1
    }

    fn uses_empty(&self) -> bool {
        true
    }

    fn weights(&self, loss: &dyn PreferenceLoss, example: &Example) -> Weights {
        let mut weights = Weights::zero(example);
        if example.coin < 0.5 {
            weights.add_trace(loss, example, 0, 1.0);
        } else {
            weights.add_empty(loss, example, 1.0);
        }
        weights
    }

    fn name(&self) -> String {
        "union".to_owned()
    }
}

/// `α g_t`: the zero vector in place of `g_e` (F11). What it gains is shrinkage, nothing else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shrink {
    /// Weight α of the trace gradient, from 0 to 1.
    pub alpha: f64,
}

impl Estimator for Shrink {
    fn n_traces(&self) -> usize {
        1
    }

    fn uses_empty(&self) -> bool {
        false
    }

    fn weights(&self, loss: &dyn PreferenceLoss, example: &Example) -> Weights {
        let mut weights = Weights::zero(example);
        weights.add_trace(loss, example, 0, self.alpha);
        weights
    }

    fn name(&self) -> String {
        format!("shrink-{}", self.alpha)
    }
}

/// A running estimate of the MSE-optimal weight from two replicates of the trace gradient (F8).
///
/// The caller computes, over the same data, two trace gradients and the empty gradient, and tells
/// [`AdaptiveWeight::observe`] the two products; averages are exponential.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptiveWeight {
    /// Weight of the past in the running averages. Ours: 0.9.
    pub decay: f64,
    distance_sq: f64,
    noise: f64,
    /// `1 − decayⁿ`, which corrects both averages for their start at zero.
    mass: f64,
}

impl AdaptiveWeight {
    /// Nothing observed yet.
    #[must_use]
    pub fn new(decay: f64) -> Self {
        Self {
            decay,
            distance_sq: 0.0,
            noise: 0.0,
            mass: 0.0,
        }
    }

    /// Takes in `⟨g_t¹ − g_e, g_t² − g_e⟩`, unbiased for `‖E g_t − g_e‖²`, and `½‖g_t¹ − g_t²‖²`,
    /// unbiased for `Tr Σ_t`.
    pub fn observe(&mut self, distance_sq: f64, noise: f64) {
        let keep = self.decay;
        self.distance_sq = keep * self.distance_sq + (1.0 - keep) * distance_sq;
        self.noise = keep * self.noise + (1.0 - keep) * noise;
        self.mass = keep * self.mass + (1.0 - keep);
    }

    /// `α̂ = X / (X + V/n)` for the mean of `n_draws` trace gradients, clipped to [0, 1]; 0.5 as
    /// long as both averages are zero.
    #[must_use]
    pub fn alpha(&self, n_draws: usize) -> f64 {
        let distance_sq = self.distance_sq.max(0.0);
        let noise = self.noise / n_draws.max(1) as f64;
        let sum = distance_sq + noise;
        if sum > 0.0 { distance_sq / sum } else { 0.5 }
    }

    /// The running estimate of `Tr Σ_t`; 0 before the first observation.
    #[must_use]
    pub fn trace_noise(&self) -> f64 {
        if self.mass > 0.0 {
            self.noise / self.mass
        } else {
            0.0
        }
    }

    /// The running estimate of `‖E g_t − g_e‖²`; 0 before the first observation.
    #[must_use]
    pub fn distance_sq(&self) -> f64 {
        if self.mass > 0.0 {
            self.distance_sq / self.mass
        } else {
            0.0
        }
    }
}

/// The mix at the weight that two replicates suggest; both replicates enter the trace gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adaptive {
    /// The running estimate; the training loop feeds it.
    pub weight: AdaptiveWeight,
}

impl Adaptive {
    /// Replicates of the trace gradient.
    pub const N_TRACES: usize = 2;
}

impl Estimator for Adaptive {
    fn n_traces(&self) -> usize {
        Self::N_TRACES
    }

    fn uses_empty(&self) -> bool {
        true
    }

    fn weights(&self, loss: &dyn PreferenceLoss, example: &Example) -> Weights {
        let alpha = self.weight.alpha(Self::N_TRACES);
        let mut weights = Weights::zero(example);
        let n_draws = Self::N_TRACES.min(example.chosen.len());
        for draw in 0..n_draws {
            weights.add_trace(loss, example, draw, alpha / n_draws as f64);
        }
        weights.add_empty(loss, example, 1.0 - alpha);
        weights
    }

    fn name(&self) -> String {
        "adaptive".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::loss::Dpo;
    use super::*;

    const LOSS: Dpo = Dpo { beta: 0.5 };

    fn sequences(logprobs: &[f64]) -> Vec<Scored> {
        let scored = |(i, logprob): (usize, &f64)| Scored {
            logprob: *logprob,
            reference: -4.0 - i as f64,
            n_tokens: 3 + i,
        };
        logprobs.iter().enumerate().map(scored).collect()
    }

    fn example<'a>(chosen: &'a [Scored], rejected: &'a [Scored], coin: f64) -> Example<'a> {
        Example {
            chosen,
            rejected,
            empty_chosen: Scored {
                logprob: -2.0,
                reference: -2.5,
                n_tokens: 3,
            },
            empty_rejected: Scored {
                logprob: -3.0,
                reference: -2.0,
                n_tokens: 3,
            },
            answer_tokens: [2, 2],
            coin,
        }
    }

    /// Every estimator's weights are the derivatives of the loss that it reports.
    #[test]
    fn weights_are_the_derivatives_of_the_reported_loss() {
        let (plus, minus) = (sequences(&[-3.0, -6.0]), sequences(&[-5.0, -4.5]));
        let mut weight = AdaptiveWeight::new(0.9);
        weight.observe(0.3, 0.2);
        let estimators: [&dyn Estimator; 9] = [
            &Trace,
            &Empty,
            &Mix { alpha: 0.3 },
            &MeanOfTraces { n_traces: 2 },
            &ImportanceWeighted { n_traces: 2 },
            &Union,
            &Shrink { alpha: 0.4 },
            &Marginal,
            &Adaptive { weight },
        ];
        let step = 1e-5;
        for estimator in estimators {
            let exact = estimator.weights(&LOSS, &example(&plus, &minus, 0.7));
            for draw in 0..2 {
                let mut difference = 0.0;
                for sign in [1.0, -1.0] {
                    let mut moved = plus.clone();
                    moved[draw].logprob += sign * step;
                    let at = estimator.weights(&LOSS, &example(&moved, &minus, 0.7));
                    difference += sign * at.loss / (2.0 * step);
                }
                let found = exact.chosen[draw];
                assert!(
                    (found - difference).abs() <= 1e-7 * found.abs().max(1e-2),
                    "{}: {found} against {difference}",
                    estimator.name()
                );
            }
        }
    }

    #[test]
    fn one_importance_weighted_trace_is_the_trace_estimator() {
        let (plus, minus) = (sequences(&[-3.0]), sequences(&[-5.0]));
        let example = example(&plus, &minus, 0.0);
        let one = ImportanceWeighted { n_traces: 1 }.weights(&LOSS, &example);
        let trace = Trace.weights(&LOSS, &example);
        assert!((one.loss - trace.loss).abs() < 1e-12);
        assert!((one.chosen[0] - trace.chosen[0]).abs() < 1e-12);
        assert!((one.rejected[0] - trace.rejected[0]).abs() < 1e-12);
    }

    #[test]
    fn the_union_is_the_even_mix_on_average() {
        let (plus, minus) = (sequences(&[-3.0]), sequences(&[-5.0]));
        let heads = Union.weights(&LOSS, &example(&plus, &minus, 0.0));
        let tails = Union.weights(&LOSS, &example(&plus, &minus, 0.999));
        let mix = Mix { alpha: 0.5 }.weights(&LOSS, &example(&plus, &minus, 0.0));
        assert!((0.5 * (heads.loss + tails.loss) - mix.loss).abs() < 1e-12);
        assert!((0.5 * (heads.chosen[0] + tails.chosen[0]) - mix.chosen[0]).abs() < 1e-12);
        assert!(
            (0.5 * (heads.empty_rejected + tails.empty_rejected) - mix.empty_rejected).abs()
                < 1e-12
        );
    }

    #[test]
    fn extremes_and_missing_draws_stay_finite() {
        let far = sequences(&[-6000.0, -1.0]);
        let near = sequences(&[-1.0, -6000.0]);
        for estimator in [
            &Mix { alpha: 0.5 } as &dyn Estimator,
            &ImportanceWeighted { n_traces: 2 },
            &Marginal,
            &MeanOfTraces { n_traces: 8 },
        ] {
            for (plus, minus) in [(&far, &near), (&near, &far)] {
                let weights = estimator.weights(&LOSS, &example(plus, minus, 0.5));
                assert!(weights.loss.is_finite(), "{}", estimator.name());
                assert!(
                    weights.chosen.iter().all(|w| w.is_finite()),
                    "{}",
                    estimator.name()
                );
            }
            let nothing = estimator.weights(&LOSS, &example(&[], &[], 0.5));
            assert!(nothing.loss.is_finite() && nothing.chosen.is_empty());
        }
        assert_eq!(AdaptiveWeight::new(0.9).alpha(1), 0.5);
    }

    #[test]
    fn the_adaptive_weight_is_the_ratio_of_its_averages() {
        let mut weight = AdaptiveWeight::new(0.5);
        weight.observe(3.0, 1.0);
        weight.observe(3.0, 1.0);
        assert!((weight.alpha(1) - 0.75).abs() < 1e-12);
        assert!((weight.alpha(2) - 3.0 / 3.5).abs() < 1e-12);
        assert!((weight.trace_noise() - 1.0).abs() < 1e-12);
        let mut negative = AdaptiveWeight::new(0.5);
        negative.observe(-1.0, 1.0);
        assert_eq!(negative.alpha(1), 0.0);
    }
}
