//! One interface to a language model: complete, score, choose, embed.

mod answer;
mod batcher;
mod interface;
mod local;
mod prefix;
mod sampling;
mod scoring;
mod stops;

pub use batcher::Batcher;

pub use interface::{
    Choice, Completion, CompletionRequest, Finish, LanguageModel, Sample, Sampling, Score,
    ScoreRequest, TokenEvent, TokenLogprob, TokenSink, Usage,
};
pub use local::{LocalModel, LocalOptions};
