//! Weight files from the outside: real ones, synthetic ones, and hostile ones.

#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

// A counting allocator: what a thread holds at most.
#[path = "weights/allocation.rs"]
mod allocation;
// What every hostile file must meet; cut, absent, and wrong files.
#[path = "weights/attacks.rs"]
mod attacks;
// Hostile GGUF files.
#[path = "weights/attacks_gguf.rs"]
mod attacks_gguf;
// Hostile safetensors files.
#[path = "weights/attacks_safetensors.rs"]
mod attacks_safetensors;
// Stored blocks against ggml's reference.
#[path = "weights/blocks.rs"]
mod blocks;
// A writer of small GGUF files, sound or not.
#[path = "weights/build.rs"]
mod build;
// GGUF names, row order, and configuration in the hub's terms.
#[path = "weights/gguf.rs"]
mod gguf;
// Hub folders as transformers writes them.
#[path = "weights/hub.rs"]
mod hub;
// Sound files with random changes.
#[path = "weights/mutations.rs"]
mod mutations;
// The two published files, where MODEL_WEIGHTS names their folder.
#[path = "weights/real.rs"]
mod real;
// Checkpoints of our own.
#[path = "weights/save.rs"]
mod save;
