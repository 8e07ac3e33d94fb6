//! Projected sign-gradient descent with RProp step sizes: the loop that Thin-PID and Tilde-PID
//! share, so that a comparison of the two compares their mathematics and not their programming.
//!
//! ```text
//! g ← sign ∇L(X);   X ← project(X − αⁱ · η ⊙ g);   η ← η ⊙ β^(−g ⊙ g_prev)
//! ```

use std::collections::VecDeque;

use faer::Mat;

use super::thin_config::ThinPidConfig;
use super::thin_pid::Stop;
use crate::error::PidError;

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
}

/// How a descent ended.
pub(super) struct Descent {
    /// Smallest finite objective in bits, where there was one.
    pub best_bits: Option<f64>,
    /// Its point, or the last one.
    pub point: Mat<f64>,
    pub iterations: u64,
    pub projections: u64,
    pub stop: Stop,
    /// Objectives in order; infinite where not finite.
    pub path_bits: Vec<f64>,
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
/// A projection did not converge.
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
    let (best_bits, point) = match best {
        Some((value, x)) => (Some(value), x),
        None => (None, walk.x),
    };
    Ok(Descent {
        best_bits,
        point,
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
