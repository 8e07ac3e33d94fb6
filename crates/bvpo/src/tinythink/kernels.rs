//! Small matrix kernels in double precision, for one row at a time.
//!
//! Sizes are constants, so accumulators stay in registers.

pub use crate::method::vector::{Work, vectorised};

/// Columns whose sums the compiler keeps in registers.
const TILE: usize = 24;

/// `y = x · w` for every row: `x` is `[n, I]`, `w` is `[I, O]`, `y` is `[n, O]`; `O` is at most 24,
/// or a multiple of it.
#[inline(always)]
pub fn multiply<const I: usize, const O: usize>(x: &[f64], w: &[f64], y: &mut [f64]) {
    product::<I, O>(x, w, y, |y, sums| y.copy_from_slice(sums));
}

/// `y += x · w` for every row.
#[inline(always)]
pub fn multiply_add<const I: usize, const O: usize>(x: &[f64], w: &[f64], y: &mut [f64]) {
    product::<I, O>(x, w, y, add);
}

#[inline(always)]
fn add(y: &mut [f64], sums: &[f64]) {
    for (y, sum) in y.iter_mut().zip(sums) {
        *y += sum;
    }
}

/// Hands every tile of every row of `x · w` to `put`, with its place in `y`.
#[inline(always)]
fn product<const I: usize, const O: usize>(
    x: &[f64],
    w: &[f64],
    y: &mut [f64],
    put: impl Fn(&mut [f64], &[f64]),
) {
    let w = &w[..I * O];
    for (x, y) in x.chunks_exact(I).zip(y.chunks_exact_mut(O)) {
        if O <= TILE {
            let mut sums = [0.0; O];
            for (value, row) in x.iter().zip(w.chunks_exact(O)) {
                add_scaled(&mut sums, *value, row);
            }
            put(y, &sums);
            continue;
        }
        for start in (0..O).step_by(TILE) {
            let mut sums = [0.0; TILE];
            for (value, row) in x.iter().zip(w.chunks_exact(O)) {
                add_scaled(&mut sums, *value, &row[start..start + TILE]);
            }
            put(&mut y[start..start + TILE], &sums);
        }
    }
}

/// `sums += value · row`.
#[inline(always)]
fn add_scaled<const N: usize>(sums: &mut [f64; N], value: f64, row: &[f64]) {
    for (sum, weight) in sums.iter_mut().zip(&row[..N]) {
        *sum += value * weight;
    }
}

/// `g += dyᵀ · x` over rows: `dy` is `[n, O]`, `x` holds rows of `I` numbers of which row
/// `rows[t]` belongs to row t of `dy`, `g` is `[O, I]`; `I` is at most 24,
/// or a multiple of it.
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
            if I <= TILE {
                let mut sums = [0.0; I];
                for (dy, row) in dy.chunks_exact(O).zip(rows) {
                    add_scaled(&mut sums, dy[o], &x[row * I..(row + 1) * I]);
                }
                add(g, &sums);
                continue;
            }
            for (tile, g) in g.chunks_exact_mut(TILE).enumerate() {
                let mut sums = [0.0; TILE];
                for (dy, row) in dy.chunks_exact(O).zip(rows) {
                    let at = row * I + tile * TILE;
                    add_scaled(&mut sums, dy[o], &x[at..at + TILE]);
                }
                add(g, &sums);
            }
        }
    }
}

/// `Σ x · y` in four lanes, so that no addition waits for the one before; `N` is a multiple of 4.
#[inline(always)]
pub fn dot_in_lanes<const N: usize>(x: &[f64], y: &[f64]) -> f64 {
    const LANES: usize = 4;
    let mut sums = [0.0; LANES];
    let (x, y) = (&x[..N], &y[..N]);
    for (x, y) in x.chunks_exact(LANES).zip(y.chunks_exact(LANES)) {
        for i in 0..LANES {
            sums[i] += x[i] * y[i];
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
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
        let expected: f64 = (0..4).map(|i| x[i] * y[i]).sum();
        assert_eq!(dot_in_lanes::<4>(&x, &y), expected);
        let there = transposed(&w, 3, 4);
        assert_eq!(there[3], w[1]);
        assert_eq!(transposed(&there, 4, 3), w);
    }

    #[test]
    fn wide_matrices_are_taken_in_tiles() {
        let x: Vec<f64> = (0..10).map(|i| f64::from(i % 4) - 1.0).collect();
        let w: Vec<f64> = (0..240).map(|i| f64::from(i * i % 11) - 5.0).collect();
        let mut y = vec![0.0; 96];
        multiply::<5, 48>(&x, &w, &mut y);
        for (at, y) in y.iter().enumerate() {
            let sum: f64 = (0..5)
                .map(|i| x[at / 48 * 5 + i] * w[i * 48 + at % 48])
                .sum();
            assert_eq!(*y, sum);
        }
        let mut g = vec![1.0; 240];
        outer_add::<5, 48>(&x, &y, &[1, 0], &mut g);
        for (at, g) in g.iter().enumerate() {
            let (o, i) = (at / 48, at % 48);
            assert_eq!(*g, 1.0 + x[o] * y[48 + i] + x[5 + o] * y[i]);
        }
    }

    struct Product<'a>(&'a [f64], &'a [f64], &'a mut [f64]);

    impl Work for Product<'_> {
        type Output = ();

        #[inline(always)]
        fn run(self) {
            multiply::<24, 24>(self.0, self.1, self.2);
        }
    }

    #[test]
    fn wider_registers_give_the_same_bits() {
        let x: Vec<f64> = (0..240).map(|i| (f64::from(i) * 0.37).sin()).collect();
        let w: Vec<f64> = (0..576).map(|i| (f64::from(i) * 0.71).cos()).collect();
        let (mut plain, mut wide) = (vec![0.0; 240], vec![0.0; 240]);
        multiply::<24, 24>(&x, &w, &mut plain);
        vectorised(Product(&x, &w, &mut wide));
        assert_eq!(plain, wide);
    }
}
