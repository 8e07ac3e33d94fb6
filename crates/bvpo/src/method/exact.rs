//! Exact moments of one preference pair over all traces, without a matrix of all dot products.
//!
//! With traces `r⁺ ~ p`, `r⁻ ~ q` drawn independently, implicit rewards `u_i`, `v_j` with slopes
//! `c_i`, `d_j`, and score vectors `s_i`, `t_j`,
//!
//! ```text
//! E ∇ℓ_t   = Σ_i p_i c_i (Σ_j q_j ℓ'(u_i − v_j)) s_i − Σ_j q_j d_j (Σ_i p_i ℓ'(u_i − v_j)) t_j
//! E‖∇ℓ_t‖² = Σ_i p_i c_i² (Σ_j q_j ℓ'²) ‖s_i‖² + Σ_j q_j d_j² (Σ_i p_i ℓ'²) ‖t_j‖²
//!            − 2 Σ_ij p_i q_j c_i d_j ℓ'(u_i − v_j)² s_i·t_j
//! ```
//!
//! The last sum is the only one that joins both sides. `ℓ'(u − v)²` is analytic in `v`, so a
//! Chebyshev interpolant of some dozen nodes equals it to rounding, and the sum splits into that
//! many dot products of weighted sums: n·K vector additions instead of n² dot products.

use super::loss::{PreferenceLoss, Scored, log_sum_exp};
use super::theory::{PairGradients, dot};
use super::vector::{Work, vectorised};

/// Score vectors `∇ log π_θ(r,y|x)` of one answer with every trace.
pub trait Scores {
    /// Length of a score vector.
    fn n_parameters(&self) -> usize;

    /// Calls `see` with every trace's index and score vector, in order.
    fn visit(&self, see: &mut dyn FnMut(usize, &[f64]));
}

/// Score vectors that are all in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stored(pub Vec<Vec<f64>>);

impl Scores for Stored {
    fn n_parameters(&self) -> usize {
        self.0.first().map_or(0, Vec::len)
    }

    fn visit(&self, see: &mut dyn FnMut(usize, &[f64])) {
        for (i, score) in self.0.iter().enumerate() {
            see(i, score);
        }
    }
}

/// One answer with every trace.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// `(r,y)` for every trace r, under the present and the reference policy.
    pub sequences: &'a [Scored],
    /// Probability with which each trace is drawn into the data: `π_ref(r|x,y)`, unless said.
    pub draw: &'a [f64],
    /// Scored tokens of the answer alone.
    pub answer_tokens: usize,
    /// Score vectors, in the same order.
    pub scores: &'a dyn Scores,
}

impl Side<'_> {
    /// The answer as one sequence: `log π(y|x) = log Σ_r π(r,y|x)` under both policies.
    #[must_use]
    pub fn marginal(&self) -> Scored {
        Scored {
            logprob: log_sum_exp(self.sequences.iter().map(|s| s.logprob)),
            reference: log_sum_exp(self.sequences.iter().map(|s| s.reference)),
            n_tokens: self.answer_tokens,
        }
    }
}

/// `π(r|x,y)` under the reference policy, from joint log-probabilities.
#[must_use]
pub fn reference_posterior(sequences: &[Scored]) -> Vec<f64> {
    let total = log_sum_exp(sequences.iter().map(|s| s.reference));
    sequences
        .iter()
        .map(|s| (s.reference - total).exp())
        .collect()
}

/// Expected values of the two losses of a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairLosses {
    /// `ℓ_m`.
    pub marginal: f64,
    /// `E_r ℓ_t`.
    pub trace: f64,
}

/// `ℓ_m` and `E_r ℓ_t` of a pair, from log-probabilities alone.
#[must_use]
pub fn pair_losses(loss: &dyn PreferenceLoss, plus: &Side, minus: &Side) -> PairLosses {
    let at = |side: &Side| loss.reward(&side.marginal()).value;
    let margins = Margins::of(loss, plus, minus);
    PairLosses {
        marginal: loss.of_margin(at(plus) - at(minus)).value,
        trace: margins.mean_loss,
    }
}

/// The exact gradients of a pair; `empty` is `∇ℓ_e`.
#[must_use]
pub fn pair_gradients(
    loss: &dyn PreferenceLoss,
    plus: &Side,
    minus: &Side,
    empty: Vec<f64>,
) -> PairGradients {
    let margins = Margins::of(loss, plus, minus);
    let basis = Basis::over(&margins.rewards[1]);
    let marginal_slope = marginal_slopes(loss, plus, minus);
    let weights = [
        side_weights(plus, &margins, 0, marginal_slope[0], |u| {
            basis
                .nodes
                .iter()
                .map(|v| loss.of_margin(u - v).slope.powi(2))
                .collect()
        }),
        side_weights(minus, &margins, 1, marginal_slope[1], |v| basis.lagrange(v)),
    ];
    let sums = [
        accumulate(plus.scores, &weights[0], 2 + basis.nodes.len()),
        accumulate(minus.scores, &weights[1], 2 + basis.nodes.len()),
    ];
    let [mut marginal, mut trace] = [0, 1].map(|row| sums[0].rows[row].clone());
    for (total, row) in [(&mut marginal, 0), (&mut trace, 1)] {
        for (total, value) in total.iter_mut().zip(&sums[1].rows[row]) {
            *total += value;
        }
    }
    let cross: f64 = (2..2 + basis.nodes.len())
        .map(|row| dot(&sums[0].rows[row], &sums[1].rows[row]))
        .sum();
    let second = margins.squares[0]
        .iter()
        .zip(&sums[0].norms_sq)
        .map(|(w, n)| w * n)
        .sum::<f64>()
        + margins.squares[1]
            .iter()
            .zip(&sums[1].norms_sq)
            .map(|(w, n)| w * n)
            .sum::<f64>()
        - 2.0 * cross;
    // Rounding may take a variance of zero below it.
    let trace_variance = (second - dot(&trace, &trace)).max(0.0);
    PairGradients {
        marginal,
        trace,
        empty,
        trace_variance,
    }
}

/// Derivatives of `ℓ_m` with respect to `log π(y⁺|x)` and `log π(y⁻|x)`.
fn marginal_slopes(loss: &dyn PreferenceLoss, plus: &Side, minus: &Side) -> [f64; 2] {
    let at = super::loss::pair_loss(loss, &plus.marginal(), &minus.marginal());
    [at.chosen, at.rejected]
}

/// Sums over all pairs of traces that need scalars only.
struct Margins {
    mean_loss: f64,
    /// `u_i` and `v_j`.
    rewards: [Vec<f64>; 2],
    /// `c_i` and `d_j`.
    slopes: [Vec<f64>; 2],
    /// `p_i c_i Σ_j q_j ℓ'` and `−q_j d_j Σ_i p_i ℓ'`: weights of the score vectors in `E ∇ℓ_t`.
    means: [Vec<f64>; 2],
    /// `p_i c_i² Σ_j q_j ℓ'²`, and the same of the other side: weights of the squared norms.
    squares: [Vec<f64>; 2],
}

impl Margins {
    fn of(loss: &dyn PreferenceLoss, plus: &Side, minus: &Side) -> Self {
        let rewards = |side: &Side| -> (Vec<f64>, Vec<f64>) {
            let found = side.sequences.iter().map(|s| loss.reward(s));
            found.map(|reward| (reward.value, reward.slope)).unzip()
        };
        let ((u, c), (v, d)) = (rewards(plus), rewards(minus));
        let n = [u.len(), v.len()];
        let mut means = n.map(|n| vec![0.0; n]);
        let mut squares = n.map(|n| vec![0.0; n]);
        let mut mean_loss = 0.0;
        for i in 0..n[0] {
            for j in 0..n[1] {
                let (p, q) = (plus.draw[i], minus.draw[j]);
                let at = loss.of_margin(u[i] - v[j]);
                mean_loss += p * q * at.value;
                means[0][i] += p * c[i] * q * at.slope;
                means[1][j] -= p * d[j] * q * at.slope;
                let square = p * q * at.slope * at.slope;
                squares[0][i] += square * c[i] * c[i];
                squares[1][j] += square * d[j] * d[j];
            }
        }
        Self {
            mean_loss,
            rewards: [u, v],
            slopes: [c, d],
            means,
            squares,
        }
    }
}

/// The weights of every trace's score vector, one row per sum: `∇ℓ_m`, `E ∇ℓ_t`, then the cross
/// sums of the interpolation.
fn side_weights(
    side: &Side,
    margins: &Margins,
    which: usize,
    marginal_slope: f64,
    cross: impl Fn(f64) -> Vec<f64>,
) -> Vec<Vec<f64>> {
    let total = side.marginal().logprob;
    let per_trace = side.sequences.iter().enumerate().map(|(i, sequence)| {
        let mut weights = vec![
            marginal_slope * (sequence.logprob - total).exp(),
            margins.means[which][i],
        ];
        let scale = side.draw[i] * margins.slopes[which][i];
        weights.extend(
            cross(margins.rewards[which][i])
                .into_iter()
                .map(|w| scale * w),
        );
        weights
    });
    per_trace.collect()
}

/// Weighted sums of score vectors, and their squared norms.
struct Sums {
    rows: Vec<Vec<f64>>,
    norms_sq: Vec<f64>,
}

fn accumulate(scores: &dyn Scores, weights: &[Vec<f64>], n_rows: usize) -> Sums {
    let n = scores.n_parameters();
    let mut sums = Sums {
        rows: vec![vec![0.0; n]; n_rows],
        norms_sq: vec![0.0; weights.len()],
    };
    let mut block: Vec<f64> = Vec::with_capacity(BLOCK * n);
    scores.visit(&mut |i, score| {
        sums.norms_sq[i] = vectorised(SquaredNorm(score));
        block.extend_from_slice(score);
        let is_last = i + 1 == weights.len();
        if block.len() == BLOCK * n || is_last {
            let n_scores = block.len() / n;
            let of_block = &weights[i + 1 - n_scores..=i];
            vectorised(AddBlock(&block, of_block, &mut sums.rows));
            block.clear();
        }
    });
    sums
}

/// `‖x‖²`.
struct SquaredNorm<'a>(&'a [f64]);

impl Work for SquaredNorm<'_> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        dot_in_lanes(self.0)
    }
}

/// Weighted score vectors, added to every sum.
struct AddBlock<'a>(&'a [f64], &'a [Vec<f64>], &'a mut [Vec<f64>]);

impl Work for AddBlock<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        add_block(self.0, self.1, self.2);
    }
}

/// Score vectors that are added to the sums together, so that the sums pass through memory once for
/// all of them.
const BLOCK: usize = 8;

/// Adds weighted score vectors to every sum, tile by tile: the tiles of a block stay in the nearest
/// cache while all sums take them in, and a part of a sum stays in registers while all vectors of
/// the block are added to it.
#[inline(always)]
fn add_block(block: &[f64], weights: &[Vec<f64>], rows: &mut [Vec<f64>]) {
    const TILE: usize = 10 * PART;
    let n = block.len() / weights.len();
    for start in (0..n).step_by(TILE) {
        let end = (start + TILE).min(n);
        for (k, row) in rows.iter_mut().enumerate() {
            for (part, at) in row[start..end]
                .chunks_mut(PART)
                .zip((start..).step_by(PART))
            {
                let scores = block.chunks_exact(n).zip(weights);
                if let Ok(part) = <&mut [f64; PART]>::try_from(&mut *part) {
                    let mut sums = *part;
                    for (score, weights) in scores {
                        add_part(&mut sums, weights[k], &score[at..at + PART]);
                    }
                    *part = sums;
                } else {
                    for (score, weights) in scores {
                        add_part(part, weights[k], &score[at..end]);
                    }
                }
            }
        }
    }
}

/// Numbers of a sum that are added to at a time.
const PART: usize = 24;

#[inline(always)]
fn add_part(sums: &mut [f64], weight: f64, score: &[f64]) {
    for (sum, value) in sums.iter_mut().zip(score) {
        *sum += weight * value;
    }
}

/// `‖x‖²`, summed in eight lanes so that the compiler may use vector registers.
#[inline(always)]
fn dot_in_lanes(x: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest: f64 = chunks.remainder().iter().map(|value| value * value).sum();
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value * value;
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// Chebyshev nodes over the rewards of one side, and the barycentric weights of interpolation.
struct Basis {
    nodes: Vec<f64>,
    weights: Vec<f64>,
}

impl Basis {
    /// Enough nodes for an error below rounding: the nearest poles of `σ²` lie at distance π from
    /// the real line, so with half-width h an interpolant of n nodes errs by about `ρ^(−n)` with
    /// `ρ = π/h + √((π/h)² + 1)` (Trefethen, Approximation Theory, theorem 8.2).
    fn over(values: &[f64]) -> Self {
        const DIGITS: f64 = 36.0; // ln of 4e15
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (centre, half) = (0.5 * (low + high), 0.5 * (high - low));
        // Below this width every argument is the same to rounding.
        if half.is_nan() || half <= 1e-13 {
            return Self {
                nodes: vec![if centre.is_finite() { centre } else { 0.0 }],
                weights: vec![1.0],
            };
        }
        let ratio = std::f64::consts::PI / half;
        let n = (DIGITS / (ratio + ratio.hypot(1.0)).ln()).ceil() as usize + 3;
        let angle = |k: usize| std::f64::consts::PI * (k as f64 + 0.5) / n as f64;
        let sign = |k: usize| if k.is_multiple_of(2) { 1.0 } else { -1.0 };
        Self {
            nodes: (0..n).map(|k| centre + half * angle(k).cos()).collect(),
            weights: (0..n).map(|k| sign(k) * angle(k).sin()).collect(),
        }
    }

    /// The values of every Lagrange polynomial at `x`.
    fn lagrange(&self, x: f64) -> Vec<f64> {
        if let Some(hit) = self.nodes.iter().position(|node| *node == x) {
            return (0..self.nodes.len())
                .map(|k| f64::from(u8::from(k == hit)))
                .collect();
        }
        let nodes = self.nodes.iter().zip(&self.weights);
        let terms: Vec<f64> = nodes.map(|(node, weight)| weight / (x - node)).collect();
        let sum: f64 = terms.iter().sum();
        terms.into_iter().map(|term| term / sum).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::loss::{Dpo, Ipo, SimPo, pair_loss};
    use super::*;

    /// Numbers that look random and are the same everywhere.
    fn numbers(n: usize, salt: u64) -> Vec<f64> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(salt + 1);
        let draw = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(salt | 1);
            (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
        };
        std::iter::repeat_with(draw).take(n).collect()
    }

    struct World {
        sequences: Vec<Scored>,
        draw: Vec<f64>,
        scores: Stored,
    }

    fn world(n: usize, salt: u64, spread: f64) -> World {
        let (now, before) = (numbers(n, salt), numbers(n, salt + 10));
        let sequences: Vec<Scored> = (0..n)
            .map(|i| Scored {
                logprob: -4.0 + spread * now[i],
                reference: -4.0 + 2.0 * before[i],
                n_tokens: 3 + i % 4,
            })
            .collect();
        let draw = reference_posterior(&sequences);
        let scores = (0..n as u64).map(|i| numbers(5, salt * 100 + i)).collect();
        World {
            sequences,
            draw,
            scores: Stored(scores),
        }
    }

    fn side(world: &World) -> Side<'_> {
        Side {
            sequences: &world.sequences,
            draw: &world.draw,
            answer_tokens: 2,
            scores: &world.scores,
        }
    }

    /// All pairs of traces, one by one.
    fn enumerated(loss: &dyn PreferenceLoss, plus: &World, minus: &World) -> (Vec<f64>, f64, f64) {
        let (mut mean, mut second, mut value) = (vec![0.0; 5], 0.0, 0.0);
        for (i, s) in plus.sequences.iter().enumerate() {
            for (j, t) in minus.sequences.iter().enumerate() {
                let at = pair_loss(loss, s, t);
                let share = plus.draw[i] * minus.draw[j];
                let scores = plus.scores.0[i].iter().zip(&minus.scores.0[j]);
                let gradient: Vec<f64> = scores
                    .map(|(s, t)| at.chosen * s + at.rejected * t)
                    .collect();
                for (mean, g) in mean.iter_mut().zip(&gradient) {
                    *mean += share * g;
                }
                second += share * dot(&gradient, &gradient);
                value += share * at.value;
            }
        }
        let variance = second - dot(&mean, &mean);
        (mean, variance, value)
    }

    #[test]
    fn interpolation_equals_enumeration_of_all_pairs() {
        let losses: [&dyn PreferenceLoss; 4] = [
            &Dpo { beta: 0.1 },
            &Dpo { beta: 2.0 },
            &SimPo {
                beta: 2.0,
                gamma: 1.0,
            },
            &Ipo { tau: 0.1 },
        ];
        for loss in losses {
            for spread in [0.0, 1.0, 12.0] {
                let (plus, minus) = (world(7, 1, spread), world(9, 2, spread));
                let found = pair_gradients(loss, &side(&plus), &side(&minus), Vec::new());
                let (mean, variance, value) = enumerated(loss, &plus, &minus);
                let scale = dot(&mean, &mean).sqrt().max(1e-3);
                for (a, b) in found.trace.iter().zip(&mean) {
                    assert!((a - b).abs() < 1e-11 * scale, "{} {a} {b}", loss.name());
                }
                let error = (found.trace_variance - variance).abs();
                assert!(
                    error < 1e-10 * variance.max(1e-6),
                    "{}: {error}",
                    loss.name()
                );
                let losses = pair_losses(loss, &side(&plus), &side(&minus));
                assert!((losses.trace - value).abs() < 1e-10 * value.max(1.0));
            }
        }
    }

    #[test]
    fn the_trace_gradient_is_unbiased_at_the_reference() {
        let (mut plus, mut minus) = (world(6, 3, 1.0), world(6, 4, 1.0));
        for world in [&mut plus, &mut minus] {
            for sequence in &mut world.sequences {
                sequence.logprob = sequence.reference;
            }
        }
        let found = pair_gradients(&Dpo { beta: 0.3 }, &side(&plus), &side(&minus), Vec::new());
        for (trace, marginal) in found.trace.iter().zip(&found.marginal) {
            assert!((trace - marginal).abs() < 1e-12);
        }
    }

    #[test]
    fn answers_without_traces_have_no_gradient() {
        let nothing = Side {
            sequences: &[],
            draw: &[],
            answer_tokens: 2,
            scores: &Stored(Vec::new()),
        };
        let found = pair_gradients(&Dpo { beta: 0.3 }, &nothing, &nothing, Vec::new());
        assert_eq!(found, PairGradients::default());
    }
}
