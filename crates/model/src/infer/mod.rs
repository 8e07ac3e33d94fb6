//! The decoder without gradients: weights packed for the processor, a cache with shared prefixes,
//! ragged batches, and taps.
//!
//! [`Engine::forward`] advances many sequences by some tokens each. Rows of the batch do not
//! influence each other: every loop of [`crate::kernels`] treats a row alone and in a fixed order,
//! so a sequence gets the same bits alone or in company, in one piece or in chunks, from a cache or
//! anew, with one thread or many.

mod block;
mod engine;
mod experts;
mod forward;
mod load;
mod sequence;
mod tap;

pub use crate::kernels::{Precision, Threads};
pub use engine::{CHUNK_TOKENS, Engine, EngineOptions};
pub use load::NamedTensors;
pub use sequence::{Outputs, Sequence, States, Step};
pub use tap::{Tap, TapRow, TapSite};
