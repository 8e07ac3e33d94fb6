//! What a step descends on: which pairs of a row count, with which weights.

use eval::{Error, Result};
use model::train::{Decoder, Gradients, dot};
use serde::{Deserialize, Serialize};

use super::data::{Example, Needs, ScoredPair};
use super::gradient::{PairOutcome, Term, gradient};
use crate::method::loss::PreferenceLoss;

/// Decay of the moving averages behind the adaptive weight (experiment X6).
const DECAY: f64 = 0.9;

/// How the gradient is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Estimation {
    /// `g_t`: ordinary preference optimisation on trace and answer (α = 1).
    Trace,
    /// `g_e`: the same with thinking switched off (α = 0).
    Empty,
    /// `α g_t + (1 − α) g_e`.
    Mix {
        /// The weight of `g_t`.
        alpha: f64,
    },
    /// Both kinds of pairs as rows of one shuffled set (F7).
    Union,
    /// The mean over all replicates of a row's traces (F5).
    Average,
    /// `α̂ ½(g_t¹ + g_t²) + (1 − α̂) g_e` with the weight of F8: both replicates are there, so both
    /// count, and the variance behind the weight is half of that of one.
    Adaptive,
}

impl Estimation {
    /// What a row must have; `diagnose` wants two replicates and the empty pair for F8.
    #[must_use]
    pub fn needs(self, diagnose: bool) -> Needs {
        let (n_thinking, empty) = match self {
            Self::Trace | Self::Average => (1, false),
            Self::Empty => (0, true),
            Self::Mix { .. } | Self::Union => (1, true),
            Self::Adaptive => (2, true),
        };
        if diagnose {
            let empty = true;
            let n_thinking = 2;
            return Needs { n_thinking, empty };
        }
        Needs { n_thinking, empty }
    }

    /// Entries of the data order per row.
    #[must_use]
    pub fn visits(self) -> usize {
        if self == Self::Union { 2 } else { 1 }
    }
}

/// F8: what two replicates of the traces tell of bias and variance, over the same rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diagnostics {
    /// `X = ⟨g_t¹ − g_e, g_t² − g_e⟩`, unbiased for `‖E g_t − g_e‖²`; may be negative.
    pub squared_bias: f64,
    /// `V = ½ ‖g_t¹ − g_t²‖²`, unbiased for the trace-induced variance of `g_t` at this batch size.
    pub trace_variance: f64,
    /// `X / (X + V)`, clipped to `[0, 1]`: the weight of a single trace gradient.
    pub alpha_hat: f64,
}

/// `clip(X / (X + V), 0, 1)` (F8). Where `X + V` is not positive nothing speaks for the trace
/// gradient: 0.
#[must_use]
pub fn alpha_hat(squared_bias: f64, trace_variance: f64) -> f64 {
    let sum = squared_bias + trace_variance;
    if sum > 0.0 {
        (squared_bias / sum).clamp(0.0, 1.0)
    } else {
        0.0
    }
}

/// Moving averages of `X` and `V`; the first value is taken as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moving {
    /// Of `X`.
    pub squared_bias: f64,
    /// Of `V`.
    pub trace_variance: f64,
    /// Values taken in.
    pub n: u64,
}

impl Moving {
    /// Takes a value in.
    #[must_use]
    pub fn with(self, found: &Diagnostics) -> Self {
        let keep = if self.n == 0 { 0.0 } else { DECAY };
        let mix = |old: f64, new: f64| keep * old + (1.0 - keep) * new;
        Self {
            squared_bias: mix(self.squared_bias, found.squared_bias),
            trace_variance: mix(self.trace_variance, found.trace_variance),
            n: self.n + 1,
        }
    }
}

/// An entry of a batch: a row, and for the union which of its two kinds.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// The row.
    pub example: &'a Example,
    /// 0, or for the union 0 for the pair with traces and 1 for the one without.
    pub kind: usize,
}

/// How gradients of a run are computed.
#[derive(Clone, Copy, Debug)]
pub struct Objective<'a> {
    /// The preference loss.
    pub loss: &'a dyn PreferenceLoss,
    /// Which pairs, with which weights.
    pub estimation: Estimation,
    /// Pairs that share a pass.
    pub n_at_once: usize,
}

/// A gradient and what was seen on the way.
#[derive(Debug)]
pub struct Estimated {
    /// The gradient to step along.
    pub gradients: Gradients,
    /// Pairs with traces.
    pub trace: Vec<PairOutcome>,
    /// Pairs without.
    pub empty: Vec<PairOutcome>,
    /// The weight of `g_t`, where two kinds are mixed.
    pub alpha: Option<f64>,
    /// F8, where it was computed.
    pub diagnostics: Option<Diagnostics>,
}

impl Objective<'_> {
    /// The gradient of the mean over `batch`; `moving` is brought up to date where F8 is computed.
    ///
    /// # Errors
    /// A row lacks a part, or the decoder cannot compute one.
    pub fn estimate(
        &self,
        decoder: &Decoder,
        batch: &[Visit<'_>],
        diagnose: bool,
        moving: &mut Moving,
    ) -> Result<Estimated> {
        match self.estimation {
            Estimation::Adaptive => self.by_parts(decoder, batch, moving),
            // These are no weighted sum of the three parts, so F8 costs its passes on top.
            Estimation::Union | Estimation::Average if diagnose => {
                let diagnostics = self.by_parts(decoder, batch, moving)?.diagnostics;
                let found = self.plain(decoder, batch)?;
                Ok(Estimated {
                    diagnostics,
                    ..found
                })
            }
            _ if diagnose => self.by_parts(decoder, batch, moving),
            _ => self.plain(decoder, batch),
        }
    }

    /// Without F8.
    fn plain(&self, decoder: &Decoder, batch: &[Visit<'_>]) -> Result<Estimated> {
        let weight = 1.0 / batch.len() as f64;
        let (mut trace, mut empty) = (Vec::new(), Vec::new());
        let alpha = match self.estimation {
            Estimation::Trace | Estimation::Average => Some(1.0),
            Estimation::Empty => Some(0.0),
            Estimation::Mix { alpha } => Some(alpha),
            Estimation::Union | Estimation::Adaptive => None,
        };
        for visit in batch {
            let example = visit.example;
            match (self.estimation, alpha) {
                (Estimation::Average, _) => {
                    let weight = weight / example.thinking.len() as f64;
                    let terms = example.thinking.iter().map(|pair| Term { pair, weight });
                    trace.extend(terms);
                }
                (_, None) if visit.kind == 0 => trace.push(term(thinking(example, 0)?, weight)),
                (_, None) => empty.push(term(without(example)?, weight)),
                (_, Some(alpha)) => {
                    if alpha > 0.0 {
                        trace.push(term(thinking(example, 0)?, weight * alpha));
                    }
                    if alpha < 1.0 {
                        empty.push(term(without(example)?, weight * (1.0 - alpha)));
                    }
                }
            }
        }
        self.sum(decoder, &trace, &empty, alpha)
    }

    /// One backward pass over both kinds; sequences with and without traces differ in length, so
    /// they are not padded to one another.
    fn sum(
        &self,
        decoder: &Decoder,
        trace: &[Term<'_>],
        empty: &[Term<'_>],
        alpha: Option<f64>,
    ) -> Result<Estimated> {
        let mut sum: Option<Gradients> = None;
        let mut outcomes = [Vec::new(), Vec::new()];
        for (terms, outcomes) in [trace, empty].into_iter().zip(&mut outcomes) {
            if terms.is_empty() {
                continue;
            }
            let (part, found) = gradient(decoder, self.loss, terms, self.n_at_once)?;
            *outcomes = found;
            match &mut sum {
                Some(sum) => sum.add(&part)?,
                none => *none = Some(part),
            }
        }
        let [trace, empty] = outcomes;
        Ok(Estimated {
            gradients: sum.ok_or_else(|| Error::internal("a step on no pairs"))?,
            trace,
            empty,
            alpha,
            diagnostics: None,
        })
    }

    /// Two trace gradients and the empty one apart, F8 from them, then their weighted sum.
    fn by_parts(
        &self,
        decoder: &Decoder,
        batch: &[Visit<'_>],
        moving: &mut Moving,
    ) -> Result<Estimated> {
        let weight = 1.0 / batch.len() as f64;
        let part = |pick: &dyn Fn(&Visit<'_>) -> Result<ScoredPair>| {
            let pairs: Vec<ScoredPair> = batch.iter().map(pick).collect::<Result<_>>()?;
            let terms: Vec<Term<'_>> = pairs.iter().map(|pair| Term { pair, weight }).collect();
            gradient(decoder, self.loss, &terms, self.n_at_once)
        };
        let (first, trace) = part(&|visit| thinking(visit.example, 0).cloned())?;
        let (second, _) = part(&|visit| thinking(visit.example, 1).cloned())?;
        let (bare, empty) = part(&|visit| without(visit.example).cloned())?;
        let found = diagnostics(&first, &second, &bare)?;
        *moving = moving.with(&found);
        let (mut gradients, mut rest) = (first, bare);
        let alpha = match self.estimation {
            Estimation::Adaptive => {
                gradients.add(&second)?;
                gradients.scale(0.5);
                alpha_hat(moving.squared_bias, 0.5 * moving.trace_variance)
            }
            Estimation::Mix { alpha } => alpha,
            Estimation::Empty => 0.0,
            Estimation::Trace | Estimation::Average | Estimation::Union => 1.0,
        };
        gradients.scale(alpha);
        rest.scale(1.0 - alpha);
        gradients.add(&rest)?;
        Ok(Estimated {
            gradients,
            trace,
            empty,
            alpha: Some(alpha),
            diagnostics: Some(found),
        })
    }
}

fn term(pair: &ScoredPair, weight: f64) -> Term<'_> {
    Term { pair, weight }
}

fn thinking(example: &Example, replicate: usize) -> Result<&ScoredPair> {
    let pair = example.thinking.get(replicate);
    pair.ok_or_else(|| Error::internal(format!("row `{}` lacks a pair with traces", example.id)))
}

fn without(example: &Example) -> Result<&ScoredPair> {
    let pair = example.empty.as_ref();
    pair.ok_or_else(|| Error::internal(format!("row `{}` lacks a pair without", example.id)))
}

/// F8 from two replicates and the empty gradient.
fn diagnostics(first: &Gradients, second: &Gradients, bare: &Gradients) -> Result<Diagnostics> {
    let (first, second, bare) = (first.flat()?, second.flat()?, bare.flat()?);
    let minus =
        |a: &[f32], b: &[f32]| -> Vec<f32> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
    let (to_first, to_second) = (minus(&first, &bare), minus(&second, &bare));
    let apart = minus(&first, &second);
    let squared_bias = dot(&to_first, &to_second)?;
    let trace_variance = 0.5 * dot(&apart, &apart)?;
    Ok(Diagnostics {
        squared_bias,
        trace_variance,
        alpha_hat: alpha_hat(squared_bias, trace_variance),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::loss::Dpo;
    use crate::trainer::testing::{example, tiny_decoder};

    const LOSS: Dpo = Dpo { beta: 0.3 };

    fn objective(estimation: Estimation) -> Objective<'static> {
        Objective {
            loss: &LOSS,
            estimation,
            n_at_once: 2,
        }
    }

    fn flat(
        decoder: &Decoder,
        estimation: Estimation,
        batch: &[Visit<'_>],
        diagnose: bool,
    ) -> Vec<f64> {
        let mut moving = Moving::default();
        let objective = objective(estimation);
        let found = objective
            .estimate(decoder, batch, diagnose, &mut moving)
            .unwrap();
        found
            .gradients
            .flat()
            .unwrap()
            .into_iter()
            .map(f64::from)
            .collect()
    }

    fn visits(examples: &[Example]) -> Vec<Visit<'_>> {
        examples
            .iter()
            .map(|example| Visit { example, kind: 0 })
            .collect()
    }

    fn close(a: &[f64], b: &[f64]) {
        let norm = a.iter().map(|a| a * a).sum::<f64>().sqrt();
        let apart: f64 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
        assert!(
            norm > 0.0 && apart.sqrt() < 2e-6 * norm,
            "{} of {norm}",
            apart.sqrt()
        );
    }

    fn combined(a: f64, x: &[f64], b: f64, y: &[f64]) -> Vec<f64> {
        x.iter().zip(y).map(|(x, y)| a * x + b * y).collect()
    }

    #[test]
    fn mixes_are_the_weighted_sums_of_their_parts() {
        let decoder = tiny_decoder(true);
        let examples = [example(0), example(1), example(2)];
        let batch = visits(&examples);
        let trace = flat(&decoder, Estimation::Trace, &batch, false);
        let empty = flat(&decoder, Estimation::Empty, &batch, false);
        let mix = flat(&decoder, Estimation::Mix { alpha: 0.3 }, &batch, false);
        close(&mix, &combined(0.3, &trace, 0.7, &empty));
        let by_parts = flat(&decoder, Estimation::Mix { alpha: 0.3 }, &batch, true);
        close(&by_parts, &mix);
        // F7: the union over a whole epoch is the mix with weight one half.
        let mut both = batch.clone();
        both.extend(examples.iter().map(|example| Visit { example, kind: 1 }));
        let union = flat(&decoder, Estimation::Union, &both, false);
        close(&union, &combined(0.5, &trace, 0.5, &empty));
    }

    #[test]
    fn two_replicates_give_bias_and_variance_of_the_batch() {
        let decoder = tiny_decoder(true);
        let examples = [example(0), example(1)];
        let swapped: Vec<Example> = examples
            .iter()
            .map(|e| Example {
                thinking: vec![e.thinking[1].clone()],
                ..e.clone()
            })
            .collect();
        let first = flat(&decoder, Estimation::Trace, &visits(&examples), false);
        let second = flat(&decoder, Estimation::Trace, &visits(&swapped), false);
        let bare = flat(&decoder, Estimation::Empty, &visits(&examples), false);
        let mut x = 0.0;
        let mut v = 0.0;
        for ((a, b), e) in first.iter().zip(&second).zip(&bare) {
            x += (a - e) * (b - e);
            v += 0.5 * (a - b) * (a - b);
        }
        let mut moving = Moving::default();
        let found = objective(Estimation::Adaptive)
            .estimate(&decoder, &visits(&examples), false, &mut moving)
            .unwrap();
        let told = found.diagnostics.unwrap();
        assert!((told.squared_bias / x - 1.0).abs() < 1e-4, "{told:?} {x}");
        assert!((told.trace_variance / v - 1.0).abs() < 1e-4, "{told:?} {v}");
        // Both replicates enter the step, so the variance behind its weight is halved.
        let alpha = alpha_hat(told.squared_bias, 0.5 * told.trace_variance);
        assert_eq!(found.alpha, Some(alpha));
        let mean = combined(0.5, &first, 0.5, &second);
        let stepped: Vec<f64> = found
            .gradients
            .flat()
            .unwrap()
            .into_iter()
            .map(f64::from)
            .collect();
        close(&stepped, &combined(alpha, &mean, 1.0 - alpha, &bare));
        assert_eq!(moving.n, 1);
    }

    #[test]
    fn the_weight_is_finite_where_nothing_is_known() {
        assert_eq!(alpha_hat(0.0, 0.0), 0.0);
        assert_eq!(alpha_hat(-2.0, 1.0), 0.0);
        assert_eq!(alpha_hat(-0.5, 1.0), 0.0);
        assert_eq!(alpha_hat(3.0, 0.0), 1.0);
        assert_eq!(alpha_hat(1.0, 3.0), 0.25);
    }

    #[test]
    fn moving_averages_start_at_the_first_value() {
        let found = |x| Diagnostics {
            squared_bias: x,
            trace_variance: 2.0 * x,
            alpha_hat: 0.0,
        };
        let moving = Moving::default().with(&found(5.0));
        assert_eq!((moving.squared_bias, moving.n), (5.0, 1));
        let moving = moving.with(&found(15.0));
        assert!((moving.squared_bias - 6.0).abs() < 1e-12);
        assert!((moving.trace_variance - 12.0).abs() < 1e-12);
    }
}
