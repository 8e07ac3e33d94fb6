//! A value with an interval at a stated level.

use super::undefined::Undefined;

/// A point estimate with its interval. All numbers are finite and `low ≤ high`.
///
/// Intervals from theory contain `value`; a bootstrap interval may not, where the statistic is
/// strongly biased.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The point estimate.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Confidence level in (0, 1).
    pub level: f64,
}

impl Interval {
    /// An interval, refused where a number is not finite or the ends are in the wrong order.
    pub(super) fn checked(value: f64, low: f64, high: f64, level: f64) -> Result<Self, Undefined> {
        if [value, low, high].iter().all(|x| x.is_finite()) && low <= high {
            Ok(Self {
                value,
                low,
                high,
                level,
            })
        } else {
            Err(Undefined::NotFinite)
        }
    }

    /// Whether `x` lies in the closed interval.
    #[must_use]
    pub fn contains(&self, x: f64) -> bool {
        self.low <= x && x <= self.high
    }
}

/// The probability above the interval at a confidence level, refused outside (0, 1).
pub(super) fn upper_tail(level: f64) -> Result<f64, Undefined> {
    if level > 0.0 && level < 1.0 {
        Ok(0.5 * (1.0 - level))
    } else {
        Err(Undefined::OutOfRange {
            what: "a confidence level lies strictly between 0 and 1",
        })
    }
}
