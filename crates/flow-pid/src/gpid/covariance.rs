//! The closed form straight from a covariance: two Cholesky factors instead of whitening.
//!
//! With the blocks ordered X1, X2, Y the factor of the joint covariance holds everything that is
//! needed of X1 and of both sources together:
//!
//! ```text
//! Cov(Y|X1,X2) = L_YY L_YYᵀ,   Cov(Y|X1) = L_Y2 L_Y2ᵀ + L_YY L_YYᵀ,
//! ```
//!
//! sums of positive parts, so that nothing cancels; the factor of (X2, Y) gives `Cov(Y|X2)` alike.
//! The cost is `(d1 + d2 + dy)³/3 + (d2 + dy)³/3` flops with X2 the smaller source, where whitening
//! by symmetric roots takes some twenty times as many.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::{Mat, MatRef, Par};

use crate::atoms::Atoms;
use crate::channel::{Channel, Dims, check_covariance};
use crate::error::PidError;
use crate::linalg::{cholesky, log2_det_of_factor, solve_lower};

use super::closed_form::unique_bits;

/// Smallest pivot of the standardised covariance's factor with which the fast way is taken. The
/// square is a variance given the coordinates before; `1e-10` leaves six digits to it. Below, the
/// slower way through whitening decides, and names what is singular.
const PIVOT_MIN: f64 = 1e-5;

/// The certified Gaussian PID of a covariance ordered as target, source 1, source 2.
///
/// The same as [`Atoms::of_channel`] after [`Channel::from_covariance`], up to rounding.
///
/// # Errors
/// As [`Channel::from_covariance`], and where the joint information is infinite.
pub fn atoms_of_covariance(covariance: MatRef<'_, f64>, dims: Dims) -> Result<Atoms, PidError> {
    check_covariance(covariance, dims)?;
    match by_factors(covariance, dims) {
        Some(atoms) => Ok(atoms),
        None => Atoms::of_channel(&Channel::from_covariance(covariance, dims)?),
    }
}

/// `None` where a factor does not exist or is close to singular.
fn by_factors(covariance: MatRef<'_, f64>, dims: Dims) -> Option<Atoms> {
    let exchanged = dims.x1 < dims.x2;
    let (first, second) = if exchanged {
        (dims.y + dims.x1..dims.total(), dims.y..dims.y + dims.x1)
    } else {
        (dims.y..dims.y + dims.x1, dims.y + dims.x1..dims.total())
    };
    let (d2, dy) = (second.len(), dims.y);
    let scale: Vec<f64> = (0..dims.total())
        .map(|k| covariance[(k, k)])
        .map(|variance| 1.0 / variance.sqrt())
        .collect();
    if !scale.iter().all(|value| value.is_finite()) {
        return None;
    }
    let ordered = |indices: &[usize]| lower_triangle(covariance, indices, &scale);
    let joint: Vec<usize> = first.chain(second.clone()).chain(0..dy).collect();
    let other: Vec<usize> = second.chain(0..dy).collect();
    let target: Vec<usize> = (0..dy).collect();
    let lower = regular_factor(ordered(&joint))?;
    let lower_other = regular_factor(ordered(&other))?;
    let lower_target = regular_factor(ordered(&target))?;
    // P = Cov(Y|first) from the columns of `second` and of the target.
    let part = last_rows(&lower, dy, d2 + dy);
    let posterior1 = cholesky((&part * part.transpose()).as_ref(), "Cov(Y|X1)").ok()?;
    let posterior2 = last_rows(&lower_other, dy, dy);
    let posterior12 = last_rows(&lower, dy, dy);
    let entropy = log2_det_of_factor(lower_target.as_ref());
    let info = |posterior: MatRef<'_, f64>| 0.5 * (entropy - log2_det_of_factor(posterior));
    // Eigenvalues of Q v = λ P v are those of (L_P⁻¹ L_Q)(L_P⁻¹ L_Q)ᵀ.
    let mixed = solve_lower(posterior1.as_ref(), posterior2.as_ref());
    let (unique1, unique2) = unique_bits(mixed.as_ref()).ok()?;
    let (info1, info2, info12) = (
        info(posterior1.as_ref()),
        info(posterior2.as_ref()),
        info(posterior12.as_ref()),
    );
    let atoms = Atoms::of_closed_form([info1, info2, info12], [unique1, unique2]);
    Some(if exchanged { atoms.exchanged() } else { atoms })
}

/// The lower triangle of the standardised covariance in another order; zeros above.
fn lower_triangle(covariance: MatRef<'_, f64>, indices: &[usize], scale: &[f64]) -> Mat<f64> {
    let n = indices.len();
    let mut out = Mat::zeros(n, n);
    for (j, column) in indices.iter().enumerate() {
        let (from, factor) = (covariance.col(*column), scale[*column]);
        let entries = out.col_mut(j).subrows_mut(j, n - j);
        for (entry, row) in entries.iter_mut().zip(&indices[j..]) {
            *entry = scale[*row] * from[*row] * factor;
        }
    }
    out
}

/// The last `rows` rows and `columns` columns of a lower triangular matrix; what its storage holds
/// above the diagonal is nobody's.
fn last_rows(lower: &Mat<f64>, rows: usize, columns: usize) -> Mat<f64> {
    let n = lower.nrows();
    Mat::from_fn(rows, columns, |i, j| {
        let (row, column) = (n - rows + i, n - columns + j);
        if column <= row {
            lower[(row, column)]
        } else {
            0.0
        }
    })
}

/// The Cholesky factor in place, where it exists and no pivot is small.
fn regular_factor(mut a: Mat<f64>) -> Option<Mat<f64>> {
    let n = a.nrows();
    let scratch = llt::factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(scratch);
    let stack = MemStack::new(&mut memory);
    let (regularisation, parameters) = (Default::default(), Default::default());
    llt::factor::cholesky_in_place(a.as_mut(), regularisation, Par::Seq, stack, parameters).ok()?;
    let regular = (0..n).all(|k| a[(k, k)] > PIVOT_MIN);
    regular.then_some(a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::mat;

    fn slow(covariance: MatRef<'_, f64>, dims: Dims) -> Atoms {
        Atoms::of_channel(&Channel::from_covariance(covariance, dims).unwrap()).unwrap()
    }

    /// A regular covariance with all blocks correlated and unequal scales.
    fn example(dims: Dims) -> Mat<f64> {
        let n = dims.total();
        let raw = Mat::from_fn(n, n + 2, |i, j| {
            ((3 * i + 7 * j + 1) as f64).sin() + ((i * j) as f64).cos()
        });
        let scatter = &raw * raw.transpose();
        Mat::from_fn(n, n, |i, j| {
            let identity = if i == j { 0.5 } else { 0.0 };
            (0.5 * (scatter[(i, j)] + scatter[(j, i)]) + identity)
                * 10_f64.powi(i as i32 % 3)
                * 10_f64.powi(j as i32 % 3)
        })
    }

    #[test]
    fn the_fast_way_is_the_slow_way() {
        for (y, x1, x2) in [(1, 1, 1), (2, 3, 5), (2, 5, 3), (7, 2, 3), (4, 6, 6)] {
            let dims = Dims { y, x1, x2 };
            let covariance = example(dims);
            assert!(by_factors(covariance.as_ref(), dims).is_some(), "{dims:?}");
            let fast = atoms_of_covariance(covariance.as_ref(), dims).unwrap();
            let error = fast.distance_max(&slow(covariance.as_ref(), dims));
            assert!(error < 1e-11, "{dims:?}: {error:e}");
        }
    }

    #[test]
    fn singular_covariances_keep_their_names() {
        let dims = Dims { y: 1, x1: 1, x2: 1 };
        let noiseless = mat![[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 3.0]];
        assert_eq!(
            atoms_of_covariance(noiseless.as_ref(), dims),
            Err(PidError::SingularNoise { source: 1 })
        );
        // A copied source is singular for the factors and defined all the same.
        let copy = mat![[1.0, 1.0, 1.0], [1.0, 2.0, 2.0], [1.0, 2.0, 2.0]];
        let atoms = atoms_of_covariance(copy.as_ref(), dims).unwrap();
        assert!((atoms.redundancy - 0.5).abs() < 1e-12 && atoms.synergy.abs() < 1e-12);
    }
}
