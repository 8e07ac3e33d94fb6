//! The statistics of §3 that the shared crate does not have: correlations that share a variable.

mod dependent;

pub use dependent::{Comparison, admissible, meng, n_needed, steiger, two_sided, williams};
