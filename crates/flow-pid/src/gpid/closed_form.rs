//! The closed form of Gaussian PID, with a certificate.
//!
//! Derived for this project; it is **not in the paper**, and serves here as the ground truth that
//! the paper has only for scalars and special cases.
//!
//! Let `P = Cov(Y|X1)`, `Q = Cov(Y|X2)` and let `λ_k` solve `Q v = λ P v`. Then
//!
//! ```text
//! U1 = ½ Σ max(log2 λ_k, 0),  U2 = ½ Σ max(−log2 λ_k, 0),  J = I2 + U1 = I1 + U2
//! ```
//!
//! # Derivation
//!
//! Whitening leaves `Σ_Y = I` and `X_i = H_i Y + n_i` with identity noises, so that
//! `P⁻¹ = I + H1ᵀH1` and `Q⁻¹ = I + H2ᵀH2`. By Lemma 3.2 of the paper only Gaussian `q` matter, and
//! with both pairs fixed the noises' coupling `S` is all that is free.
//!
//! **1. Every coupling gives a posterior below both.** Let `W = Cov_q(Y|X1,X2)`. An error
//! covariance does not grow when a source is added, so `W ⪯ P` and `W ⪯ Q`; the joint information
//! is `h(Y) − h(Y|X1,X2) = −½ log2 det W`. Hence `J ≥ −½ max { log2 det W : 0 ≺ W ⪯ P, W ⪯ Q }`.
//!
//! **2. Every such posterior is matched by a coupling.** Put `M = W⁻¹ − I`. From `W ⪯ P`, `W⁻¹ ⪰
//! P⁻¹`, that is `M ⪰ H1ᵀH1`, and likewise `M ⪰ H2ᵀH2`. Consider `Z = M^{1/2} Y + m` with identity
//! noise, whose posterior is `(I + M)⁻¹ = W`. With `T_i = H_i M^{-1/2}` (pseudo-inverse: the kernel
//! of `M` lies in that of `H_i`) we have `T_i T_iᵀ = H_i M⁺ H_iᵀ ⪯ I`, so `X_i' = T_i Z + (I − T_i
//! T_iᵀ)^{1/2} e_i` with independent `e_i` has signal `T_i M^{1/2} Y = H_i Y` and identity noise:
//! its pair with Y is the given one. So `X1', X2'` are a feasible coupling, its noise block is `T1
//! T2ᵀ = H1 M⁺ H2ᵀ`, and since Y – Z – (X1', X2') is a Markov chain, `I_q(X1',X2';Y) ≤ I(Z;Y) = −½
//! log2 det W`. Hence equality in step 1, and the coupling `Σoff* = H1 M⁺ H2ᵀ` of the best `W` is
//! optimal.
//!
//! **3. The best posterior.** Diagonalise both at once, `P = C Cᵀ` and `Q = C diag(λ) Cᵀ`. With `V
//! = C⁻¹ W C⁻ᵀ` the constraints read `V ⪯ I` and `V ⪯ diag(λ)`, so `V_kk ≤ min(1, λ_k)`. Hadamard's
//! inequality gives `det V ≤ Π V_kk ≤ Π min(1, λ_k)`, with equality for `V = diag(min(1, λ))`,
//! which is feasible. So `log2 det W* = log2 det P + Σ min(log2 λ_k, 0)`, and with `I1 = −½ log2
//! det P`, `I2 = I1 − ½ Σ log2 λ_k`:
//!
//! ```text
//! J = I1 − ½ Σ min(log2 λ_k, 0) = I1 + U2 = I2 + U1
//! ```
//!
//! **Reading.** In direction k the target is told `λ_k` times more precisely by source 1 than by
//! source 2; where `λ_k > 1` the surplus is unique to source 1, where `λ_k < 1` to source 2. With a
//! scalar target and sources there is one `λ`, and `J = max(I1, I2)`: minimum mutual information.
//! Where `λ_k = 1` both channels say the same in that direction, `T1` and `T2` have unit singular
//! values there, and the coupling touches the boundary of the spectral ball; the formula does not
//! notice.
//!
//! **Twenty lines.** Given the channels: two Cholesky factors `A = L1 L1ᵀ`, `B = L2 L2ᵀ` of the
//! precisions, the eigenvalues of `(L2⁻¹L1)(L2⁻¹L1)ᵀ`, and half the sums of the positive and of the
//! negative parts of their logarithms. That is all of [`atoms`].
//!
//! Nothing here has to be trusted: [`Optimum::certificate`] evaluates a lower bound from explicit
//! multipliers of the dual problem and an upper bound from an explicit feasible `W`.
//!
//! The code works with the precisions `A = P⁻¹ = I + H1ᵀH1` and `B = Q⁻¹ = I + H2ᵀH2`, whose pencil
//! `A w = λ B w` has the same eigenvalues, so that no covariance is ever inverted.

use faer::{Mat, MatRef};

use crate::atoms::Atoms;
use crate::channel::Channel;
use crate::error::PidError;
use crate::linalg::{
    NATS_PER_BIT, cholesky, identity_plus_gram, log2_det_of_factor, scale_columns, solve_lower,
    spectral_norm, symmetric_eigen, symmetric_eigenvalues,
};

/// Distance of the optimal coupling's norm from 1 at which it counts as lying on the boundary.
///
/// `I − SᵀS` resolves `1 − σ²` to about `2⁻⁵²`; closer than its root, the objective near the
/// optimum has lost half of its digits.
pub const BOUNDARY_DISTANCE: f64 = 1.5e-8;

/// The optimum of Gaussian PID.
#[derive(Clone, Debug)]
pub struct Optimum {
    /// I(X1;Y) in bits.
    pub info1_bits: f64,
    /// I(X2;Y) in bits.
    pub info2_bits: f64,
    /// Unique information of source 1 in bits.
    pub unique1_bits: f64,
    /// Unique information of source 2 in bits.
    pub unique2_bits: f64,
    /// Union information in bits.
    pub union_bits: f64,
    /// The generalised eigenvalues `λ_k` in increasing order.
    pub eigenvalues: Vec<f64>,
    /// `V⁻ᵀ`, with which `A = V⁻ᵀ Λ V⁻¹` and `B = V⁻ᵀ V⁻¹`.
    basis: Mat<f64>,
    precision1: Mat<f64>,
    precision2: Mat<f64>,
}

/// Bounds that enclose the union information, evaluated in `f64`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Certificate {
    /// No coupling has less joint information.
    pub lower_bits: f64,
    /// Some coupling has no more than this.
    pub upper_bits: f64,
}

impl Certificate {
    /// Width of the enclosure in bits.
    #[must_use]
    pub fn gap_bits(&self) -> f64 {
        self.upper_bits - self.lower_bits
    }
}

impl Optimum {
    /// Solves Gaussian PID for a channel; the noises' true cross-covariance plays no part.
    ///
    /// # Errors
    /// A factorisation failed because the channel's entries overflow.
    pub fn of(channel: &Channel) -> Result<Self, PidError> {
        let precision1 = identity_plus_gram(channel.h1());
        let precision2 = identity_plus_gram(channel.h2());
        let lower1 = cholesky(precision1.as_ref(), "I + H1ᵀH1")?;
        let lower2 = cholesky(precision2.as_ref(), "I + H2ᵀH2")?;
        // L2⁻¹ A L2⁻ᵀ = (L2⁻¹ L1)(L2⁻¹ L1)ᵀ is symmetric to the last bit.
        let mixed = solve_lower(lower2.as_ref(), lower1.as_ref());
        let pencil = &mixed * mixed.transpose();
        let (eigenvalues, vectors) = symmetric_eigen(pencil.as_ref())?;
        let part = |sign: f64| -> f64 {
            0.5 * eigenvalues
                .iter()
                .map(|value| (sign * value.log2()).max(0.0))
                .sum::<f64>()
        };
        let info1_bits = 0.5 * log2_det_of_factor(lower1.as_ref());
        let info2_bits = 0.5 * log2_det_of_factor(lower2.as_ref());
        let (unique1_bits, unique2_bits) = (part(1.0), part(-1.0));
        Ok(Self {
            info1_bits,
            info2_bits,
            unique1_bits,
            unique2_bits,
            union_bits: info2_bits + unique1_bits,
            eigenvalues,
            basis: lower2 * vectors,
            precision1,
            precision2,
        })
    }

    /// Redundancy `I1 − U1` in bits.
    #[must_use]
    pub fn redundancy_bits(&self) -> f64 {
        self.info1_bits - self.unique1_bits
    }

    /// The optimal posterior precision `W⁻¹ = V⁻ᵀ max(Λ, I) V⁻¹`.
    #[must_use]
    pub fn precision(&self) -> Mat<f64> {
        let root = scale_columns(self.basis.as_ref(), |k| self.eigenvalues[k].max(1.0).sqrt());
        &root * root.transpose()
    }

    /// The optimal coupling `Σoff* = H1 M⁺ H2ᵀ`, `M = W⁻¹ − I`, of shape `d1 × d2`.
    ///
    /// # Errors
    /// The eigendecomposition of `M` did not converge.
    pub fn coupling(&self, channel: &Channel) -> Result<Mat<f64>, PidError> {
        let mut m = self.precision();
        for k in 0..m.nrows() {
            m[(k, k)] -= 1.0;
        }
        let (values, vectors) = symmetric_eigen(m.as_ref())?;
        let largest = values.last().copied().unwrap_or(0.0).max(1.0);
        // Directions in which neither source says anything have eigenvalue zero up to rounding.
        let tolerance = 64.0 * f64::EPSILON * values.len() as f64 * largest;
        let inverse_root = |k: usize| {
            if values[k] > tolerance {
                1.0 / values[k].sqrt()
            } else {
                0.0
            }
        };
        let scaled = scale_columns(vectors.as_ref(), inverse_root);
        Ok((channel.h1() * &scaled) * (channel.h2() * &scaled).transpose())
    }

    /// Whether the optimal coupling lies on the boundary of the spectral ball, where the objective
    /// of Thin-PID is 0/0: the sources share a direction of equal strength (some `λ_k = 1` with
    /// signal in it).
    ///
    /// # Errors
    /// As [`Optimum::coupling`].
    pub fn on_boundary(&self, channel: &Channel) -> Result<bool, PidError> {
        Ok(spectral_norm(self.coupling(channel)?.as_ref())? >= 1.0 - BOUNDARY_DISTANCE)
    }

    /// Evaluates both bounds on the union information.
    ///
    /// Lower, from the dual: for any `A', B' ⪰ 0`,
    /// `max log det W ≤ −log det(A' + B') + tr(A'P) + tr(B'Q) − dy`. The multipliers used put the
    /// whole weight of direction `k` on whichever constraint binds there; they are positive
    /// semidefinite by construction.
    ///
    /// Upper, from the primal: `W⁻¹ + εI` is feasible for the least `ε ≥ 0` that makes up for
    /// rounding in `W⁻¹ ⪰ A` and `W⁻¹ ⪰ B`.
    ///
    /// # Errors
    /// A factorisation failed.
    pub fn certificate(&self) -> Result<Certificate, PidError> {
        let binds_1 = |k: usize| self.eigenvalues[k] >= 1.0;
        let factor1 = scale_columns(self.basis.as_ref(), |k| {
            if binds_1(k) {
                self.eigenvalues[k].sqrt()
            } else {
                0.0
            }
        });
        let factor2 = scale_columns(self.basis.as_ref(), |k| if binds_1(k) { 0.0 } else { 1.0 });
        let lower_bits = self.dual_bound_bits(factor1.as_ref(), factor2.as_ref())?;
        let mut precision = self.precision();
        let mut slack = 0.0_f64;
        for bound in [&self.precision1, &self.precision2] {
            let (values, _) = symmetric_eigen((&precision - bound).as_ref())?;
            slack = slack.max(-values[0]);
        }
        for k in 0..precision.nrows() {
            precision[(k, k)] += slack;
        }
        let upper_bits = 0.5 * log2_det_of_factor(cholesky(precision.as_ref(), "W⁻¹")?.as_ref());
        Ok(Certificate {
            lower_bits,
            upper_bits,
        })
    }

    /// The lower bound on the union information by the multipliers `A' = F1 F1ᵀ`, `B' = F2 F2ᵀ`,
    /// in bits; `F1` and `F2` have `dy` rows.
    ///
    /// # Errors
    /// `A' + B'` is singular, so that the bound is `−∞`.
    pub fn dual_bound_bits(
        &self,
        factor1: MatRef<'_, f64>,
        factor2: MatRef<'_, f64>,
    ) -> Result<f64, PidError> {
        let sum = factor1 * factor1.transpose() + factor2 * factor2.transpose();
        let log_det_nats =
            NATS_PER_BIT * log2_det_of_factor(cholesky(sum.as_ref(), "A' + B'")?.as_ref());
        // tr(A'P) = ‖L1⁻¹ F1‖² with P⁻¹ = L1 L1ᵀ.
        let mut traces = 0.0;
        for (precision, factor) in [(&self.precision1, factor1), (&self.precision2, factor2)] {
            let lower = cholesky(precision.as_ref(), "a posterior precision")?;
            traces += solve_lower(lower.as_ref(), factor).squared_norm_l2();
        }
        let dy = self.eigenvalues.len() as f64;
        Ok(0.5 * (log_det_nats - traces + dy) / NATS_PER_BIT)
    }
}

/// `(U1, U2)` in bits from `M` with `M Mᵀ` similar to `P⁻¹Q`: half the sums of the positive and of
/// the negative binary logarithms of its eigenvalues.
///
/// # Errors
/// The eigendecomposition did not converge.
pub(crate) fn unique_bits(mixed: MatRef<'_, f64>) -> Result<(f64, f64), PidError> {
    let pencil = mixed * mixed.transpose();
    let values = symmetric_eigenvalues(pencil.as_ref())?;
    let part = |sign: f64| -> f64 {
        let logs = values.iter().map(|value| (sign * value.log2()).max(0.0));
        0.5 * logs.sum::<f64>()
    };
    Ok((part(1.0), part(-1.0)))
}

/// The atoms of a channel by the closed form, without what only a certificate or a coupling needs.
///
/// # Errors
/// The joint information is infinite or a factorisation failed.
pub fn atoms(channel: &Channel) -> Result<Atoms, PidError> {
    let precision1 = identity_plus_gram(channel.h1());
    let precision2 = identity_plus_gram(channel.h2());
    let lower1 = cholesky(precision1.as_ref(), "I + H1ᵀH1")?;
    let lower2 = cholesky(precision2.as_ref(), "I + H2ᵀH2")?;
    let mixed = solve_lower(lower2.as_ref(), lower1.as_ref());
    let (unique1, unique2) = unique_bits(mixed.as_ref())?;
    let info1 = 0.5 * log2_det_of_factor(lower1.as_ref());
    let info2 = 0.5 * log2_det_of_factor(lower2.as_ref());
    let info12 = if channel.cross().norm_max() == 0.0 {
        // Independent noises: the two precisions add up, and no further product is needed.
        let mut joint = precision1 + precision2;
        (0..joint.nrows()).for_each(|k| joint[(k, k)] -= 1.0);
        0.5 * log2_det_of_factor(cholesky(joint.as_ref(), "I + HᵀH")?.as_ref())
    } else {
        channel.info12_bits()?
    };
    let infos = [info1, info2, info12];
    Ok(Atoms::of_closed_form(infos, [unique1, unique2]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpid::mmi;
    use crate::gpid::objective::{gradient_nats, objective_bits};
    use faer::mat;

    fn example() -> Channel {
        Channel::with_independent_noise(
            mat![[1.2, -0.3, 0.5], [0.1, 0.9, -1.4]],
            mat![[0.4, 0.8, 0.2], [-1.1, 0.3, 0.6], [0.2, -0.5, 1.7]],
        )
        .unwrap()
    }

    #[test]
    fn scalars_reduce_to_minimum_mutual_information() {
        for (a, b) in [(2.0, 0.5), (0.3, 1.0), (1.0, 1.0), (0.0, 2.0)] {
            let channel = Channel::with_independent_noise(mat![[a]], mat![[b]]).unwrap();
            let atoms = Atoms::of_channel(&channel).unwrap();
            assert!(atoms.distance_max(&mmi::scalar_channel(a, b, 0.0)) < 1e-14);
        }
    }

    #[test]
    fn the_optimal_coupling_is_a_stationary_point_with_the_stated_value() {
        let channel = example();
        let optimum = Optimum::of(&channel).unwrap();
        let coupling = optimum.coupling(&channel).unwrap();
        let value = objective_bits(&channel, coupling.as_ref()).unwrap();
        assert!((value - optimum.union_bits).abs() < 1e-13);
        let gradient = gradient_nats(&channel, coupling.as_ref(), 0.0).unwrap();
        assert!(gradient.norm_max() < 1e-12, "{}", gradient.norm_max());
    }

    #[test]
    fn the_certificate_encloses_the_value_tightly() {
        let optimum = Optimum::of(&example()).unwrap();
        let certificate = optimum.certificate().unwrap();
        assert!(certificate.gap_bits().abs() < 1e-13, "{certificate:?}");
        assert!((certificate.lower_bits - optimum.union_bits).abs() < 1e-13);
    }

    #[test]
    fn other_multipliers_give_weaker_bounds() {
        let optimum = Optimum::of(&example()).unwrap();
        let half = scale_columns(optimum.basis.as_ref(), |_| 0.8);
        let bound = optimum
            .dual_bound_bits(half.as_ref(), half.as_ref())
            .unwrap();
        assert!(
            bound < optimum.union_bits - 1e-3,
            "{bound} {}",
            optimum.union_bits
        );
    }

    #[test]
    fn the_optimal_posterior_lies_below_both_sources_posteriors() {
        let optimum = Optimum::of(&example()).unwrap();
        for bound in [&optimum.precision1, &optimum.precision2] {
            let (values, _) = symmetric_eigen((optimum.precision() - bound).as_ref()).unwrap();
            assert!(values[0] > -1e-13);
        }
    }

    #[test]
    fn equal_channels_are_on_the_boundary_and_silent_ones_are_not() {
        let h = mat![[1.0, 0.5], [0.0, 2.0]];
        let equal = Channel::with_independent_noise(h.clone(), h).unwrap();
        let optimum = Optimum::of(&equal).unwrap();
        assert!(optimum.on_boundary(&equal).unwrap());
        assert!(optimum.unique1_bits.abs() < 1e-14 && optimum.unique2_bits.abs() < 1e-14);
        assert!(optimum.certificate().unwrap().gap_bits().abs() < 1e-13);
        let silent = Channel::with_independent_noise(Mat::zeros(2, 2), Mat::zeros(2, 2)).unwrap();
        let optimum = Optimum::of(&silent).unwrap();
        assert!(!optimum.on_boundary(&silent).unwrap());
        assert_eq!(optimum.union_bits, 0.0);
    }
}
