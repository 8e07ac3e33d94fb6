//! What became of a recipe.

use crate::estimate::{Counts, Estimate};

/// What became of a recipe: an estimate, or the reason why there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum Estimated {
    /// A value with its interval.
    Value(Estimate),
    /// No row carries the metric (and the tags) asked for.
    NoRows,
    /// Too few independent units with a number for an interval.
    TooFewUnits {
        /// Units with a number (for two arms or metrics: with both).
        have: u64,
        /// Units needed at least.
        need: u64,
        /// Measurements behind them.
        counts: Counts,
    },
    /// The measurements are there, and the statistic has no value on them.
    Undefined {
        /// Why, as a fragment: `the median of arm a is 0`.
        why: String,
        /// Measurements behind it.
        counts: Counts,
    },
    /// The recipe is `custom`: ask the paper.
    Custom,
}

impl Estimated {
    /// The estimate, where there is one.
    #[must_use]
    pub fn value(&self) -> Option<&Estimate> {
        match self {
            Self::Value(estimate) => Some(estimate),
            Self::NoRows | Self::TooFewUnits { .. } | Self::Undefined { .. } | Self::Custom => None,
        }
    }

    /// Why there is no estimate, as a fragment without a full stop; none where there is one.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Value(_) => None,
            Self::NoRows => Some("no row carries the metric".to_owned()),
            Self::TooFewUnits { have, need, counts } => {
                let units = if *have == 1 {
                    "unit has"
                } else {
                    "independent units have"
                };
                let lost = lost(*counts);
                Some(format!(
                    "{have} {units} a number, at least {need} needed{lost}"
                ))
            }
            Self::Undefined { why, counts } => Some(format!("{why}{}", lost(*counts))),
            Self::Custom => Some("the paper itself computes this estimate".to_owned()),
        }
    }
}

fn lost(counts: Counts) -> String {
    if counts.failed + counts.unparsed == 0 {
        return String::new();
    }
    format!(
        " ({} of {} measurements failed, {} could not be read)",
        counts.failed, counts.attempted, counts.unparsed
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_estimate_says_what_is_needed_and_what_was_lost() {
        let counts = Counts {
            attempted: 5,
            failed: 3,
            unparsed: 1,
        };
        let few = Estimated::TooFewUnits {
            have: 1,
            need: 2,
            counts,
        };
        assert_eq!(
            few.reason().unwrap(),
            "1 unit has a number, at least 2 needed \
             (3 of 5 measurements failed, 1 could not be read)"
        );
        assert_eq!(few.value(), None);
        let counts = Counts {
            attempted: 5,
            failed: 0,
            unparsed: 0,
        };
        let undefined = Estimated::Undefined {
            why: "all values are equal".to_owned(),
            counts,
        };
        assert_eq!(undefined.reason().unwrap(), "all values are equal");
    }
}
