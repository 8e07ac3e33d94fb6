//! The two precisions, and loops compiled for the widest vectors of the machine.
//!
//! Loops are written once, without intrinsics, and compiled three times (plain, AVX2, AVX-512); the
//! widest that the processor has is chosen when they run. They never contract a product and a sum
//! into one rounding and keep reductions in [`LANES`] partial sums added in one order, so all
//! three give the same bits. Only matrix products (crate `gemm`) differ between machines.

use std::cell::Cell;
use std::ops::Neg;

use candle_core::WithDType;

use super::buffers::Pool;

/// Partial sums of a reduction: two AVX-512 registers of singles, enough to hide the latency.
pub(crate) const LANES: usize = 32;

/// A floating-point element: `f32` (fast) or `f64` (for finite differences).
pub(crate) trait Real: WithDType + Neg<Output = Self> {
    const ZERO: Self;
    const ONE: Self;
    const UNDEFINED: Self;
    const LOWEST: Self;
    /// Loops over this type are compiled for every [`Level`]; doubles only serve finite
    /// differences and are not worth their compile time.
    const VECTORISED: bool;

    /// `eˣ`; below −87.3 singles give 0, above 88.7 infinity. Not a number stays so.
    fn exponential(self) -> Self;
    fn logarithm(self) -> Self;
    fn root(self) -> Self;
    /// Buffers of this type to be used again.
    fn pool() -> &'static Pool<Self>;

    /// `1 / (1 + e⁻ˣ)`.
    #[inline(always)]
    fn sigmoid(self) -> Self {
        Self::ONE / (Self::ONE + (-self).exponential())
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const UNDEFINED: Self = Self::NAN;
    const LOWEST: Self = Self::NEG_INFINITY;
    const VECTORISED: bool = true;

    #[inline(always)]
    fn exponential(self) -> Self {
        exp_f32(self)
    }

    #[inline(always)]
    fn logarithm(self) -> Self {
        self.ln()
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }

    fn pool() -> &'static Pool<Self> {
        static POOL: Pool<f32> = Pool::new();
        &POOL
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const UNDEFINED: Self = Self::NAN;
    const LOWEST: Self = Self::NEG_INFINITY;
    const VECTORISED: bool = false;

    #[inline(always)]
    fn exponential(self) -> Self {
        self.exp()
    }

    #[inline(always)]
    fn logarithm(self) -> Self {
        self.ln()
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }

    fn pool() -> &'static Pool<Self> {
        static POOL: Pool<f64> = Pool::new();
        &POOL
    }
}

/// `eˣ` in single precision without branches: `x = n ln 2 + r`, `|r| ≤ ln 2 / 2`, a polynomial of
/// degree 6 in `r` (coefficients of Cephes `expf`, S. Moshier), scaled by `2ⁿ`. Largest relative
/// error over [−87.3, 88.7]: 2e-7 (tested).
#[inline(always)]
fn exp_f32(x: f32) -> f32 {
    const LOWEST: f32 = -87.3;
    const HIGHEST: f32 = 88.7;
    // Adding 1.5 · 2²³ leaves the nearest integer in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let below = x < LOWEST;
    let above = x > HIGHEST;
    let inside = if below { LOWEST } else { x };
    let inside = if above { HIGHEST } else { inside };
    let shifted = inside * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = inside - n * LN2_HIGH - n * LN2_LOW;
    let mut sum = 1.987_569_1e-4;
    sum = sum * r + 1.398_199_9e-3;
    sum = sum * r + 8.333_452e-3;
    sum = sum * r + 4.166_579_6e-2;
    sum = sum * r + 1.666_666_5e-1;
    sum = sum * r + 0.5;
    let value = sum * r * r + r + 1.0;
    // 2ⁿ in two factors: n reaches 128, which one exponent field cannot hold.
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let half = exponent >> 1;
    let power = |n: i32| f32::from_bits(((n + 127) as u32) << 23);
    let value = value * power(half) * power(exponent - half);
    let value = if below { 0.0 } else { value };
    if above { f32::INFINITY } else { value }
}

/// Which compilation of a loop runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Plain,
    Avx2,
    Avx512,
}

thread_local! {
    static FORCED: Cell<Option<Level>> = const { Cell::new(None) };
}

/// The widest level of this processor, unless a test asked for less.
pub(crate) fn level() -> Level {
    let found = detected();
    FORCED.get().map_or(found, |forced| forced.min(found))
}

#[cfg(target_arch = "x86_64")]
fn detected() -> Level {
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
    {
        Level::Avx512
    } else if is_x86_feature_detected!("avx2") {
        Level::Avx2
    } else {
        Level::Plain
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detected() -> Level {
    Level::Plain
}

/// Runs `work` with loops no wider than `level` on this thread.
#[cfg(test)]
pub(crate) fn with_level<R>(level: Level, work: impl FnOnce() -> R) -> R {
    let before = FORCED.replace(Some(level));
    let result = work();
    FORCED.set(before);
    result
}

/// Defines a function over slices that is compiled for each [`Level`] and picks one when called.
macro_rules! vectorised {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident<T: Real>($($arg:ident: $kind:ty),* $(,)?) $body:block
    ) => {
        $(#[$meta])*
        $vis fn $name<T: Real>($($arg: $kind),*) {
            #[inline(always)]
            fn body<T: Real>($($arg: $kind),*) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512<T: Real>($($arg: $kind),*) {
                body::<T>($($arg),*);
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2<T: Real>($($arg: $kind),*) {
                body::<T>($($arg),*);
            }

            #[cfg(target_arch = "x86_64")]
            if T::VECTORISED {
                match $crate::ops::real::level() {
                    // SAFETY: `level` says Avx512 only after all four features were detected.
                    $crate::ops::real::Level::Avx512 => return unsafe { avx512::<T>($($arg),*) },
                    // SAFETY: `level` says Avx2 only after the feature was detected.
                    $crate::ops::real::Level::Avx2 => return unsafe { avx2::<T>($($arg),*) },
                    $crate::ops::real::Level::Plain => {}
                }
            }
            body::<T>($($arg),*);
        }
    };
}
pub(crate) use vectorised;

/// Adds up the partial sums of a reduction, halves onto halves.
#[inline(always)]
pub(crate) fn total<T: Real>(mut lanes: [T; LANES]) -> T {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// `Σ termᵢ(xᵢ, yᵢ)` in [`LANES`] partial sums; `x` and `y` have one length.
#[inline(always)]
pub(crate) fn reduce<T: Real>(x: &[T], y: &[T], term: impl Fn(T, T) -> T) -> T {
    let mut lanes = [T::ZERO; LANES];
    let ((x_whole, x_rest), (y_whole, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in x_whole.iter().zip(y_whole) {
        for lane in 0..LANES {
            lanes[lane] += term(x[lane], y[lane]);
        }
    }
    for (lane, (x, y)) in x_rest.iter().zip(y_rest).enumerate() {
        lanes[lane] += term(*x, *y);
    }
    total(lanes)
}

/// The largest element, or [`Real::LOWEST`] of none. Not a number is skipped.
#[inline(always)]
pub(crate) fn largest<T: Real>(x: &[T]) -> T {
    let mut lanes = [T::LOWEST; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for x in whole {
        for lane in 0..LANES {
            lanes[lane] = if x[lane] > lanes[lane] {
                x[lane]
            } else {
                lanes[lane]
            };
        }
    }
    for (lane, x) in rest.iter().enumerate() {
        lanes[lane] = if *x > lanes[lane] { *x } else { lanes[lane] };
    }
    lanes
        .iter()
        .fold(T::LOWEST, |best, x| if *x > best { *x } else { best })
}

/// `x ← e^(x − shift)`; returns the sum.
#[inline(always)]
pub(crate) fn exponentials<T: Real>(x: &mut [T], shift: T) -> T {
    let mut lanes = [T::ZERO; LANES];
    let (whole, rest) = x.as_chunks_mut::<LANES>();
    for x in whole {
        for lane in 0..LANES {
            x[lane] = (x[lane] - shift).exponential();
            lanes[lane] += x[lane];
        }
    }
    for (lane, x) in rest.iter_mut().enumerate() {
        *x = (*x - shift).exponential();
        lanes[lane] += *x;
    }
    total(lanes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_within_two_ten_millionths_of_the_double() {
        let mut worst = 0.0f64;
        let mut x = -87.29f32;
        while x < 88.69 {
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp_f32(x)) / exact - 1.0).abs());
            x += 0.000_37;
        }
        assert!(worst < 2e-7, "{worst}");
        assert_eq!(exp_f32(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp_f32(-90.0), 0.0);
        assert_eq!(exp_f32(0.0), 1.0);
        assert_eq!(exp_f32(f32::INFINITY), f32::INFINITY);
        assert!(exp_f32(f32::NAN).is_nan());
    }
}
