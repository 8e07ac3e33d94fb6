//! Normalisation of rows.

use super::cpu::{Cpu, Work};
use super::elementwise::{load_some, store_some};
use super::lanes::{LANES, Lanes};

impl Cpu {
    /// RMS normalisation of every row of `weight.len()` values: `x / √(mean x² + eps) · weight`
    /// (B. Zhang and R. Sennrich, 2019, equation 4, with `eps` under the root).
    ///
    /// # Panics
    /// `x` is not a whole number of rows, or `out` differs from it in length.
    pub fn rms_norm(&self, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
        check(x.len(), weight.len());
        assert_eq!(x.len(), out.len(), "places of the output");
        self.run(Normalise::<false> {
            n: x.len(),
            from: x.as_ptr(),
            to: out.as_mut_ptr(),
            weight,
            bias: &[],
            eps,
        });
    }

    /// [`Cpu::rms_norm`] where `x` itself receives the result (queries and keys, head by head).
    ///
    /// # Panics
    /// `x` is not a whole number of rows.
    pub fn rms_norm_in_place(&self, x: &mut [f32], weight: &[f32], eps: f32) {
        check(x.len(), weight.len());
        self.run(Normalise::<false> {
            n: x.len(),
            from: x.as_ptr(),
            to: x.as_mut_ptr(),
            weight,
            bias: &[],
            eps,
        });
    }

    /// Layer normalisation of every row: `(x − mean) / √(var + eps) · weight + bias`, with the
    /// population variance (J. Ba and others, 2016, equation 3).
    ///
    /// # Panics
    /// `x` is not a whole number of rows, or `out` or `bias` do not fit.
    pub fn layer_norm(&self, x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
        check(x.len(), weight.len());
        assert_eq!(x.len(), out.len(), "places of the output");
        assert_eq!(bias.len(), weight.len(), "values of the bias");
        self.run(Normalise::<true> {
            n: x.len(),
            from: x.as_ptr(),
            to: out.as_mut_ptr(),
            weight,
            bias,
            eps,
        });
    }
}

fn check(n: usize, width: usize) {
    assert!(
        width > 0 && n.is_multiple_of(width),
        "{n} values are no whole number of rows of {width}"
    );
}

/// Rows from `from` to `to` (the same or disjoint), `n` values in all.
struct Normalise<'a, const CENTRE: bool> {
    n: usize,
    from: *const f32,
    to: *mut f32,
    weight: &'a [f32],
    bias: &'a [f32],
    eps: f32,
}

impl<const CENTRE: bool> Work for Normalise<'_, CENTRE> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let width = self.weight.len();
        for row in 0..self.n / width {
            // SAFETY: the constructors have checked lengths, `Cpu` the instructions.
            unsafe {
                let from = self.from.add(row * width);
                self.row::<L>(from, self.to.add(row * width));
            }
        }
    }
}

impl<const CENTRE: bool> Normalise<'_, CENTRE> {
    #[inline(always)]
    unsafe fn row<L: Lanes>(&self, from: *const f32, to: *mut f32) {
        let n = self.weight.len();
        // SAFETY: the caller vouches for one row and for the instructions.
        unsafe {
            let mut mean = 0.0;
            if CENTRE {
                let mut sums = L::splat(0.0);
                let mut at = 0;
                while at < n {
                    sums = L::add(sums, load_some::<L>(from.add(at), n - at));
                    at += LANES;
                }
                mean = L::sum(sums) / n as f32;
            }
            let centre = L::splat(mean);
            let mut squares = [L::splat(0.0); 2];
            let mut at = 0;
            while at < n {
                let x = if n - at >= LANES || !CENTRE {
                    L::sub(load_some::<L>(from.add(at), n - at), centre)
                } else {
                    // Lanes beyond the row must hold the mean to count nothing.
                    let mut lanes = [mean; LANES];
                    std::ptr::copy_nonoverlapping(from.add(at), lanes.as_mut_ptr(), n - at);
                    L::sub(L::load(lanes.as_ptr()), centre)
                };
                let side = at / LANES % 2;
                squares[side] = L::fma(x, x, squares[side]);
                at += LANES;
            }
            let mean_square = L::sum(L::add(squares[0], squares[1])) / n as f32;
            let inverse = L::splat(1.0 / (mean_square + self.eps).sqrt());
            let mut at = 0;
            while at < n {
                let left = n - at;
                let x = L::sub(load_some::<L>(from.add(at), left), centre);
                let weight = load_some::<L>(self.weight.as_ptr().add(at), left);
                let mut y = L::mul(x, inverse);
                y = if CENTRE {
                    let bias = load_some::<L>(self.bias.as_ptr().add(at), left);
                    L::fma(y, weight, bias)
                } else {
                    L::mul(y, weight)
                };
                store_some::<L>(to.add(at), left, y);
                at += LANES;
            }
        }
    }
}
