//! Tests of the whole crate, most of them through the program. None touches the network: servers
//! are threads of the test, packages are archives the test makes.
#![expect(clippy::unwrap_used, reason = "a helper that fails must fail its test")]

mod commands;
mod manifests;
mod network;
#[cfg(unix)]
mod packages;
mod places;
mod vendored;
mod world;
