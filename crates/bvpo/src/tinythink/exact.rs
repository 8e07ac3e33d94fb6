//! Exact gradients, variances, and losses of preference pairs of TinyThink.

use super::data::Pair;
use super::network::{N_PARAMETERS, Network};
use super::policy::{AnswerScores, PromptPolicy};
use super::task::{ANSWER_TOKENS, Trace};
use crate::method::exact::{PairLosses, Side, pair_gradients, pair_losses, reference_posterior};
use crate::method::loss::{PreferenceLoss, Scored, pair_loss};
use crate::method::theory::PairGradients;

/// Values of the losses of a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Losses {
    /// `ℓ_m`.
    pub marginal: f64,
    /// `E_r ℓ_t`.
    pub trace: f64,
    /// `ℓ_e`.
    pub empty: f64,
}

/// A pair under a network: every trace with both answers, and the pair without thinking.
pub struct ExactPair<'a> {
    pair: &'a Pair,
    policy: PromptPolicy<'a>,
    sequences: [Vec<Scored>; 2],
    draws: [Vec<f64>; 2],
}

impl<'a> ExactPair<'a> {
    /// Runs the network on every trace of the pair's prompt.
    #[must_use]
    pub fn new(network: &'a Network, pair: &'a Pair) -> Self {
        let policy = PromptPolicy::new(network, pair.prompt, &pair.values());
        let sequences = [0, 1].map(|side: usize| -> Vec<Scored> {
            let joints = policy.log_joints(pair.answers[side]);
            let scored = joints.into_iter().enumerate();
            scored
                .map(|(index, logprob)| pair.scored(side, Trace { index }, logprob))
                .collect()
        });
        let draws = [0, 1].map(|side: usize| reference_posterior(&sequences[side]));
        Self {
            pair,
            policy,
            sequences,
            draws,
        }
    }

    fn on_sides<T>(&self, then: impl FnOnce(&Side, &Side) -> T) -> T {
        let scores = self.pair.answers.map(|answer| AnswerScores {
            policy: &self.policy,
            answer,
        });
        let side = |which: usize| Side {
            sequences: &self.sequences[which],
            draw: &self.draws[which],
            answer_tokens: ANSWER_TOKENS,
            scores: &scores[which],
        };
        then(&side(0), &side(1))
    }

    /// `(∅, y'±)` scored.
    fn silent(&self) -> [Scored; 2] {
        [0, 1].map(|side: usize| {
            let logprob = self
                .policy
                .log_joint(self.pair.silent, self.pair.silent_answers[side]);
            self.pair.scored_silent(side, logprob)
        })
    }

    /// `∇ℓ_e`.
    #[must_use]
    pub fn empty_gradient(&self, loss: &dyn PreferenceLoss) -> Vec<f64> {
        let [plus, minus] = self.silent();
        let at = pair_loss(loss, &plus, &minus);
        let mut gradient = vec![0.0; N_PARAMETERS];
        let mut score = vec![0.0; N_PARAMETERS];
        for (side, slope) in [at.chosen, at.rejected].into_iter().enumerate() {
            score.fill(0.0);
            self.policy
                .add_score(self.pair.silent, self.pair.silent_answers[side], &mut score);
            for (sum, value) in gradient.iter_mut().zip(&score) {
                *sum += slope * value;
            }
        }
        gradient
    }

    /// Exact gradients and the exact variance that traces make.
    #[must_use]
    pub fn gradients(&self, loss: &dyn PreferenceLoss) -> PairGradients {
        let empty = self.empty_gradient(loss);
        self.on_sides(|plus, minus| pair_gradients(loss, plus, minus, empty))
    }

    /// Adds `weight · ∇ℓ_m` to `gradient` in one backward pass, and gives `ℓ_m`.
    pub fn add_marginal(
        &self,
        loss: &dyn PreferenceLoss,
        weight: f64,
        gradient: &mut [f64],
    ) -> f64 {
        let totals = self.on_sides(|plus, minus| [plus.marginal(), minus.marginal()]);
        let at = pair_loss(loss, &totals[0], &totals[1]);
        let shares = [at.chosen, at.rejected].map(|slope| weight * slope);
        let weights = [0, 1].map(|side: usize| -> Vec<f64> {
            let all = self.sequences[side].iter();
            all.map(|s| shares[side] * (s.logprob - totals[side].logprob).exp())
                .collect()
        });
        let [plus, minus] = self.pair.answers;
        let weighted = [
            (plus, weights[0].as_slice()),
            (minus, weights[1].as_slice()),
        ];
        self.policy.add_weighted(&weighted, gradient);
        at.value
    }

    /// Exact losses.
    #[must_use]
    pub fn losses(&self, loss: &dyn PreferenceLoss) -> Losses {
        let PairLosses { marginal, trace } =
            self.on_sides(|plus, minus| pair_losses(loss, plus, minus));
        let [plus, minus] = self.silent();
        Losses {
            marginal,
            trace,
            empty: pair_loss(loss, &plus, &minus).value,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_pcg::Pcg64Mcg;

    use super::super::data::{Mode, Recipe, Silent, draw_pairs};
    use super::super::pretrain::{add_sequence, initial};
    use super::super::task::{Prompt, Reward};
    use super::*;
    use crate::method::loss::{Dpo, SimPo};
    use crate::method::theory::{distance_sq, dot};

    fn world() -> (Network, Network, Pair) {
        let start = initial(4);
        let moved = start
            .iter()
            .enumerate()
            .map(|(i, x)| x + 0.03 * (i as f64).sin())
            .collect();
        let network = Network::new(start);
        let recipe = Recipe {
            n_pairs: 1,
            reward: Reward::Full,
            silent: Silent::Empty,
        };
        let mut rng = Pcg64Mcg::seed_from_u64(2);
        let pair = draw_pairs(&network, &[Prompt { index: 3 }], recipe, &mut rng).remove(0);
        (network, Network::new(moved), pair)
    }

    #[test]
    fn gradients_agree_with_central_differences_of_the_exact_losses() {
        let (_, network, pair) = world();
        let losses: [&dyn PreferenceLoss; 2] = [
            &Dpo { beta: 0.5 },
            &SimPo {
                beta: 2.0,
                gamma: 1.0,
            },
        ];
        for loss in losses {
            let exact = ExactPair::new(&network, &pair).gradients(loss);
            let mut marginal = vec![0.0; N_PARAMETERS];
            ExactPair::new(&network, &pair).add_marginal(loss, 1.0, &mut marginal);
            let error = distance_sq(&marginal, &exact.marginal).sqrt();
            assert!(error < 1e-10, "{error}");
            let direction: Vec<f64> = (0..N_PARAMETERS)
                .map(|i| (i as f64 * 1.3).cos() / 100.0)
                .collect();
            let step = 1e-4;
            let at = |sign: f64| {
                let theta = network.theta().iter().zip(&direction);
                let moved = theta.map(|(x, d)| x + sign * step * d).collect();
                ExactPair::new(&Network::new(moved), &pair).losses(loss)
            };
            let (ahead, behind) = (at(1.0), at(-1.0));
            for (gradient, ahead, behind) in [
                (&exact.marginal, ahead.marginal, behind.marginal),
                (&exact.trace, ahead.trace, behind.trace),
                (&exact.empty, ahead.empty, behind.empty),
            ] {
                let slope = dot(gradient, &direction);
                let difference = (ahead - behind) / (2.0 * step);
                let scale = slope.abs().max(1e-2);
                assert!(
                    (slope - difference).abs() <= 1e-7 * scale,
                    "{slope} {difference}"
                );
            }
        }
    }

    #[test]
    fn the_trace_gradient_is_unbiased_at_the_reference() {
        let (network, _, pair) = world();
        let found = ExactPair::new(&network, &pair).gradients(&Dpo { beta: 0.5 });
        assert!(distance_sq(&found.trace, &found.marginal).sqrt() < 1e-9);
        assert!(found.trace_variance > 0.0);
    }

    #[test]
    fn mean_and_variance_agree_with_sampled_traces() {
        let (_, network, pair) = world();
        let loss = Dpo { beta: 0.5 };
        let exact = ExactPair::new(&network, &pair).gradients(&loss);
        let mut rng = Pcg64Mcg::seed_from_u64(8);
        let n = 400;
        let mut errors = Vec::new();
        for traces in pair.draw(Mode::Resample, n, &mut rng) {
            let mut scores = [0, 1].map(|_| vec![0.0; N_PARAMETERS]);
            let scored = [0, 1].map(|side: usize| {
                let sequence = pair.sequence(side, traces[side]);
                let logprob = add_sequence(&network, sequence, true, |_| 1.0, &mut scores[side]);
                pair.scored(side, traces[side], logprob)
            });
            let at = pair_loss(&loss, &scored[0], &scored[1]);
            let gradient: Vec<f64> = scores[0]
                .iter()
                .zip(&scores[1])
                .map(|(plus, minus)| at.chosen * plus + at.rejected * minus)
                .collect();
            errors.push(distance_sq(&gradient, &exact.trace));
        }
        let mean = errors.iter().sum::<f64>() / n as f64;
        let spread = errors.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / n as f64;
        let standard_error = (spread / n as f64).sqrt();
        let off = (mean - exact.trace_variance).abs();
        assert!(
            off < 5.0 * standard_error,
            "{mean} {} {standard_error}",
            exact.trace_variance
        );
    }
}
