//! Tilde-PID (Venkatesh et al. 2023), the method that the paper compares with, on the same loop and
//! the same matrix routines as Thin-PID.
//!
//! The variable is the same coupling `S` (`d1 × d2`). The objective conditions on the second
//! source, `X1 = S X2 + B Y + noise` with `B = H1 − S H2` and noise covariance `I − SSᵀ`, and
//! carries its ridge *inside*:
//!
//! ```text
//! L~(S) = ½ log2 det(I + H2ᵀH2 + Bᵀ K),  K = ((1 + ridge) I − SSᵀ)⁻¹ B     [bits]
//! ∇L~(S) = K (I + H2ᵀH2 + BᵀK)⁻¹ (Kᵀ S − H2ᵀ)                              [nats]
//! ```
//!
//! so that it is finite on the boundary of the spectral ball and lies below `L` everywhere: what it
//! returns may be smaller than the union information, by about the size of the ridge.
//!
//! The projection is an eigendecomposition of the joint noise `[[I, S], [Sᵀ, I]]`, of size `d1 +
//! d2`: negative eigenvalues become zero and both diagonal blocks are standardised again. With `S =
//! U diag(σ) Vᵀ` the eigenvalues are `1 ± σ_k`, and the result has singular values `min(σ_k, 1)`:
//! it is the clip of Thin-PID by other means.
//!
//! What differs from Thin-PID is therefore the ridge, the constants, the order of the sources, and
//! the cost of the projection. [`TildePidConfig::published`] keeps the sources' order and projects
//! in every iteration as the published code does; [`TildePidConfig::lean`] takes the two shortcuts
//! that Thin-PID takes here.

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Accum, Mat, MatRef, Par};
use serde::{Deserialize, Serialize};

use super::ball::{Ball, add_gram};
use super::descent::{Descent, Method, descend};
use super::thin_config::ThinPidConfig;
use crate::channel::Channel;
use crate::error::PidError;
use crate::linalg::{
    cholesky, clip_singular_values, identity_plus_gram, log2_det_of_factor, pseudo_inverse,
    spectral_map, symmetric_eigen,
};

/// Smallest ridge with which a diagonal block is standardised again, and by what it grows.
const STANDARDISE_RIDGE: f64 = 1e-12;
const STANDARDISE_TRIES: usize = 12;

/// The constants of Tilde-PID.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TildePidConfig {
    /// The constants of the shared loop; [`ThinPidConfig::ridge`] is the one inside the objective.
    pub descent: ThinPidConfig,
    /// Let the smaller source play source 1, which makes every system the size of the smaller.
    pub order_sources: bool,
}

impl TildePidConfig {
    /// The constants of the published code: ridge `1e-7`, tolerance `1e-6`, 10,000 iterations at
    /// most; sources as given, a projection in every iteration.
    #[must_use]
    pub fn published() -> Self {
        Self {
            descent: ThinPidConfig {
                tolerance_bits: 1e-6,
                iterations_max: 10_000,
                always_project: true,
                ..ThinPidConfig::published(1e-7)
            },
            order_sources: false,
        }
    }

    /// The published constants with the shortcuts of [`crate::ThinPid`]: sources ordered by size,
    /// no projection where a Cholesky factor proves it idle.
    #[must_use]
    pub fn lean() -> Self {
        let published = Self::published();
        Self {
            descent: ThinPidConfig {
                always_project: false,
                ..published.descent
            },
            order_sources: true,
        }
    }

    /// The same with another ridge and tolerance.
    #[must_use]
    pub fn with_reg(self, ridge: f64, tolerance_bits: f64) -> Self {
        Self {
            descent: ThinPidConfig {
                ridge,
                tolerance_bits,
                ..self.descent
            },
            ..self
        }
    }
}

impl Default for TildePidConfig {
    fn default() -> Self {
        Self::published()
    }
}

/// The method of Venkatesh et al. 2023.
#[derive(Clone, Copy, Debug)]
pub struct TildePid;

impl TildePid {
    /// Minimises the objective above over all couplings.
    ///
    /// # Errors
    /// The configuration makes no sense, or a factorisation of the channel itself failed.
    pub fn run(channel: &Channel, config: &TildePidConfig) -> Result<Descent, PidError> {
        config.descent.check()?;
        let dims = channel.dims();
        let exchanged = config.order_sources && dims.x1 > dims.x2;
        let swapped;
        let ordered = if exchanged {
            swapped = channel.swapped();
            &swapped
        } else {
            channel
        };
        let start = ordered.h1() * pseudo_inverse(ordered.h2())?;
        let start = clip_singular_values(start.as_ref())?;
        let mut iteration = Iteration::new(ordered, config.descent.ridge, exchanged);
        descend(&mut iteration, start, &config.descent, &mut |_, _, _| {})
    }
}

/// The method as the shared loop sees it; points are the coupling `S` itself, `d1 × d2`.
struct Iteration {
    ridge: f64,
    /// Whether the sources were exchanged, so that `S` is `d2 × d1` for the caller.
    exchanged: bool,
    h1: Mat<f64>,
    h2: Mat<f64>,
    /// `I + H2ᵀH2`.
    precision2: Mat<f64>,
    ball: Ball,
    b: Mat<f64>,
    /// `L⁻¹B`, then `K`.
    y: Mat<f64>,
    /// Cholesky factor of `I + H2ᵀH2 + BᵀK`.
    core: Mat<f64>,
    tail: Mat<f64>,
}

impl Iteration {
    fn new(channel: &Channel, ridge: f64, exchanged: bool) -> Self {
        let dims = channel.dims();
        Self {
            ridge,
            exchanged,
            h1: channel.h1().to_owned(),
            h2: channel.h2().to_owned(),
            precision2: identity_plus_gram(channel.h2()),
            ball: Ball::new(dims.x1, dims.x2, dims.y),
            b: Mat::zeros(dims.x1, dims.y),
            y: Mat::zeros(dims.x1, dims.y),
            core: Mat::zeros(dims.y, dims.y),
            tail: Mat::zeros(dims.y, dims.x2),
        }
    }
}

impl Method for Iteration {
    /// The start may lie on the boundary, where the ridge still gives a value.
    fn start(&mut self, x: &Mat<f64>) -> bool {
        self.ball.form_inner(x) || self.ball.factor_inner_plus(self.ridge)
    }

    fn prepare(&mut self, x: &Mat<f64>) -> bool {
        self.ball.form_inner(x)
    }

    fn project(&mut self, x: &mut Mat<f64>) -> Result<bool, PidError> {
        *x = standardised_projection(x.as_ref())?;
        Ok(self.ball.form_inner(x) || self.ball.factor_inner_plus(self.ridge))
    }

    fn value_bits(&mut self, x: &Mat<f64>) -> f64 {
        if !self.ball.factor_inner_plus(self.ridge) {
            return f64::INFINITY;
        }
        self.b.copy_from(&self.h1);
        let (b, h2) = (self.b.as_mut(), self.h2.as_ref());
        matmul(b, Accum::Add, x.as_ref(), h2, -1.0, Par::Seq);
        self.y.copy_from(&self.b);
        solve_lower_triangular_in_place(self.ball.factor.as_ref(), self.y.as_mut(), Par::Seq);
        self.core.copy_from(&self.precision2);
        add_gram(&mut self.core, self.y.as_ref(), Accum::Add);
        if self.ball.cholesky_in_place(&mut self.core) {
            0.5 * log2_det_of_factor(self.core.as_ref())
        } else {
            f64::INFINITY
        }
    }

    /// Uses the factors that `value_bits` left: ridge and point are the same.
    fn gradient(&mut self, x: &Mat<f64>, inside: bool, out: &mut Mat<f64>) -> bool {
        if !inside {
            return false;
        }
        solve_upper_triangular_in_place(self.ball.factor.transpose(), self.y.as_mut(), Par::Seq);
        let y = self.y.as_ref();
        self.tail.copy_from(self.h2.transpose());
        let tail = self.tail.as_mut();
        matmul(
            tail,
            Accum::Replace,
            y.transpose(),
            x.as_ref(),
            1.0,
            Par::Seq,
        );
        self.tail -= self.h2.transpose();
        self.ball.solve_in_place(&self.core, &mut self.tail);
        let tail = self.tail.as_ref();
        matmul(out.as_mut(), Accum::Replace, y, tail, 1.0, Par::Seq);
        true
    }

    fn coupling(&self, point: Mat<f64>) -> Mat<f64> {
        if self.exchanged {
            point.transpose().to_owned()
        } else {
            point
        }
    }
}

/// The published projection: eigenvalues of the joint noise below zero become zero, and both
/// diagonal blocks are standardised again.
fn standardised_projection(x: MatRef<'_, f64>) -> Result<Mat<f64>, PidError> {
    let (rows, columns) = x.shape();
    let n = rows + columns;
    let noise = Mat::from_fn(n, n, |i, j| match (i < rows, j < rows) {
        (true, false) => x[(i, j - rows)],
        (false, true) => x[(j, i - rows)],
        _ => f64::from(u8::from(i == j)),
    });
    let (values, vectors) = symmetric_eigen(noise.as_ref())?;
    if values[0] >= 0.0 {
        return Ok(x.to_owned());
    }
    let clipped = spectral_map(&values, vectors.as_ref(), |value| value.max(0.0));
    let left = inverse_root(clipped.submatrix(0, 0, rows, rows))?;
    let right = inverse_root(clipped.submatrix(rows, rows, columns, columns))?;
    Ok(left * clipped.submatrix(0, rows, rows, columns) * right)
}

/// `(A + ridge I)^{-1/2}` with the least ridge that makes it regular.
fn inverse_root(a: MatRef<'_, f64>) -> Result<Mat<f64>, PidError> {
    let mut ridge = STANDARDISE_RIDGE;
    for _ in 0..STANDARDISE_TRIES {
        let mut standard = a.to_owned();
        for k in 0..standard.nrows() {
            standard[(k, k)] += ridge;
        }
        if cholesky(standard.as_ref(), "a noise block").is_ok() {
            let (values, vectors) = symmetric_eigen(standard.as_ref())?;
            return Ok(spectral_map(&values, vectors.as_ref(), |value| {
                1.0 / value.sqrt()
            }));
        }
        ridge *= 10.0;
    }
    Err(PidError::NotPositiveDefinite {
        what: "a noise block of Tilde-PID",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpid::closed_form::Optimum;
    use crate::gpid::descent::Stop;
    use crate::gpid::objective::conditional_bits;
    use faer::mat;

    fn example() -> Channel {
        Channel::with_independent_noise(
            mat![[1.2, -0.3, 0.5], [0.1, 0.9, -1.4], [0.6, -0.2, 0.1]],
            mat![[0.4, 0.8, 0.2], [-1.1, 0.3, 0.6]],
        )
        .unwrap()
    }

    #[test]
    fn the_projection_by_eigenvalues_is_the_clip_of_singular_values() {
        let outside = mat![[0.9, -0.8, 0.3], [0.4, 1.1, -0.2]];
        let projected = standardised_projection(outside.as_ref()).unwrap();
        let clipped = clip_singular_values(outside.as_ref()).unwrap();
        // The published ridge of 1e-12 is all that differs.
        assert!((&projected - &clipped).norm_max() < 1e-11);
        assert!((&projected - &outside).norm_max() > 0.05);
        let inside = mat![[0.3, 0.2]];
        assert_eq!(standardised_projection(inside.as_ref()).unwrap(), inside);
    }

    #[test]
    fn the_gradient_is_the_derivative_of_the_objective() {
        let channel = example();
        let mut method = Iteration::new(&channel, 1e-3, false);
        let x = mat![[0.3, -0.1], [0.05, 0.4], [-0.2, 0.15]];
        let mut gradient = Mat::zeros(3, 2);
        assert!(method.prepare(&x));
        method.value_bits(&x);
        assert!(method.gradient(&x, true, &mut gradient));
        for i in 0..3 {
            for j in 0..2 {
                let mut value = |sign: f64| {
                    let mut moved = x.clone();
                    moved[(i, j)] += sign * 1e-5;
                    method.prepare(&moved);
                    method.value_bits(&moved)
                };
                let slope = (value(1.0) - value(-1.0)) / 2e-5 * std::f64::consts::LN_2;
                assert!((slope - gradient[(i, j)]).abs() < 1e-8, "({i}, {j})");
            }
        }
    }

    #[test]
    fn without_its_ridge_the_objective_is_that_of_thin_pid() {
        let channel = example();
        let mut method = Iteration::new(&channel, 1e-15, false);
        let x = mat![[0.3, -0.1], [0.05, 0.4], [-0.2, 0.15]];
        assert!(method.prepare(&x));
        let expected = conditional_bits(&channel, x.as_ref()).unwrap();
        assert!((method.value_bits(&x) - expected).abs() < 1e-13);
    }

    #[test]
    fn both_variants_reach_the_optimum_up_to_ridge_and_tolerance() {
        let channel = example();
        let optimum = Optimum::of(&channel).unwrap().union_bits;
        for config in [TildePidConfig::published(), TildePidConfig::lean()] {
            let found = TildePid::run(&channel, &config).unwrap();
            assert_eq!(found.stop, Stop::Converged);
            assert_eq!(found.coupling.shape(), (3, 2));
            let error = found.union_raw_bits.unwrap() - optimum;
            assert!(error.abs() < 2e-6, "{error:e}");
            assert!(error.abs() > 1e-12, "{error:e}");
        }
        let fine = TildePidConfig::lean().with_reg(1e-13, 1e-12);
        let found = TildePid::run(&channel, &fine).unwrap();
        assert!((found.union_raw_bits.unwrap() - optimum).abs() < 1e-10);
    }

    #[test]
    fn the_boundary_has_a_value_because_of_the_ridge() {
        let equal = Channel::with_independent_noise(mat![[1.0]], mat![[1.0]]).unwrap();
        let found = TildePid::run(&equal, &TildePidConfig::published()).unwrap();
        let error = found.union_raw_bits.unwrap() - 0.5;
        assert!(error.abs() < 1e-5, "{error:e}");
    }
}
