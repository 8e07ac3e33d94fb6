//! The rule and its rivals as protocols over models that answer (§2.6 of the specification).
//!
//! - [`Agent`]: a model and how it is spoken to; [`Wording`]: prompts and answers;
//! - [`single_best`], [`self_consistency`]: one model alone;
//! - [`poll()`]: several models, several samples each, read by Algorithm 1 or by a pooled vote;
//! - [`debate`], [`mixture`], [`verification`]: the three rivals that exchange text.
//!
//! Every protocol reports the tokens it took. Agent Forest draws what SLM-MUX draws, so it is
//! another reading of the same [`Poll`].

mod agent;
mod chat_wording;
mod debate;
mod mixture;
mod poll;
mod question;
mod single;
mod tokens;
mod verification;
mod vote;
mod wording;

pub use agent::{Agent, Asking, Reply, derived_seed, sampling};
pub use chat_wording::{AnswerKind, ChatWording};
pub use debate::{Debate, DebateFailure, debate};
pub use mixture::{Mixture, mixture};
pub use poll::{Chosen, Poll, Polled, Seat, poll, poll_agents};
pub use question::Question;
pub use single::{Decision, self_consistency, single_best};
pub use tokens::Tokens;
pub use verification::{Candidate, TextVerifier, Verified, Verifier, verification};
pub use vote::plurality;
pub use wording::{Aspect, Wording, read_approval};
