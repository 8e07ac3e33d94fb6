//! Any bytes as a safetensors file beside a sound configuration of the smallest model there is, so
//! that the reader is reached in every run.

#![no_main]

use libfuzzer_sys::fuzz_target;
use model_fuzz::weights::Checkpoint;
use model_fuzz::{CONFIG, read_all};

fuzz_target!(|bytes: &[u8]| {
    read_all(Checkpoint::from_safetensors_bytes(
        "fuzz",
        CONFIG,
        bytes.to_vec(),
    ));
});
