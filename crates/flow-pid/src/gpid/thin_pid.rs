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

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Accum, Mat, Par};

use super::ball::{Ball, add_gram_to_identity};
use super::descent::{Descent, Method, descend};
use super::objective::Conditional;
pub use super::thin_config::ThinPidConfig;
use crate::channel::Channel;
use crate::error::PidError;
use crate::linalg::{clip_singular_values, log2_det_of_factor, pseudo_inverse};

/// Algorithm 1 of the paper.
#[derive(Clone, Copy, Debug)]
pub struct ThinPid;

impl ThinPid {
    /// Minimises the joint information over all couplings.
    ///
    /// # Errors
    /// The configuration makes no sense, or a factorisation of the channel itself failed.
    /// Trouble on the way is no error: it is told by [`Descent::stop`].
    pub fn run(channel: &Channel, config: &ThinPidConfig) -> Result<Descent, PidError> {
        Self::run_watched(channel, config, &mut |_, _, _| {})
    }

    /// The same, and `watch` sees every iterate: its index, the coupling (smaller source × larger
    /// source), and its objective in bits, infinite where there is none.
    ///
    /// # Errors
    /// As [`ThinPid::run`].
    pub fn run_watched(
        channel: &Channel,
        config: &ThinPidConfig,
        watch: &mut dyn FnMut(u64, &Mat<f64>, f64),
    ) -> Result<Descent, PidError> {
        config.check()?;
        let dims = channel.dims();
        let exchanged = dims.x1 < dims.x2;
        let swapped;
        let ordered = if exchanged {
            swapped = channel.swapped();
            &swapped
        } else {
            channel
        };
        let mut iteration = Iteration::new(ordered, config, exchanged)?;
        descend(&mut iteration, Iteration::start(ordered)?, config, watch)
    }
}

/// Algorithm 1 as the shared loop sees it; all matrices hold the transposed coupling `X = Sᵀ`,
/// `d2 × d1`, so that every solve has its right-hand sides in columns.
struct Iteration {
    ridge: f64,
    /// Whether the sources were exchanged, so that `X` is `d1 × d2` for the caller.
    exchanged: bool,
    given: Conditional,
    /// `I − XXᵀ`, lower triangle, and its Cholesky factor where it exists.
    ball: Ball,
    /// `F = E · root`, `d2 × dy`.
    f: Mat<f64>,
    e: Mat<f64>,
    y: Mat<f64>,
    /// `dy × dy` and `dy × d1` work space.
    core: Mat<f64>,
    tail: Mat<f64>,
}

impl Iteration {
    fn new(channel: &Channel, config: &ThinPidConfig, exchanged: bool) -> Result<Self, PidError> {
        let (d1, d2) = (channel.h1().nrows(), channel.h2().nrows());
        let given = Conditional::new(channel.h1(), channel.h2())?;
        let dy = given.root.nrows();
        Ok(Self {
            ridge: config.ridge,
            exchanged,
            ball: Ball::new(d2, d1, dy),
            f: Mat::zeros(d2, dy),
            e: Mat::zeros(d2, dy),
            y: Mat::zeros(d2, dy),
            core: Mat::zeros(dy, dy),
            tail: Mat::zeros(dy, d1),
            given,
        })
    }

    /// `clip(H1 H2⁺)`, transposed.
    fn start(channel: &Channel) -> Result<Mat<f64>, PidError> {
        let start = channel.h1() * pseudo_inverse(channel.h2())?;
        Ok(clip_singular_values(start.as_ref())?.transpose().to_owned())
    }

    /// `E = H2 − X H1` and `F = E · root`.
    fn form_f(&mut self, x: &Mat<f64>) {
        self.e.copy_from(&self.given.h2);
        let h1 = self.given.h1_transposed.transpose();
        let e = self.e.as_mut();
        matmul(e, Accum::Add, x.as_ref(), h1, -1.0, Par::Seq);
        let (f, root) = (self.f.as_mut(), self.given.root.as_ref());
        matmul(f, Accum::Replace, self.e.as_ref(), root, 1.0, Par::Seq);
    }
}

impl Method for Iteration {
    fn prepare(&mut self, x: &Mat<f64>) -> bool {
        self.ball.form_inner(x)
    }

    fn project(&mut self, x: &mut Mat<f64>) -> Result<bool, PidError> {
        self.ball.clip(x)?;
        Ok(self.ball.form_inner(x))
    }

    /// `I1 + ½ log2 det(I + Fᵀ N₂⁻¹ F)`; needs the factor of `I − XXᵀ`.
    fn value_bits(&mut self, x: &Mat<f64>) -> f64 {
        self.form_f(x);
        self.y.copy_from(&self.f);
        solve_lower_triangular_in_place(self.ball.factor.as_ref(), self.y.as_mut(), Par::Seq);
        add_gram_to_identity(&mut self.core, self.y.as_ref());
        if self.ball.cholesky_in_place(&mut self.core) {
            self.given.info1_bits + 0.5 * log2_det_of_factor(self.core.as_ref())
        } else {
            f64::INFINITY
        }
    }

    /// `∇Lᵀ = Y (I + FᵀY)⁻¹ (YᵀX − K)` with `Y = (N₂ + ridge)⁻¹F`.
    fn gradient(&mut self, x: &Mat<f64>, inside: bool, out: &mut Mat<f64>) -> bool {
        if !inside {
            self.form_f(x);
        }
        if !self.ball.factor_inner_plus(self.ridge) {
            return false;
        }
        self.y.copy_from(&self.f);
        // With V = L⁻¹F the core is I + VᵀV, symmetric by construction; then Y = L⁻ᵀV.
        solve_lower_triangular_in_place(self.ball.factor.as_ref(), self.y.as_mut(), Par::Seq);
        add_gram_to_identity(&mut self.core, self.y.as_ref());
        solve_upper_triangular_in_place(self.ball.factor.transpose(), self.y.as_mut(), Par::Seq);
        if !self.ball.cholesky_in_place(&mut self.core) {
            return false;
        }
        let y = self.y.as_ref();
        self.tail.copy_from(&self.given.k_negated);
        let tail = self.tail.as_mut();
        matmul(tail, Accum::Add, y.transpose(), x.as_ref(), 1.0, Par::Seq);
        self.ball.solve_in_place(&self.core, &mut self.tail);
        let tail = self.tail.as_ref();
        matmul(out.as_mut(), Accum::Replace, y, tail, 1.0, Par::Seq);
        true
    }

    fn coupling(&self, point: Mat<f64>) -> Mat<f64> {
        if self.exchanged {
            point
        } else {
            point.transpose().to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpid::closed_form::Optimum;
    use crate::gpid::descent::Stop;
    use crate::linalg::spectral_norm;
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
            let mut iteration = Iteration::new(&channel, &config, false).unwrap();
            let x = mat![[0.3, -0.1, 0.25], [0.05, 0.4, -0.6]];
            let mut gradient = Mat::zeros(2, 3);
            assert!(iteration.prepare(&x));
            let dense = objective_bits(&channel, x.transpose()).unwrap();
            assert!((iteration.value_bits(&x) - dense).abs() < 1e-14);
            assert!(iteration.gradient(&x, true, &mut gradient));
            let dense = gradient_nats(&channel, x.transpose(), ridge).unwrap();
            assert!((gradient.transpose() - dense).norm_max() < 1e-13);
        }
    }

    #[test]
    fn the_projection_in_place_is_the_clip() {
        let config = ThinPidConfig::default();
        let mut iteration = Iteration::new(&example(), &config, false).unwrap();
        let outside = mat![[0.9, -0.8, 0.3], [0.4, 1.1, -0.2]];
        let mut x = outside.clone();
        assert!(!iteration.prepare(&x));
        iteration.project(&mut x).unwrap();
        let clipped = clip_singular_values(outside.as_ref()).unwrap();
        assert!((&x - clipped).norm_max() < 1e-14);
        assert!((spectral_norm(x.as_ref()).unwrap() - 1.0).abs() < 1e-14);
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
        // The limit from within is the value that the closed form has.
        let limit = thin.limit_bits(&equal).unwrap();
        assert!((limit - 0.5).abs() < 1e-8, "{limit}");
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
