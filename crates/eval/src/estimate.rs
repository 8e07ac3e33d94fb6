//! The estimate: what the rows of a claim add up to.

use serde::{Deserialize, Serialize};

/// How many measurements stand behind a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Measurements that were tried.
    pub attempted: u64,
    /// Of those, how many gave no number.
    pub failed: u64,
    /// Of those, how many gave a text from which no value could be read.
    pub unparsed: u64,
}

/// A value with its interval and everything needed to doubt it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The point estimate.
    pub value: f64,
    /// Lower end of the interval; equals `value` for a deterministic computation.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Independent units behind the value: items, clusters, or seeds, as `method` says.
    pub n: u64,
    /// Measurements tried.
    pub attempted: u64,
    /// Measurements without a number.
    pub failed: u64,
    /// Answers that could not be read.
    pub unparsed: u64,
    /// Distinct seeds among the rows.
    pub n_seeds: u64,
    /// True where chance plays no part, so that repeating it cannot change the value.
    pub deterministic: bool,
    /// How value and interval were computed: `mean, t interval over 5 seeds, 95 %`.
    pub method: String,
    /// Two-sided p-value against the bound or null of the claim's test, where one exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
}

impl Estimate {
    /// The outcome of a computation in which chance plays no part.
    #[must_use]
    pub fn deterministic(value: f64, n: u64, counts: Counts, method: impl Into<String>) -> Self {
        Self {
            value,
            low: value,
            high: value,
            n,
            attempted: counts.attempted,
            failed: counts.failed,
            unparsed: counts.unparsed,
            n_seeds: 1,
            deterministic: true,
            method: method.into(),
            p_value: None,
        }
    }

    /// The counts as one value.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            attempted: self.attempted,
            failed: self.failed,
            unparsed: self.unparsed,
        }
    }

    /// Share of attempted measurements that gave a number; 0 where none was attempted.
    #[must_use]
    pub fn coverage(&self) -> f64 {
        if self.attempted == 0 {
            return 0.0;
        }
        let lost = (self.failed + self.unparsed).min(self.attempted);
        (self.attempted - lost) as f64 / self.attempted as f64
    }
}
