//! Plain code: the definition that the vector instructions are compared with.

use half::{bf16, f16};

use super::interface::{LANES, Lanes};
use crate::kernels::quantise::ActivationBlock;

/// Sixteen lanes as arrays.
#[derive(Clone, Copy)]
pub struct Scalar;

macro_rules! each {
    ($lane:ident => $value:expr) => {{
        let mut out = [Default::default(); LANES];
        for $lane in 0..LANES {
            out[$lane] = $value;
        }
        out
    }};
}

impl Scalar {
    /// Code `column` (0..32) of `row` in a block.
    #[inline(always)]
    unsafe fn code<const BITS: usize>(rows: *const u8, row: usize, column: usize) -> i32 {
        let group = column / 4;
        let byte = row * 4 + column % 4;
        // SAFETY: a block has 512 bytes at 8 bits and 256 (+ 64 of fifth bits) below.
        unsafe {
            if BITS == 8 {
                return i32::from(rows.add(group * 64 + byte).read());
            }
            let pair = rows.add((group % 4) * 64 + byte).read();
            let low = i32::from(if group < 4 { pair & 15 } else { pair >> 4 });
            if BITS == 4 {
                return low;
            }
            let plane = rows.add(256 + group * 8 + byte / 8).read();
            low | i32::from((plane >> (byte % 8)) & 1) << 4
        }
    }
}

impl Lanes for Scalar {
    type F = [f32; LANES];
    type I = [i32; LANES];
    const ROW_TILES: usize = 1;
    const TOKENS: usize = 4;
    const UNROLL: usize = 1;

    #[inline(always)]
    unsafe fn prefetch(_: *const u8) {}

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::F {
        [x; LANES]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::F {
        // SAFETY: the caller vouches for sixteen lanes.
        unsafe { from.cast::<Self::F>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_half(from: *const u16) -> Self::F {
        // SAFETY: the caller vouches for sixteen lanes.
        let bits = unsafe { from.cast::<[u16; LANES]>().read_unaligned() };
        each!(lane => f16::from_bits(bits[lane]).to_f32())
    }

    #[inline(always)]
    unsafe fn load_brain(from: *const u16) -> Self::F {
        // SAFETY: the caller vouches for sixteen lanes.
        let bits = unsafe { from.cast::<[u16; LANES]>().read_unaligned() };
        each!(lane => bf16::from_bits(bits[lane]).to_f32())
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, x: Self::F) {
        // SAFETY: the caller vouches for sixteen lanes.
        unsafe { to.cast::<Self::F>().write_unaligned(x) }
    }

    #[inline(always)]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        each!(lane => a[lane] + b[lane])
    }

    #[inline(always)]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        each!(lane => a[lane] - b[lane])
    }

    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        each!(lane => a[lane] * b[lane])
    }

    #[inline(always)]
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
        each!(lane => a[lane] / b[lane])
    }

    #[inline(always)]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        each!(lane => a[lane].mul_add(b[lane], c[lane]))
    }

    #[inline(always)]
    unsafe fn fnma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        each!(lane => (-a[lane]).mul_add(b[lane], c[lane]))
    }

    #[inline(always)]
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
        each!(lane => if a[lane] > b[lane] { a[lane] } else { b[lane] })
    }

    #[inline(always)]
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F {
        each!(lane => if a[lane] < b[lane] { a[lane] } else { b[lane] })
    }

    #[inline(always)]
    unsafe fn scale(p: Self::F, n: Self::F) -> Self::F {
        // The first factor keeps the product normal, so only the second product rounds.
        each!(lane => {
            let exponent = n[lane] as i32;
            let first = exponent >> 1;
            let power = |k: i32| f32::from_bits(((k + 127) << 23).cast_unsigned());
            p[lane] * power(first) * power(exponent - first)
        })
    }

    #[inline(always)]
    unsafe fn round(x: Self::F) -> Self::F {
        const MAGIC: f32 = 12_582_912.0; // 1.5 · 2²³: adding it leaves no fraction bits.
        each!(lane => (x[lane] + MAGIC) - MAGIC)
    }

    #[inline(always)]
    unsafe fn sum(x: Self::F) -> f32 {
        let mut x = x;
        let mut half = LANES / 2;
        while half > 0 {
            for lane in 0..half {
                x[lane] += x[lane + half];
            }
            half /= 2;
        }
        x[0]
    }

    #[inline(always)]
    unsafe fn largest(x: Self::F) -> f32 {
        let mut best = x[0];
        for value in x {
            best = if best > value { best } else { value };
        }
        best
    }

    #[inline(always)]
    unsafe fn largest_magnitude(a: Self::F, b: Self::F) -> f32 {
        // As integers, magnitudes order like the numbers and `NaN` is above infinity.
        let mut best = 0;
        for lane in 0..LANES {
            best = best.max(a[lane].abs().to_bits());
            best = best.max(b[lane].abs().to_bits());
        }
        f32::from_bits(best)
    }

    #[inline(always)]
    unsafe fn splat_int(x: i32) -> Self::I {
        [x; LANES]
    }

    #[inline(always)]
    unsafe fn to_float(x: Self::I) -> Self::F {
        each!(lane => x[lane] as f32)
    }

    #[inline(always)]
    unsafe fn store_bytes(to: *mut i8, x: Self::F) -> i32 {
        let whole: [i8; LANES] = each!(lane => x[lane].round_ties_even() as i8);
        // SAFETY: the caller vouches for sixteen lanes.
        unsafe { to.cast::<[i8; LANES]>().write_unaligned(whole) };
        whole.into_iter().map(i32::from).sum()
    }

    #[inline(always)]
    unsafe fn field<const SHIFT: u32, const MASK: i32>(words: *const u8) -> Self::F {
        // SAFETY: the caller vouches for sixteen words.
        let words = unsafe { words.cast::<[i32; LANES]>().read_unaligned() };
        each!(lane => ((words[lane] >> SHIFT) & MASK) as f32)
    }

    #[inline(always)]
    unsafe fn widen(rows: *const u8, to: *mut u8) {
        for row in 0..LANES {
            for column in 0..32 {
                // SAFETY: the caller vouches for one block on either side.
                unsafe {
                    let code = Self::code::<5>(rows, row, column);
                    let at = column / 4 * 64 + row * 4 + column % 4;
                    to.add(at).write(code as u8);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn dots<const BITS: usize, const T: usize>(
        rows: *const u8,
        tokens: *const ActivationBlock,
        initial: [Self::I; T],
    ) -> [Self::I; T] {
        let mut out = initial;
        for (token, sums) in out.iter_mut().enumerate() {
            for (row, sum) in sums.iter_mut().enumerate() {
                for column in 0..32 {
                    // SAFETY: the caller vouches for one block of rows and `T` tokens.
                    unsafe {
                        let code = Self::code::<BITS>(rows, row, column);
                        *sum += code * i32::from((*tokens.add(token)).values[column]);
                    }
                }
            }
        }
        out
    }

    #[inline(always)]
    unsafe fn dots_half<const T: usize>(
        rows: *const u8,
        tokens: *const ActivationBlock,
        half: usize,
        initial: [Self::I; T],
    ) -> [Self::I; T] {
        let mut out = initial;
        for (token, sums) in out.iter_mut().enumerate() {
            for (row, sum) in sums.iter_mut().enumerate() {
                for column in half * 16..half * 16 + 16 {
                    // SAFETY: the caller vouches for one block of rows and `T` tokens.
                    unsafe {
                        let code = Self::code::<8>(rows, row, column);
                        *sum += code * i32::from((*tokens.add(token)).values[column]);
                    }
                }
            }
        }
        out
    }
}
