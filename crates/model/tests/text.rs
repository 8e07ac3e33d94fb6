//! Tokenizers and chat templates against their reference implementations.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by failing"
)]

#[path = "text/chats.rs"]
mod chats;
#[path = "text/golden.rs"]
mod golden;
#[path = "text/sources.rs"]
mod sources;
