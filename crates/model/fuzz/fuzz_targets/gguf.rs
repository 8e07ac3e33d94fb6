//! Any bytes as a GGUF file: an error or a model whose every value can be read, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use model_fuzz::read_all;
use model_fuzz::weights::Checkpoint;

fuzz_target!(|bytes: &[u8]| read_all(Checkpoint::from_gguf_bytes("fuzz.gguf", bytes.to_vec())));
