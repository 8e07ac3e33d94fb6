//! The constants of Algorithm 1, published and ours.

use serde::{Deserialize, Serialize};

use crate::error::PidError;

/// The constants of Algorithm 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThinPidConfig {
    /// First step size η of every entry. Official code: `1e-3`.
    pub step_start: f64,
    /// Decay α of all steps per iteration. Official code: `0.999`.
    pub decay: f64,
    /// RProp factor β: a step grows by 1/β where the gradient keeps its sign and shrinks by β where
    /// it flips. Official code: `0.9`.
    pub rprop: f64,
    /// Added to the diagonals of `B` and `I − SᵀS` inside the gradient, never inside the objective.
    /// Official code: `1e-7`; its timing figure `1e-8`.
    pub ridge: f64,
    /// The iteration stops when the last `patience` objectives all lie this close to the present
    /// one, in bits. The official code uses one constant, `reg`, for this and the ridge.
    pub tolerance_bits: f64,
    /// How many objectives are compared. Official code: `20`.
    pub patience: usize,
    /// Iterations at most. Official code: `20000`.
    pub iterations_max: u64,
    /// Project in every iteration, as the official code does, instead of only where a Cholesky
    /// factor does not prove the projection idle. The iterates differ by rounding only; the time
    /// does not.
    #[serde(default)]
    pub always_project: bool,
}

impl ThinPidConfig {
    /// The constants of the official code, with its `reg` (ridge and tolerance at once).
    #[must_use]
    pub fn published(reg: f64) -> Self {
        Self {
            step_start: 1e-3,
            decay: 0.999,
            rprop: 0.9,
            ridge: reg,
            tolerance_bits: reg,
            patience: 20,
            iterations_max: 20_000,
            always_project: false,
        }
    }

    /// The published constants with `reg = 1e-12` instead of `1e-7`: ours, where digits matter.
    ///
    /// The published tolerance accepts twenty objectives within `1e-7` bits of one another, which
    /// leaves errors between `1e-12` and `4e-7` bits depending on the problem. Sums of logarithms
    /// over up to a few hundred pivots carry about `1e-13` bits of rounding, so a tolerance of
    /// `1e-12` is the tightest that is reliably met.
    #[must_use]
    pub fn tight() -> Self {
        Self::published(1e-12)
    }

    /// Refuses constants with which the iteration makes no sense.
    ///
    /// # Errors
    /// [`PidError::Config`] with the knob.
    pub fn check(&self) -> Result<(), PidError> {
        let bad = |knob, must| Err(PidError::Config { knob, must });
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if !positive(self.step_start) {
            return bad("step_start", "positive");
        }
        if !positive(self.decay) || self.decay > 1.0 {
            return bad("decay", "above 0 and at most 1");
        }
        if !positive(self.rprop) || self.rprop >= 1.0 {
            return bad("rprop", "between 0 and 1");
        }
        if !positive(self.ridge) {
            return bad(
                "ridge",
                "positive: without it the start on the boundary has no gradient",
            );
        }
        if !positive(self.tolerance_bits) {
            return bad("tolerance_bits", "positive");
        }
        if self.patience == 0 {
            return bad("patience", "at least 1");
        }
        if self.iterations_max == 0 {
            return bad("iterations_max", "at least 1");
        }
        Ok(())
    }
}

impl Default for ThinPidConfig {
    fn default() -> Self {
        Self::published(1e-7)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_that_make_no_sense_are_refused_by_name() {
        let base = ThinPidConfig::default();
        let knob = |config: ThinPidConfig| match config.check() {
            Err(PidError::Config { knob, .. }) => knob,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            knob(ThinPidConfig {
                step_start: 0.0,
                ..base
            }),
            "step_start"
        );
        assert_eq!(knob(ThinPidConfig { decay: 1.1, ..base }), "decay");
        assert_eq!(knob(ThinPidConfig { rprop: 1.0, ..base }), "rprop");
        assert_eq!(knob(ThinPidConfig { ridge: 0.0, ..base }), "ridge");
        assert_eq!(
            knob(ThinPidConfig {
                tolerance_bits: f64::NAN,
                ..base
            }),
            "tolerance_bits"
        );
        assert_eq!(
            knob(ThinPidConfig {
                patience: 0,
                ..base
            }),
            "patience"
        );
        assert_eq!(
            knob(ThinPidConfig {
                iterations_max: 0,
                ..base
            }),
            "iterations_max"
        );
    }
}
