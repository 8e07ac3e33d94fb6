//! The objective of Thin-PID and its exact gradient, as Theorem 3.3 and Proposition 3.4 write them.
//!
//! With `N = [[I, S], [Sᵀ, I]]` and `G = HHᵀ + N` (whitened target), the coupling `S` (the paper's
//! Σ^off, `d1 × d2`) has the joint information
//!
//! ```text
//! L(S) = ½ log2( det G / det N )                                    [bits]
//! ∇L(S) = −G11⁻¹ G12 B⁻¹ + S (I − SᵀS)⁻¹,  B = G22 − G12ᵀ G11⁻¹ G12  [nats per unit of S]
//! ```
//!
//! These dense forms are the reference. The iteration in [`crate::gpid::thin_pid`] evaluates the
//! same quantities through [`Conditional`], which is cheaper and loses no digits by cancellation:
//! given X1, `X2 = SᵀX1 + E Y + noise` with `E = H2 − SᵀH1` and noise covariance `N₂ = I − SᵀS`, so
//!
//! ```text
//! B = N₂ + F Fᵀ with F = E·chol((I + H1ᵀH1)⁻¹),   G12ᵀ G11⁻¹ = Sᵀ + F K,
//! L(S) = I1 + ½ log2 det(I + Fᵀ N₂⁻¹ F),
//! ∇L(S)ᵀ = Y (I + FᵀY)⁻¹ (YᵀSᵀ − K) with Y = N₂⁻¹F, K = chol(·)ᵀ H1ᵀ.
//! ```
//!
//! The last line is Woodbury's identity applied to `B⁻¹`; adding the official code's ridge to both
//! `B` and `N₂` keeps it exact, since then `B + ridge = (N₂ + ridge) + F Fᵀ`.

use faer::{Mat, MatRef};

use crate::channel::Channel;
use crate::error::PidError;
use crate::linalg::{cholesky, identity_plus_gram, log2_det, solve_lower, solve_spd};

/// `L(S)` in bits, from the dense determinants of Theorem 3.3.
///
/// # Errors
/// [`PidError::NotPositiveDefinite`] where `S` is not strictly inside the spectral ball.
pub fn objective_bits(channel: &Channel, coupling: MatRef<'_, f64>) -> Result<f64, PidError> {
    let inner = noise_schur(coupling, 0.0);
    let (g11, g12, g22) = gram_blocks(channel, coupling);
    let schur = schur_complement(g11.as_ref(), g12.as_ref(), g22.as_ref())?;
    let log_g = log2_det(g11.as_ref(), "G11")? + log2_det(schur.as_ref(), "B")?;
    Ok(0.5 * (log_g - log2_det(inner.as_ref(), "I - SᵀS")?))
}

/// `∇L(S)` in **nats** per unit of `S` (divide by ln 2 for bits), Proposition 3.4, with `ridge`
/// added to `B` and to `I − SᵀS`; zero for the exact derivative.
///
/// # Errors
/// [`PidError::NotPositiveDefinite`] where a solve meets a matrix that is not.
pub fn gradient_nats(
    channel: &Channel,
    coupling: MatRef<'_, f64>,
    ridge: f64,
) -> Result<Mat<f64>, PidError> {
    let inner = noise_schur(coupling, ridge);
    let (g11, g12, g22) = gram_blocks(channel, coupling);
    let mut schur = schur_complement(g11.as_ref(), g12.as_ref(), g22.as_ref())?;
    for k in 0..schur.nrows() {
        schur[(k, k)] += ridge;
    }
    let regression = solve_spd(g11.as_ref(), g12.as_ref(), "G11")?;
    let first = solve_spd(schur.as_ref(), regression.transpose(), "B")?;
    let second = solve_spd(inner.as_ref(), coupling.transpose(), "I - SᵀS")?;
    Ok((second - first).transpose().to_owned())
}

/// `I − SᵀS + ridge·I`.
fn noise_schur(coupling: MatRef<'_, f64>, ridge: f64) -> Mat<f64> {
    let gram = coupling.transpose() * coupling;
    Mat::from_fn(gram.nrows(), gram.ncols(), |i, j| {
        if i == j {
            1.0 - gram[(i, j)] + ridge
        } else {
            -gram[(i, j)]
        }
    })
}

fn gram_blocks(channel: &Channel, coupling: MatRef<'_, f64>) -> (Mat<f64>, Mat<f64>, Mat<f64>) {
    let g11 = identity_plus_gram(channel.h1().transpose());
    let g12 = channel.h1() * channel.h2().transpose() + coupling;
    let g22 = identity_plus_gram(channel.h2().transpose());
    (g11, g12, g22)
}

fn schur_complement(
    g11: MatRef<'_, f64>,
    g12: MatRef<'_, f64>,
    g22: MatRef<'_, f64>,
) -> Result<Mat<f64>, PidError> {
    Ok(g22 - g12.transpose() * solve_spd(g11, g12, "G11")?)
}

/// What the conditional form of the objective needs of the first source, computed once.
#[derive(Clone, Debug)]
pub struct Conditional {
    /// `H1ᵀ`, `dy × d1`.
    pub h1_transposed: Mat<f64>,
    /// `H2`, `d2 × dy`.
    pub h2: Mat<f64>,
    /// `P^{1/2}` with `P = Cov(Y|X1) = (I + H1ᵀH1)⁻¹`: the factor with `P = root rootᵀ`.
    pub root: Mat<f64>,
    /// `−K = −rootᵀ H1ᵀ`, `dy × d1`.
    pub k_negated: Mat<f64>,
    /// `I(X1;Y)` in bits.
    pub info1_bits: f64,
}

impl Conditional {
    /// Prepares the conditional form.
    ///
    /// Only `HHᵀ` matters, so a target with more coordinates than both sources together is first
    /// rotated into the rows' span, which has `d1 + d2` dimensions at most.
    ///
    /// # Errors
    /// [`PidError::NotPositiveDefinite`] where `I + H1ᵀH1` overflows.
    pub fn new(h1: MatRef<'_, f64>, h2: MatRef<'_, f64>) -> Result<Self, PidError> {
        let (h1, h2) = within_span(h1, h2);
        let precision = identity_plus_gram(h1.as_ref());
        let lower = cholesky(precision.as_ref(), "I + H1ᵀH1")?;
        let identity = Mat::<f64>::identity(lower.nrows(), lower.nrows());
        // P = L⁻ᵀ L⁻¹, so the factor is L⁻ᵀ.
        let root = solve_lower(lower.as_ref(), identity.as_ref())
            .transpose()
            .to_owned();
        let k_negated = -(root.transpose() * h1.transpose());
        let info1_bits = 0.5 * crate::linalg::log2_det_of_factor(lower.as_ref());
        Ok(Self {
            h1_transposed: h1.transpose().to_owned(),
            h2,
            root,
            k_negated,
            info1_bits,
        })
    }
}

/// `L(S)` in bits through the conditional form, which keeps its digits close to the boundary.
///
/// # Errors
/// [`PidError::NotPositiveDefinite`] where `S` is not strictly inside the spectral ball.
pub fn conditional_bits(channel: &Channel, coupling: MatRef<'_, f64>) -> Result<f64, PidError> {
    let given = Conditional::new(channel.h1(), channel.h2())?;
    let inner = cholesky(noise_schur(coupling, 0.0).as_ref(), "I - SᵀS")?;
    let e = &given.h2 - coupling.transpose() * given.h1_transposed.transpose();
    let v = solve_lower(inner.as_ref(), (e * &given.root).as_ref());
    let core = identity_plus_gram(v.as_ref());
    Ok(given.info1_bits + 0.5 * log2_det(core.as_ref(), "I + VᵀV")?)
}

/// `[H1; H2]` in coordinates of its row space where the target is larger than both sources.
fn within_span(h1: MatRef<'_, f64>, h2: MatRef<'_, f64>) -> (Mat<f64>, Mat<f64>) {
    let rows = h1.nrows() + h2.nrows();
    if h1.ncols() <= rows {
        return (h1.to_owned(), h2.to_owned());
    }
    let stacked = crate::linalg::stack_rows(h1, h2);
    let span = stacked.transpose().to_owned().qr();
    let lower = span.thin_R().transpose();
    (
        lower.subrows(0, h1.nrows()).to_owned(),
        lower.subrows(h1.nrows(), h2.nrows()).to_owned(),
    )
}
