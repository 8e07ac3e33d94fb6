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

use std::ops::Range;
use std::slice::from_ref;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, ColMut, Mat, MatRef, Par};

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
///
/// With X1 the larger source and `Z = (X2, Y)`, the joint factor is made of blocks of half its
/// size: `L1 L1ᵀ = Σ11`, `K = Σ_Z1 L1⁻ᵀ`, `L Lᵀ = Σ_ZZ − K Kᵀ`. Blocks of a thousand dimensions
/// are small enough for an allocator to keep, where a whole matrix would come anew from the
/// operating system on every call, page by page.
fn by_factors(covariance: MatRef<'_, f64>, dims: Dims) -> Option<Atoms> {
    let exchanged = dims.x1 < dims.x2;
    let (one, two) = (dims.y..dims.y + dims.x1, dims.y + dims.x1..dims.total());
    let (first, second) = if exchanged { (two, one) } else { (one, two) };
    let dy = dims.y;
    let standard = Standard::of(covariance)?;
    let target = 0..dy;
    let lower_target = regular_factor(standard.square(from_ref(&target)))?;
    let rest = [second, target];
    let marginal = standard.square(&rest);
    let mut given = marginal.clone();
    let regression = {
        let lower_first = regular_factor(standard.square(from_ref(&first)))?;
        let mut regression = standard.block(&rest, &first);
        lower_first.solve_lower_triangular_in_place(regression.transpose_mut());
        regression
    };
    triangular::matmul(
        given.as_mut(),
        BlockStructure::TriangularLower,
        Accum::Add,
        regression.as_ref(),
        BlockStructure::Rectangular,
        regression.transpose(),
        BlockStructure::Rectangular,
        -1.0,
        Par::Seq,
    );
    let lower = regular_factor(given)?;
    let lower_other = regular_factor(marginal)?;
    // P = Cov(Y|first) from the columns of `second` and of the target.
    let part = last_rows(&lower, dy, lower.ncols());
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

/// A covariance whose variances are divided out where it is read.
struct Standard<'a> {
    covariance: MatRef<'a, f64>,
    scale: Vec<f64>,
}

impl<'a> Standard<'a> {
    /// `None` where a variance is not positive.
    fn of(covariance: MatRef<'a, f64>) -> Option<Self> {
        let variances = (0..covariance.ncols()).map(|k| covariance[(k, k)]);
        let scale: Vec<f64> = variances.map(|variance| 1.0 / variance.sqrt()).collect();
        let positive = scale.iter().all(|value| value.is_finite());
        positive.then_some(Self { covariance, scale })
    }

    /// The rows of some ranges, one below the other, and the columns of one.
    fn block(&self, rows: &[Range<usize>], columns: &Range<usize>) -> Mat<f64> {
        let mut out = Mat::zeros(rows.iter().map(Range::len).sum(), columns.len());
        for (j, column) in columns.clone().enumerate() {
            let mut place = 0;
            for piece in rows {
                let entries = out.col_mut(j).subrows_mut(place, piece.len());
                self.fill(entries, piece.clone(), column);
                place += piece.len();
            }
        }
        out
    }

    /// The square block of some ranges: its lower triangle, and zeros above.
    fn square(&self, ranges: &[Range<usize>]) -> Mat<f64> {
        let n = ranges.iter().map(Range::len).sum();
        let mut out = Mat::zeros(n, n);
        let mut place = 0;
        for (k, columns) in ranges.iter().enumerate() {
            for column in columns.clone() {
                let mut row = place;
                for (piece_idx, piece) in ranges[k..].iter().enumerate() {
                    let rows = if piece_idx == 0 {
                        column..piece.end
                    } else {
                        piece.clone()
                    };
                    let len = rows.len();
                    self.fill(out.col_mut(place).subrows_mut(row, len), rows, column);
                    row += len;
                }
                place += 1;
            }
        }
        out
    }

    fn fill(&self, entries: ColMut<'_, f64>, rows: Range<usize>, column: usize) {
        let from = self.covariance.col(column).subrows(rows.start, rows.len());
        let factor = self.scale[column];
        let scaled = from.iter().zip(&self.scale[rows]);
        for (entry, (value, scale)) in entries.iter_mut().zip(scaled) {
            *entry = scale * value * factor;
        }
    }
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
