//! Preference losses: DPO, SimPO, and IPO as functions of two scored sequences.
//!
//! Each loss is a function of a margin, and the margin is the difference of two implicit rewards,
//! one per sequence. So a loss is two small functions, and the gradient with respect to any
//! parameters follows by the chain rule:
//!
//! ```text
//! margin = reward(s⁺) − reward(s⁻)
//! ∇ℓ = ℓ'(margin) · (reward'(s⁺) ∇log π(s⁺|x) − reward'(s⁻) ∇log π(s⁻|x))
//! ```
//!
//! Where log-probabilities come from (a table, a small network, a real model) is nobody's affair
//! here.

use std::fmt::Debug;

/// What is known of one sequence: its log-probabilities and how many tokens were scored.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scored {
    /// `log π_θ(s|x)`, summed over the scored tokens, in nats.
    pub logprob: f64,
    /// `log π_ref(s|x)`, likewise.
    pub reference: f64,
    /// Scored tokens; read by length-normalised losses only.
    pub n_tokens: usize,
}

impl Scored {
    /// `ρ_θ(s) = log π_θ(s|x) − log π_ref(s|x)`, in nats.
    #[must_use]
    pub fn log_ratio(&self) -> f64 {
        self.logprob - self.reference
    }
}

/// A value and its derivative.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slope {
    /// The value.
    pub value: f64,
    /// Its derivative with respect to the argument.
    pub slope: f64,
}

/// A loss on pairs of sequences of which the first is preferred.
pub trait PreferenceLoss: Debug + Send + Sync {
    /// The implicit reward of a sequence, and its derivative with respect to `log π_θ(s|x)`.
    fn reward(&self, sequence: &Scored) -> Slope;

    /// The loss at a margin `reward(s⁺) − reward(s⁻)`, and its derivative there.
    fn of_margin(&self, margin: f64) -> Slope;

    /// Short name: `dpo`.
    fn name(&self) -> &'static str;
}

/// The loss of one pair and its derivatives with respect to both log-probabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairLoss {
    /// The loss.
    pub value: f64,
    /// Derivative with respect to `log π_θ(s⁺|x)`.
    pub chosen: f64,
    /// Derivative with respect to `log π_θ(s⁻|x)`.
    pub rejected: f64,
}

/// `ℓ(s⁺, s⁻)` and its derivatives with respect to both log-probabilities.
#[must_use]
pub fn pair_loss(loss: &dyn PreferenceLoss, chosen: &Scored, rejected: &Scored) -> PairLoss {
    let (plus, minus) = (loss.reward(chosen), loss.reward(rejected));
    let at = loss.of_margin(plus.value - minus.value);
    PairLoss {
        value: at.value,
        chosen: at.slope * plus.slope,
        rejected: -at.slope * minus.slope,
    }
}

/// Direct preference optimisation: `−log σ(β [ρ_θ(s⁺) − ρ_θ(s⁻)])` (section 2.1, `ℓ_t`, `ℓ_e`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dpo {
    /// Temperature β. Paper: not found.
    pub beta: f64,
}

impl PreferenceLoss for Dpo {
    fn reward(&self, sequence: &Scored) -> Slope {
        Slope {
            value: self.beta * sequence.log_ratio(),
            slope: self.beta,
        }
    }

    fn of_margin(&self, margin: f64) -> Slope {
        negative_log_sigmoid(margin)
    }

    fn name(&self) -> &'static str {
        "dpo"
    }
}

/// SimPO (arXiv 2405.14734): `−log σ((β/|s⁺|) log π_θ(s⁺) − (β/|s⁻|) log π_θ(s⁻) − γ)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimPo {
    /// Temperature β.
    pub beta: f64,
    /// Target margin γ.
    pub gamma: f64,
}

impl PreferenceLoss for SimPo {
    /// A sequence without scored tokens has no mean log-probability: its reward is 0 and constant.
    fn reward(&self, sequence: &Scored) -> Slope {
        if sequence.n_tokens == 0 {
            return Slope::default();
        }
        let slope = self.beta / sequence.n_tokens as f64;
        Slope {
            value: slope * sequence.logprob,
            slope,
        }
    }

    fn of_margin(&self, margin: f64) -> Slope {
        negative_log_sigmoid(margin - self.gamma)
    }

    fn name(&self) -> &'static str {
        "simpo"
    }
}

/// IPO (arXiv 2310.12036, equation 17): `(ρ_θ(s⁺) − ρ_θ(s⁻) − 1/(2τ))²`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ipo {
    /// Regularisation τ; 0 is refused by the configuration.
    pub tau: f64,
}

impl PreferenceLoss for Ipo {
    fn reward(&self, sequence: &Scored) -> Slope {
        Slope {
            value: sequence.log_ratio(),
            slope: 1.0,
        }
    }

    fn of_margin(&self, margin: f64) -> Slope {
        // Without regularisation the target margin is infinite; the loss is then defined as flat.
        if self.tau == 0.0 {
            return Slope::default();
        }
        let distance = margin - 0.5 / self.tau;
        Slope {
            value: distance * distance,
            slope: 2.0 * distance,
        }
    }

    fn name(&self) -> &'static str {
        "ipo"
    }
}

/// `−log σ(m)` and its derivative `−σ(−m)`, finite for every finite `m`.
#[must_use]
pub fn negative_log_sigmoid(margin: f64) -> Slope {
    let small = (-margin.abs()).exp();
    Slope {
        value: (-margin).max(0.0) + small.ln_1p(),
        slope: -sigmoid(-margin),
    }
}

/// The logistic function, without overflow.
#[must_use]
pub fn sigmoid(x: f64) -> f64 {
    let small = (-x.abs()).exp();
    if x >= 0.0 {
        1.0 / (1.0 + small)
    } else {
        small / (1.0 + small)
    }
}

/// `log Σ exp(x)`; minus infinity for no terms, and for terms that are all minus infinity.
#[must_use]
pub fn log_sum_exp(terms: impl IntoIterator<Item = f64> + Clone) -> f64 {
    let largest = terms.clone().into_iter().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    let sum: f64 = terms.into_iter().map(|term| (term - largest).exp()).sum();
    largest + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOSSES: [&dyn PreferenceLoss; 3] = [
        &Dpo { beta: 0.3 },
        &SimPo {
            beta: 2.0,
            gamma: 0.5,
        },
        &Ipo { tau: 0.1 },
    ];

    fn sequence(logprob: f64) -> Scored {
        Scored {
            logprob,
            reference: -7.25,
            n_tokens: 5,
        }
    }

    #[test]
    fn derivatives_agree_with_central_differences() {
        let step = 1e-5;
        for loss in LOSSES {
            for (plus, minus) in [(-3.0, -9.0), (-9.0, -3.0), (-7.25, -7.25), (-40.0, -0.1)] {
                let at = |plus, minus| pair_loss(loss, &sequence(plus), &sequence(minus));
                let found = at(plus, minus);
                let value = |plus, minus| at(plus, minus).value;
                let chosen = (value(plus + step, minus) - value(plus - step, minus)) / (2.0 * step);
                let rejected =
                    (value(plus, minus + step) - value(plus, minus - step)) / (2.0 * step);
                for (exact, difference) in [(found.chosen, chosen), (found.rejected, rejected)] {
                    let scale = exact.abs().max(1e-3);
                    assert!(
                        (exact - difference).abs() <= 1e-7 * scale,
                        "{}: {exact} against {difference}",
                        loss.name()
                    );
                }
            }
        }
    }

    #[test]
    fn everything_is_finite_at_margins_of_three_thousand() {
        for loss in LOSSES {
            for margin in [-3000.0, 0.0, 3000.0] {
                let at = loss.of_margin(margin);
                assert!(
                    at.value.is_finite() && at.slope.is_finite(),
                    "{}",
                    loss.name()
                );
            }
        }
        assert_eq!(negative_log_sigmoid(-3000.0).value, 3000.0);
        assert_eq!(negative_log_sigmoid(-3000.0).slope, -1.0);
        assert_eq!(
            negative_log_sigmoid(3000.0),
            Slope {
                value: 0.0,
                slope: 0.0
            }
        );
    }

    #[test]
    fn zero_denominators_give_a_constant() {
        let simpo = SimPo {
            beta: 2.0,
            gamma: 0.5,
        };
        let empty = Scored {
            n_tokens: 0,
            ..sequence(-3.0)
        };
        assert_eq!(simpo.reward(&empty), Slope::default());
        assert_eq!(Ipo { tau: 0.0 }.of_margin(3.0), Slope::default());
    }

    #[test]
    fn sums_of_exponentials_survive_extremes() {
        assert_eq!(log_sum_exp([]), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp([f64::NEG_INFINITY; 2]), f64::NEG_INFINITY);
        assert!((log_sum_exp([-3000.0, -3000.0]) - (2.0_f64.ln() - 3000.0)).abs() < 1e-12);
    }
}
