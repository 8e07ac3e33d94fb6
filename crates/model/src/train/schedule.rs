//! Learning rates over time, as descriptions that can be stored.

use eval::{Error, Result};
use serde::{Deserialize, Serialize};

/// A learning rate as a function of the step, in the conventions of the `transformers` library:
/// update number `s` (from 0) uses `peak · factor(s)`, the warm-up rises as `s / n_warmup`, so its
/// first update has rate 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The highest rate.
    pub peak: f64,
    /// Steps of the linear warm-up; 0 for none.
    pub n_warmup: u64,
    /// What follows the warm-up.
    pub decay: Decay,
}

/// The course of the rate after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Decay {
    /// Stays at the peak.
    Constant,
    /// Falls linearly to `floor · peak` at step `n_steps`, then stays.
    Linear {
        /// Steps in all, warm-up included.
        n_steps: u64,
        /// Last rate as a part of the peak.
        floor: f64,
    },
    /// Falls along half a cosine to `floor · peak` at step `n_steps`, then stays.
    Cosine {
        /// Steps in all, warm-up included.
        n_steps: u64,
        /// Last rate as a part of the peak.
        floor: f64,
    },
    /// `√(n_warmup / s)`; needs a warm-up.
    InverseSqrt,
}

impl Schedule {
    /// The same rate at every step.
    #[must_use]
    pub fn constant(rate: f64) -> Self {
        Self {
            peak: rate,
            n_warmup: 0,
            decay: Decay::Constant,
        }
    }

    /// Checks the numbers before anything is computed.
    ///
    /// # Errors
    /// The peak is negative or not finite, a floor is outside `[0, 1]`, the decay ends before the
    /// warm-up does, or an inverse square root has no warm-up.
    pub fn validate(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::usage(format!("learning-rate schedule: {what}")));
        if !self.peak.is_finite() || self.peak < 0.0 {
            return refuse(format!("peak {}", self.peak));
        }
        match self.decay {
            Decay::Constant => Ok(()),
            Decay::Linear { n_steps, floor } | Decay::Cosine { n_steps, floor } => {
                if !(0.0..=1.0).contains(&floor) {
                    return refuse(format!("floor {floor} is not in [0, 1]"));
                }
                if n_steps <= self.n_warmup {
                    let n_warmup = self.n_warmup;
                    return refuse(format!("{n_steps} steps after {n_warmup} of warm-up"));
                }
                Ok(())
            }
            Decay::InverseSqrt if self.n_warmup == 0 => {
                refuse("an inverse square root needs a warm-up".to_owned())
            }
            Decay::InverseSqrt => Ok(()),
        }
    }

    /// The rate of update number `step` (from 0).
    #[must_use]
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.n_warmup {
            return self.peak * (step as f64 / self.n_warmup as f64);
        }
        let done = |n_steps: u64| {
            let length = n_steps.saturating_sub(self.n_warmup).max(1) as f64;
            ((step - self.n_warmup) as f64 / length).min(1.0)
        };
        let factor = match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear { n_steps, floor } => floor + (1.0 - floor) * (1.0 - done(n_steps)),
            Decay::Cosine { n_steps, floor } => {
                let half = 0.5 * (1.0 + (std::f64::consts::PI * done(n_steps)).cos());
                floor + (1.0 - floor) * half
            }
            Decay::InverseSqrt => (self.n_warmup as f64 / step.max(1) as f64).sqrt(),
        };
        self.peak * factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(decay: Decay, expected: [f64; 4]) {
        let schedule = Schedule {
            peak: 2.0,
            n_warmup: 4,
            decay,
        };
        schedule.validate().unwrap();
        for (step, rate) in [2, 4, 9, 16].into_iter().zip(expected) {
            let measured = schedule.rate(step);
            assert!((measured - rate).abs() < 1e-12, "{step}: {measured}");
        }
    }

    #[test]
    fn rates_follow_their_closed_forms() {
        let third = 5.0 / 12.0;
        check(Decay::Constant, [1.0, 2.0, 2.0, 2.0]);
        let linear = Decay::Linear {
            n_steps: 16,
            floor: 0.0,
        };
        check(linear, [1.0, 2.0, 2.0 * (1.0 - third), 0.0]);
        let cosine = Decay::Cosine {
            n_steps: 16,
            floor: 0.25,
        };
        let half = 0.5 * (1.0 + (std::f64::consts::PI * third).cos());
        check(cosine, [1.0, 2.0, 2.0 * (0.25 + 0.75 * half), 0.5]);
        check(Decay::InverseSqrt, [1.0, 2.0, 2.0 * 2.0 / 3.0, 1.0]);
    }

    #[test]
    fn impossible_schedules_are_refused() {
        let with = |peak, n_warmup, decay| Schedule {
            peak,
            n_warmup,
            decay,
        };
        let linear = |n_steps, floor| Decay::Linear { n_steps, floor };
        for bad in [
            with(f64::NAN, 0, Decay::Constant),
            with(-1.0, 0, Decay::Constant),
            with(1.0, 0, Decay::InverseSqrt),
            with(1.0, 5, linear(5, 0.0)),
            with(1.0, 0, linear(5, 1.5)),
        ] {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
    }
}
