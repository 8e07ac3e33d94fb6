//! Sixteen lanes as one 512-bit vector.

use std::arch::x86_64::*;

use super::interface::Lanes;
use crate::kernels::quantise::ActivationBlock;

/// AVX-512 with VNNI.
#[derive(Clone, Copy)]
pub struct Avx512;

/// Codes of one block as eight vectors: vector `g` holds columns `4g..4g + 4` of sixteen rows.
#[inline(always)]
unsafe fn unpack<const BITS: usize>(rows: *const u8) -> [__m512i; 8] {
    // SAFETY: the caller vouches for one block and for the instructions.
    unsafe {
        let at = |group: usize| rows.add(group * 64).cast::<__m512i>();
        let mut codes = [_mm512_setzero_si512(); 8];
        if BITS == 8 {
            for (group, codes) in codes.iter_mut().enumerate() {
                *codes = _mm512_loadu_si512(at(group));
            }
            return codes;
        }
        let low = _mm512_set1_epi8(15);
        for group in 0..4 {
            let pairs = _mm512_loadu_si512(at(group));
            codes[group] = _mm512_and_si512(pairs, low);
            codes[group + 4] = _mm512_and_si512(_mm512_srli_epi16::<4>(pairs), low);
        }
        if BITS == 5 {
            let planes = rows.add(256).cast::<u64>();
            let bit = _mm512_set1_epi8(16);
            for (group, codes) in codes.iter_mut().enumerate() {
                let plane = planes.add(group).read_unaligned();
                *codes = _mm512_mask_add_epi8(*codes, plane, *codes, bit);
            }
        }
        codes
    }
}

/// Adds the products of four columns: `sum + Σ code·x`.
#[inline(always)]
unsafe fn four_columns(
    sum: __m512i,
    codes: __m512i,
    token: *const ActivationBlock,
    group: usize,
) -> __m512i {
    // SAFETY: `group` is below 8; the caller vouches for the block and the instructions.
    unsafe {
        let four = (*token).values.as_ptr().add(group * 4).cast::<i32>();
        _mm512_dpbusd_epi32(sum, codes, _mm512_set1_epi32(four.read_unaligned()))
    }
}

// SAFETY notes below are one for all: the trait's caller vouches for instructions and pointers.
impl Lanes for Avx512 {
    type F = __m512;
    type I = __m512i;
    const ROW_TILES: usize = 2;
    const TOKENS: usize = 12;
    const UNROLL: usize = 4;

    #[inline(always)]
    unsafe fn prefetch(from: *const u8) {
        // SAFETY: a prefetch reads nothing that could fault.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_half(from: *const u16) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }

    #[inline(always)]
    unsafe fn load_brain(from: *const u16) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe {
            let bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits))
        }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, x: Self::F) {
        // SAFETY: see the note above the implementation.
        unsafe { _mm512_storeu_ps(to, x) }
    }

    #[inline(always)]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn fnma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { _mm512_fnmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn scale(p: Self::F, n: Self::F) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { _mm512_scalef_ps(p, n) }
    }

    #[inline(always)]
    unsafe fn round(x: Self::F) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x) }
    }

    #[inline(always)]
    unsafe fn sum(x: Self::F) -> f32 {
        // SAFETY: see the note above the implementation.
        unsafe {
            let high = _mm512_extractf32x8_ps::<1>(x);
            let x = _mm256_add_ps(_mm512_castps512_ps256(x), high);
            super::avx2::sum_of_eight(x)
        }
    }

    #[inline(always)]
    unsafe fn largest(x: Self::F) -> f32 {
        // SAFETY: see the note above the implementation.
        unsafe { _mm512_reduce_max_ps(x) }
    }

    #[inline(always)]
    unsafe fn largest_magnitude(a: Self::F, b: Self::F) -> f32 {
        // SAFETY: see the note above the implementation.
        unsafe {
            let sign = _mm512_set1_epi32(i32::MAX);
            let a = _mm512_and_si512(_mm512_castps_si512(a), sign);
            let b = _mm512_and_si512(_mm512_castps_si512(b), sign);
            let largest = _mm512_reduce_max_epi32(_mm512_max_epi32(a, b));
            f32::from_bits(largest.cast_unsigned())
        }
    }

    #[inline(always)]
    unsafe fn splat_int(x: i32) -> Self::I {
        // SAFETY: see the note above the implementation.
        unsafe { _mm512_set1_epi32(x) }
    }

    #[inline(always)]
    unsafe fn to_float(x: Self::I) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { _mm512_cvtepi32_ps(x) }
    }

    #[inline(always)]
    unsafe fn store_bytes(to: *mut i8, x: Self::F) -> i32 {
        // SAFETY: see the note above the implementation.
        unsafe {
            let whole = _mm512_cvtps_epi32(x);
            _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(whole));
            _mm512_reduce_add_epi32(whole)
        }
    }

    #[inline(always)]
    unsafe fn field<const SHIFT: u32, const MASK: i32>(words: *const u8) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe {
            let words = _mm512_loadu_si512(words.cast());
            let words = _mm512_srli_epi32::<SHIFT>(words);
            _mm512_cvtepi32_ps(_mm512_and_si512(words, _mm512_set1_epi32(MASK)))
        }
    }

    #[inline(always)]
    unsafe fn widen(rows: *const u8, to: *mut u8) {
        // SAFETY: see the note above the implementation.
        unsafe {
            let codes = unpack::<5>(rows);
            for (group, &codes) in codes.iter().enumerate() {
                _mm512_storeu_si512(to.add(group * 64).cast(), codes);
            }
        }
    }

    #[inline(always)]
    unsafe fn dots<const BITS: usize, const T: usize>(
        rows: *const u8,
        tokens: *const ActivationBlock,
        initial: [Self::I; T],
    ) -> [Self::I; T] {
        // SAFETY: see the note above the implementation.
        unsafe {
            let codes = unpack::<BITS>(rows);
            let mut sums = initial;
            for (token, sum) in sums.iter_mut().enumerate() {
                for (group, &codes) in codes.iter().enumerate() {
                    *sum = four_columns(*sum, codes, tokens.add(token), group);
                }
            }
            sums
        }
    }

    #[inline(always)]
    unsafe fn dots_half<const T: usize>(
        rows: *const u8,
        tokens: *const ActivationBlock,
        half: usize,
        initial: [Self::I; T],
    ) -> [Self::I; T] {
        // SAFETY: see the note above the implementation.
        unsafe {
            let mut sums = initial;
            for group in half * 4..half * 4 + 4 {
                let codes = _mm512_loadu_si512(rows.add(group * 64).cast());
                for (token, sum) in sums.iter_mut().enumerate() {
                    *sum = four_columns(*sum, codes, tokens.add(token), group);
                }
            }
            sums
        }
    }
}
