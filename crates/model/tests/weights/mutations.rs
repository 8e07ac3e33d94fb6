//! Sound files with random changes: whatever they lead to, it is no panic and takes little memory.

use model::weights::Checkpoint;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::allocation::peak_bytes;
use crate::attacks::{LIMIT_BYTES, config, read_all, sound_safetensors};
use crate::build::small;

/// Changes some bytes and cuts the end; most changes meet the front, where the structure is.
fn mutate(mut bytes: Vec<u8>, changes: &[(u32, u8)], front: usize, cut: Option<u32>) -> Vec<u8> {
    for (at, value) in changes {
        let span = if at % 4 == 0 { bytes.len() } else { front };
        bytes[*at as usize / 4 % span] ^= value;
    }
    if let Some(cut) = cut {
        bytes.truncate(cut as usize % bytes.len());
    }
    bytes
}

/// The same cases in every run; the fuzz targets look further.
fn cases() -> ProptestConfig {
    ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_mutated_gguf_never_panics(
        changes in prop::collection::vec((any::<u32>(), any::<u8>()), 0..6),
        cut in prop::option::weighted(0.2, any::<u32>()),
        is_moe in any::<bool>(),
    ) {
        let sound = small(if is_moe { "qwen3moe" } else { "llama" }).bytes();
        let bytes = mutate(sound, &changes, 2500, cut);
        let (_, peak) = peak_bytes(|| read_all(|| Checkpoint::from_gguf_bytes("x", bytes)));
        prop_assert!(peak < LIMIT_BYTES, "{peak} bytes");
    }

    #[test]
    fn a_mutated_safetensors_never_panics(
        changes in prop::collection::vec((any::<u32>(), any::<u8>()), 0..6),
        cut in prop::option::weighted(0.2, any::<u32>()),
    ) {
        let bytes = mutate(sound_safetensors(), &changes, 2000, cut);
        let config = config();
        let open = || Checkpoint::from_safetensors_bytes("x", &config, bytes);
        let (_, peak) = peak_bytes(|| read_all(open));
        prop_assert!(peak < LIMIT_BYTES, "{peak} bytes");
    }

    #[test]
    fn a_mutated_configuration_never_panics(
        changes in prop::collection::vec((any::<u32>(), any::<u8>()), 1..6),
    ) {
        let mut config = config();
        for (at, value) in changes {
            let n = config.len();
            config[at as usize % n] ^= value;
        }
        let open = || Checkpoint::from_safetensors_bytes("x", &config, sound_safetensors());
        let (_, peak) = peak_bytes(|| read_all(open));
        prop_assert!(peak < LIMIT_BYTES, "{peak} bytes");
    }
}
