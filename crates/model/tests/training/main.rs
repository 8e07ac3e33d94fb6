//! The trainable decoder against independent truths.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

/// The whole decoder's gradient against finite differences in double precision.
mod gradients;
/// Interventions and observers, in the trainable decoder and in the fast engine.
mod hooks;
/// Low-rank adapters: what they compute, what they store.
mod lora;
/// Numbers computed once with PyTorch, transformers, and peft.
mod peers;
/// A real model, where its weights are at hand.
mod real;
/// Saves: cut at any step, continued to the bit; damaged files.
mod saves;
/// Padding, masks, and gradients of single sequences.
mod sequences;
/// Decoders, batches, and noise that the tests share.
mod support;
