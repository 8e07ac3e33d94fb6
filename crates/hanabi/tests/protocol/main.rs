//! The paper's protocol from outside: players, prompts, records, and the command line.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

// The commands `play`, `judge`, and `raters`, as processes.
mod commands;
// A graded player in a seat against Intent world itself.
mod graded;
// Replies that no player should give.
mod hostile;
// Language models by likelihood: a made-up one, and the real ones where they are.
mod likelihood;
// What a seat may not know reaches neither prompts nor moves.
mod secrets;
// What several tests need.
mod support;
// Tables of different players, and many games at once.
mod tables;
