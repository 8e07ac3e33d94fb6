//! Differentiable decoders on candle: parameters, losses, hooks, optimiser, checkpoints.
//!
//! There is no trainer. A loop is ten lines of functions that compose:
//!
//! ```
//! # use model::config::*;
//! # use model::train::*;
//! # fn main() -> eval::Result<()> {
//! # let config = DecoderConfig {
//! #     architecture: "local".into(), n_vocab: 11, n_hidden: 8, n_layers: 1, n_heads: 2,
//! #     n_kv_heads: 1, n_head: 4, n_context: 8, norm: Norm::Rms { eps: 1e-5 }, norm_after: false,
//! #     norm_qk: false, positions: Positions::Learned, bias_qkv: false, bias_out: false,
//! #     attention_scale: 0.5, window: None, embedding_scale: 1.0, tied: true,
//! #     feed_forward: FeedForward::Plain { n_inner: 16, activation: Activation::GeluTanh },
//! # };
//! let decoder = Decoder::new(config, &Init::gpt2(7), Precision::F32)?;
//! let mut optimizer = AdamW::new(AdamWConfig::default(), decoder.parameters())?;
//! let decay = Decay::Cosine { n_steps: 10, floor: 0.1 };
//! let schedule = Schedule { peak: 3e-3, n_warmup: 2, decay };
//! for step in 0..3 {
//!     let batch = Batch::new(&[vec![1, 2, 3, 1, 2, 3], vec![4, 5, 4, 5, 4, 5]])?;
//!     let logprobs = decoder.logprobs(&batch, &mut ())?;
//!     let loss = mean_loss(&logprobs, &batch, &batch.all_targets())?;
//!     let mut gradients = Gradients::of(&loss, decoder.parameters())?;
//!     gradients.clip(1.0)?;
//!     optimizer.step(decoder.parameters(), &gradients, schedule.rate(step))?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Parameters are kept and visited in byte order of their hub names, so flat vectors, norms, and
//! files mean the same in every process. Random numbers come from ChaCha streams keyed by a seed
//! and the parameter's name. No function here reads a clock or opens a connection.

mod batch;
mod block;
mod checkpoint;
mod convert;
mod decoder;
mod experts;
mod gradients;
mod hooks;
mod init;
mod lora;
mod loss;
mod names;
mod optimizer;
mod parameters;
mod per_sequence;
mod schedule;
mod tensor;

pub use batch::Batch;
pub use checkpoint::{Progress, load_progress, load_training, save_training};
pub use decoder::{Decoder, Forward};
pub use experts::Routing;
pub use gradients::Gradients;
pub use hooks::{Action, Hook, Hooks, Intervention, Observer, Site};
pub use init::{Distribution, Init};
pub use lora::{Adapters, LoraConfig, load_adapters, save_adapters};
pub use loss::{
    balance_loss, cross_entropy, logprobs_of_states, mean_loss, sequence_logprobs, token_logprobs,
};
pub use names::shapes;
pub use optimizer::{AdamW, AdamWConfig, DecayOn, GroupSettings};
pub use parameters::Parameters;
pub use per_sequence::{dot, gram_matrix, per_sequence_gradients};
pub use schedule::{Decay, Schedule};
pub use tensor::{OrFail, Precision};
