//! The tabular world: `π(r) = softmax(a)`, `π(y|r) = softmax(κ B_r + c)`, trace 0 is the empty one.
//!
//! The shared row `c` makes the modes interact: what is learned without traces moves answers given
//! with traces, and the other way round. Parameters are laid out as `[a | B row by row | c]`.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use crate::method::exact::{
    PairLosses, Scores, Side, pair_gradients, pair_losses, reference_posterior,
};
use crate::method::loss::{PreferenceLoss, Scored, log_sum_exp, pair_loss};
use crate::method::theory::{PairGradients, Population};

/// Sizes and spreads of a random world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorldShape {
    /// Traces R, the empty one included.
    pub n_traces: usize,
    /// Answers Y.
    pub n_answers: usize,
    /// Preference pairs N.
    pub n_pairs: usize,
    /// Standard deviation of `a`: how uneven traces are.
    pub trace_spread: f64,
    /// Standard deviation of `B`: how much a trace tells about the answer.
    pub answer_spread: f64,
    /// Standard deviation of `c`.
    pub shared_spread: f64,
    /// `κ`: how much of what is learned belongs to one trace alone. Reference policies do not
    /// depend on it, since `B` is drawn `1/κ` times as wide; with a small one both modes learn
    /// alike, and the empty trace has little bias.
    pub own: f64,
}

impl Default for WorldShape {
    fn default() -> Self {
        Self {
            n_traces: 6,
            n_answers: 4,
            n_pairs: 8,
            trace_spread: 0.7,
            answer_spread: 1.0,
            shared_spread: 0.5,
            own: 1.0,
        }
    }
}

impl WorldShape {
    /// Length of the parameter vector: `R + R·Y + Y`.
    #[must_use]
    pub fn n_parameters(&self) -> usize {
        self.n_traces + self.n_traces * self.n_answers + self.n_answers
    }
}

/// The answers of one preference pair in both modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answers {
    /// `y⁺`, `y⁻`, given with a trace.
    pub with_trace: [usize; 2],
    /// `y'⁺`, `y'⁻`, given without.
    pub without_trace: [usize; 2],
}

/// A reference policy and preference data drawn from it.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// Sizes.
    pub shape: WorldShape,
    /// `θ_ref`.
    pub reference: Vec<f64>,
    /// `log π_ref(r,y)`, traces by answers.
    pub reference_joint: Vec<f64>,
    /// The data.
    pub pairs: Vec<Answers>,
    /// Ridge λ: `(λ/2)‖θ − θ_ref‖²` is part of every objective in [`super::descent`].
    pub ridge: f64,
}

/// A policy with its tables of log-probabilities.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    shape: WorldShape,
    /// `log π(r)`.
    pub log_trace: Vec<f64>,
    /// `log π(y|r)`, traces by answers.
    pub log_answer: Vec<f64>,
    /// `π(r)`.
    trace_shares: Vec<f64>,
    /// `π(y|r)`.
    answer_shares: Vec<f64>,
}

impl Point {
    /// The policy of parameters `theta`.
    #[must_use]
    pub fn new(shape: WorldShape, theta: &[f64]) -> Self {
        let (n_traces, n_answers) = (shape.n_traces, shape.n_answers);
        let (a, rest) = theta.split_at(n_traces);
        let (b, c) = rest.split_at(n_traces * n_answers);
        let total = log_sum_exp(a.iter().copied());
        let mut log_answer = Vec::with_capacity(b.len());
        for row in b.chunks_exact(n_answers) {
            let logits = row.iter().zip(c).map(|(b, c)| shape.own * b + c);
            let total = log_sum_exp(logits.clone());
            log_answer.extend(logits.map(|logit| logit - total));
        }
        let log_trace: Vec<f64> = a.iter().map(|a| a - total).collect();
        Self {
            shape,
            trace_shares: log_trace.iter().map(|log| log.exp()).collect(),
            answer_shares: log_answer.iter().map(|log| log.exp()).collect(),
            log_trace,
            log_answer,
        }
    }

    /// `log π(r,y)`.
    #[must_use]
    pub fn log_joint(&self, trace: usize, answer: usize) -> f64 {
        self.log_trace[trace] + self.log_answer[trace * self.shape.n_answers + answer]
    }

    /// Adds `weight · ∇ log π(r,y)` to `gradient`.
    pub fn add_score(&self, trace: usize, answer: usize, weight: f64, gradient: &mut [f64]) {
        let (n_traces, n_answers) = (self.shape.n_traces, self.shape.n_answers);
        for (g, share) in gradient.iter_mut().zip(&self.trace_shares) {
            *g -= weight * share;
        }
        gradient[trace] += weight;
        let shared = n_traces * (1 + n_answers);
        let start = n_traces + trace * n_answers;
        for y in 0..n_answers {
            let hit = f64::from(u8::from(y == answer));
            let value = weight * (hit - self.answer_shares[trace * n_answers + y]);
            gradient[start + y] += self.shape.own * value;
            gradient[shared + y] += value;
        }
    }
}

/// Score vectors of one answer with every trace.
struct AnswerScores<'a> {
    point: &'a Point,
    answer: usize,
}

impl Scores for AnswerScores<'_> {
    fn n_parameters(&self) -> usize {
        self.point.shape.n_parameters()
    }

    fn visit(&self, see: &mut dyn FnMut(usize, &[f64])) {
        let mut score = vec![0.0; self.n_parameters()];
        for trace in 0..self.point.shape.n_traces {
            score.fill(0.0);
            self.point.add_score(trace, self.answer, 1.0, &mut score);
            see(trace, &score);
        }
    }
}

impl World {
    /// A random reference policy; preference pairs are the best and the worst of five answers in
    /// each mode, by a random ranking of answers (section 2.3).
    #[must_use]
    pub fn draw(shape: WorldShape, ridge: f64, rng: &mut impl Rng) -> Self {
        let spreads = [
            (shape.n_traces, shape.trace_spread),
            (
                shape.n_traces * shape.n_answers,
                shape.answer_spread / shape.own,
            ),
            (shape.n_answers, shape.shared_spread),
        ];
        let mut reference = Vec::with_capacity(shape.n_parameters());
        for (n, spread) in spreads {
            for _ in 0..n {
                let normal: f64 = StandardNormal.sample(rng);
                reference.push(spread * normal);
            }
        }
        let point = Point::new(shape, &reference);
        let rewards: Vec<f64> = (0..shape.n_answers).map(|_| rng.random()).collect();
        let pairs = (0..shape.n_pairs)
            .map(|_| Answers {
                with_trace: best_and_worst(&rewards, rng, |rng| {
                    let trace = categorical(&point.log_trace, rng);
                    point.draw_answer(trace, rng)
                }),
                without_trace: best_and_worst(&rewards, rng, |rng| point.draw_answer(0, rng)),
            })
            .collect();
        Self {
            shape,
            reference_joint: joint(&point),
            reference,
            pairs,
            ridge,
        }
    }

    /// `(r,y)` under the point and under the reference.
    #[must_use]
    pub fn scored(&self, point: &Point, trace: usize, answer: usize) -> Scored {
        Scored {
            logprob: point.log_joint(trace, answer),
            reference: self.reference_joint[trace * self.shape.n_answers + answer],
            // The trace's number stands in for its length; the answer is one token.
            n_tokens: trace + 1,
        }
    }

    /// `(r,y)` for every trace.
    #[must_use]
    pub fn all_traces(&self, point: &Point, answer: usize) -> Vec<Scored> {
        (0..self.shape.n_traces)
            .map(|trace| self.scored(point, trace, answer))
            .collect()
    }

    /// Adds `weight · ∇ℓ_e` of a pair to `gradient` and gives `ℓ_e`.
    pub fn add_empty(
        &self,
        (point, loss): (&Point, &dyn PreferenceLoss),
        pair: &Answers,
        weight: f64,
        gradient: &mut [f64],
    ) -> f64 {
        let [plus, minus] = pair.without_trace;
        let at = pair_loss(
            loss,
            &self.scored(point, 0, plus),
            &self.scored(point, 0, minus),
        );
        point.add_score(0, plus, weight * at.chosen, gradient);
        point.add_score(0, minus, weight * at.rejected, gradient);
        at.value
    }

    /// Adds `weight · ∇ℓ_m` of a pair to `gradient` and gives `ℓ_m`.
    pub fn add_marginal(
        &self,
        (point, loss): (&Point, &dyn PreferenceLoss),
        pair: &Answers,
        weight: f64,
        gradient: &mut [f64],
    ) -> f64 {
        let totals = pair.with_trace.map(|answer| {
            let sequences = self.all_traces(point, answer);
            Scored {
                logprob: log_sum_exp(sequences.iter().map(|s| s.logprob)),
                reference: log_sum_exp(sequences.iter().map(|s| s.reference)),
                n_tokens: 1,
            }
        });
        let at = pair_loss(loss, &totals[0], &totals[1]);
        for (side, slope) in [at.chosen, at.rejected].into_iter().enumerate() {
            let answer = pair.with_trace[side];
            for trace in 0..self.shape.n_traces {
                let share = (point.log_joint(trace, answer) - totals[side].logprob).exp();
                point.add_score(trace, answer, weight * slope * share, gradient);
            }
        }
        at.value
    }

    /// Exact gradients of one pair.
    #[must_use]
    pub fn pair_gradients(
        &self,
        point: &Point,
        loss: &dyn PreferenceLoss,
        pair: &Answers,
    ) -> PairGradients {
        let mut empty = vec![0.0; self.shape.n_parameters()];
        self.add_empty((point, loss), pair, 1.0, &mut empty);
        self.on_sides(point, pair, |plus, minus| {
            pair_gradients(loss, plus, minus, empty)
        })
    }

    /// Exact expected losses of one pair.
    #[must_use]
    pub fn pair_losses(
        &self,
        point: &Point,
        loss: &dyn PreferenceLoss,
        pair: &Answers,
    ) -> PairLosses {
        self.on_sides(point, pair, |plus, minus| pair_losses(loss, plus, minus))
    }

    fn on_sides<T>(
        &self,
        point: &Point,
        pair: &Answers,
        then: impl FnOnce(&Side, &Side) -> T,
    ) -> T {
        let sequences = pair.with_trace.map(|answer| self.all_traces(point, answer));
        let draws = [0, 1].map(|side: usize| reference_posterior(&sequences[side]));
        let scores = pair.with_trace.map(|answer| AnswerScores { point, answer });
        let side = |which: usize| Side {
            sequences: &sequences[which],
            draw: &draws[which],
            answer_tokens: 1,
            scores: &scores[which],
        };
        then(&side(0), &side(1))
    }

    /// Exact gradients of all pairs, without the ridge.
    #[must_use]
    pub fn population(&self, point: &Point, loss: &dyn PreferenceLoss) -> Population {
        let pairs: Vec<PairGradients> = self
            .pairs
            .iter()
            .map(|pair| self.pair_gradients(point, loss, pair))
            .collect();
        Population::of(&pairs)
    }

    /// `π_ref(r|y)` of both sides of every pair, cumulative, for sampling.
    #[must_use]
    pub fn posteriors(&self) -> Vec<[Vec<f64>; 2]> {
        let point = Point::new(self.shape, &self.reference);
        let of = |answer: usize| {
            let mut sum = 0.0;
            reference_posterior(&self.all_traces(&point, answer))
                .into_iter()
                .map(|share| {
                    sum += share;
                    sum
                })
                .collect()
        };
        self.pairs
            .iter()
            .map(|pair| pair.with_trace.map(of))
            .collect()
    }
}

impl Point {
    fn draw_answer(&self, trace: usize, rng: &mut impl Rng) -> usize {
        let n = self.shape.n_answers;
        categorical(&self.log_answer[trace * n..(trace + 1) * n], rng)
    }
}

fn joint(point: &Point) -> Vec<f64> {
    let n_answers = point.shape.n_answers;
    (0..point.shape.n_traces * n_answers)
        .map(|i| point.log_joint(i / n_answers, i % n_answers))
        .collect()
}

/// An index drawn with the given log-probabilities.
fn categorical(logs: &[f64], rng: &mut impl Rng) -> usize {
    let mut left: f64 = rng.random();
    for (i, log) in logs.iter().enumerate() {
        left -= log.exp();
        if left < 0.0 {
            return i;
        }
    }
    logs.len().saturating_sub(1)
}

/// An index drawn from cumulative probabilities.
#[must_use]
pub fn from_cumulative(cumulative: &[f64], uniform: f64) -> usize {
    let found = cumulative.partition_point(|sum| *sum <= uniform);
    found.min(cumulative.len().saturating_sub(1))
}

/// The best and the worst of five answers; five more where all are alike, and after some tries the
/// best and worst answer there is.
fn best_and_worst<R: Rng>(
    rewards: &[f64],
    rng: &mut R,
    mut draw: impl FnMut(&mut R) -> usize,
) -> [usize; 2] {
    const SAMPLES: usize = 5;
    const TRIES: usize = 50;
    let by_reward = |a: &usize, b: &usize| rewards[*a].total_cmp(&rewards[*b]);
    for _ in 0..TRIES {
        let mut samples: Vec<usize> = (0..SAMPLES).map(|_| draw(rng)).collect();
        samples.sort_by(by_reward);
        if samples[SAMPLES - 1] != samples[0] {
            return [samples[SAMPLES - 1], samples[0]];
        }
    }
    let mut all: Vec<usize> = (0..rewards.len()).collect();
    all.sort_by(by_reward);
    [all[all.len() - 1], all[0]]
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_pcg::Pcg64Mcg;

    use super::*;
    use crate::method::loss::{Dpo, SimPo};

    fn world() -> World {
        let shape = WorldShape {
            own: 0.6,
            ..WorldShape::default()
        };
        World::draw(shape, 0.0, &mut Pcg64Mcg::seed_from_u64(7))
    }

    fn moved(world: &World) -> Vec<f64> {
        let step = |(i, x): (usize, &f64)| x + 0.3 * (i as f64 * 1.7).sin();
        world.reference.iter().enumerate().map(step).collect()
    }

    #[test]
    fn the_policy_is_a_distribution() {
        let world = world();
        let sum: f64 = world.reference_joint.iter().map(|log| log.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
    }

    #[test]
    fn gradients_agree_with_central_differences() {
        let world = world();
        let theta = moved(&world);
        let step = 1e-5;
        let losses: [&dyn PreferenceLoss; 2] = [
            &Dpo { beta: 0.7 },
            &SimPo {
                beta: 2.0,
                gamma: 1.0,
            },
        ];
        for loss in losses {
            let pair = &world.pairs[0];
            let exact = world.pair_gradients(&Point::new(world.shape, &theta), loss, pair);
            let mut marginal = vec![0.0; theta.len()];
            let point = Point::new(world.shape, &theta);
            world.add_marginal((&point, loss), pair, 1.0, &mut marginal);
            for (a, b) in exact.marginal.iter().zip(&marginal) {
                assert!((a - b).abs() < 1e-12);
            }
            for k in 0..theta.len() {
                let mut differences = [0.0; 3];
                for sign in [1.0, -1.0] {
                    let mut at = theta.clone();
                    at[k] += sign * step;
                    let point = Point::new(world.shape, &at);
                    let losses = world.pair_losses(&point, loss, pair);
                    let mut unused = vec![0.0; theta.len()];
                    let empty = world.add_empty((&point, loss), pair, 1.0, &mut unused);
                    let values = [losses.marginal, losses.trace, empty];
                    for (sum, value) in differences.iter_mut().zip(values) {
                        *sum += sign * value / (2.0 * step);
                    }
                }
                for (exact, difference) in [exact.marginal[k], exact.trace[k], exact.empty[k]]
                    .into_iter()
                    .zip(differences)
                {
                    let scale = exact.abs().max(1e-2);
                    assert!(
                        (exact - difference).abs() <= 1e-7 * scale,
                        "{exact} {difference}"
                    );
                }
            }
        }
    }

    #[test]
    fn there_is_no_trace_bias_at_the_reference_and_some_elsewhere() {
        let world = world();
        let loss = Dpo { beta: 0.7 };
        let bias = |theta: &[f64]| {
            let at = world.population(&Point::new(world.shape, theta), &loss);
            at.moments(1, crate::method::theory::Randomness::Traces)
                .bias_t_sq
        };
        assert!(bias(&world.reference) < 1e-18);
        assert!(bias(&moved(&world)) > 1e-9);
    }

    #[test]
    fn the_empty_trace_cancels_in_the_margin() {
        let world = world();
        let point = Point::new(world.shape, &moved(&world));
        let loss = Dpo { beta: 0.7 };
        let mut joint = vec![0.0; world.shape.n_parameters()];
        world.add_empty((&point, &loss), &world.pairs[0], 1.0, &mut joint);
        // log π(∅) takes no part: nothing moves the trace logits.
        assert!(
            joint[..world.shape.n_traces]
                .iter()
                .all(|g| g.abs() < 1e-15)
        );
    }

    #[test]
    fn sampling_from_cumulative_probabilities_covers_the_ends() {
        let cumulative = [0.25, 0.25, 1.0];
        assert_eq!(from_cumulative(&cumulative, 0.0), 0);
        assert_eq!(from_cumulative(&cumulative, 0.25), 2);
        assert_eq!(from_cumulative(&cumulative, 1.0), 2);
    }
}
