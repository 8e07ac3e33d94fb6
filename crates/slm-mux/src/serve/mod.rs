//! A router: several chat models behind one endpoint of OpenAI's protocol, answering by the rule.
//!
//! [`router`] answers `GET /health`, `GET /v1/models`, and `POST /v1/chat/completions`;
//! `model::serve::listen` puts it on a socket, on the loopback interface unless it is told
//! otherwise, behind the same checks and limits as a single model. A request is sent to every
//! member k times, the answers are read and counted, and the text of the chosen answer comes back
//! with the whole vote in the response's member `mux`. A member that fails abstains; only where all
//! fail does the request. A client that leaves ends the work of all members.
//!
//! Requests may set `mux: {"k": …, "early_exit": …, "answer": …}`. With `stream: true` the answer
//! comes as server-sent events once the vote is over: what fails until then fails with a status.
//! Whatever the router does not understand it refuses by name.

mod app;
mod body;
mod command;
mod open;
mod response;
mod routes;

pub use app::{Member, MuxApp, MuxSettings};
pub use command::{Own, ServeArgs, carry_out, serve};
pub use routes::router;
