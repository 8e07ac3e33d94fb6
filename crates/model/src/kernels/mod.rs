//! Packed weights and the vectorised loops of inference on the processor.
//!
//! - [`Cpu`]: the instruction set chosen at run time and the threads allowed; every loop is a
//!   method of it;
//! - [`Matrix`]: weights as stored in the file, re-ordered so that one vector lane owns one row;
//! - [`KeyValues`]: keys and values of one sequence in one layer, laid out for attention;
//! - [`Rotary`]: angles of rotary positions.
//!
//! What this module refuses to do: it knows no model, no file format beyond one tensor's blocks, no
//! tokens, and no environment variable.
//!
//! # One result, whatever the machine
//!
//! A lane owns a row (or a position, or a dimension), additions happen in one stated order, and
//! every multiplication that feeds an addition is fused. So the result for one token is the same
//! bits in a batch of 1 or of 100, with 1 thread or 16, and with AVX-512, AVX2 or plain code; tests
//! hold this for every operation.
//!
//! # Sketch of the speed
//!
//! SmolLM2-135M in Q4_1 has 106 M weights in its layers (66 MB at 5 bits each) and 28 M in its head
//! (30 MB at 8.5 bits). One token reads all of them once: at the 12 to 14 GB/s that one core draws
//! from memory, 7 to 8 ms. Arithmetic is below that until about eight tokens share the pass: a
//! block of 16 rows × 32 columns takes 12 vector operations to unpack, and per token 8 dot products
//! of 64 codes, one conversion, and three multiply-adds, on two ports; for eight tokens that is 73
//! products per cycle. In `f32`, two fused multiply-adds of 16 lanes give 32 per cycle.
//!
//! Measured on one core of a Xeon (family 6, model 207; the sketch takes 2.6 GHz, which was not
//! measured) shared with other work, processor time, all products of one pass without attention:
//!
//! | tokens | sketch | `Quantised` | `Exact` |
//! | --- | --- | --- | --- |
//! | 1 | 7.5 ms (memory) | 7.7 ms | 17 ms |
//! | 8 | 7.5 ms (memory) | 9.9 ms | 27 ms |
//! | 64, head once | 36 ms (190 G products/s) | 42 ms | 109 ms |
//! | 256, head once | 143 ms | 165 ms | 445 ms |
//!
//! AVX2 on the same core: 9.1, 18, 106, and 415 ms (`Quantised`). The one-token `Exact` pass is
//! bound by unpacking: five operations per sixteen weights.
//!
//! Attention over 30 layers of 9 heads on 3 key heads of 64, cache in `f32`: 0.34 ms per token at
//! 150 positions, 4.0 ms at 1000, 2.8 ms for eight tokens that share 100 positions and own 50 each;
//! 3.3 ms for a prompt of 64, 31 ms for one of 256.
//!
//! # Choices
//!
//! - Weights stay packed for `Exact` too, and are de-quantised on their way into registers: a
//!   fifth of the memory of stored `f32`, and one token takes less time than reading those would.
//! - Codes are asked for 8 KiB ahead: the hardware's own prefetch ends at every 4 KiB page. It took
//!   eight tokens from 12.0 to 9.3 ms.
//! - Vectors start at a cache line, and values are asked for while their keys are scored: together
//!   they took attention at 1000 positions from 6.7 to 4.0 ms.
//! - A half-precision cache is offered, not imposed: it halves what attention reads, but rounds
//!   keys and values. Its speed has not been measured.

mod attention;
mod cpu;
mod elementwise;
mod exact;
mod exponential;
mod format;
mod key_values;
mod lanes;
mod lines;
mod matrix;
mod norm;
mod product;
mod quantise;
mod rotary;
mod scratch;
mod softmax;

pub use attention::{Attention, AttentionShape};
pub use cpu::{Cpu, Isa, Threads};
pub use key_values::{CachePrecision, KeyValues};
pub use matrix::{Matrix, Precision};
pub use rotary::{Angles, Rotary};
pub use scratch::Scratch;
