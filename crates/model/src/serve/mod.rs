//! The local engine behind the protocol that OpenAI's clients speak.
//!
//! [`router`] answers `GET /health`, `GET /v1/models`, `POST /v1/chat/completions`, and
//! `POST /v1/completions`; [`listen`] puts it on a socket, on the loopback interface unless it is
//! told otherwise. One thread owns the model; requests join its running batch as they come and
//! leave it when they are done ([`SharedBatch`]). Every queue, body, and wait has a limit
//! ([`Limits`]).
//!
//! The server refuses what it does not understand: an unknown or unsupported parameter is an error
//! that names it, never a silent default. It sends no CORS headers, and on the loopback interface
//! it checks the `Host` and `Origin` headers, so that a page in a browser cannot use it. It keeps
//! no state between requests and writes no prompt to any log.
//!
//! Other services that speak this protocol use the same parts: [`Access`] in front of their routes,
//! [`read_body`], [`Fields`], and [`messages`] for requests, [`json_response`] and [`event_stream`]
//! for answers, and [`listen`] with a [`Service`] for the socket.

mod answer;
mod app;
mod assemble;
mod body;
mod chat;
mod codec;
mod completions;
mod engine;
mod error;
mod fields;
mod guard;
mod listen;
mod logprobs;
mod params;
mod router;
mod served;
mod sse;

pub use app::{App, Key, Limits, Settings};
pub use body::read_body;
pub use chat::messages;
pub use codec::{Codec, Encoded, TextCodec};
pub use error::ApiError;
pub use fields::{Fields, wrong};
pub use guard::Access;
pub use listen::{Address, Outcome, Service, listen};
pub use params::{stops, usage_wanted};
pub use router::router;
pub use served::{ServedModel, SharedBatch};
pub use sse::{event_stream, json_response};

/// Environment variable with the bearer key that requests must carry; unset: none is asked for.
pub const KEY_VARIABLE: &str = "MODEL_SERVE_KEY";
