//! Tier 1: TinyThink, a reasoning model of 10,368 parameters whose 400 traces are all counted.
//!
//! The task is arithmetic modulo five with an intermediate value that a trace may hold; the answer
//! is a value and a style. Decoding is constrained, so that the policy is a proper distribution
//! over 400 traces times 15 answers, and every expectation over traces is a finite sum.

pub mod data;
pub mod exact;
pub mod kernels;
pub mod metrics;
pub mod network;
pub mod optimizer;
pub mod policy;
pub mod preference;
pub mod pretrain;
pub mod sampled;
pub mod task;
pub mod tree;
