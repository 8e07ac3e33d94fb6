//! Thin-PID: Algorithm 1 of the paper, projected sign-gradient descent with RProp step sizes.
//!
//! The variable is the coupling `S = Σ^off` (`d1 × d2` after the sources are ordered by size), the
//! feasible set the unit ball of the spectral norm. One iteration is
//!
//! ```text
//! g ← sign ∇L(S);   S ← clip(S − αⁱ · η ⊙ g);   η ← η ⊙ β^(−g ⊙ g_prev)
//! ```
//!
//! What is evaluated is what the official code evaluates; how is in the module documentation of
//! [`crate::objective`]. Two shortcuts change no iterate beyond rounding:
//!
//! * the projection is skipped where a Cholesky factor of `I − SᵀS` exists, which proves that every
//!   singular value is below 1; that factor is needed for the objective anyway;
//! * the gradient has rank `dy` at most and is formed from its factors.
//!
//! Cost of one iteration for `d2 ≤ d1`: one product `SᵀS` (`d1 d2²` flops), two Cholesky factors
//! (`d2³/3` each), and terms of order `d1 d2 dy`; a projection adds one singular value
//! decomposition.

use std::collections::VecDeque;

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::matmul::triangular::BlockStructure;
use faer::linalg::matmul::{matmul, triangular};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Accum, Mat, Par};

use crate::atoms::Atoms;
use crate::channel::Channel;
use crate::closed_form::BOUNDARY_DISTANCE;
use crate::error::PidError;
use crate::linalg::{clip_singular_values, log2_det_of_factor, pseudo_inverse, spectral_norm};
use crate::objective::Conditional;
pub use crate::thin_config::ThinPidConfig;

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

/// What Thin-PID returns.
#[derive(Clone, Debug)]
pub struct ThinPid {
    /// The smallest finite objective met, in bits; `None` where no iterate had one.
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

impl ThinPid {
    /// Minimises the joint information over all couplings.
    ///
    /// # Errors
    /// The configuration makes no sense, or a factorisation of the channel itself failed.
    /// Trouble on the way is no error: it is told by [`ThinPid::stop`].
    pub fn run(channel: &Channel, config: &ThinPidConfig) -> Result<Self, PidError> {
        config.check()?;
        let dims = channel.dims();
        if dims.x1 >= dims.x2 {
            return Iteration::new(channel, config)?.run();
        }
        let mut result = Iteration::new(&channel.swapped(), config)?.run()?;
        result.coupling = result.coupling.transpose().to_owned();
        Ok(result)
    }

    /// Whether the returned coupling lies on the boundary of the spectral ball.
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
        let (info1, info2) = (channel.info1_bits()?, channel.info2_bits()?);
        Ok(Atoms::of_union(
            info1,
            info2,
            channel.info12_bits()?,
            self.union_bits()?,
        ))
    }

    /// The atoms with the official code's clamp of the union information.
    ///
    /// # Errors
    /// As [`ThinPid::atoms`]: the clamp never stands in for a missing objective.
    pub fn atoms_clamped(&self, channel: &Channel) -> Result<Atoms, PidError> {
        let (info1, info2) = (channel.info1_bits()?, channel.info2_bits()?);
        Ok(Atoms::of_union_clamped(
            info1,
            info2,
            channel.info12_bits()?,
            self.union_bits()?,
        ))
    }
}

/// The state of the iteration; all matrices hold the transposed coupling `X = Sᵀ`, `d2 × d1`, so
/// that every solve has its right-hand sides in columns.
struct Iteration<'a> {
    config: &'a ThinPidConfig,
    given: Conditional,
    x: Mat<f64>,
    step: Mat<f64>,
    sign_before: Mat<f64>,
    gradient: Mat<f64>,
    /// `I − XXᵀ`, lower triangle.
    inner: Mat<f64>,
    /// Cholesky factor of `inner`, where it exists.
    factor: Mat<f64>,
    /// `F = E · root`, `d2 × dy`.
    f: Mat<f64>,
    e: Mat<f64>,
    y: Mat<f64>,
    /// `dy × dy` and `dy × d1` work space.
    core: Mat<f64>,
    tail: Mat<f64>,
    svd_u: Mat<f64>,
    svd_v: Mat<f64>,
    svd_s: Diag<f64>,
    memory: MemBuffer,
    projections: u64,
}

impl<'a> Iteration<'a> {
    fn new(channel: &Channel, config: &'a ThinPidConfig) -> Result<Self, PidError> {
        let (d1, d2) = (channel.h1().nrows(), channel.h2().nrows());
        let given = Conditional::new(channel.h1(), channel.h2())?;
        let dy = given.root.nrows();
        let start = channel.h1() * pseudo_inverse(channel.h2())?;
        let start = clip_singular_values(start.as_ref())?;
        let vectors = ComputeSvdVectors::Thin;
        let scratch = svd_scratch::<f64>(d2, d1, vectors, vectors, Par::Seq, Default::default())
            .or(llt::factor::cholesky_in_place_scratch::<f64>(
                d2.max(dy),
                Par::Seq,
                Default::default(),
            ))
            .or(llt::solve::solve_in_place_scratch::<f64>(
                d2.max(dy),
                d1.max(dy),
                Par::Seq,
            ));
        Ok(Self {
            config,
            x: start.transpose().to_owned(),
            step: Mat::full(d2, d1, config.step_start),
            sign_before: Mat::zeros(d2, d1),
            gradient: Mat::zeros(d2, d1),
            inner: Mat::zeros(d2, d2),
            factor: Mat::zeros(d2, d2),
            f: Mat::zeros(d2, dy),
            e: Mat::zeros(d2, dy),
            y: Mat::zeros(d2, dy),
            core: Mat::zeros(dy, dy),
            tail: Mat::zeros(dy, d1),
            svd_u: Mat::zeros(d2, d2),
            svd_v: Mat::zeros(d1, d2),
            svd_s: Diag::zeros(d2),
            memory: MemBuffer::new(scratch),
            given,
            projections: 0,
        })
    }

    /// Algorithm 1.
    fn run(mut self) -> Result<ThinPid, PidError> {
        let config = *self.config;
        let mut recent: VecDeque<f64> = VecDeque::with_capacity(config.patience + 1);
        let mut path_bits = Vec::new();
        let mut best: Option<(f64, Mat<f64>)> = None;
        let mut iteration = 1_u64;
        let mut inside = self.form_inner();
        let stop = loop {
            let objective = if inside {
                self.objective_bits()
            } else {
                self.form_f();
                f64::INFINITY
            };
            if objective.is_finite() && best.as_ref().is_none_or(|(least, _)| objective < *least) {
                match &mut best {
                    Some((least, kept)) => {
                        *least = objective;
                        kept.copy_from(&self.x);
                    }
                    None => best = Some((objective, self.x.clone())),
                }
            }
            if recent.len() == config.patience {
                let close = |old: &f64| (old - objective).abs() < config.tolerance_bits;
                if recent.iter().all(close) {
                    break Stop::Converged;
                }
                if iteration >= config.iterations_max {
                    break Stop::IterationCap;
                }
                recent.pop_front();
            }
            recent.push_back(objective);
            path_bits.push(objective);
            iteration += 1;
            if !self.form_gradient() {
                break Stop::GradientLost;
            }
            let moved = self.move_against_the_sign(config.decay.powi(power(iteration)));
            if !moved && !objective.is_finite() {
                break Stop::Stuck;
            }
            inside = self.form_inner() || self.project()?;
        };
        let (union_raw_bits, x) = match best {
            Some((value, x)) => (Some(value), x),
            None => (None, self.x),
        };
        Ok(ThinPid {
            union_raw_bits,
            coupling_norm: spectral_norm(x.as_ref())?,
            coupling: x.transpose().to_owned(),
            iterations: iteration,
            projections: self.projections,
            stop,
            path_bits,
        })
    }

    /// Forms `I − XXᵀ` and its Cholesky factor; false where there is none, so that some singular
    /// value of `X` is 1 or more.
    fn form_inner(&mut self) -> bool {
        triangular::matmul(
            self.inner.as_mut(),
            BlockStructure::TriangularLower,
            Accum::Replace,
            self.x.as_ref(),
            BlockStructure::Rectangular,
            self.x.transpose(),
            BlockStructure::Rectangular,
            -1.0,
            Par::Seq,
        );
        for k in 0..self.inner.nrows() {
            self.inner[(k, k)] += 1.0;
        }
        self.factor_inner_plus(0.0)
    }

    fn factor_inner_plus(&mut self, ridge: f64) -> bool {
        self.factor.copy_from(&self.inner);
        for k in 0..self.factor.nrows() {
            self.factor[(k, k)] += ridge;
        }
        cholesky_in_place(&mut self.factor, &mut self.memory)
    }

    /// Clips the singular values of `X`; whether the result is strictly inside the ball.
    fn project(&mut self) -> Result<bool, PidError> {
        self.projections += 1;
        svd(
            self.x.as_ref(),
            self.svd_s.as_mut(),
            Some(self.svd_u.as_mut()),
            Some(self.svd_v.as_mut()),
            Par::Seq,
            MemStack::new(&mut self.memory),
            Default::default(),
        )
        .map_err(|_| PidError::Factorisation {
            what: "singular value decomposition",
        })?;
        for k in 0..self.svd_u.ncols() {
            let clipped = self.svd_s[k].clamp(0.0, 1.0);
            self.svd_u
                .col_mut(k)
                .iter_mut()
                .for_each(|entry| *entry *= clipped);
        }
        let (u, v) = (self.svd_u.as_ref(), self.svd_v.transpose());
        matmul(self.x.as_mut(), Accum::Replace, u, v, 1.0, Par::Seq);
        Ok(self.form_inner())
    }

    /// `I1 + ½ log2 det(I + Fᵀ N₂⁻¹ F)`; needs the factor of `I − XXᵀ`.
    fn objective_bits(&mut self) -> f64 {
        self.form_f();
        self.y.copy_from(&self.f);
        solve_lower_triangular_in_place(self.factor.as_ref(), self.y.as_mut(), Par::Seq);
        let y = self.y.as_ref();
        add_gram_to_identity(&mut self.core, y.transpose(), y);
        if cholesky_in_place(&mut self.core, &mut self.memory) {
            self.given.info1_bits + 0.5 * log2_det_of_factor(self.core.as_ref())
        } else {
            f64::INFINITY
        }
    }

    /// `E = H2 − X H1` and `F = E · root`.
    fn form_f(&mut self) {
        self.e.copy_from(&self.given.h2);
        let h1 = self.given.h1_transposed.transpose();
        matmul(
            self.e.as_mut(),
            Accum::Add,
            self.x.as_ref(),
            h1,
            -1.0,
            Par::Seq,
        );
        let root = self.given.root.as_ref();
        matmul(
            self.f.as_mut(),
            Accum::Replace,
            self.e.as_ref(),
            root,
            1.0,
            Par::Seq,
        );
    }

    /// `∇Lᵀ = Y (I + FᵀY)⁻¹ (YᵀX − K)` with `Y = (N₂ + ridge)⁻¹F`, in nats; false where the
    /// factorisations fail. `F` must be that of the present `X`.
    fn form_gradient(&mut self) -> bool {
        if !self.factor_inner_plus(self.config.ridge) {
            return false;
        }
        self.y.copy_from(&self.f);
        // With V = L⁻¹F the core is I + VᵀV, symmetric by construction; then Y = L⁻ᵀV.
        solve_lower_triangular_in_place(self.factor.as_ref(), self.y.as_mut(), Par::Seq);
        let v = self.y.as_ref();
        add_gram_to_identity(&mut self.core, v.transpose(), v);
        solve_upper_triangular_in_place(self.factor.transpose(), self.y.as_mut(), Par::Seq);
        if !cholesky_in_place(&mut self.core, &mut self.memory) {
            return false;
        }
        let (y, x) = (self.y.as_ref(), self.x.as_ref());
        self.tail.copy_from(&self.given.k_negated);
        matmul(
            self.tail.as_mut(),
            Accum::Add,
            y.transpose(),
            x,
            1.0,
            Par::Seq,
        );
        llt::solve::solve_in_place(
            self.core.as_ref(),
            self.tail.as_mut(),
            Par::Seq,
            MemStack::new(&mut self.memory),
        );
        matmul(
            self.gradient.as_mut(),
            Accum::Replace,
            y,
            self.tail.as_ref(),
            1.0,
            Par::Seq,
        );
        (0..self.gradient.ncols()).all(|k| self.gradient.col(k).iter().all(|v| v.is_finite()))
    }

    /// The step and RProp's update of the step sizes; whether any entry moved.
    fn move_against_the_sign(&mut self, decay: f64) -> bool {
        let (grow, shrink) = (1.0 / self.config.rprop, self.config.rprop);
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
}

/// `I + left · right`, lower triangle, where the product is symmetric.
fn add_gram_to_identity(
    out: &mut Mat<f64>,
    left: faer::MatRef<'_, f64>,
    right: faer::MatRef<'_, f64>,
) {
    triangular::matmul(
        out.as_mut(),
        BlockStructure::TriangularLower,
        Accum::Replace,
        left,
        BlockStructure::Rectangular,
        right,
        BlockStructure::Rectangular,
        1.0,
        Par::Seq,
    );
    for k in 0..out.nrows() {
        out[(k, k)] += 1.0;
    }
}

/// Replaces the lower triangle by its Cholesky factor; false where there is none.
fn cholesky_in_place(a: &mut Mat<f64>, memory: &mut MemBuffer) -> bool {
    let stack = MemStack::new(memory);
    llt::factor::cholesky_in_place(
        a.as_mut(),
        Default::default(),
        Par::Seq,
        stack,
        Default::default(),
    )
    .is_ok()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::closed_form::Optimum;
    use crate::objective::{gradient_nats, objective_bits};
    use faer::mat;

    fn example() -> Channel {
        Channel::with_independent_noise(
            mat![[1.2, -0.3, 0.5], [0.1, 0.9, -1.4], [0.6, -0.2, 0.1]],
            mat![[0.4, 0.8, 0.2], [-1.1, 0.3, 0.6]],
        )
        .unwrap()
    }

    #[test]
    fn the_fast_forms_equal_the_theorem_s_dense_forms() {
        let channel = example();
        for ridge in [1e-7, 1e-3] {
            let config = ThinPidConfig {
                ridge,
                ..ThinPidConfig::default()
            };
            let mut iteration = Iteration::new(&channel, &config).unwrap();
            iteration.x = mat![[0.3, -0.1, 0.25], [0.05, 0.4, -0.6]];
            let coupling = iteration.x.transpose().to_owned();
            assert!(iteration.form_inner());
            let dense = objective_bits(&channel, coupling.as_ref()).unwrap();
            assert!((iteration.objective_bits() - dense).abs() < 1e-14);
            assert!(iteration.form_gradient());
            let dense = gradient_nats(&channel, coupling.as_ref(), ridge).unwrap();
            assert!((iteration.gradient.transpose() - dense).norm_max() < 1e-13);
        }
    }

    #[test]
    fn the_projection_in_place_is_the_clip() {
        let config = ThinPidConfig::default();
        let mut iteration = Iteration::new(&example(), &config).unwrap();
        let outside = mat![[0.9, -0.8, 0.3], [0.4, 1.1, -0.2]];
        iteration.x = outside.clone();
        assert!(!iteration.form_inner());
        iteration.project().unwrap();
        let clipped = clip_singular_values(outside.as_ref()).unwrap();
        assert!((&iteration.x - clipped).norm_max() < 1e-14);
        assert!((spectral_norm(iteration.x.as_ref()).unwrap() - 1.0).abs() < 1e-14);
        assert_eq!(iteration.projections, 1);
    }

    #[test]
    fn tight_constants_reach_the_certified_optimum() {
        let channel = example();
        let optimum = Optimum::of(&channel).unwrap();
        let thin = ThinPid::run(&channel, &ThinPidConfig::tight()).unwrap();
        assert_eq!(thin.stop, Stop::Converged);
        assert!((thin.union_bits().unwrap() - optimum.union_bits).abs() < 1e-12);
        assert!(!thin.on_boundary());
        // The minimiser itself need not be unique; that it is stationary can be asked.
        let gradient = gradient_nats(&channel, thin.coupling.as_ref(), 0.0).unwrap();
        assert!(gradient.norm_max() < 1e-5, "{}", gradient.norm_max());
    }

    #[test]
    fn equal_scalar_channels_are_reported_as_stuck_on_the_boundary() {
        let equal = Channel::with_independent_noise(mat![[1.0]], mat![[1.0]]).unwrap();
        let thin = ThinPid::run(&equal, &ThinPidConfig::default()).unwrap();
        assert_eq!(thin.stop, Stop::Stuck);
        assert!(thin.on_boundary());
        assert_eq!(
            thin.union_bits(),
            Err(PidError::NoFiniteObjective { coupling_norm: 1.0 })
        );
        assert!(thin.atoms_clamped(&equal).is_err());
    }

    #[test]
    fn the_iteration_cap_is_kept_and_named() {
        let config = ThinPidConfig {
            iterations_max: 30,
            ..ThinPidConfig::tight()
        };
        let thin = ThinPid::run(&example(), &config).unwrap();
        assert_eq!((thin.stop, thin.iterations), (Stop::IterationCap, 30));
    }
}
