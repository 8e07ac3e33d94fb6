//! Small language models on an ordinary processor: loaded, sampled, scored, trained, and talked to.
//!
//! - [`config`]: the decoder family all models here belong to, as one description;
//! - [`weights`]: GGUF and safetensors files, verified before they are believed;
//! - [`text`]: tokenizers, chat templates, prompts assembled from segments;
//! - [`kernels`]: packed weights and the vectorised loops of inference;
//! - [`infer`]: the decoder without gradients, its cache, batches, and taps;
//! - [`generate`]: one interface to a language model: complete, score, choose, embed;
//! - [`ops`]: fused differentiable operations for candle on the processor;
//! - [`train`]: differentiable decoders on candle, optimiser, checkpoints, hooks;
//! - [`chat`]: one interface to whoever answers: local, endpoint, replay, scripted;
//! - [`serve`]: the local engine behind the protocol that OpenAI's clients speak.
//!
//! This crate refuses to know papers, claims, and tables. It never downloads weights: `data`
//! verifies files and this crate reads them. Only `chat::endpoint` opens connections, and only
//! `serve` listens.

pub mod chat;
pub mod config;
pub mod generate;
pub mod infer;
pub mod kernels;
pub mod ops;
pub mod serve;
pub mod text;
pub mod train;
pub mod weights;
