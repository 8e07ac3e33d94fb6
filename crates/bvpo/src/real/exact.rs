//! Exact gradients of one real preference pair over a tree of traces.

use eval::Result;

use super::head::{Gains, Head};
use super::model::Constant;
use super::tree::{Shape, Tree, TreeScores};
use crate::method::exact::{Side, pair_gradients, reference_posterior};
use crate::method::loss::{PreferenceLoss, Scored, pair_loss};
use crate::method::theory::{PairGradients, dot};

/// Places of the answers in a tree's [`super::Ids::answers`].
const PREFERRED: usize = 0;
const REJECTED: usize = 1;
const REJECTED_BARE: usize = 2;

/// One pair at one point of parameter space.
#[derive(Clone, Debug)]
pub struct MeasuredPair {
    /// `μ`, `E g_t`, `g_e`, and `V_r`; `g_e` is of `(∅, y'⁺, y'⁻)` with an answer of its own.
    pub gradients: PairGradients,
    /// `g_e` with other constants, and with the answers of the trace pair: `(constant, answers)`.
    pub constants: Vec<(Constant, &'static str, Vec<f64>)>,
    /// Relative error of Theorem 1, every gradient of the tree formed one by one.
    pub theorem1_error: f64,
    /// `|Σ_r π_ref(r|x) − 1|`.
    pub total_error: f64,
    /// Entropy of `π_θ(r|x)`, in nats.
    pub entropy: f64,
    /// Ideal margin: difference of the implicit rewards of the marginal answers.
    pub margin: f64,
    /// Standard deviation over `(r⁺, r⁻)` of the trace margin, in units of the implicit reward.
    pub margin_deviation: f64,
    /// Scored tokens of a trace pair (all traces are as long), and of the pair without traces.
    pub tokens: [usize; 2],
}

/// A pair, its tree, and scores at the reference.
#[derive(Clone, Debug)]
pub struct RealPair {
    tree: Tree,
    reference: TreeScores,
    shape: Shape,
}

impl RealPair {
    /// Scores a tree whose answers are `y⁺`, `y⁻`, `y'⁻` at the reference gains.
    ///
    /// # Errors
    /// A computation fails.
    pub fn new(head: &Head, tree: Tree, shape: Shape) -> Result<Self> {
        let reference = tree.scores(head, head.reference())?;
        Ok(Self {
            tree,
            reference,
            shape,
        })
    }

    /// Scores at the reference gains.
    #[must_use]
    pub fn reference(&self) -> &TreeScores {
        &self.reference
    }

    /// Measures the pair at scores computed at some gains.
    #[must_use]
    pub fn measure(&self, loss: &dyn PreferenceLoss, at: &TreeScores) -> MeasuredPair {
        let sequences = [PREFERRED, REJECTED]
            .map(|answer| at.sequences(&self.reference, answer, self.shape.depth));
        let draws = sequences.each_ref().map(|s| reference_posterior(s));
        let side = |which: usize| Side {
            sequences: &sequences[which],
            draw: &draws[which],
            answer_tokens: at.answer_tokens[which],
            scores: &at.scores[which],
        };
        let sides = [side(0), side(1)];
        let bare =
            |constant: usize, rejected: usize| self.constant_gradient(loss, at, constant, rejected);
        let gradients = pair_gradients(loss, &sides[0], &sides[1], bare(0, REJECTED_BARE));
        let mut constants = Vec::new();
        for (place, constant) in Constant::ALL.into_iter().enumerate() {
            constants.push((constant, "own", bare(place, REJECTED_BARE)));
            constants.push((constant, "shared", bare(place, REJECTED)));
        }
        let first = |side: &Vec<Scored>| side.first().map_or(0, |s| s.n_tokens);
        let bare_tokens = at.answer_tokens[PREFERRED] + at.answer_tokens[REJECTED_BARE];
        let total: f64 = self.reference.traces.iter().map(|lp| lp.exp()).sum();
        let theorem1_error = self.theorem1_error(loss, &sides, at, &gradients);
        let reward = |side: &Side<'_>| loss.reward(&side.marginal()).value;
        MeasuredPair {
            constants,
            theorem1_error,
            total_error: (total - 1.0).abs(),
            entropy: -at.traces.iter().map(|lp| lp * lp.exp()).sum::<f64>(),
            margin: reward(&sides[0]) - reward(&sides[1]),
            margin_deviation: margin_deviation(loss, &sides),
            tokens: [sequences.iter().map(first).sum(), bare_tokens],
            gradients,
        }
    }

    /// `∇ℓ` of two answers after the same constant trace.
    fn constant_gradient(
        &self,
        loss: &dyn PreferenceLoss,
        at: &TreeScores,
        constant: usize,
        rejected: usize,
    ) -> Vec<f64> {
        let scored = |answer: usize| Scored {
            logprob: at.constants[constant][answer].0,
            reference: self.reference.constants[constant][answer].0,
            n_tokens: at.answer_tokens[answer],
        };
        let slopes = pair_loss(loss, &scored(PREFERRED), &scored(rejected));
        let (plus, minus) = (
            &at.constants[constant][PREFERRED].1,
            &at.constants[constant][rejected].1,
        );
        let both = plus.iter().zip(minus);
        both.map(|(p, m)| slopes.chosen * p + slopes.rejected * m)
            .collect()
    }

    /// Largest relative error of `Var g_c = α² Var g_t` (Theorem 1) over some weights: every `g_c`
    /// of the tree is formed, and the variance in it compared with `V_r` as it was computed by
    /// interpolation.
    fn theorem1_error(
        &self,
        loss: &dyn PreferenceLoss,
        sides: &[Side<'_>; 2],
        at: &TreeScores,
        gradients: &PairGradients,
    ) -> f64 {
        const WEIGHTS: [f64; 3] = [0.1, 0.5, 1.0];
        let mut worst = 0.0_f64;
        for alpha in WEIGHTS {
            let mean: Vec<f64> = mixed(alpha, &gradients.trace, &gradients.empty);
            let mut variance = 0.0;
            for (i, plus) in sides[0].sequences.iter().enumerate() {
                for (j, minus) in sides[1].sequences.iter().enumerate() {
                    let slopes = pair_loss(loss, plus, minus);
                    let (s, t) = (&at.scores[0].0[i], &at.scores[1].0[j]);
                    let mut distance = 0.0;
                    for place in 0..mean.len() {
                        let trace = slopes.chosen * s[place] + slopes.rejected * t[place];
                        let mix = alpha * trace + (1.0 - alpha) * gradients.empty[place];
                        distance += (mix - mean[place]).powi(2);
                    }
                    variance += sides[0].draw[i] * sides[1].draw[j] * distance;
                }
            }
            let expected = alpha * alpha * gradients.trace_variance;
            worst = worst.max((variance - expected).abs() / expected.max(f64::MIN_POSITIVE));
        }
        worst
    }

    /// Takes one step of length `length` along the ideal gradient, downhill.
    ///
    /// # Errors
    /// A computation fails.
    pub fn descend(
        &self,
        head: &Head,
        gains: &Gains,
        ideal: &[f64],
        length: f64,
    ) -> Result<(Gains, TreeScores)> {
        let norm = dot(ideal, ideal).sqrt();
        let scale = if norm > 0.0 { length / norm } else { 0.0 };
        let moved = gains.0.iter().zip(ideal).map(|(g, d)| g - scale * d);
        let gains = Gains(moved.collect());
        let scores = self.tree.scores(head, &gains)?;
        Ok((gains, scores))
    }
}

fn mixed(alpha: f64, trace: &[f64], empty: &[f64]) -> Vec<f64> {
    let both = trace.iter().zip(empty);
    both.map(|(t, e)| alpha * t + (1.0 - alpha) * e).collect()
}

/// Standard deviation of `u_i − v_j` under the draws.
fn margin_deviation(loss: &dyn PreferenceLoss, sides: &[Side<'_>; 2]) -> f64 {
    let variance = |side: &Side<'_>| {
        let rewards = side.sequences.iter().map(|s| loss.reward(s).value);
        let weighed: Vec<(f64, f64)> = rewards.zip(side.draw.iter().copied()).collect();
        let mean: f64 = weighed.iter().map(|(u, p)| u * p).sum();
        weighed
            .iter()
            .map(|(u, p)| p * (u - mean).powi(2))
            .sum::<f64>()
    };
    (variance(&sides[0]) + variance(&sides[1])).sqrt()
}
