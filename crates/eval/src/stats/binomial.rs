//! Shares of successes: intervals and exact tests.

use statrs::distribution::{Binomial, Discrete};

use super::distribution::{beta_quantile, normal_quantile, normal_two_sided};
use super::interval::{Interval, upper_tail};
use super::undefined::{Undefined, finite};

/// Wilson's score interval for `successes` of `n` (Wilson 1927), without continuity correction.
///
/// It holds no impossible share and keeps a width at 0 of n and n of n.
///
/// # Errors
/// `n` is 0, `successes` exceeds `n`, or `level` lies outside (0, 1).
pub fn wilson(successes: u64, n: u64, level: f64) -> Result<Interval, Undefined> {
    let share = share(successes, n)?;
    let z = normal_quantile(1.0 - upper_tail(level)?)?;
    let (n_real, z2) = (n as f64, z * z);
    let centre = (share + z2 / (2.0 * n_real)) / (1.0 + z2 / n_real);
    let variance = share * (1.0 - share) / n_real + z2 / (4.0 * n_real * n_real);
    let half_width = z * variance.sqrt() / (1.0 + z2 / n_real);
    // The ends at 0 and n successes are 0 and 1 exactly; only rounding says otherwise.
    let low = if successes == 0 {
        0.0
    } else {
        (centre - half_width).clamp(0.0, share)
    };
    let high = if successes == n {
        1.0
    } else {
        (centre + half_width).clamp(share, 1.0)
    };
    Interval::checked(share, low, high, level)
}

/// Two-sided p-value of the score test that the true share is `null`: below `1 − level` exactly
/// where Wilson's interval at that level excludes `null`.
///
/// # Errors
/// As [`wilson`]; `null` lies outside (0, 1), where the test has no distribution.
pub fn score_test(successes: u64, n: u64, null: f64) -> Result<f64, Undefined> {
    let share = share(successes, n)?;
    if !(null > 0.0 && null < 1.0) {
        return Err(Undefined::OutOfRange {
            what: "the score test's share lies within (0, 1)",
        });
    }
    normal_two_sided((share - null) / (null * (1.0 - null) / n as f64).sqrt())
}

/// The exact interval of Clopper and Pearson (1934): it covers the true share with at least the
/// stated level, and usually more.
///
/// # Errors
/// As [`wilson`].
pub fn clopper_pearson(successes: u64, n: u64, level: f64) -> Result<Interval, Undefined> {
    let share = share(successes, n)?;
    let tail = upper_tail(level)?;
    let (k, misses) = (successes as f64, (n - successes) as f64);
    let low = if successes == 0 {
        0.0
    } else {
        beta_quantile(tail, k, misses + 1.0)?
    };
    let high = if successes == n {
        1.0
    } else {
        beta_quantile(1.0 - tail, k + 1.0, misses)?
    };
    Interval::checked(share, low.min(share), high.max(share), level)
}

/// Two-sided exact binomial test that the true share is `null`: the probability of every count
/// that is at most as likely as the one seen (the rule of R's `binom.test`).
///
/// # Errors
/// As [`wilson`]; `null` lies outside [0, 1].
pub fn binomial_test(successes: u64, n: u64, null: f64) -> Result<f64, Undefined> {
    /// Counts whose probabilities differ by rounding alone are equally likely; R uses the same.
    const TIE_FACTOR: f64 = 1.0 + 1e-7;
    share(successes, n)?;
    let out_of_range = Undefined::OutOfRange {
        what: "a share lies in [0, 1]",
    };
    if !(0.0..=1.0).contains(&null) {
        return Err(out_of_range);
    }
    if null == 0.0 || null == 1.0 {
        // One count is certain under the null.
        let certain = if null == 0.0 { 0 } else { n };
        return Ok(if successes == certain { 1.0 } else { 0.0 });
    }
    let binomial = Binomial::new(null, n).map_err(|_| out_of_range)?;
    let limit = binomial.pmf(successes) * TIE_FACTOR;
    let likely: Vec<f64> = (0..=n)
        .map(|k| binomial.pmf(k))
        .filter(|p| *p <= limit)
        .collect();
    finite(super::sum::sum(&likely).min(1.0))
}

/// The exact test of McNemar (1947) on paired yes/no outcomes: `only_a` items succeed with a
/// alone, `only_b` with b alone. Without discordant items nothing speaks against equality: p = 1.
///
/// # Errors
/// The counts overflow.
pub fn mcnemar_exact(only_a: u64, only_b: u64) -> Result<f64, Undefined> {
    match only_a.checked_add(only_b) {
        Some(0) => Ok(1.0),
        Some(discordant) => binomial_test(only_a, discordant, 0.5),
        None => Err(Undefined::OutOfRange {
            what: "discordant items fit 64 bits",
        }),
    }
}

fn share(successes: u64, n: u64) -> Result<f64, Undefined> {
    if n == 0 {
        return Err(Undefined::TooFew { have: 0, need: 1 });
    }
    if successes > n {
        return Err(Undefined::OutOfRange {
            what: "successes are at most the trials",
        });
    }
    Ok(successes as f64 / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_trials_have_no_share() {
        assert_eq!(
            wilson(0, 0, 0.95),
            Err(Undefined::TooFew { have: 0, need: 1 })
        );
        assert!(wilson(2, 1, 0.95).is_err());
        assert!(clopper_pearson(0, 0, 0.95).is_err());
        assert!(binomial_test(0, 0, 0.5).is_err());
        assert!(binomial_test(1, 2, f64::NAN).is_err());
        assert!(mcnemar_exact(u64::MAX, 1).is_err());
    }

    #[test]
    fn none_and_all_keep_a_width_and_touch_the_edge() {
        for interval in [wilson, clopper_pearson] {
            let none = interval(0, 5, 0.95).unwrap();
            let all = interval(5, 5, 0.95).unwrap();
            assert_eq!((none.low, all.high), (0.0, 1.0));
            assert!(none.high > 0.3 && all.low < 0.7);
        }
    }

    #[test]
    fn a_certain_null_accepts_its_count_alone() {
        assert_eq!(binomial_test(0, 4, 0.0), Ok(1.0));
        assert_eq!(binomial_test(1, 4, 0.0), Ok(0.0));
        assert_eq!(binomial_test(4, 4, 1.0), Ok(1.0));
        assert_eq!(mcnemar_exact(0, 0), Ok(1.0));
    }
}
