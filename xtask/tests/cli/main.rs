//! The command line through the built program, in a workspace made for the test.
//!
//! `cargo` and the programs it builds are small shell scripts here, so that every exit code and
//! every order of output can be tried without a build.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

/// Slips on the command line: exit code 2, a hint, and nothing started.
mod arguments;
/// `bench`: criterion's medians beside the times of peers.
mod benchmarks;
/// The workspace made for a test.
mod fake;
/// `list` and `show`: what is on disk, without any build.
mod reading;
/// `reproduce`, `plan`, `compare`, `report`, `data`: what is started, and what comes out.
mod running;
/// `new`.
mod scaffold;
/// `serve`: which weights, and what is started.
mod serving;
