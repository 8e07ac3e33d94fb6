//! Projected sign-gradient descent with RProp step sizes: the loop that Thin-PID and Tilde-PID
//! share, so that a comparison of the two compares their mathematics and not their programming.
//!
//! ```text
//! g ← sign ∇L(X);   X ← project(X − αⁱ · η ⊙ g);   η ← η ⊙ β^(−g ⊙ g_prev)
//! ```

use std::collections::VecDeque;

use faer::Mat;

use super::closed_form::BOUNDARY_DISTANCE;
use super::thin_config::ThinPidConfig;
use crate::atoms::Atoms;
use crate::channel::Channel;
use crate::error::PidError;
use crate::linalg::spectral_norm;

/// How far [`Descent::limit_bits`] goes inside: the objective there exceeds its limit by about
/// this share of a signal-to-noise ratio, and `I − SᵀS` still has seven digits.
pub const LIMIT_SHRINK: f64 = 1e-9;

/// Why the iteration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The last `patience` objectives agree within the tolerance.
    Converged,
    /// `iterations_max` was reached.
    IterationCap,
    /// The objective is 0/0 and the sign of the gradient zero everywhere, so that no later iterate
    /// can differ; the official code spins here until its cap.
    Stuck,
    /// `B` or `I − SᵀS` plus ridge is not positive definite at the precision of `f64`.
    GradientLost,
}

impl Stop {
    /// The word used in rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Converged => "converged",
            Self::IterationCap => "iteration-cap",
            Self::Stuck => "stuck",
            Self::GradientLost => "gradient-lost",
        }
    }
}

/// What Thin-PID or Tilde-PID found.
#[derive(Clone, Debug)]
pub struct Descent {
    /// The smallest finite objective met, in bits; `None` where no iterate had one. Tilde-PID's
    /// has a ridge inside and may lie below the optimum.
    pub union_raw_bits: Option<f64>,
    /// The iterate it belongs to, or the last one where there is none; `d1 × d2` in the caller's
    /// order of sources.
    pub coupling: Mat<f64>,
    /// Spectral norm of that iterate.
    pub coupling_norm: f64,
    /// Iterations, counted as the official code does (the last index i).
    pub iterations: u64,
    /// Of those, how many needed the projection.
    pub projections: u64,
    /// Why it ended.
    pub stop: Stop,
    /// The objectives in order, in bits; infinite where not finite.
    pub path_bits: Vec<f64>,
}

impl Descent {
    /// The joint information a relative distance of [`LIMIT_SHRINK`] inside the coupling found, in
    /// bits: the value of the boundary as a limit from within, where Algorithm 1 itself has none.
    ///
    /// This is ours, not the paper's. The shrunken coupling is feasible, so that the value is an
    /// upper bound of the union information whatever the coupling is worth.
    ///
    /// # Errors
    /// A factorisation failed.
    pub fn limit_bits(&self, channel: &Channel) -> Result<f64, PidError> {
        let inside = &self.coupling * faer::Scale(1.0 - LIMIT_SHRINK);
        super::objective::conditional_bits(channel, inside.as_ref())
    }

    /// Whether the coupling found lies on the boundary of the spectral ball.
    #[must_use]
    pub fn on_boundary(&self) -> bool {
        self.coupling_norm >= 1.0 - BOUNDARY_DISTANCE
    }

    /// The raw objective.
    ///
    /// # Errors
    /// [`PidError::NoFiniteObjective`] where there is none.
    pub fn union_bits(&self) -> Result<f64, PidError> {
        let coupling_norm = self.coupling_norm;
        self.union_raw_bits
            .ok_or(PidError::NoFiniteObjective { coupling_norm })
    }

    /// The atoms from the raw objective, without any clamp.
    ///
    /// # Errors
    /// No iterate had a finite objective, or the joint information is infinite.
    pub fn atoms(&self, channel: &Channel) -> Result<Atoms, PidError> {
        self.atoms_by(channel, Atoms::of_union)
    }

    /// The atoms with the official code's clamp of the union information.
    ///
    /// # Errors
    /// As [`Descent::atoms`]: the clamp never stands in for a missing objective.
    pub fn atoms_clamped(&self, channel: &Channel) -> Result<Atoms, PidError> {
        self.atoms_by(channel, Atoms::of_union_clamped)
    }

    fn atoms_by(
        &self,
        channel: &Channel,
        of: impl Fn(f64, f64, f64, f64) -> Atoms,
    ) -> Result<Atoms, PidError> {
        let (info1, info2) = (channel.info1_bits()?, channel.info2_bits()?);
        let info12 = channel.info12_bits()?;
        Ok(of(info1, info2, info12, self.union_bits()?))
    }
}

/// What the loop asks of a method. All matrices have the shape of the start.
pub(super) trait Method {
    /// As `prepare`, for the first point, which is never projected.
    fn start(&mut self, x: &Mat<f64>) -> bool {
        self.prepare(x)
    }

    /// Prepares `value_bits` and `gradient` at `x`; false where `x` is not strictly inside the
    /// feasible set.
    fn prepare(&mut self, x: &Mat<f64>) -> bool;

    /// Moves `x` to the nearest point of the feasible set as the method defines it, and prepares
    /// there; whether the result has a value.
    fn project(&mut self, x: &mut Mat<f64>) -> Result<bool, PidError>;

    /// The objective at the prepared point, in bits.
    fn value_bits(&mut self, x: &Mat<f64>) -> f64;

    /// Writes the gradient at the prepared point, in nats, whatever `inside` was; false where a
    /// factorisation fails.
    fn gradient(&mut self, x: &Mat<f64>, inside: bool, out: &mut Mat<f64>) -> bool;

    /// A point as a coupling, `d1 × d2` in the caller's order of sources.
    fn coupling(&self, point: Mat<f64>) -> Mat<f64>;
}

/// The state that moves.
struct Walk {
    x: Mat<f64>,
    step: Mat<f64>,
    sign_before: Mat<f64>,
    gradient: Mat<f64>,
}

/// Runs the loop from `start`. `watch` sees every point with its objective.
///
/// # Errors
/// A projection, or the norm of the coupling found, did not converge.
pub(super) fn descend(
    method: &mut impl Method,
    start: Mat<f64>,
    constants: &ThinPidConfig,
    watch: &mut dyn FnMut(u64, &Mat<f64>, f64),
) -> Result<Descent, PidError> {
    let (rows, columns) = start.shape();
    let mut walk = Walk {
        x: start,
        step: Mat::full(rows, columns, constants.step_start),
        sign_before: Mat::zeros(rows, columns),
        gradient: Mat::zeros(rows, columns),
    };
    let mut recent: VecDeque<f64> = VecDeque::with_capacity(constants.patience + 1);
    let mut best: Option<(f64, Mat<f64>)> = None;
    let (mut path_bits, mut projections, mut iteration) = (Vec::new(), 0, 1_u64);
    let mut inside = method.start(&walk.x);
    let stop = loop {
        let objective = if inside {
            method.value_bits(&walk.x)
        } else {
            f64::INFINITY
        };
        watch(iteration, &walk.x, objective);
        keep_best(&mut best, objective, &walk.x);
        if recent.len() == constants.patience {
            let close = |old: &f64| (old - objective).abs() < constants.tolerance_bits;
            if recent.iter().all(close) {
                break Stop::Converged;
            }
            if iteration >= constants.iterations_max {
                break Stop::IterationCap;
            }
            recent.pop_front();
        }
        recent.push_back(objective);
        path_bits.push(objective);
        iteration += 1;
        if !method.gradient(&walk.x, inside, &mut walk.gradient) || !walk.gradient_is_finite() {
            break Stop::GradientLost;
        }
        let moved = walk.move_against_the_sign(constants, iteration);
        if !moved && !objective.is_finite() {
            break Stop::Stuck;
        }
        inside = !constants.always_project && method.prepare(&walk.x);
        if !inside {
            projections += 1;
            inside = method.project(&mut walk.x)?;
        }
    };
    let (union_raw_bits, point) = match best {
        Some((value, x)) => (Some(value), x),
        None => (None, walk.x),
    };
    let coupling = method.coupling(point);
    Ok(Descent {
        union_raw_bits,
        coupling_norm: spectral_norm(coupling.as_ref())?,
        coupling,
        iterations: iteration,
        projections,
        stop,
        path_bits,
    })
}

fn keep_best(best: &mut Option<(f64, Mat<f64>)>, objective: f64, x: &Mat<f64>) {
    if !objective.is_finite() {
        return;
    }
    match best {
        Some((least, kept)) if objective < *least => {
            *least = objective;
            kept.copy_from(x);
        }
        Some(_) => {}
        None => *best = Some((objective, x.clone())),
    }
}

impl Walk {
    /// The step and RProp's update of the step sizes; whether any entry moved.
    fn move_against_the_sign(&mut self, constants: &ThinPidConfig, iteration: u64) -> bool {
        let decay = constants.decay.powi(power(iteration));
        let (grow, shrink) = (1.0 / constants.rprop, constants.rprop);
        let mut moved = false;
        for column in 0..self.x.ncols() {
            let x = self.x.col_mut(column).iter_mut();
            let step = self.step.col_mut(column).iter_mut();
            let before = self.sign_before.col_mut(column).iter_mut();
            let gradient = self.gradient.col(column).iter();
            for (((x, step), before), gradient) in x.zip(step).zip(before).zip(gradient) {
                let sign = sign(*gradient);
                moved |= sign != 0.0;
                *x -= decay * *step * sign;
                let agreement = sign * *before;
                if agreement > 0.0 {
                    *step *= grow;
                } else if agreement < 0.0 {
                    *step *= shrink;
                }
                *before = sign;
            }
        }
        moved
    }

    fn gradient_is_finite(&self) -> bool {
        let columns = 0..self.gradient.ncols();
        columns
            .into_iter()
            .all(|k| self.gradient.col(k).iter().all(|v| v.is_finite()))
    }
}

/// The sign as numpy has it: zero for zero.
fn sign(value: f64) -> f64 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        0.0
    }
}

/// The exponent of the decay; iterations are capped far below `i32::MAX` in practice, and beyond
/// it the power is zero anyway.
fn power(iteration: u64) -> i32 {
    i32::try_from(iteration).unwrap_or(i32::MAX)
}
