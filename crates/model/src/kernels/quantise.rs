//! Activations rounded to 8 bits per block of 32, as the integer products take them.

use super::cpu::Work;
use super::format::BLOCK;
use super::lanes::{LANES, Lanes};

/// One token's part of a block: `x ≈ scale · values`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ActivationBlock {
    /// Whole numbers within ±127.
    pub(super) values: [i8; BLOCK],
    /// Largest magnitude over 127.
    pub(super) scale: f32,
    /// `scale · Σ values`: what a weight's minimum is multiplied with.
    pub(super) weighted_sum: f32,
    /// `Σ values` of columns 0..16 and 16..32.
    pub(super) sums: [i32; 2],
}

impl ActivationBlock {
    pub(super) const ZERO: Self = Self {
        values: [0; BLOCK],
        scale: 0.0,
        weighted_sum: 0.0,
        sums: [0; 2],
    };
}

/// Blocks below this magnitude count as zero: their inverse scale would overflow.
const SMALLEST: f32 = 1e-36;

/// Token groups that the integer kernels take at once, largest first.
pub(super) const GROUPS: [usize; 4] = [8, 4, 2, 1];

/// Rounds `n_tokens` rows. The output holds groups of tokens (sizes as [`group`] says); in a group,
/// block after block, the tokens of a block side by side.
pub(super) struct Quantise<'a> {
    pub(super) x: &'a [f32],
    pub(super) n_tokens: usize,
    pub(super) out: &'a mut [ActivationBlock],
}

/// The largest of `sizes` that is not above `n_left`.
#[inline(always)]
pub(super) fn group(sizes: &[usize], n_left: usize) -> usize {
    for &size in sizes {
        if size <= n_left {
            return size;
        }
    }
    1
}

impl Work for Quantise<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let n_in = self.x.len() / self.n_tokens;
        let n_blocks = n_in / BLOCK;
        assert_eq!(n_blocks * BLOCK * self.n_tokens, self.x.len());
        assert_eq!(self.out.len(), n_blocks * self.n_tokens);
        let mut start = 0;
        while start < self.n_tokens {
            let n = group(&GROUPS, self.n_tokens - start);
            for token in 0..n {
                let row = &self.x[(start + token) * n_in..][..n_in];
                let out = &mut self.out[start * n_blocks..][..n * n_blocks];
                for (block, x) in row.chunks_exact(BLOCK).enumerate() {
                    // SAFETY: `x` has 32 values; `Cpu` has checked the instructions.
                    unsafe { round_block::<L>(x, &mut out[block * n + token]) };
                }
            }
            start += n;
        }
    }
}

#[inline(always)]
unsafe fn round_block<L: Lanes>(x: &[f32], out: &mut ActivationBlock) {
    // SAFETY: the caller vouches for 32 values and for the instructions.
    unsafe {
        let low = L::load(x.as_ptr());
        let high = L::load(x.as_ptr().add(LANES));
        let largest = L::largest_magnitude(low, high);
        if !largest.is_finite() {
            // An infinite scale times a zero sum makes every output of this token `NaN`.
            *out = ActivationBlock {
                scale: largest,
                weighted_sum: f32::NAN,
                ..ActivationBlock::ZERO
            };
            return;
        }
        let (scale, inverse) = if largest < SMALLEST {
            (0.0, 0.0)
        } else {
            (largest / 127.0, 127.0 / largest)
        };
        let inverse = L::splat(inverse);
        let first = L::store_bytes(out.values.as_mut_ptr(), L::mul(low, inverse));
        let to = out.values.as_mut_ptr().add(LANES);
        let second = L::store_bytes(to, L::mul(high, inverse));
        out.sums = [first, second];
        out.scale = scale;
        out.weighted_sum = scale * (first + second) as f32;
    }
}
