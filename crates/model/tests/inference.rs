//! The engine and generation, seen from outside.
//!
//! - `families`: logits, hidden states, and router logits of every supported family, against
//!   transformers on tiny models;
//! - `batches`: results do not depend on company, chunks, forks, caches, threads, or order;
//! - `generation`: sampling, stopping, scoring, choosing, taps, and their errors;
//! - `real`: the two pretrained models, against llama.cpp and transformers, where they are present.

#![expect(
    clippy::unwrap_used,
    reason = "a failure of a helper is a failure of the test"
)]

#[path = "inference/batches.rs"]
mod batches;
#[path = "inference/families.rs"]
mod families;
#[path = "inference/generation.rs"]
mod generation;
#[path = "inference/real.rs"]
mod real;
#[path = "inference/support.rs"]
mod support;
