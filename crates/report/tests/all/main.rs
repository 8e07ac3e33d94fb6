//! Whole-crate tests over small run folders.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests stop at the first failure"
)]

mod attack;
mod formats;
mod frames;
mod program;
mod support;
