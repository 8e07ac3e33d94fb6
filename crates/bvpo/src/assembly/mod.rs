//! Token sequences put together from segments, and what the reference policy thinks of them.
//!
//! A chat template may delete a trace of thought without a word (section 2.4 of the notes on this
//! paper), and one tokenisation of the joined text merges pieces across its seams. So a sequence is
//! built from segments, each tokenised on its own: `[prompt][open][trace][close][answer][end]`.
//! Nothing can be lost, and nothing is cut: a sequence that is too long is dropped whole.

mod assembler;
mod reference;

pub use assembler::{Assembler, Sequence, Tags, Trace};
pub use reference::ReferenceCache;
