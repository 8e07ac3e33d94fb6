//! Text in and out of models: tokenizers, chat templates, prompts assembled from segments.

mod bpe;
mod encoding;
mod gguf;
mod hub;
mod json;
mod lexicon;
mod markers;
mod marks;
mod merge;
mod prompt;
mod python;
#[cfg(test)]
mod sample;
mod sentencepiece;
mod source;
mod special;
mod split;
mod stream;
mod strftime;
mod template;
mod tokenizer;
mod vocabulary;

pub use encoding::Encoding;
pub use json::Json;
pub use prompt::{Boundaries, Part, Prompt, PromptTokens, Reasoning, Segment};
pub use stream::DecodeStream;
pub use strftime::Date;
pub use template::{ChatTemplate, Ending, RenderOptions, Unknown};
pub use tokenizer::{EncodeOptions, Framing, Markers, Tokenizer};
