//! Which K models to take: exhaustive search, branch and bound, and heuristics (§2.2).
//!
//! Everything is counted in whole questions and compared as exact fractions, so that all exact
//! methods return the same subset to the last bit. Ties go to the higher union, then to the
//! lexicographically smaller list of model indices.

mod beam;
mod bound;
mod exhaustive;
mod greedy;
mod kernel;
mod objective;
mod pool;
#[cfg(test)]
mod tests;

pub use beam::beam;
pub use bound::{Bounded, branch_and_bound};
pub use exhaustive::{exhaustive, n_subsets};
pub use greedy::{greedy, greedy_swap};
pub use objective::{Counts, Form, Key, Lambda, Objective, Score};
pub use pool::Pool;

/// A subset with what it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The models, ascending.
    pub models: Vec<usize>,
    /// Its union and contradiction.
    pub counts: Counts,
    /// Subsets or extensions whose objective was computed.
    pub n_evaluated: u64,
}
