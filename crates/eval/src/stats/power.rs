//! How many items or seeds a decision needs.

use super::distribution::{normal_cdf, normal_quantile, t_upper_quantile};
use super::interval::{Interval, upper_tail};
use super::undefined::{Undefined, finite};

/// No answer above this: whoever needs more units needs another experiment.
const N_MAX: u64 = 1_000_000_000;

/// The probability that a two-sided t interval over `n` values excludes a bound that lies
/// `effect` standard deviations from the true mean.
///
/// It integrates the normal power over the distribution of the sample's standard deviation, which
/// is the noncentral t distribution.
///
/// # Errors
/// `n` is below 2, `effect` is not finite, or `level` lies outside (0, 1).
pub fn mean_power(n: u64, effect: f64, level: f64) -> Result<f64, Undefined> {
    if n < 2 {
        return Err(Undefined::TooFew {
            have: usize::from(n == 1),
            need: 2,
        });
    }
    let df = (n - 1) as f64;
    let critical = t_upper_quantile(upper_tail(level)?, df)?;
    let shift = finite(effect)? * (n as f64).sqrt();
    // Given the ratio `s` of sample to true standard deviation, the mean is normal.
    let given = |s: f64| normal_cdf(shift - critical * s) + normal_cdf(-shift - critical * s);
    Ok(expect_over_chi(df, given).clamp(0.0, 1.0))
}

/// The mean of `f(s)` where `s = sqrt(χ²(df) / df)`, by Simpson's rule over ±12 standard
/// deviations, outside which less than 1e-15 of the probability lies. The nodes lie at the squares
/// of equal steps, close together at the low end, where few degrees of freedom make `f` steep.
fn expect_over_chi(df: f64, f: impl Fn(f64) -> f64) -> f64 {
    const STEPS: u32 = 4000;
    let reach = 12.0 / (2.0 * df).sqrt();
    let low = (1.0 - reach).max(0.0);
    let span = 1.0 + reach - low;
    // The constant of the density cancels; relative to its value at 1 nothing overflows.
    let density = |s: f64| {
        let log_power = if df == 1.0 { 0.0 } else { (df - 1.0) * s.ln() };
        (log_power - 0.5 * df * (s * s - 1.0)).exp()
    };
    let (mut weighted, mut total) = (0.0, 0.0);
    for idx in 1..=STEPS {
        let share = f64::from(idx) / f64::from(STEPS);
        let s = low + span * share * share;
        // Simpson's weights; the node at 0 has no length under the square.
        let weight = match idx {
            STEPS => 1.0,
            _ if idx % 2 == 1 => 4.0,
            _ => 2.0,
        };
        let mass = weight * share * density(s);
        weighted += mass * f(s);
        total += mass;
    }
    weighted / total
}

/// Fewest values whose t interval excludes, with probability `power`, a bound at `distance` from
/// the true mean, for values of standard deviation `sd`. For a paired difference `sd` is the
/// standard deviation of the differences.
///
/// # Errors
/// `sd` is negative, `distance` is 0 (no sample size decides that), one of them is not finite,
/// `level` or `power` lies outside (0, 1), or more than 1e9 values would be needed.
pub fn n_for_mean(sd: f64, distance: f64, level: f64, power: f64) -> Result<u64, Undefined> {
    require_power(power)?;
    upper_tail(level)?;
    if !(finite(sd)? >= 0.0 && finite(distance)? != 0.0) {
        return Err(Undefined::OutOfRange {
            what: "the spread is not negative, the distance not 0",
        });
    }
    if sd == 0.0 {
        return Ok(2);
    }
    let effect = (distance / sd).abs();
    let enough = |n| mean_power(n, effect, level).map(|reached| reached >= power);
    let mut high = 2_u64;
    while !enough(high)? {
        high *= 2;
        if high > N_MAX {
            return Err(Undefined::OutOfRange {
                what: "more than 1e9 values would be needed",
            });
        }
    }
    // `high` is enough and half of it is not, unless 2 is enough already.
    let mut low = high / 2;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if enough(middle)? {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(high)
}

/// Fewest trials with which Wilson's interval excludes the share `bound` with probability about
/// `power`, where the true share is `share` (normal approximation without
/// continuity correction; Fleiss, Levin, and Paik 2003, chapter 2).
///
/// # Errors
/// `share` lies outside [0, 1], `bound` outside (0, 1), they are equal, `level` or `power` lies
/// outside (0, 1), or more than 1e9 trials would be needed.
pub fn n_for_proportion(share: f64, bound: f64, level: f64, power: f64) -> Result<u64, Undefined> {
    require_power(power)?;
    if !((0.0..=1.0).contains(&share) && bound > 0.0 && bound < 1.0 && share != bound) {
        return Err(Undefined::OutOfRange {
            what: "shares lie in [0, 1] and differ",
        });
    }
    let z_level = normal_quantile(1.0 - upper_tail(level)?)?;
    let z_power = normal_quantile(power)?;
    let reach = z_level * (bound * (1.0 - bound)).sqrt() + z_power * (share * (1.0 - share)).sqrt();
    whole((reach.max(0.0) / (share - bound)).powi(2).max(1.0))
}

/// About how many units the interval's data would need in all to exclude `edge`, if the value
/// stays where it is: half-widths shrink with the root of the number of units. `power` is the
/// probability of excluding it; at 0.5 the interval just reaches the edge.
///
/// The number of *more* units is the answer less `n`, or 0 where the edge is excluded already
/// with room to spare.
///
/// # Errors
/// `edge` is not finite or equals the value (no sample size decides that), the interval has no
/// width, `power` lies outside (0, 1), or more than 1e9 units would be needed.
pub fn n_to_exclude(interval: &Interval, n: u64, edge: f64, power: f64) -> Result<u64, Undefined> {
    require_power(power)?;
    finite(edge)?;
    let room = (edge - interval.value).abs();
    let reach = if edge < interval.value {
        interval.value - interval.low
    } else {
        interval.high - interval.value
    };
    if !(room > 0.0 && reach > 0.0) {
        return Err(Undefined::OutOfRange {
            what: "the interval has width, and the edge is off the value",
        });
    }
    let z_level = normal_quantile(1.0 - upper_tail(interval.level)?)?;
    let z_power = normal_quantile(power)?;
    let factor = ((z_level + z_power).max(0.0) / z_level * reach / room).powi(2);
    whole((n as f64 * factor).max(1.0))
}

fn require_power(power: f64) -> Result<(), Undefined> {
    if power > 0.0 && power < 1.0 {
        Ok(())
    } else {
        Err(Undefined::OutOfRange {
            what: "power lies strictly between 0 and 1",
        })
    }
}

fn whole(n: f64) -> Result<u64, Undefined> {
    if n <= N_MAX as f64 {
        Ok(n.ceil() as u64)
    } else {
        Err(Undefined::OutOfRange {
            what: "more than 1e9 units would be needed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_effect_the_power_is_the_error_rate() {
        for n in [2, 5, 100, 1_000_000] {
            assert!(
                (mean_power(n, 0.0, 0.95).unwrap() - 0.05).abs() < 1e-9,
                "{n}"
            );
        }
    }

    #[test]
    fn the_number_found_is_enough_and_one_fewer_is_not() {
        for (distance, power) in [(2.0, 0.8), (0.5, 0.9), (0.05, 0.8)] {
            let n = n_for_mean(1.0, distance, 0.95, power).unwrap();
            assert!(mean_power(n, distance, 0.95).unwrap() >= power);
            assert!(mean_power(n - 1, distance, 0.95).unwrap() < power);
        }
    }

    #[test]
    fn what_no_sample_size_decides_is_refused() {
        assert!(n_for_mean(1.0, 0.0, 0.95, 0.8).is_err());
        assert!(n_for_mean(1.0, 1e-9, 0.95, 0.8).is_err());
        assert!(n_for_mean(f64::NAN, 1.0, 0.95, 0.8).is_err());
        assert!(n_for_proportion(0.5, 0.5, 0.95, 0.8).is_err());
        let interval = Interval {
            value: 1.0,
            low: 0.0,
            high: 2.0,
            level: 0.95,
        };
        assert!(n_to_exclude(&interval, 10, 1.0, 0.5).is_err());
        assert!(n_to_exclude(&interval, 10, 0.5, 1.0).is_err());
        assert!(mean_power(1, 1.0, 0.95).is_err());
        assert_eq!(n_for_mean(0.0, 1.0, 0.95, 0.8), Ok(2));
    }

    #[test]
    fn half_the_room_needs_four_times_the_units() {
        let interval = Interval {
            value: 1.0,
            low: 0.0,
            high: 2.0,
            level: 0.95,
        };
        assert_eq!(n_to_exclude(&interval, 10, 0.5, 0.5), Ok(40));
        assert_eq!(n_to_exclude(&interval, 10, 3.0, 0.5), Ok(3));
    }
}
