//! Part C: a pool of small transformers trained here, each on its own mixture of ten skills.
//!
//! Mixtures come from a Dirichlet distribution of concentration 0.3, so that some members never saw
//! some skills. What a member says about a skill it never saw (scattered nonsense, or the same
//! wrong answer every time) is the mechanism under test; nothing about it is scripted. Every second
//! member is trained on exercises that sometimes carry hints, which are right with a set
//! probability: its conformity is measured, not assumed.
//!
//! - [`Skill`], [`Exercise`]: questions with exact answers, in characters;
//! - [`Member`], [`Training`], [`train`]: decoders of two layers;
//! - [`Solver`]: a trained member that answers.

mod alphabet;
mod skills;
mod solver;
mod training;

pub use skills::{Exercise, Skill};
pub use solver::{PoolQuestion, Solver, questions};
pub use training::{CurvePoint, Member, N_TOKENS_MAX, Training, decoder_config, train};
