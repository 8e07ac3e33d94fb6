//! Tier 0: a world small enough for closed forms, and descent in it.
//!
//! A policy over traces and answers is a table of logits, so every probability, gradient, and
//! second moment is a finite sum in double precision, and a descent chain takes milliseconds.

pub mod descent;
pub mod world;

pub use descent::{Arm, Chain, Descent, Smoothness};
pub use world::{Answers, Point, World, WorldShape};
