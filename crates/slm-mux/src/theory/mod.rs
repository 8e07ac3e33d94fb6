//! What can be said exactly: statements T1 to T11 of the specification's §3.2.
//!
//! Models are independent here: a model is a list of probabilities of its answers on a question,
//! the right one first. Ties between answers of one model are fair (each tied answer with equal
//! chance), which is what first-seen ties are on average.

mod agreement;
mod brute;
mod forest;
mod limits;
mod majority;
mod modal;
mod rule;

pub use agreement::{Agreement, WrongAnswers};
pub use brute::brute_rule_accuracy;
pub use forest::{PoolTie, forest_accuracy};
pub use limits::{limit_of_forest, limit_of_plurality, limit_of_rule};
pub use majority::{binomial, majority, majority_threshold};
pub use modal::{Modal, compositions};
pub use rule::{Regret, oracle, regret, rule_accuracy};
