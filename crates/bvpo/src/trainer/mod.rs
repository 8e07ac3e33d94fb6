//! A trainer for one's own models: `bvpo train` and `bvpo pairs`.
//!
//! A file of preference pairs (one prompt a line, with traces, without, or both) and any decoder
//! that the crate `model` loads go in; adapters in the layout of the `peft` library, or a whole
//! model, come out. One step is one backward pass on the weighted sum `α J_t + (1 − α) J_e`
//! (section 2.3); no part is clipped or stepped on its own.
//!
//! The gradient of a pair needs one forward and one backward pass: the margin is read off the
//! forward pass, the derivative of the loss at that margin is a plain number, and what is
//! back-propagated is the log-probabilities weighted by it.
//!
//! A run that is killed at any instant continues with the same command to the same bytes: metrics
//! are synced before the save that counts them, and a save is complete or does not exist.

mod args;
mod asked;
mod data;
mod gradient;
mod metrics;
mod objective;
mod order;
mod pairs;
mod rows;
mod run;
mod sampled;
mod score;
mod settings;
#[cfg(test)]
pub(crate) mod testing;
mod text_side;

pub use args::{PAIRS_HELP, PairsCommand, TRAIN_HELP, TrainArgs};
pub use data::{Candidate, Example, ScoredPair};
pub use gradient::{PairOutcome, Term, gradient};
pub use metrics::StepMetrics;
pub use objective::{Diagnostics, Estimation, Moving, alpha_hat};
pub use pairs::pairs;
pub use rows::{PairRow, Preference, Response, read_rows};
pub use run::{Outcome, Paths, Probe, train};
pub use score::{Scores, score};
pub use settings::{LossKind, Settings, Trained};
