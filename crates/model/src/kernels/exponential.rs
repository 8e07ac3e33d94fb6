//! The exponential function over lanes.

use super::lanes::Lanes;

/// `eˣ` to a few units in the last place (the tests hold SiLU, which adds a sum and a division, to
/// three), 0 below −103.98, infinity above 88.73, `NaN` for `NaN`.
///
/// Cody and Waite's reduction `x = n·ln 2 + r` with `ln 2` in two parts, then the degree-7
/// polynomial of Cephes' `expf` (S. Moshier, 1989) for `eʳ` on ±ln 2 / 2.
#[inline(always)]
pub(super) unsafe fn exp<L: Lanes>(x: L::F) -> L::F {
    const LN2_HIGH: f32 = 355.0 / 512.0;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    const SERIES: [f32; 6] = [
        1.987_569_1e-4,
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ];
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let x = L::min(L::splat(89.0), L::max(L::splat(-104.0), x));
        let n = L::round(L::mul(x, L::splat(std::f32::consts::LOG2_E)));
        let r = L::fnma(n, L::splat(LN2_HIGH), x);
        let r = L::fnma(n, L::splat(LN2_LOW), r);
        let mut p = L::splat(SERIES[0]);
        for coefficient in &SERIES[1..] {
            p = L::fma(p, r, L::splat(*coefficient));
        }
        let p = L::fma(p, L::mul(r, r), r);
        L::scale(L::add(p, L::splat(1.0)), n)
    }
}
