//! Constructed worlds: models whose probabilities are known, and samples drawn from them.
//!
//! Nothing about the outcome is scripted beyond four numbers: how able the models are, how much
//! questions are hard for all of them alike, how many wrong answers there are, and how often a
//! wrong answer is the one that tempts everybody.

mod world;

pub use world::{Models, World, WorldSpec};
