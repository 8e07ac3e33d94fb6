//! Tiers 2 and 3: a real pretrained language model, with the marginal gradient exact.
//!
//! A trace of a real model is one of infinitely many. Tier 2 restricts it to a tree of `k^T` traces
//! by a legal policy (frozen top-k sets), so that `π_θ(y|x)` is a finite sum and every moment of
//! every gradient estimator is computed, not sampled; the answers, the questions, and the model are
//! real. Two gains of norms are trained (1152 numbers), so everything before them is constant.
//! Tier 3 scores traces that other models wrote for the same questions.
//!
//! SmolLM2 is no reasoning model: what this shows is how variance and bias of gradients behave on
//! real text, not how well such a model aligns.
//!
//! Sketch of a tree with k = 4, T = 3: 84 trace tokens and 64 × 3 answers of about nine tokens,
//! 2,200 in all with the prompt, at 0.21 GFLOP each: 0.5 TFLOP in the body once; 1,900 rows through
//! the vocabulary and back, 0.2 TFLOP per point of parameter space.

mod body;
mod exact;
mod head;
mod model;
mod questions;
mod recorded;
mod tree;

pub use body::Body;
pub use exact::{MeasuredPair, RealPair};
pub use head::{Gains, Head, TokenScores};
pub use model::{Constant, RealModel};
pub use questions::{Question, Solution, read_questions, said};
pub use recorded::RecordedScore;
pub use tree::{Ids, Opened, Shape, Tree, TreeScores};

#[cfg(test)]
pub(crate) use questions::tests::LINES as LINES_FOR_TESTS;
