//! The few matrix operations that the method needs, over `faer`.
//!
//! Everything is `f64`, column-major, and runs in one thread, so that results do not depend on the
//! number of cores. They may differ in the last bits between instruction sets.
//! Shapes are the caller's duty; values that are not finite must have been refused before.

use faer::linalg::solvers::Solve;
use faer::{Mat, MatRef, Side};

use crate::error::PidError;
use crate::upper_halves;

/// Nats in a bit: `log2 x = ln x / ln 2`.
pub const NATS_PER_BIT: f64 = std::f64::consts::LN_2;

/// Refuses a matrix with a value that is not finite.
///
/// # Errors
/// [`PidError::NotFinite`] with the first such place.
pub fn check_finite(matrix: MatRef<'_, f64>, what: &'static str) -> Result<(), PidError> {
    for column in 0..matrix.ncols() {
        let mut entries = matrix.col(column).iter();
        if let Some(row) = entries.position(|value| !value.is_finite()) {
            return Err(PidError::NotFinite { what, row, column });
        }
    }
    Ok(())
}

/// `I + HᵀH`: the precision of the target given one whitened source.
#[must_use]
pub fn identity_plus_gram(h: MatRef<'_, f64>) -> Mat<f64> {
    let mut gram = h.transpose() * h;
    for k in 0..gram.nrows() {
        gram[(k, k)] += 1.0;
    }
    gram
}

/// The lower Cholesky factor.
///
/// # Errors
/// [`PidError::NotPositiveDefinite`].
pub fn cholesky(a: MatRef<'_, f64>, what: &'static str) -> Result<Mat<f64>, PidError> {
    let factor = a
        .llt(Side::Lower)
        .map_err(|_| PidError::NotPositiveDefinite { what })?;
    upper_halves::clear();
    Ok(factor.L().to_owned())
}

/// `log2 det A` of a positive definite matrix, from its Cholesky factor.
///
/// # Errors
/// [`PidError::NotPositiveDefinite`].
pub fn log2_det(a: MatRef<'_, f64>, what: &'static str) -> Result<f64, PidError> {
    Ok(log2_det_of_factor(cholesky(a, what)?.as_ref()))
}

/// `log2 det LLᵀ` from the factor `L`.
#[must_use]
pub fn log2_det_of_factor(lower: MatRef<'_, f64>) -> f64 {
    2.0 * (0..lower.nrows())
        .map(|k| lower[(k, k)].log2())
        .sum::<f64>()
}

/// `L⁻¹ X` for a lower triangular `L`.
#[must_use]
pub fn solve_lower(lower: MatRef<'_, f64>, x: MatRef<'_, f64>) -> Mat<f64> {
    let mut out = x.to_owned();
    lower.solve_lower_triangular_in_place(out.as_mut());
    out
}

/// `A⁻¹ X` for a positive definite `A`.
///
/// # Errors
/// [`PidError::NotPositiveDefinite`].
pub fn solve_spd(
    a: MatRef<'_, f64>,
    x: MatRef<'_, f64>,
    what: &'static str,
) -> Result<Mat<f64>, PidError> {
    let factor = a
        .llt(Side::Lower)
        .map_err(|_| PidError::NotPositiveDefinite { what })?;
    let solution = factor.solve(x);
    upper_halves::clear();
    Ok(solution)
}

/// Eigenvalues in increasing order and orthonormal eigenvectors (columns) of a symmetric matrix,
/// read from its lower triangle.
///
/// # Errors
/// [`PidError::Factorisation`].
pub fn symmetric_eigen(a: MatRef<'_, f64>) -> Result<(Vec<f64>, Mat<f64>), PidError> {
    let eigen = a
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| PidError::Factorisation {
            what: "symmetric eigendecomposition",
        })?;
    upper_halves::clear();
    let values = eigen.S().column_vector().iter().copied().collect();
    Ok((values, eigen.U().to_owned()))
}

/// Eigenvalues alone, in increasing order, of a symmetric matrix read from its lower triangle.
///
/// # Errors
/// [`PidError::Factorisation`].
pub fn symmetric_eigenvalues(a: MatRef<'_, f64>) -> Result<Vec<f64>, PidError> {
    if a.nrows() == 2 {
        return Ok(eigenvalues_of_two(a).to_vec());
    }
    let values = a
        .self_adjoint_eigenvalues(Side::Lower)
        .map_err(|_| PidError::Factorisation {
            what: "symmetric eigendecomposition",
        })?;
    upper_halves::clear();
    Ok(values)
}

/// One rotation of Jacobi's method, which is all that two rows need and keeps the digits of the
/// smaller eigenvalue.
fn eigenvalues_of_two(a: MatRef<'_, f64>) -> [f64; 2] {
    let (first, off, last) = (a[(0, 0)], a[(1, 0)], a[(1, 1)]);
    if off == 0.0 {
        return [first.min(last), first.max(last)];
    }
    let slope = (last - first) / (2.0 * off);
    let tangent = slope.signum() / (slope.abs() + slope.hypot(1.0));
    let (one, two) = (first - tangent * off, last + tangent * off);
    [one.min(two), one.max(two)]
}

/// `U diag(f(λ)) Uᵀ` of a symmetric matrix with eigenvalues `λ` and eigenvectors `U`.
#[must_use]
pub fn spectral_map(values: &[f64], vectors: MatRef<'_, f64>, f: impl Fn(f64) -> f64) -> Mat<f64> {
    scale_columns(vectors, |k| f(values[k])) * vectors.transpose()
}

/// The matrix with column `k` multiplied by `factor(k)`.
#[must_use]
pub fn scale_columns(a: MatRef<'_, f64>, factor: impl Fn(usize) -> f64) -> Mat<f64> {
    Mat::from_fn(a.nrows(), a.ncols(), |i, k| a[(i, k)] * factor(k))
}

/// Singular values in decreasing order.
///
/// # Errors
/// [`PidError::Factorisation`].
pub fn singular_values(a: MatRef<'_, f64>) -> Result<Vec<f64>, PidError> {
    if let Ok(values) = a.singular_values() {
        return Ok(values);
    }
    // The decomposition does not converge on some matrices whose singular values agree to the last
    // bits; their squares are eigenvalues.
    let squares = symmetric_eigenvalues((a.transpose() * a).as_ref())?;
    let n = a.nrows().min(a.ncols());
    let roots = squares.into_iter().rev().take(n);
    Ok(roots.map(|square| square.max(0.0).sqrt()).collect())
}

/// The largest singular value.
///
/// # Errors
/// [`PidError::Factorisation`].
pub fn spectral_norm(a: MatRef<'_, f64>) -> Result<f64, PidError> {
    Ok(singular_values(a)?.into_iter().fold(0.0, f64::max))
}

/// Projects on the unit ball of the spectral norm: singular values above 1 become 1.
///
/// This is the nearest point of the ball in the Frobenius norm (eq. 14 and 15 of the paper).
///
/// # Errors
/// [`PidError::Factorisation`].
pub fn clip_singular_values(a: MatRef<'_, f64>) -> Result<Mat<f64>, PidError> {
    let svd = a.thin_svd().map_err(|_| PidError::Factorisation {
        what: "singular value decomposition",
    })?;
    let values = svd.S().column_vector();
    Ok(scale_columns(svd.U(), |k| values[k].clamp(0.0, 1.0)) * svd.V().transpose())
}

/// The pseudo-inverse; singular values at or below `eps · max(rows, columns) · σ_max` count as zero
/// (the tolerance of the official code).
///
/// # Errors
/// [`PidError::Factorisation`].
pub fn pseudo_inverse(a: MatRef<'_, f64>) -> Result<Mat<f64>, PidError> {
    let svd = a.thin_svd().map_err(|_| PidError::Factorisation {
        what: "singular value decomposition",
    })?;
    let values = svd.S().column_vector();
    let largest = values.iter().copied().fold(0.0, f64::max);
    let tolerance = f64::EPSILON * a.nrows().max(a.ncols()) as f64 * largest;
    let inverse = |k: usize| {
        if values[k] > tolerance {
            1.0 / values[k]
        } else {
            0.0
        }
    };
    Ok(scale_columns(svd.V(), inverse) * svd.U().transpose())
}

/// `[A; B]`: one matrix above the other.
#[must_use]
pub fn stack_rows(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    Mat::from_fn(a.nrows() + b.nrows(), a.ncols(), |i, j| {
        if i < a.nrows() {
            a[(i, j)]
        } else {
            b[(i - a.nrows(), j)]
        }
    })
}

/// The block-diagonal matrix of two blocks.
#[must_use]
pub fn block_diagonal(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    Mat::from_fn(a.nrows() + b.nrows(), a.ncols() + b.ncols(), |i, j| match (
        i < a.nrows(),
        j < a.ncols(),
    ) {
        (true, true) => a[(i, j)],
        (false, false) => b[(i - a.nrows(), j - a.ncols())],
        _ => 0.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::mat;

    #[test]
    fn the_clip_leaves_the_ball_alone_and_cuts_what_sticks_out() {
        let inside = mat![[0.5, 0.1], [-0.2, 0.3], [0.0, 0.4]];
        let kept = clip_singular_values(inside.as_ref()).unwrap();
        assert!((&kept - &inside).norm_max() < 1e-15);
        let outside = mat![[3.0, 0.0], [0.0, 0.5]];
        let cut = clip_singular_values(outside.as_ref()).unwrap();
        assert!((cut - mat![[1.0, 0.0], [0.0, 0.5]]).norm_max() < 1e-15);
    }

    #[test]
    fn the_pseudo_inverse_of_a_singular_matrix_has_penrose_s_four_properties() {
        let a = mat![[1.0, 2.0], [2.0, 4.0], [0.0, 0.0]];
        let p = pseudo_inverse(a.as_ref()).unwrap();
        assert!((&a * &p * &a - &a).norm_max() < 1e-14);
        assert!((&p * &a * &p - &p).norm_max() < 1e-14);
        let ap = &a * &p;
        let pa = &p * &a;
        assert!((ap.transpose() - &ap).norm_max() < 1e-14);
        assert!((pa.transpose() - &pa).norm_max() < 1e-14);
    }

    #[test]
    fn eigenvalues_of_two_rows_are_those_of_the_general_method() {
        for a in [
            mat![[2.0, 1.0], [1.0, 3.0]],
            mat![[1e-9, 2e-5], [2e-5, 1.0]],
            mat![[4.0, -1.5], [-1.5, 4.0]],
            mat![[2.0, 0.0], [0.0, 1.0]],
        ] {
            let found = symmetric_eigenvalues(a.as_ref()).unwrap();
            let (general, _) = symmetric_eigen(a.as_ref()).unwrap();
            for (x, y) in found.iter().zip(&general) {
                assert!((x - y).abs() < 1e-15 * general[1], "{found:?} {general:?}");
            }
        }
    }

    #[test]
    fn log_determinants_match_a_hand_computed_case() {
        let a = mat![[4.0, 2.0], [2.0, 5.0]];
        assert!((log2_det(a.as_ref(), "a").unwrap() - 4.0).abs() < 1e-15);
        let indefinite = mat![[1.0, 2.0], [2.0, 1.0]];
        assert_eq!(
            log2_det(indefinite.as_ref(), "a"),
            Err(PidError::NotPositiveDefinite { what: "a" })
        );
    }
}
