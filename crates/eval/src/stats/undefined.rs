//! Why a statistic has no value.

/// The reason why a statistic has no value. Every function of [`crate::stats`] returns one instead
/// of a panic or a number that is not finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Undefined {
    /// Fewer values than the statistic needs.
    TooFew {
        /// Values given.
        have: usize,
        /// Values needed.
        need: usize,
    },
    /// An input is not finite, or the computation leaves the range of a 64-bit float.
    NotFinite,
    /// All values are equal where the statistic divides by their spread.
    NoSpread,
    /// Two lists that belong together differ in length.
    LengthsDiffer {
        /// Length of the first.
        left: usize,
        /// Length of the second.
        right: usize,
    },
    /// A parameter lies outside its range.
    OutOfRange {
        /// Which parameter, and its range.
        what: &'static str,
    },
    /// The statistic has no value in too many resamples for their quantiles to mean anything.
    Unstable {
        /// Resamples without a value.
        lost: usize,
        /// Resamples drawn.
        drawn: usize,
    },
}

impl std::fmt::Display for Undefined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooFew { have, need } => write!(f, "{have} given, at least {need} needed"),
            Self::NotFinite => f.write_str("a value is not finite or overflows"),
            Self::NoSpread => f.write_str("all values are equal"),
            Self::LengthsDiffer { left, right } => {
                write!(
                    f,
                    "lists that belong together have {left} and {right} entries"
                )
            }
            Self::OutOfRange { what } => write!(f, "out of range: {what}"),
            Self::Unstable { lost, drawn } => {
                write!(f, "no value in {lost} of {drawn} resamples")
            }
        }
    }
}

impl std::error::Error for Undefined {}

/// Refuses fewer than `need` values and values that are not finite.
pub(super) fn require(values: &[f64], need: usize) -> Result<(), Undefined> {
    if values.len() < need {
        return Err(Undefined::TooFew {
            have: values.len(),
            need,
        });
    }
    if values.iter().all(|value| value.is_finite()) {
        Ok(())
    } else {
        Err(Undefined::NotFinite)
    }
}

/// Refuses two lists of different length.
pub(super) fn require_same_length(left: usize, right: usize) -> Result<(), Undefined> {
    if left == right {
        Ok(())
    } else {
        Err(Undefined::LengthsDiffer { left, right })
    }
}

/// Refuses a value that is not finite.
pub(super) fn finite(value: f64) -> Result<f64, Undefined> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Undefined::NotFinite)
    }
}
