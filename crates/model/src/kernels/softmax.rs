//! Softmax, its logarithm, and the logarithm of a sum of exponentials.

use super::cpu::{Cpu, Work};
use super::elementwise::{load_some, store_some};
use super::exponential::exp;
use super::lanes::{LANES, Lanes};

/// Elements whose exponentials are summed in `f32` lanes before they join the `f64` total: few
/// enough that rounding stays below one unit in the last place of the result.
const CHUNK: usize = 64 * LANES;

impl Cpu {
    /// `ln Σ eˣ` of one row, in nats; `−∞` for an empty row.
    #[must_use]
    pub fn log_sum_exp(&self, row: &[f32]) -> f64 {
        if row.is_empty() {
            return f64::NEG_INFINITY;
        }
        let largest = self.run(Largest { row });
        if largest == f32::NEG_INFINITY {
            return f64::NEG_INFINITY;
        }
        let sum = self.run(SumOfExponentials { row, largest });
        f64::from(largest) + sum.ln()
    }

    /// `x ← x − ln Σ eˣ`: log-probabilities of one row, in nats.
    pub fn log_softmax(&self, row: &mut [f32]) {
        let total = self.log_sum_exp(row);
        for x in row {
            *x = (f64::from(*x) - total) as f32;
        }
    }

    /// `x ← eˣ / Σ eˣ`: probabilities of one row.
    pub fn softmax(&self, row: &mut [f32]) {
        if row.is_empty() {
            return;
        }
        let largest = self.run(Largest { row });
        let sum = self.run(Exponentials { row, largest });
        self.scale(row, (1.0 / sum) as f32);
    }
}

struct Largest<'a> {
    row: &'a [f32],
}

impl Work for Largest<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<L: Lanes>(self) -> f32 {
        // SAFETY: the row is not empty; `Cpu` has checked the instructions.
        unsafe { largest_of::<L>(self.row.as_ptr(), self.row.len()) }
    }
}

struct SumOfExponentials<'a> {
    row: &'a [f32],
    largest: f32,
}

impl Work for SumOfExponentials<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<L: Lanes>(self) -> f64 {
        let (from, n) = (self.row.as_ptr(), self.row.len());
        // SAFETY: nothing is written; `Cpu` has checked the instructions.
        unsafe { exponentials::<L, false>(from.cast_mut(), n, self.largest) }
    }
}

struct Exponentials<'a> {
    row: &'a mut [f32],
    largest: f32,
}

impl Work for Exponentials<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<L: Lanes>(self) -> f64 {
        let (row, n) = (self.row.as_mut_ptr(), self.row.len());
        // SAFETY: the row is borrowed exclusively; `Cpu` has checked the instructions.
        unsafe { exponentials::<L, true>(row, n, self.largest) }
    }
}

/// Largest of `n ≥ 1` values.
#[inline(always)]
pub(super) unsafe fn largest_of<L: Lanes>(row: *const f32, n: usize) -> f32 {
    // SAFETY: the caller vouches for `n` values and for the instructions.
    unsafe {
        let mut largest = L::splat(row.read());
        let mut at = 0;
        while at + LANES <= n {
            largest = L::max(largest, L::load(row.add(at)));
            at += LANES;
        }
        let mut best = L::largest(largest);
        while at < n {
            let x = row.add(at).read();
            best = if best > x { best } else { x };
            at += 1;
        }
        best
    }
}

/// Sum of `exp(x − largest)` over `n` values, which replace them if `WRITE`.
#[inline(always)]
pub(super) unsafe fn exponentials<L: Lanes, const WRITE: bool>(
    row: *mut f32,
    n: usize,
    largest: f32,
) -> f64 {
    // SAFETY: the caller vouches for `n` values and for the instructions.
    unsafe {
        let shift = L::splat(largest);
        let mut total = 0.0;
        let mut start = 0;
        while start < n {
            let end = n.min(start + CHUNK);
            let mut sums = L::splat(0.0);
            let mut at = start;
            while at < end {
                let left = end - at;
                let mut y = exp::<L>(L::sub(load_some::<L>(row.add(at), left), shift));
                if WRITE {
                    store_some::<L>(row.add(at), left, y);
                }
                if left < LANES {
                    // Lanes beyond the row count nothing.
                    let mut lanes = [0.0_f32; LANES];
                    store_some::<L>(lanes.as_mut_ptr(), left, y);
                    y = L::load(lanes.as_ptr());
                }
                sums = L::add(sums, y);
                at += LANES;
            }
            total += f64::from(L::sum(sums));
            start = end;
        }
        total
    }
}
