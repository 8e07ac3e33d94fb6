//! Fused differentiable operations for candle on the processor.
//!
//! Every operation takes and returns candle tensors, works in single and double precision, and
//! hands a gradient to each of its floating-point inputs; candle's own fused operations cut some
//! of them. Single precision is vectorised and may use several threads ([`set_threads`]); results
//! do not depend on how many. Errors are candle's (with the operation's name and shapes), so that
//! operations compose with candle's own; [`failed`] turns one into the workspace's error.
//!
//! This room refuses to know models, parameters' names, and schedules: `train` does.

mod activation;
mod adamw;
mod attention;
mod attention_block;
mod buffers;
mod embedding;
mod experts;
mod feed_forward_block;
mod linear;
mod link;
mod matrix;
mod node;
mod norm;
mod real;
mod rows;
mod softmax;
mod threads;
mod types;

pub use activation::{gelu_gate, gelu_tanh, silu, silu_gate};
pub use adamw::{adamw_step, adamw_step_tensor, sum_of_squares};
pub use attention::attention;
pub use attention_block::attention_block;
pub(crate) use buffers::recycle;
pub use embedding::{embedding, embedding_with_positions, rotary};
pub use experts::moe_feed_forward;
pub use feed_forward_block::feed_forward_block;
pub use linear::linear;
pub(crate) use link::add_in_place;
pub use link::{LeafGradients, backward};
pub use norm::{layer_norm, rms_norm};
pub use softmax::{linear_token_logprobs, log_softmax, mean_nll, softmax, token_logprobs};
pub use threads::{set_threads, threads, with_threads};
pub use types::{
    AdamWStep, Affine, AttentionBlock, AttentionOptions, Experts, FeedForwardBlock, NormWeights,
    Rotary, failed,
};
