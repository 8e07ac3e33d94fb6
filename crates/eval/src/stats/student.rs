//! Means and differences of means with Student's t interval.

use super::distribution::{t_two_sided, t_upper_quantile};
use super::interval::{Interval, upper_tail};
use super::sum::{mean, sample_sd};
use super::undefined::{Undefined, require, require_same_length};

/// A mean or a difference of means with a t interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TInterval {
    /// Value and interval.
    pub interval: Interval,
    /// Standard error of the value; 0 where all values are equal, and then the interval has no
    /// width.
    pub standard_error: f64,
    /// Degrees of freedom of the t distribution.
    pub df: f64,
}

impl TInterval {
    /// `value ± t(df) · standard_error`.
    pub(super) fn new(
        value: f64,
        standard_error: f64,
        df: f64,
        level: f64,
    ) -> Result<Self, Undefined> {
        let half_width = t_upper_quantile(upper_tail(level)?, df)? * standard_error;
        let interval = Interval::checked(value, value - half_width, value + half_width, level)?;
        Ok(Self {
            interval,
            standard_error,
            df,
        })
    }

    /// Two-sided p-value of the hypothesis that the true value is `null`; below `1 − level`
    /// exactly where the interval excludes `null`. Without any spread it is 1 for `null` equal to
    /// the value and 0 otherwise.
    ///
    /// # Errors
    /// `null` is not finite.
    pub fn p_value(&self, null: f64) -> Result<f64, Undefined> {
        require(&[null], 1)?;
        let distance = self.interval.value - null;
        if distance == 0.0 {
            return Ok(1.0);
        }
        t_two_sided(distance / self.standard_error, self.df)
    }
}

/// The mean of independent values with a t interval on n − 1 degrees of freedom.
///
/// ```
/// let heights = eval::stats::mean_interval(&[1.0, 2.0, 3.0], 0.95)?.interval;
/// assert!((heights.low, heights.high).0 < 0.0 && heights.high > 4.0);
/// # Ok::<(), eval::stats::Undefined>(())
/// ```
///
/// # Errors
/// There are fewer than two values, one is not finite, or `level` lies outside (0, 1).
pub fn mean_interval(values: &[f64], level: f64) -> Result<TInterval, Undefined> {
    let n = values.len() as f64;
    let standard_error = sample_sd(values)? / n.sqrt();
    TInterval::new(mean(values)?, standard_error, n - 1.0, level)
}

/// The mean of `b − a` over items measured twice, with a t interval on n − 1 degrees of freedom.
///
/// # Errors
/// As [`mean_interval`]; the lists differ in length.
pub fn paired_difference(a: &[f64], b: &[f64], level: f64) -> Result<TInterval, Undefined> {
    require_same_length(a.len(), b.len())?;
    mean_interval(&differences(a, b), level)
}

/// `b − a`, item by item.
pub(super) fn differences(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| b - a).collect()
}

/// `mean(b) − mean(a)` of two independent samples with unequal variances (Welch 1947), degrees of
/// freedom by Satterthwaite's formula. Where neither sample has any spread the degrees of freedom
/// are `n_a + n_b − 2` and the interval has no width.
///
/// # Errors
/// A sample has fewer than two values, a value is not finite, or `level` lies outside (0, 1).
pub fn welch_difference(a: &[f64], b: &[f64], level: f64) -> Result<TInterval, Undefined> {
    let (n_a, n_b) = (a.len() as f64, b.len() as f64);
    let error_a = sample_sd(a)? / n_a.sqrt();
    let error_b = sample_sd(b)? / n_b.sqrt();
    let standard_error = error_a.hypot(error_b);
    let df = if standard_error == 0.0 {
        n_a + n_b - 2.0
    } else {
        // Satterthwaite's ratio in shares of the total, so that small variances do not vanish.
        let share_a = (error_a / standard_error).powi(2);
        let share_b = (error_b / standard_error).powi(2);
        (share_a + share_b).powi(2)
            / (share_a.powi(2) / (n_a - 1.0) + share_b.powi(2) / (n_b - 1.0))
    };
    TInterval::new(mean(b)? - mean(a)?, standard_error, df, level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_no_interval() {
        assert_eq!(
            mean_interval(&[], 0.95),
            Err(Undefined::TooFew { have: 0, need: 2 })
        );
        assert_eq!(
            mean_interval(&[1.0], 0.95),
            Err(Undefined::TooFew { have: 1, need: 2 })
        );
        assert!(welch_difference(&[1.0], &[1.0, 2.0], 0.95).is_err());
    }

    #[test]
    fn equal_values_have_an_interval_without_width() {
        let flat = mean_interval(&[0.1; 4], 0.95).unwrap();
        assert_eq!((flat.interval.low, flat.interval.high), (0.1, 0.1));
        assert_eq!(flat.p_value(0.1), Ok(1.0));
        assert_eq!(flat.p_value(0.2), Ok(0.0));
        let flat = welch_difference(&[1.0; 3], &[2.0; 3], 0.95).unwrap();
        assert_eq!(
            (flat.interval.low, flat.interval.high, flat.df),
            (1.0, 1.0, 4.0)
        );
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(
            mean_interval(&[1.0, f64::NAN], 0.95),
            Err(Undefined::NotFinite)
        );
        for level in [0.0, 1.0, -1.0, f64::NAN] {
            assert!(matches!(
                mean_interval(&[1.0, 2.0], level),
                Err(Undefined::OutOfRange { .. })
            ));
        }
        let unequal = paired_difference(&[1.0], &[1.0, 2.0], 0.95);
        assert_eq!(unequal, Err(Undefined::LengthsDiffer { left: 1, right: 2 }));
        assert!(
            mean_interval(&[1.0, 2.0], 0.95)
                .unwrap()
                .p_value(f64::NAN)
                .is_err()
        );
    }
}
