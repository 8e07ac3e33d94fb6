//! Any bytes as a `config.json` beside a sound file without tensors.

#![no_main]

use libfuzzer_sys::fuzz_target;
use model_fuzz::read_all;
use model_fuzz::weights::Checkpoint;

fuzz_target!(|bytes: &[u8]| {
    let empty = b"\x02\0\0\0\0\0\0\0{}".to_vec();
    read_all(Checkpoint::from_safetensors_bytes("fuzz", bytes, empty));
});
