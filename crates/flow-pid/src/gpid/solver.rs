//! One interface for every Gaussian solver.
//!
//! | solver | what it is | exact for |
//! |---|---|---|
//! | [`Solver::ClosedForm`] | generalised eigenvalues; ours | every Gaussian system |
//! | [`Solver::ThinPid`] | Algorithm 1 of the paper | the limit of its tolerance |
//! | [`Solver::ReducedThinPid`] | Algorithm 1 on triangular factors; ours | the same |
//! | [`Solver::TildePid`] | Venkatesh et al. 2023 | its ridge and tolerance |
//! | [`Solver::Mmi`] | `J = max(I1, I2)` | scalar target and sources |
//!
//! Each answer carries the solver's own union information, never repaired, beside bounds that come
//! from explicit multipliers and an explicit posterior and hold whoever solved the problem. What a
//! degenerate problem gets: a singular covariance or an infinite information is an error with a
//! name; an optimum on the boundary of the spectral ball (some `λ_k = 1`) leaves Thin-PID without
//! an objective, which [`Solution::union_bits`] says, and [`Solution::limit_bits`] then has the
//! limit from within; channels of any rank and shape are solved.

use faer::{Mat, MatRef};

use super::closed_form::{BOUNDARY_DISTANCE, Certificate, Optimum};
use super::descent::Descent;
use super::thin_pid::{ThinPid, ThinPidConfig};
use super::tilde_pid::{TildePid, TildePidConfig};
use crate::atoms::Atoms;
use crate::channel::Channel;
use crate::error::PidError;

/// A way to solve Gaussian PID.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Solver {
    /// The closed form.
    ClosedForm,
    /// Algorithm 1 on the channels as they are.
    ThinPid(ThinPidConfig),
    /// Algorithm 1 on the triangular factors `R_i` of `H_i = Q_i R_i`, `dy × dy` at most.
    ReducedThinPid(ThinPidConfig),
    /// Tilde-PID.
    TildePid(TildePidConfig),
    /// Minimum mutual information.
    Mmi,
}

/// What a solver found, and what is certain about it.
#[derive(Clone, Debug)]
pub struct Solution {
    /// I(X1;Y) in bits.
    pub info1_bits: f64,
    /// I(X2;Y) in bits.
    pub info2_bits: f64,
    /// I(X1,X2;Y) in bits under the true distribution.
    pub info12_bits: f64,
    /// The solver's own answer, nothing repaired.
    pub answer: Answer,
    /// Bounds of the true union information.
    pub certificate: Certificate,
    /// The objective as a limit from within, where the coupling lies on the boundary and there is
    /// no objective.
    pub limit_bits: Option<f64>,
    /// What the solver took, where a clock was given; certificate and informations not counted.
    pub seconds: Option<f64>,
}

/// What a solver hands over before anything is certified.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A union information in bits and no coupling: [`Solver::Mmi`].
    Union(f64),
    /// The closed form's.
    Optimum {
        /// Union information in bits.
        union_bits: f64,
        /// An optimal coupling, `d1 × d2`.
        coupling: Mat<f64>,
        /// Its spectral norm.
        coupling_norm: f64,
    },
    /// What an iteration found.
    Descent(Descent),
}

impl Solver {
    /// Every solver with its published constants, and the closed form.
    #[must_use]
    pub fn all() -> [Self; 5] {
        [
            Self::ClosedForm,
            Self::ThinPid(ThinPidConfig::default()),
            Self::ReducedThinPid(ThinPidConfig::default()),
            Self::TildePid(TildePidConfig::published()),
            Self::Mmi,
        ]
    }

    /// The name used in rows and figures.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ClosedForm => "closed-form",
            Self::ThinPid(_) => "thin-pid",
            Self::ReducedThinPid(_) => "reduced-thin-pid",
            Self::TildePid(_) => "tilde-pid",
            Self::Mmi => "mmi",
        }
    }

    /// Solves a channel.
    ///
    /// # Errors
    /// The constants make no sense, the joint information is infinite, or a factorisation failed.
    pub fn solve(&self, channel: &Channel) -> Result<Solution, PidError> {
        self.solve_with(channel, None)
    }

    /// The same with a clock: `now` gives seconds since any fixed instant. This crate reads no
    /// clock of its own.
    ///
    /// # Errors
    /// As [`Solver::solve`].
    pub fn solve_timed(
        &self,
        channel: &Channel,
        now: &mut dyn FnMut() -> f64,
    ) -> Result<Solution, PidError> {
        self.solve_with(channel, Some(now))
    }

    fn solve_with(
        &self,
        channel: &Channel,
        mut now: Option<&mut dyn FnMut() -> f64>,
    ) -> Result<Solution, PidError> {
        let start = now.as_mut().map(|now| now());
        let (answer, limit_bits) = self.answer(channel)?;
        let seconds = start.zip(now.as_mut().map(|now| now()));
        let optimum = Optimum::of(channel)?;
        Ok(Solution {
            info1_bits: optimum.info1_bits,
            info2_bits: optimum.info2_bits,
            info12_bits: channel.info12_bits()?,
            answer,
            certificate: optimum.certificate()?,
            limit_bits,
            seconds: seconds.map(|(start, end)| end - start),
        })
    }

    /// The answer, and the limit from within where it is needed.
    fn answer(&self, channel: &Channel) -> Result<(Answer, Option<f64>), PidError> {
        let (found, limit_bits) = match self {
            Self::ClosedForm => return Ok((closed_form(channel)?, None)),
            Self::Mmi => {
                let union_bits = channel.info1_bits()?.max(channel.info2_bits()?);
                return Ok((Answer::Union(union_bits), None));
            }
            Self::ThinPid(constants) => {
                let found = ThinPid::run(channel, constants)?;
                let limit_bits = limit_bits(channel, &found)?;
                (found, limit_bits)
            }
            Self::ReducedThinPid(constants) => {
                let reduced = channel.reduced();
                let mut found = ThinPid::run(&reduced, constants)?;
                let limit_bits = limit_bits(&reduced, &found)?;
                found.coupling = lifted(channel, &found.coupling);
                (found, limit_bits)
            }
            Self::TildePid(constants) => (TildePid::run(channel, constants)?, None),
        };
        Ok((Answer::Descent(found), limit_bits))
    }
}

fn closed_form(channel: &Channel) -> Result<Answer, PidError> {
    let optimum = Optimum::of(channel)?;
    let coupling = optimum.coupling(channel)?;
    Ok(Answer::Optimum {
        union_bits: optimum.union_bits,
        coupling_norm: crate::linalg::spectral_norm(coupling.as_ref())?,
        coupling,
    })
}

/// The limit from within where Thin-PID met no objective on the boundary.
fn limit_bits(channel: &Channel, found: &Descent) -> Result<Option<f64>, PidError> {
    match found.union_raw_bits {
        None if found.on_boundary() => found.limit_bits(channel).map(Some),
        _ => Ok(None),
    }
}

/// The coupling of the reduced problem in the sources' own coordinates: `Q1 S Q2ᵀ`.
fn lifted(channel: &Channel, small: &Mat<f64>) -> Mat<f64> {
    let q1 = channel.h1().qr().compute_thin_Q();
    let q2 = channel.h2().qr().compute_thin_Q();
    q1 * small * q2.transpose()
}

impl Solution {
    /// The union information as the solver has it, in bits.
    ///
    /// # Errors
    /// [`PidError::NoFiniteObjective`] where an iteration met none.
    pub fn union_bits(&self) -> Result<f64, PidError> {
        match &self.answer {
            Answer::Union(union_bits) | Answer::Optimum { union_bits, .. } => Ok(*union_bits),
            Answer::Descent(found) => found.union_bits(),
        }
    }

    /// The run of a solver that iterates.
    #[must_use]
    pub fn descent(&self) -> Option<&Descent> {
        match &self.answer {
            Answer::Descent(found) => Some(found),
            Answer::Union(_) | Answer::Optimum { .. } => None,
        }
    }

    /// The coupling found, `d1 × d2`; `None` for [`Solver::Mmi`].
    #[must_use]
    pub fn coupling(&self) -> Option<MatRef<'_, f64>> {
        match &self.answer {
            Answer::Union(_) => None,
            Answer::Optimum { coupling, .. } => Some(coupling.as_ref()),
            Answer::Descent(found) => Some(found.coupling.as_ref()),
        }
    }

    /// The raw union information minus the certified lower bound, in bits: an upper bound of the
    /// error where the value belongs to a feasible coupling. Negative where it belongs to none, as
    /// with a ridge inside the objective or a decomposition that is not the optimum's.
    ///
    /// # Errors
    /// As [`Solution::union_bits`].
    pub fn gap_bits(&self) -> Result<f64, PidError> {
        Ok(self.union_bits()? - self.certificate.lower_bits)
    }

    /// Whether the coupling lies on the boundary of the spectral ball.
    #[must_use]
    pub fn on_boundary(&self) -> bool {
        match &self.answer {
            Answer::Union(_) => false,
            Answer::Optimum { coupling_norm, .. } => *coupling_norm >= 1.0 - BOUNDARY_DISTANCE,
            Answer::Descent(found) => found.on_boundary(),
        }
    }

    /// The atoms from the raw union information; nothing is clamped.
    ///
    /// # Errors
    /// As [`Solution::union_bits`].
    pub fn atoms(&self) -> Result<Atoms, PidError> {
        self.union_bits().map(|union| self.atoms_of(union))
    }

    /// The atoms from the raw union information, or from its limit on the boundary.
    ///
    /// # Errors
    /// There is neither.
    pub fn atoms_within(&self) -> Result<Atoms, PidError> {
        match self.limit_bits {
            Some(limit) => Ok(self.atoms_of(limit)),
            None => self.atoms(),
        }
    }

    /// The atoms as the official code makes them: a union information that is not finite counts as
    /// infinite, and is then clamped to `[max(I1, I2), min(I1 + I2, I12)]`.
    #[must_use]
    pub fn atoms_clamped(&self) -> Atoms {
        let union = self.union_bits().unwrap_or(f64::INFINITY);
        Atoms::of_union_clamped(self.info1_bits, self.info2_bits, self.info12_bits, union)
    }

    fn atoms_of(&self, union: f64) -> Atoms {
        Atoms::of_union(self.info1_bits, self.info2_bits, self.info12_bits, union)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpid::objective::conditional_bits;
    use faer::mat;

    #[test]
    fn every_solver_answers_through_the_interface_within_its_own_bar() {
        let channel = Channel::with_independent_noise(
            mat![[1.2, -0.3], [0.1, 0.9], [0.6, -0.2]],
            mat![[0.4, 0.8], [-1.1, 0.3], [0.5, 0.5], [0.2, 0.0]],
        )
        .unwrap();
        for solver in Solver::all() {
            let mut ticks = 0.0;
            let mut now = || {
                ticks += 1.0;
                ticks
            };
            let solution = solver.solve_timed(&channel, &mut now).unwrap();
            assert_eq!(solution.seconds, Some(1.0));
            let gap = solution.gap_bits().unwrap();
            let bar = match solver {
                Solver::ClosedForm => 1e-13,
                Solver::ThinPid(_) | Solver::ReducedThinPid(_) => 1e-6,
                Solver::TildePid(_) => 5e-6,
                Solver::Mmi => f64::INFINITY,
            };
            assert!(gap.abs() < bar, "{}: {gap:e}", solver.name());
            if let Some(coupling) = solution.coupling() {
                assert_eq!(coupling.shape(), (3, 4));
                // The coupling has the value that is told, whoever found it.
                let value = conditional_bits(&channel, coupling).unwrap();
                assert!((value - solution.union_bits().unwrap()).abs() < 1e-5);
            } else {
                assert!(gap < -0.1, "the sources differ in direction: {gap}");
            }
        }
    }

    #[test]
    fn equal_channels_are_detected_before_and_told_after_the_clamp() {
        let channel = Channel::new(mat![[1.0]], mat![[1.0]], mat![[0.5]]).unwrap();
        let thin = Solver::ThinPid(ThinPidConfig::default());
        let solution = thin.solve(&channel).unwrap();
        assert!(solution.on_boundary() && solution.atoms().is_err());
        let truth = crate::mmi::scalar_channel(1.0, 1.0, 0.5);
        let within = solution.atoms_within().unwrap();
        assert!(within.distance_max(&truth) < 1e-8);
        // The clamp moves infinity to the upper end, which is not the truth.
        assert!(solution.atoms_clamped().distance_max(&truth) > 0.05);
        let closed = Solver::ClosedForm.solve(&channel).unwrap();
        assert!(closed.on_boundary());
        assert!(closed.atoms().unwrap().distance_max(&truth) < 1e-14);
    }
}
