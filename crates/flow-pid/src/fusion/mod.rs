//! E8: classifiers that fuse two sources, of which the decomposition shall choose one.
//!
//! Five of the paper's ten models (Appendix D.2; the names are MultiBench's), the five that need
//! nothing but the two sources and the label. Hidden size, steps, and rate are ours, for the scale
//! of one processor core.
//!
//! | model | what it computes from hidden sources `h1`, `h2` |
//! |---|---|
//! | ADDITIVE | `A1 h1 + A2 h2 + c` |
//! | EF (early fusion) | a perceptron of both sources beside each other |
//! | ELEM | `A (h1 ⊙ h2) + c` |
//! | MI (bilinear) | `h1ᵀ B_k h2 + A1 h1 + A2 h2 + c` for class k |
//! | LOWER (low rank) | `Σ_r (F1_r h1 + f1_r) ⊙ (F2_r h2 + f2_r) + c` |

mod models;
mod train;

pub use models::Fusion;
pub use train::{FusionSettings, accuracy};
