//! The server over real sockets, with a scripted model behind it.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

/// `/v1/chat/completions`: documents, log-probabilities, what is refused.
mod chats;
/// A real OpenAI client, where there is one.
mod client;
/// `/v1/completions`: documents, echo, log-probabilities, what is refused.
mod completions;
/// The scripted model and its codec.
mod fake;
/// Who may ask, limits, and errors.
mod guards;
/// A bare HTTP client and a server on a free port.
mod http;
/// Signals, in a process of its own.
mod signals;
/// Streams, cancellation, batches, and time limits.
mod streams;
