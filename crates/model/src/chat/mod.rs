//! One interface to whoever answers: the engine here, an endpoint, a recording, a script.
//!
//! - [`ChatModel`]: what all of them do;
//! - [`Endpoint`]: a server that speaks OpenAI's protocol, reached over HTTP;
//! - [`Local`]: a language model in this process;
//! - [`Replay`] and [`Recorder`]: recorded transcripts, without a network;
//! - [`Scripted`]: a function or a list in place of a model;
//! - [`complete_all`]: many requests at the same time, answers in order;
//! - [`CxChat`]: `cx.chat(role)`, the door for papers;
//! - [`ModelOptions`]: the same for commands that take models by name.

mod attempts;
mod batch;
mod budget;
mod cache;
mod completions;
mod cx;
mod endpoint;
mod format;
mod interface;
mod local;
mod named;
mod options;
mod protocol;
mod quote;
mod reasoning;
mod record;
mod replay;
mod retry;
mod scripted;
mod secret;
mod settings;
mod spec;
mod transport;

pub use attempts::{Attempt, AttemptRecord, Attempts};
pub use batch::{Batch, block_on, complete_all};
pub use budget::{CostEstimate, Spent};
pub use completions::{TextAnswer, TextRequest, TextToken};
pub use cx::{Chat, CxChat};
pub use endpoint::{Asked, Endpoint};
pub use format::{FormatOptions, PromptFormat, TemplateFormat};
pub use interface::{
    BoxFuture, ChatAnswer, ChatChoice, ChatModel, ChatRequest, ChatUsage, Message, Role,
};
pub use local::{ChatDelta, Local, LocalSettings};
pub use named::weights_file;
pub use options::ModelOptions;
pub use reasoning::ThinkTags;
pub use record::{Record, Recorder};
pub use replay::Replay;
pub use scripted::Scripted;
pub use secret::Secret;
pub use settings::{
    Budget, EndpointSettings, HistoryReasoning, Prices, RetryPolicy, SampleCalls, SamplerFields,
    Timeouts, TokenLimitField,
};
pub use spec::{ChatRoles, ChatSpec};
