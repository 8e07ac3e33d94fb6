//! Chat clients against servers that misbehave, recordings, scripts, and a real server.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

/// A cache, samples, budgets, and batches of an endpoint.
mod account;
/// `cx.chat(role)` in a cell.
mod cells;
/// Every fault a server can have: what the client makes of it.
mod faults;
/// The local engine's queue, on a model of the test's own.
mod local;
/// A real server of another project on loopback, where one is installed.
mod peer;
/// Recordings read back.
mod replay;
/// No output of any kind holds the key.
mod secrets;
/// A server whose every byte is scripted.
mod server;
/// What all of them share.
mod support;
