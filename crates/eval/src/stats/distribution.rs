//! The few distribution functions the intervals need, with their edges closed.
//!
//! The normal distribution comes from `statrs`. The incomplete beta function and its inverse, on
//! which Student's and the beta distribution rest, are computed here, because those of `statrs`
//! 0.19.1 fail for large parameters: the fraction stops after 140 steps (the median of
//! beta(1e6, 1e6) comes out off by 1e-5), and the search for the inverse stops early (the Student
//! quantile on 8e6 degrees of freedom is off by 1e-2) or does not return (on 1.7e7).

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::gamma::ln_gamma;

use super::undefined::{Undefined, finite};

/// From here on Student's distribution is computed from the normal one: the expansions below are
/// then exact to rounding, while the gamma functions of the exact form begin to cancel.
const DF_LARGE: f64 = 10_000.0;

/// The probability that a standard normal variable is at most `z`; 0 and 1 at the infinities.
pub(super) fn normal_cdf(z: f64) -> f64 {
    if z.is_infinite() {
        return if z > 0.0 { 1.0 } else { 0.0 };
    }
    Normal::standard().cdf(z)
}

/// The standard normal quantile, refused outside (0, 1).
pub(super) fn normal_quantile(p: f64) -> Result<f64, Undefined> {
    if p > 0.0 && p < 1.0 {
        finite(Normal::standard().inverse_cdf(p))
    } else {
        Err(PROBABILITY)
    }
}

/// Both tails beyond |z| of the standard normal distribution.
pub(super) fn normal_two_sided(z: f64) -> Result<f64, Undefined> {
    if z.is_nan() {
        Err(Undefined::NotFinite)
    } else {
        Ok(2.0 * normal_cdf(-z.abs()))
    }
}

/// Both tails beyond |t| of Student's distribution.
pub(super) fn t_two_sided(t: f64, df: f64) -> Result<f64, Undefined> {
    if t.is_nan() {
        return Err(Undefined::NotFinite);
    }
    if !(df > 0.0 && df.is_finite()) {
        return Err(DEGREES);
    }
    if df > DF_LARGE {
        return normal_two_sided(t_to_normal(t.abs(), df));
    }
    let square = t * t;
    if square.is_infinite() {
        return Ok(0.0);
    }
    let x = df / (df + square);
    finite(incomplete_beta(0.5 * df, 0.5, x, square / (df + square)))
}

/// The Student quantile above which `tail` of the probability lies, for `tail` in (0, 0.5].
pub(super) fn t_upper_quantile(tail: f64, df: f64) -> Result<f64, Undefined> {
    if !(tail > 0.0 && tail <= 0.5) {
        return Err(PROBABILITY);
    }
    if !(df > 0.0 && df.is_finite()) {
        return Err(DEGREES);
    }
    if df > DF_LARGE {
        return finite(t_from_normal(-normal_quantile(tail)?, df));
    }
    let too_low = |t: f64| t_two_sided(t, df).map(|both| both > 2.0 * tail);
    let mut high = 1.0_f64;
    while too_low(high)? {
        high *= 2.0;
        finite(high)?;
    }
    bisect(if high == 1.0 { 0.0 } else { 0.5 * high }, high, too_low)
}

/// The quantile of the beta distribution, refused outside (0, 1).
pub(super) fn beta_quantile(p: f64, a: f64, b: f64) -> Result<f64, Undefined> {
    if !(p > 0.0 && p < 1.0) {
        return Err(PROBABILITY);
    }
    if !(a > 0.0 && b > 0.0 && a.is_finite() && b.is_finite()) {
        return Err(Undefined::OutOfRange {
            what: "shapes of a beta distribution are positive",
        });
    }
    bisect(0.0, 1.0, |x| Ok(incomplete_beta(a, b, x, 1.0 - x) < p))
}

/// The point in `[low, high]` where `too_low` turns from true to false, to the last bit.
fn bisect(
    mut low: f64,
    mut high: f64,
    too_low: impl Fn(f64) -> Result<bool, Undefined>,
) -> Result<f64, Undefined> {
    /// Halvings of [0, 1] until the smallest positive float.
    const STEPS_MAX: u32 = 1100;
    for _ in 0..STEPS_MAX {
        let middle = low + 0.5 * (high - low);
        if middle <= low || middle >= high {
            break;
        }
        if too_low(middle)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    finite(high)
}

/// The regularised incomplete beta function `I_x(a, b)`; `y = 1 − x` is given as well, so that an
/// x close to 1 loses nothing. Continued fraction DLMF 8.17.22, evaluated as in Lentz (1976).
fn incomplete_beta(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if y <= 0.0 {
        return 1.0;
    }
    let log_front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * y.ln();
    let front = log_front.exp();
    // The fraction converges quickly on the near side of the mean; the far side is its mirror.
    let value = if x <= (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(a, b, x) / a
    } else {
        1.0 - front * beta_fraction(b, a, y) / b
    };
    value.clamp(0.0, 1.0)
}

fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    /// Keeps a denominator off zero without changing any other.
    const TINY: f64 = 1e-300;
    // About sqrt(max(a, b)) steps are needed; ten times as many bound the loop.
    let steps_max = 500.0 + 10.0 * a.max(b).sqrt();
    let off_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / off_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    let mut step = 1.0;
    while step <= steps_max {
        let twice = 2.0 * step;
        let even = step * (b - step) * x / ((a + twice - 1.0) * (a + twice));
        let odd = -(a + step) * (a + b + step) * x / ((a + twice) * (a + twice + 1.0));
        let mut change = 1.0;
        for coefficient in [even, odd] {
            d = 1.0 / off_zero(1.0 + coefficient * d);
            c = off_zero(1.0 + coefficient / c);
            change = d * c;
            fraction *= change;
        }
        if (change - 1.0).abs() < f64::EPSILON {
            break;
        }
        step += 1.0;
    }
    fraction
}

/// The normal deviate with the tail of `t ≥ 0` on many degrees of freedom: the first two terms of
/// Hill (1970, "Algorithm 395: Student's t-distribution"); the third is below 1e-14 here.
fn t_to_normal(t: f64, df: f64) -> f64 {
    let a = df - 0.5;
    let square = a * (t * t / df).ln_1p();
    let w = square.sqrt();
    w + (square + 3.0) * w / (48.0 * a * a)
}

/// The Student quantile of a normal quantile on many degrees of freedom (Abramowitz and Stegun
/// 1964, equation 26.7.5).
fn t_from_normal(z: f64, df: f64) -> f64 {
    let square = z * z;
    let first = (square + 1.0) / 4.0;
    let second = ((5.0 * square + 16.0) * square + 3.0) / 96.0;
    let third = (((3.0 * square + 19.0) * square + 17.0) * square - 15.0) / 384.0;
    z * (1.0 + (first + (second + third / df) / df) / df)
}

const PROBABILITY: Undefined = Undefined::OutOfRange {
    what: "a probability lies strictly between 0 and 1",
};

const DEGREES: Undefined = Undefined::OutOfRange {
    what: "degrees of freedom are positive and finite",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Student {
        df: f64,
        tail: f64,
        quantile: f64,
    }

    #[derive(serde::Deserialize)]
    struct Beta {
        a: f64,
        b: f64,
        p: f64,
        quantile: f64,
    }

    #[derive(serde::Deserialize)]
    struct Gauss {
        p: f64,
        quantile: f64,
    }

    #[derive(serde::Deserialize)]
    struct Cases {
        normal: Vec<Gauss>,
        student: Vec<Student>,
        beta: Vec<Beta>,
    }

    fn cases() -> Cases {
        serde_json::from_str(include_str!("../../fixtures/stats.json")).unwrap()
    }

    /// scipy's own quantiles are good to about 1e-10 for large parameters.
    fn close(ours: f64, theirs: f64) -> bool {
        (ours - theirs).abs() <= 1e-9 * theirs.abs()
    }

    /// The rational approximations in `statrs` are good to about 5e-11.
    #[test]
    fn normal_quantiles_and_tails_agree_with_scipy() {
        for case in cases().normal {
            let quantile = normal_quantile(case.p).unwrap();
            assert!(
                (quantile - case.quantile).abs() < 1e-13,
                "{quantile} {}",
                case.quantile
            );
            let tail = normal_cdf(case.quantile);
            assert!((tail / case.p - 1.0).abs() < 1e-10, "{tail} {}", case.p);
        }
    }

    #[test]
    fn student_quantiles_and_tails_agree_with_scipy() {
        for case in cases().student {
            let what = format!("tail {} on {}", case.tail, case.df);
            let quantile = t_upper_quantile(case.tail, case.df).unwrap();
            assert!(
                close(quantile, case.quantile),
                "{what}: {quantile}, {}",
                case.quantile
            );
            let both = t_two_sided(case.quantile, case.df).unwrap();
            assert!(close(both, 2.0 * case.tail), "{what}: {both}");
        }
    }

    #[test]
    fn beta_quantiles_agree_with_scipy() {
        for case in cases().beta {
            let quantile = beta_quantile(case.p, case.a, case.b).unwrap();
            let what = format!("{} of beta({}, {})", case.p, case.a, case.b);
            assert!(
                close(quantile, case.quantile),
                "{what}: {quantile}, {}",
                case.quantile
            );
        }
    }

    #[test]
    fn both_ways_through_student_meet_at_the_seam() {
        for tail in [1e-6, 0.005, 0.025, 0.4] {
            let below = t_upper_quantile(tail, DF_LARGE).unwrap();
            let above = t_upper_quantile(tail, DF_LARGE.next_up()).unwrap();
            assert!((below / above - 1.0).abs() < 1e-9, "{below} {above}");
            let below = t_two_sided(above, DF_LARGE).unwrap();
            let above = t_two_sided(above, DF_LARGE.next_up()).unwrap();
            assert!((below / above - 1.0).abs() < 1e-9, "{below} {above}");
        }
    }

    #[test]
    fn edges_are_closed() {
        assert_eq!(t_two_sided(f64::INFINITY, 3.0), Ok(0.0));
        assert_eq!(t_two_sided(1e200, 3.0), Ok(0.0));
        assert_eq!(t_two_sided(f64::INFINITY, 1e6), Ok(0.0));
        assert_eq!(t_two_sided(0.0, 3.0), Ok(1.0));
        assert_eq!(normal_two_sided(f64::NEG_INFINITY), Ok(0.0));
        for df in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(t_two_sided(1.0, df), Err(DEGREES));
            assert_eq!(t_upper_quantile(0.1, df), Err(DEGREES));
        }
        assert!(t_upper_quantile(0.6, 3.0).is_err());
        assert!(normal_quantile(1.0).is_err());
        assert!(beta_quantile(0.5, 0.0, 1.0).is_err());
        assert!(t_two_sided(f64::NAN, 3.0).is_err());
    }
}
