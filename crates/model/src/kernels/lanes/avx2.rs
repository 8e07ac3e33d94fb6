//! Sixteen lanes as two 256-bit vectors.

use std::arch::x86_64::*;

use super::interface::Lanes;
use crate::kernels::quantise::ActivationBlock;

/// AVX2 with FMA and F16C.
#[derive(Clone, Copy)]
pub struct Avx2;

/// Sum of eight lanes: halves are added until one is left.
#[inline(always)]
pub(super) unsafe fn sum_of_eight(x: __m256) -> f32 {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
        let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
        _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
    }
}

/// `2ⁿ` for whole `n` in −126..=127.
#[inline(always)]
unsafe fn power(n: __m256i) -> __m256 {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let biased = _mm256_add_epi32(n, _mm256_set1_epi32(127));
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
    }
}

/// One bit of a plane per byte, moved to bit 4.
#[inline(always)]
unsafe fn fifth_bits(plane: *const u8) -> __m256i {
    // SAFETY: the caller vouches for four bytes and the instructions.
    unsafe {
        let bits = _mm256_set1_epi32(plane.cast::<i32>().read_unaligned());
        let spread = _mm256_setr_epi64x(
            0,
            0x0101_0101_0101_0101,
            0x0202_0202_0202_0202,
            0x0303_0303_0303_0303,
        );
        let select = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64.cast_signed());
        let bits = _mm256_and_si256(_mm256_shuffle_epi8(bits, spread), select);
        _mm256_and_si256(_mm256_cmpeq_epi8(bits, select), _mm256_set1_epi8(16))
    }
}

/// Codes of four columns of eight rows: `half` (0, 1) of group `group`.
#[inline(always)]
unsafe fn codes<const BITS: usize>(rows: *const u8, half: usize, group: usize) -> __m256i {
    // SAFETY: the caller vouches for one block and the instructions.
    unsafe {
        if BITS == 8 {
            return _mm256_loadu_si256(rows.add(group * 64 + half * 32).cast());
        }
        let pairs = _mm256_loadu_si256(rows.add(group % 4 * 64 + half * 32).cast());
        let pairs = if group < 4 {
            pairs
        } else {
            _mm256_srli_epi16::<4>(pairs)
        };
        let low = _mm256_and_si256(pairs, _mm256_set1_epi8(15));
        if BITS == 4 {
            return low;
        }
        let plane = rows.add(256 + group * 8 + half * 4);
        _mm256_or_si256(low, fifth_bits(plane))
    }
}

/// Four activations of a token, in every lane.
#[inline(always)]
unsafe fn four(token: *const ActivationBlock, group: usize) -> __m256i {
    // SAFETY: `group` is below 8; the caller vouches for the block and the instructions.
    unsafe {
        let four = (*token).values.as_ptr().add(group * 4).cast::<i32>();
        _mm256_set1_epi32(four.read_unaligned())
    }
}

/// `Σ code·x` of groups `from..to`, for eight rows and one token, added to `sum`. Products are
/// summed in 16 bits as long as they fit: a code below 2⁵ and |x| ≤ 127 leave room for four pairs
/// of columns, one below 2⁴ for eight. Full bytes are made signed and multiplied as
/// |code| · (±x), of which a pair fits.
#[inline(always)]
unsafe fn groups<const BITS: usize>(
    codes: &[__m256i; 8],
    token: *const ActivationBlock,
    (from, to): (usize, usize),
    mut sum: __m256i,
) -> __m256i {
    // SAFETY: the caller vouches for the block and the instructions.
    unsafe {
        let ones = _mm256_set1_epi16(1);
        let room = match BITS {
            4 => 8,
            5 => 4,
            _ => 1,
        };
        let mut group = from;
        while group < to {
            let mut short = _mm256_setzero_si256();
            for _ in 0..room {
                let x = four(token, group);
                let pairs = if BITS == 8 {
                    let signed = codes[group];
                    _mm256_maddubs_epi16(_mm256_abs_epi8(signed), _mm256_sign_epi8(x, signed))
                } else {
                    _mm256_maddubs_epi16(codes[group], x)
                };
                short = _mm256_add_epi16(short, pairs);
                group += 1;
            }
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(short, ones));
        }
        sum
    }
}

/// Eight-bit codes as signed bytes: what the kernel adds back is `128 · Σ x`.
#[inline(always)]
unsafe fn signed(codes: __m256i) -> __m256i {
    // SAFETY: the caller vouches for the instructions.
    unsafe { _mm256_xor_si256(codes, _mm256_set1_epi8(i8::MIN)) }
}

// SAFETY notes below are one for all: the trait's caller vouches for instructions and pointers.
impl Lanes for Avx2 {
    type F = [__m256; 2];
    type I = [__m256i; 2];
    const ROW_TILES: usize = 1;
    const TOKENS: usize = 6;
    const UNROLL: usize = 1;

    #[inline(always)]
    unsafe fn prefetch(from: *const u8) {
        // SAFETY: a prefetch reads nothing that could fault.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { [_mm256_set1_ps(x); 2] }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
    }

    #[inline(always)]
    unsafe fn load_half(from: *const u16) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe {
            [
                _mm256_cvtph_ps(_mm_loadu_si128(from.cast())),
                _mm256_cvtph_ps(_mm_loadu_si128(from.add(8).cast())),
            ]
        }
    }

    #[inline(always)]
    unsafe fn load_brain(from: *const u16) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe {
            let low = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
            let high = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.add(8).cast()));
            [
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(low)),
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(high)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, x: Self::F) {
        // SAFETY: see the note above the implementation.
        unsafe {
            _mm256_storeu_ps(to, x[0]);
            _mm256_storeu_ps(to.add(8), x[1]);
        }
    }

    #[inline(always)]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }

    #[inline(always)]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }

    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }

    #[inline(always)]
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
    }

    #[inline(always)]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe {
            [
                _mm256_fmadd_ps(a[0], b[0], c[0]),
                _mm256_fmadd_ps(a[1], b[1], c[1]),
            ]
        }
    }

    #[inline(always)]
    unsafe fn fnma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe {
            [
                _mm256_fnmadd_ps(a[0], b[0], c[0]),
                _mm256_fnmadd_ps(a[1], b[1], c[1]),
            ]
        }
    }

    #[inline(always)]
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
    }

    #[inline(always)]
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
    }

    #[inline(always)]
    unsafe fn scale(p: Self::F, n: Self::F) -> Self::F {
        // The first factor keeps the product normal, so only the second product rounds.
        // SAFETY: see the note above the implementation.
        unsafe {
            let mut out = p;
            for (out, n) in out.iter_mut().zip(n) {
                let n = _mm256_cvtps_epi32(n);
                let first = _mm256_srai_epi32::<1>(n);
                let rest = power(_mm256_sub_epi32(n, first));
                *out = _mm256_mul_ps(_mm256_mul_ps(*out, power(first)), rest);
            }
            out
        }
    }

    #[inline(always)]
    unsafe fn round(x: Self::F) -> Self::F {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        // SAFETY: see the note above the implementation.
        unsafe {
            [
                _mm256_round_ps::<NEAREST>(x[0]),
                _mm256_round_ps::<NEAREST>(x[1]),
            ]
        }
    }

    #[inline(always)]
    unsafe fn sum(x: Self::F) -> f32 {
        // SAFETY: see the note above the implementation.
        unsafe { sum_of_eight(_mm256_add_ps(x[0], x[1])) }
    }

    #[inline(always)]
    unsafe fn largest(x: Self::F) -> f32 {
        // SAFETY: see the note above the implementation.
        unsafe {
            let x = _mm256_max_ps(x[0], x[1]);
            let x = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)))
        }
    }

    #[inline(always)]
    unsafe fn largest_magnitude(a: Self::F, b: Self::F) -> f32 {
        // SAFETY: see the note above the implementation.
        unsafe {
            let sign = _mm256_set1_epi32(i32::MAX);
            let mut x = _mm256_setzero_si256();
            for part in [a[0], a[1], b[0], b[1]] {
                x = _mm256_max_epi32(x, _mm256_and_si256(_mm256_castps_si256(part), sign));
            }
            let high = _mm256_extracti128_si256::<1>(x);
            let x = _mm_max_epi32(_mm256_castsi256_si128(x), high);
            let x = _mm_max_epi32(x, _mm_shuffle_epi32::<0b00_00_11_10>(x));
            let x = _mm_max_epi32(x, _mm_shuffle_epi32::<0b00_00_00_01>(x));
            f32::from_bits(_mm_cvtsi128_si32(x).cast_unsigned())
        }
    }

    #[inline(always)]
    unsafe fn splat_int(x: i32) -> Self::I {
        // SAFETY: see the note above the implementation.
        unsafe { [_mm256_set1_epi32(x); 2] }
    }

    #[inline(always)]
    unsafe fn to_float(x: Self::I) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe { [_mm256_cvtepi32_ps(x[0]), _mm256_cvtepi32_ps(x[1])] }
    }

    #[inline(always)]
    unsafe fn store_bytes(to: *mut i8, x: Self::F) -> i32 {
        // SAFETY: see the note above the implementation.
        unsafe {
            let words = _mm256_packs_epi32(_mm256_cvtps_epi32(x[0]), _mm256_cvtps_epi32(x[1]));
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
            let (low, high) = (
                _mm256_castsi256_si128(words),
                _mm256_extracti128_si256::<1>(words),
            );
            _mm_storeu_si128(to.cast(), _mm_packs_epi16(low, high));
            let pairs = _mm_madd_epi16(_mm_add_epi16(low, high), _mm_set1_epi16(1));
            let pairs = _mm_add_epi32(pairs, _mm_shuffle_epi32::<0b00_00_11_10>(pairs));
            let pairs = _mm_add_epi32(pairs, _mm_shuffle_epi32::<0b00_00_00_01>(pairs));
            _mm_cvtsi128_si32(pairs)
        }
    }

    #[inline(always)]
    unsafe fn field<const SHIFT: u32, const MASK: i32>(words: *const u8) -> Self::F {
        // SAFETY: see the note above the implementation.
        unsafe {
            let shift = _mm_cvtsi32_si128(SHIFT.cast_signed());
            let mask = _mm256_set1_epi32(MASK);
            let mut out = [_mm256_setzero_ps(); 2];
            for (half, out) in out.iter_mut().enumerate() {
                let words = _mm256_loadu_si256(words.add(half * 32).cast());
                let bytes = _mm256_and_si256(_mm256_srl_epi32(words, shift), mask);
                *out = _mm256_cvtepi32_ps(bytes);
            }
            out
        }
    }

    #[inline(always)]
    unsafe fn widen(rows: *const u8, to: *mut u8) {
        // SAFETY: see the note above the implementation.
        unsafe {
            for group in 0..8 {
                for half in 0..2 {
                    let codes = codes::<5>(rows, half, group);
                    _mm256_storeu_si256(to.add(group * 64 + half * 32).cast(), codes);
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
        // SAFETY: see the note above the implementation.
        unsafe {
            let mut sums = initial;
            for half in 0..2 {
                let mut block = [_mm256_setzero_si256(); 8];
                for (group, block) in block.iter_mut().enumerate() {
                    *block = codes::<BITS>(rows, half, group);
                    if BITS == 8 {
                        *block = signed(*block);
                    }
                }
                for (token, sum) in sums.iter_mut().enumerate() {
                    let token = tokens.add(token);
                    let mut start = sum[half];
                    if BITS == 8 {
                        let [first, second] = (*token).sums;
                        let back = _mm256_set1_epi32((first + second) * 128);
                        start = _mm256_add_epi32(start, back);
                    }
                    sum[half] = groups::<BITS>(&block, token, (0, 8), start);
                }
            }
            sums
        }
    }

    #[inline(always)]
    unsafe fn dots_half<const T: usize>(
        rows: *const u8,
        tokens: *const ActivationBlock,
        columns: usize,
        initial: [Self::I; T],
    ) -> [Self::I; T] {
        // SAFETY: see the note above the implementation.
        unsafe {
            let mut sums = initial;
            for half in 0..2 {
                let mut block = [_mm256_setzero_si256(); 8];
                for (group, block) in block.iter_mut().enumerate().skip(columns * 4).take(4) {
                    *block = signed(codes::<8>(rows, half, group));
                }
                for (token, sum) in sums.iter_mut().enumerate() {
                    let token = tokens.add(token);
                    let back = _mm256_set1_epi32((*token).sums[columns] * 128);
                    let start = _mm256_add_epi32(sum[half], back);
                    let range = (columns * 4, columns * 4 + 4);
                    sum[half] = groups::<8>(&block, token, range, start);
                }
            }
            sums
        }
    }
}
