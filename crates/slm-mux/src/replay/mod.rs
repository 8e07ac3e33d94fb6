//! Every method on two halves of recorded samples: choices are made on the validation half alone,
//! numbers come from the test half.
//!
//! [`emit`] writes the rows that the claims and figures of all pools share, whether the samples
//! come from a constructed world, from models trained here, or from models asked live:
//!
//! | metric | tags | meaning |
//! |---|---|---|
//! | `accuracy` | `method`, `k`, `pool` | expected share of right answers over sub-samples of k |
//! | `unanimous_among_wrong` | `model` | share of wrong modes that all samples gave |
//! | `confidently_wrong`, `tie_lost`, `confident_minus_tie`, `oracle` | `k`, `pool` | T10 |
//! | `pool_accuracy`, `pool_union`, `pool_contradiction`, `pool_union_test`, `objective` | `K` | best subset of each size |
//! | `calibration_right`, `calibration_n` | `model`, `count` | reliability by modal count |
//! | `auroc`, `ece` | `model` | how well the count predicts a right mode |
//! | `policy_accuracy` | `policy` | X7 |
//! | `adaptive_samples`, `adaptive_differs` | – | X6 |
//! | `leakage_inflation` | `K` | X8 |
//! | `objective_rank_correlation`, `objective_regret` | `objective`, `robust` | X9 |
//!
//! The search looks at the first three samples of a question and asks for two right ones.
//! Accuracies, unions, contradictions, and objectives of pools are in percentage points.
//! `pool` is `searched` (the pair that the search chose on validation) or `all`.

mod curves;
mod emit;
mod methods;
mod reliability;
mod selection;

pub use curves::{Curve, curves};
pub use emit::{Halves, emit};
pub use methods::{METHODS, Method, expected_right};
pub use reliability::{Reliability, reliability};
pub use selection::{
    Correlated, best_subset, leakage_inflation, mux_accuracy, objective_correlations, search_pool,
};
