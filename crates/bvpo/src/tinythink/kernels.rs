//! Small matrix kernels in double precision, for one row at a time.
//!
//! Sizes are constants, so accumulators stay in registers.

pub use crate::method::vector::vectorised;

/// `y = x · w` for every row: `x` is `[n, I]`, `w` is `[I, O]`, `y` is `[n, O]`.
#[inline(always)]
pub fn multiply<const I: usize, const O: usize>(x: &[f64], w: &[f64], y: &mut [f64]) {
    let w = &w[..I * O];
    for (x, y) in x.chunks_exact(I).zip(y.chunks_exact_mut(O)) {
        let mut sums = [0.0; O];
        for (value, row) in x.iter().zip(w.chunks_exact(O)) {
            for (sum, weight) in sums.iter_mut().zip(row) {
                *sum += value * weight;
            }
        }
        y.copy_from_slice(&sums);
    }
}

/// `y += x · w` for every row.
#[inline(always)]
pub fn multiply_add<const I: usize, const O: usize>(x: &[f64], w: &[f64], y: &mut [f64]) {
    let w = &w[..I * O];
    for (x, y) in x.chunks_exact(I).zip(y.chunks_exact_mut(O)) {
        let mut sums = [0.0; O];
        for (value, row) in x.iter().zip(w.chunks_exact(O)) {
            for (sum, weight) in sums.iter_mut().zip(row) {
                *sum += value * weight;
            }
        }
        for (y, sum) in y.iter_mut().zip(&sums) {
            *y += sum;
        }
    }
}

/// `g += dyᵀ · x` over rows: `dy` is `[n, O]`, `x` holds rows of `I` numbers of which row
/// `rows[t]` belongs to row t of `dy`, `g` is `[O, I]`.
#[inline(always)]
pub fn outer_add<const O: usize, const I: usize>(
    dy: &[f64],
    x: &[f64],
    rows: &[usize],
    g: &mut [f64],
) {
    // A block of rows stays in the nearest cache while all outputs are visited.
    const BLOCK: usize = 16;
    for (dy, rows) in dy.chunks(BLOCK * O).zip(rows.chunks(BLOCK)) {
        for (o, g) in g.chunks_exact_mut(I).enumerate() {
            let mut sums = [0.0; I];
            for (dy, row) in dy.chunks_exact(O).zip(rows) {
                let value = dy[o];
                for (sum, x) in sums.iter_mut().zip(&x[row * I..(row + 1) * I]) {
                    *sum += value * x;
                }
            }
            for (g, sum) in g.iter_mut().zip(&sums) {
                *g += sum;
            }
        }
    }
}

/// The transpose of `[n_rows, n_columns]`.
#[must_use]
pub fn transposed(w: &[f64], n_rows: usize, n_columns: usize) -> Vec<f64> {
    (0..n_rows * n_columns)
        .map(|i| w[i % n_rows * n_columns + i / n_rows])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_agree_with_sums_written_out() {
        let x: Vec<f64> = (0..6).map(|i| f64::from(i) - 2.0).collect();
        let w: Vec<f64> = (0..12).map(|i| f64::from(i * i % 7) - 3.0).collect();
        let mut y = vec![1.0; 8];
        multiply_add::<3, 4>(&x, &w, &mut y);
        for t in 0..2 {
            for o in 0..4 {
                let sum: f64 = (0..3).map(|i| x[t * 3 + i] * w[i * 4 + o]).sum();
                assert_eq!(y[t * 4 + o], 1.0 + sum);
            }
        }
        let mut g = vec![0.0; 12];
        outer_add::<4, 3>(&y, &x, &[1, 0], &mut g);
        for o in 0..4 {
            for i in 0..3 {
                assert_eq!(g[o * 3 + i], y[o] * x[3 + i] + y[4 + o] * x[i]);
            }
        }
        let there = transposed(&w, 3, 4);
        assert_eq!(there[3], w[1]);
        assert_eq!(transposed(&there, 4, 3), w);
    }

    #[test]
    fn wider_registers_give_the_same_bits() {
        let x: Vec<f64> = (0..240).map(|i| (f64::from(i) * 0.37).sin()).collect();
        let w: Vec<f64> = (0..576).map(|i| (f64::from(i) * 0.71).cos()).collect();
        let (mut plain, mut wide) = (vec![0.0; 240], vec![0.0; 240]);
        multiply::<24, 24>(&x, &w, &mut plain);
        vectorised(|| multiply::<24, 24>(&x, &w, &mut wide));
        assert_eq!(plain, wide);
    }
}
