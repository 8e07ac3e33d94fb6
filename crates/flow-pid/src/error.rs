//! What can be wrong with a covariance, a channel, a sample, or a configuration.
//!
//! Every degenerate input has a name here. Nothing in this crate answers such an input with a
//! clamped or made-up number.

use std::fmt;

/// Why a decomposition is undefined or could not be computed.
#[derive(Clone, Debug, PartialEq)]
pub enum PidError {
    /// A matrix holds a value that is not a finite number.
    NotFinite {
        /// Which matrix.
        what: &'static str,
        /// Row of the first such value.
        row: usize,
        /// Column of the first such value.
        column: usize,
    },
    /// A covariance is not symmetric.
    NotSymmetric {
        /// Row of the first difference.
        row: usize,
        /// Column of the first difference.
        column: usize,
        /// The two entries' difference.
        difference: f64,
    },
    /// Shapes do not belong together.
    Dimensions {
        /// Which matrix.
        what: &'static str,
        /// Rows and columns needed.
        expected: (usize, usize),
        /// Rows and columns found.
        found: (usize, usize),
    },
    /// A target or source without a single coordinate.
    Empty {
        /// Which block.
        what: &'static str,
    },
    /// The target's covariance has no inverse: a coordinate is constant, or follows from others.
    SingularTarget,
    /// A source's covariance given the target has no inverse.
    SingularNoise {
        /// 1 or 2.
        source: u8,
    },
    /// The matrix is no covariance: some combination has a negative variance.
    NegativeVariance {
        /// Which matrix.
        what: &'static str,
        /// The smallest eigenvalue.
        eigenvalue: f64,
    },
    /// Some combination of the sources tells the target without noise: information is infinite.
    InfiniteInformation,
    /// Fewer items than a regular covariance needs.
    TooFewItems {
        /// Items given.
        n_items: usize,
        /// Items needed.
        n_items_min: usize,
    },
    /// A column never changes, so that it cannot be standardised.
    ConstantColumn {
        /// Which matrix.
        what: &'static str,
        /// Which column.
        column: usize,
    },
    /// No iterate of Thin-PID had a finite objective: the optimum lies on the boundary of the
    /// spectral ball and the objective there is 0/0.
    NoFiniteObjective {
        /// Spectral norm of the last iterate.
        coupling_norm: f64,
    },
    /// A knob of a configuration makes no sense.
    Config {
        /// Which knob.
        knob: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// A matrix factorisation did not converge.
    Factorisation {
        /// Which.
        what: &'static str,
    },
    /// A table of probabilities is none.
    Distribution {
        /// What its entries must be.
        must: &'static str,
    },
    /// A search ended before its certified gap was small enough.
    NotConverged {
        /// What was searched for.
        what: &'static str,
        /// The gap that is certain, in bits.
        gap_bits: f64,
    },
    /// A problem larger than the method can hold.
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        n: usize,
        /// How many there may be.
        n_max: usize,
    },
    /// A matrix that must be positive definite is not, at the precision of `f64`.
    NotPositiveDefinite {
        /// Which matrix.
        what: &'static str,
    },
}

impl PidError {
    /// What to do about it.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::NotFinite { .. } => "drop or impute the items that hold it",
            Self::NotSymmetric { .. } => "pass a covariance, or average it with its transpose",
            Self::Dimensions { .. } => "order the blocks as target, source 1, source 2",
            Self::Empty { .. } => "give every variable at least one coordinate",
            Self::SingularTarget => {
                "drop constant or redundant target columns (one-hot coding needs K-1 of K)"
            }
            Self::SingularNoise { .. } => {
                "drop constant or redundant columns of that source, or project it on its leading \
                 principal components"
            }
            Self::NegativeVariance { .. } => "compute the covariance from complete items only",
            Self::InfiniteInformation => "check whether a source contains the target itself",
            Self::TooFewItems { .. } => {
                "reduce the dimensions, for example by principal components"
            }
            Self::ConstantColumn { .. } => "drop the column",
            Self::NoFiniteObjective { .. } => {
                "use the closed form, which is not affected by the boundary"
            }
            Self::Config { .. } => "correct the knob",
            Self::Distribution { .. } => "pass non-negative probabilities that add up to 1",
            Self::NotConverged { .. } => "allow a wider gap, or merge rare values",
            Self::TooLarge { .. } => "merge values, or cluster continuous sources more coarsely",
            Self::Factorisation { .. } | Self::NotPositiveDefinite { .. } => {
                "rescale the variables to comparable variances"
            }
        }
    }
}

impl fmt::Display for PidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFinite { what, row, column } => {
                write!(
                    f,
                    "{what} holds a value that is not finite at row {row}, column {column}"
                )
            }
            Self::NotSymmetric {
                row,
                column,
                difference,
            } => write!(
                f,
                "the covariance is not symmetric: entries ({row}, {column}) and ({column}, {row}) \
                 differ by {difference:e}"
            ),
            Self::Dimensions {
                what,
                expected,
                found,
            } => write!(
                f,
                "{what} has shape {} x {}, expected {} x {}",
                found.0, found.1, expected.0, expected.1
            ),
            Self::Empty { what } => write!(f, "{what} has no coordinate"),
            Self::SingularTarget => f.write_str("the target's covariance is singular"),
            Self::SingularNoise { source } => {
                write!(
                    f,
                    "the covariance of source {source} given the target is singular"
                )
            }
            Self::NegativeVariance { what, eigenvalue } => {
                write!(
                    f,
                    "{what} is no covariance: it has the eigenvalue {eigenvalue:e}"
                )
            }
            Self::InfiniteInformation => {
                f.write_str("a combination of the sources determines the target without noise")
            }
            Self::TooFewItems {
                n_items,
                n_items_min,
            } => {
                write!(
                    f,
                    "{n_items} items are too few for these dimensions, {n_items_min} needed"
                )
            }
            Self::ConstantColumn { what, column } => {
                write!(f, "column {column} of {what} is constant")
            }
            Self::NoFiniteObjective { coupling_norm } => write!(
                f,
                "no iterate of Thin-PID had a finite objective; the last coupling has norm \
                 {coupling_norm}"
            ),
            Self::Config { knob, must } => write!(f, "`{knob}` must be {must}"),
            Self::Distribution { must } => write!(f, "the probabilities must be {must}"),
            Self::NotConverged { what, gap_bits } => {
                write!(f, "the {what} was found to a gap of {gap_bits:e} bits only")
            }
            Self::TooLarge { what, n, n_max } => {
                write!(f, "{n} {what} are too many, at most {n_max}")
            }
            Self::Factorisation { what } => write!(f, "the {what} did not converge"),
            Self::NotPositiveDefinite { what } => write!(f, "{what} is not positive definite"),
        }
    }
}

impl std::error::Error for PidError {}

impl From<PidError> for eval::Error {
    fn from(error: PidError) -> Self {
        let message = error.to_string();
        let hint = error.next_step();
        match error {
            PidError::Config { .. } => Self::usage(message).hint(hint),
            _ => Self::inputs(message).hint(hint),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_method_keeps_its_text_and_names_the_next_step() {
        let error = eval::Error::from(PidError::SingularTarget);
        assert_eq!(error.to_string(), "the target's covariance is singular");
        assert!(
            error
                .next_step()
                .is_some_and(|hint| hint.contains("one-hot"))
        );
        assert_eq!(error.exit_code(), eval::exit::INPUTS);
    }
}
