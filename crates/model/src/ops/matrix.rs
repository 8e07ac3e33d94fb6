//! Matrix products over slices: the crate `gemm` behind checked bounds.
//!
//! One product uses one thread; callers split rows into chunks whose number does not depend on the
//! threads, so that neither do the bits.

use std::any::TypeId;

use gemm::Parallelism;

use super::real::Real;

/// A matrix in a slice: element `(i, j)` is `data[i · row + j · column]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mat<'a, T> {
    data: &'a [T],
    row: usize,
    column: usize,
}

impl<'a, T> Mat<'a, T> {
    /// Rows of contiguous elements, `stride` apart.
    pub(crate) fn rows(data: &'a [T], stride: usize) -> Self {
        Self {
            data,
            row: stride,
            column: 1,
        }
    }

    /// The transposed matrix, in place.
    pub(crate) fn t(self) -> Self {
        Self {
            data: self.data,
            row: self.column,
            column: self.row,
        }
    }
}

/// A matrix to write: rows of contiguous elements, `stride` apart.
#[derive(Debug)]
pub(crate) struct MatMut<'a, T> {
    pub(crate) data: &'a mut [T],
    pub(crate) stride: usize,
}

/// What becomes of what the destination held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Onto {
    /// It is overwritten, whatever it was.
    Nothing,
    /// The product is added to it.
    Held,
}

/// `dst = scale · a · b`, or `dst += scale · a · b`, for `a` `[m, k]`, `b` `[k, n]`; sizes are
/// `[m, n, k]`.
///
/// # Panics
/// A matrix does not hold the elements that its size and strides name: a mistake of this crate.
pub(crate) fn product<T: Real>(
    [m, n, k]: [usize; 3],
    dst: MatMut<'_, T>,
    onto: Onto,
    scale: T,
    a: Mat<'_, T>,
    b: Mat<'_, T>,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(
        dst.stride >= n && (m - 1) * dst.stride + n <= dst.data.len(),
        "destination of a product is too short"
    );
    if k == 0 {
        if onto == Onto::Nothing {
            for row in dst.data.chunks_mut(dst.stride).take(m) {
                row[..n].fill(T::ZERO);
            }
        }
        return;
    }
    let holds = |of: &Mat<'_, T>, rows: usize, columns: usize| {
        (rows - 1) * of.row + (columns - 1) * of.column < of.data.len()
    };
    assert!(
        holds(&a, m, k) && holds(&b, k, n),
        "operand of a product is too short"
    );
    assert!(
        TypeId::of::<T>() == TypeId::of::<f32>() || TypeId::of::<T>() == TypeId::of::<f64>(),
        "products exist in single and double precision"
    );
    // SAFETY: both operands and the destination hold every element that the sizes and strides
    // name (asserted above); the destination is borrowed mutably, so it overlaps neither operand;
    // its rows do not overlap because the stride is at least their length; T is f32 or f64.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst.data.as_mut_ptr(),
            1,
            dst.stride as isize,
            onto == Onto::Held,
            a.data.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.data.as_ptr(),
            b.column as isize,
            b.row as isize,
            T::ONE,
            scale,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that differ everywhere and are exact in both precisions.
    fn values(n: usize, seed: usize) -> Vec<f64> {
        (0..n)
            .map(|i| ((i * 37 + seed * 11) % 17) as f64 - 8.0)
            .collect()
    }

    #[test]
    fn products_equal_the_definition_for_odd_sizes_strides_and_transposes() {
        for [m, n, k] in [
            [1, 1, 1],
            [3, 5, 7],
            [17, 33, 2],
            [1, 40, 9],
            [40, 1, 9],
            [4, 4, 0],
        ] {
            let (a, b) = (values((k + 1) * (m + 2), 1), values((n + 1) * (k + 3), 2));
            let a = Mat::rows(&a, m + 1).t();
            let b = Mat::rows(&b, k + 2).t();
            let mut dst = vec![1.0; m * (n + 2)];
            let (data, stride) = (&mut dst[..], n + 2);
            product([m, n, k], MatMut { data, stride }, Onto::Held, 0.5, a, b);
            for i in 0..m {
                for j in 0..n {
                    let sum: f64 = (0..k)
                        .map(|l| {
                            a.data[i * a.row + l * a.column] * b.data[l * b.row + j * b.column]
                        })
                        .sum();
                    assert_eq!(dst[i * (n + 2) + j], 1.0 + 0.5 * sum, "{m} {n} {k}");
                }
                assert_eq!(dst[i * (n + 2) + n..][..2], [1.0, 1.0]);
            }
        }
    }

    #[test]
    fn an_empty_sum_overwrites_with_zeros() {
        let mut data = [3.0f32; 6];
        let dst = MatMut {
            data: &mut data,
            stride: 3,
        };
        let nothing = Mat::rows(&[], 0);
        product([2, 2, 0], dst, Onto::Nothing, 1.0, nothing, nothing);
        assert_eq!(data, [0.0, 0.0, 3.0, 0.0, 0.0, 3.0]);
    }
}
