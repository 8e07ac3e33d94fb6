//! GGUF files: header, metadata, and what they mean in the hub's terms.
//!
//! The reader is our own. candle's (0.11) turns every item of every metadata array into a value of
//! 32 bytes on the heap, so that a file of bytes costs 32 times its length, it divides by
//! a stated alignment of zero, and it accepts duplicate names, overlapping tensors, and shapes
//! whose product overflows. Here arrays stay in the mapped file and all of these are errors.

mod config;
mod header;
mod metadata;
mod names;

pub(super) use config::config;
pub(super) use header::read;
pub use metadata::Gguf;
pub(super) use names::{Target, target};
