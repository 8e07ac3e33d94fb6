//! A router: several chat models behind one endpoint of OpenAI's protocol, answering by the rule.
//!
//! [`router`] answers `GET /health`, `GET /v1/models`, and `POST /v1/chat/completions`; [`listen`]
//! puts it on a socket, on the loopback interface unless it is told otherwise. A request is sent to
//! every member k times, the answers are read and counted, and the text of the chosen answer comes
//! back with the whole vote in the response's member `mux`. A member that fails abstains; only
//! where all fail does the request.
//!
//! Requests may set `mux: {"k": …, "early_exit": …, "answer": …}`. Whatever the router does not
//! understand it refuses by name.

mod app;
mod body;
mod command;
mod guard;
mod listen;
mod open;
mod response;
mod routes;

pub use app::{Member, MuxApp, MuxSettings};
pub use command::{ModelArgs, Own, ServeArgs, carry_out, serve};
pub use listen::listen;
pub use routes::router;
