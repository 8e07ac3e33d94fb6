//! What an instruction set must offer. Every operation is defined to the last bit, so that its
//! implementations can be exchanged.

use crate::kernels::quantise::ActivationBlock;

/// Lanes of a vector.
pub const LANES: usize = 16;

/// Sixteen lanes of `f32` (`F`) and of `i32` (`I`).
///
/// # Safety
/// Of every method: the instructions of the implementor are available, and pointers are valid for
/// the lanes read or written (unaligned is fine). Implementations are `#[inline(always)]`: they
/// must end up in a function that is compiled with their instructions.
pub trait Lanes: Copy {
    /// Sixteen `f32`.
    type F: Copy;
    /// Sixteen `i32`.
    type I: Copy;
    /// Row tiles that an `f32` product keeps in registers at once.
    const ROW_TILES: usize;
    /// Tokens that an `f32` product keeps in registers at once: 12, 6, or 4.
    const TOKENS: usize;
    /// Vectors per row that attention keeps in registers at once: 4 or 1.
    const UNROLL: usize;

    /// Asks for the cache line at `from`, which need not be valid memory.
    unsafe fn prefetch(from: *const u8);
    /// The same value in every lane.
    unsafe fn splat(x: f32) -> Self::F;
    /// Sixteen values.
    unsafe fn load(from: *const f32) -> Self::F;
    /// Sixteen half-precision values, widened.
    unsafe fn load_half(from: *const u16) -> Self::F;
    /// Sixteen bfloat16 values, widened.
    unsafe fn load_brain(from: *const u16) -> Self::F;
    /// Writes sixteen values.
    unsafe fn store(to: *mut f32, x: Self::F);
    /// `a + b`.
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    /// `a − b`.
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    /// `a · b`.
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    /// `a / b`.
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F;
    /// `a · b + c`, rounded once.
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `c − a · b`, rounded once.
    unsafe fn fnma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `a > b ? a : b`, so a `NaN` in `b` stays.
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F;
    /// `a < b ? a : b`, so a `NaN` in `b` stays.
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F;
    /// `p · 2ⁿ` for whole `n` in −252..=252, rounded once; `p` in 0.5..2.
    unsafe fn scale(p: Self::F, n: Self::F) -> Self::F;
    /// Rounds to the nearest whole number, ties to even, for magnitudes below 2²².
    unsafe fn round(x: Self::F) -> Self::F;
    /// Sum of all lanes: halves are added until one is left.
    unsafe fn sum(x: Self::F) -> f32;
    /// Largest lane.
    unsafe fn largest(x: Self::F) -> f32;
    /// Largest magnitude in either vector; `NaN` if there is one.
    unsafe fn largest_magnitude(a: Self::F, b: Self::F) -> f32;

    /// The same value in every lane.
    unsafe fn splat_int(x: i32) -> Self::I;
    /// As `f32` (rounded to nearest even beyond 2²⁴).
    unsafe fn to_float(x: Self::I) -> Self::F;
    /// Writes lanes rounded to whole numbers (ties to even, within ±127) as bytes; returns
    /// their sum.
    unsafe fn store_bytes(to: *mut i8, x: Self::F) -> i32;
    /// `(word >> SHIFT) & MASK` of each of sixteen 32-bit words, as `f32`.
    unsafe fn field<const SHIFT: u32, const MASK: i32>(words: *const u8) -> Self::F;
    /// Rewrites a block of 5-bit codes as one of 8-bit codes (512 bytes).
    unsafe fn widen(rows: *const u8, to: *mut u8);

    /// `initial + Σ q·x` over a block of 32 columns, for sixteen rows and `T` tokens.
    /// The rows are laid out as [`crate::kernels::format`] says for `BITS` (4, 5 or 8).
    unsafe fn dots<const BITS: usize, const T: usize>(
        rows: *const u8,
        tokens: *const ActivationBlock,
        initial: [Self::I; T],
    ) -> [Self::I; T];

    /// As `dots` with `BITS` = 8, but over the 16 columns of half a block.
    unsafe fn dots_half<const T: usize>(
        rows: *const u8,
        tokens: *const ActivationBlock,
        half: usize,
        initial: [Self::I; T],
    ) -> [Self::I; T];
}
