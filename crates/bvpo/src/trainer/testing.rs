//! A tokenizer, a template, and a decoder small enough for tests.

use std::collections::BTreeMap;

use model::text::{ChatTemplate, Tokenizer};
use model::train::{Decoder, Init, LoraConfig, Precision};

use super::data::{Candidate, Example, ScoredPair};
use crate::assembly::Sequence;

#[path = "testing_model.rs"]
pub(crate) mod small;

/// A byte-level tokenizer of 102 tokens.
pub(crate) fn small_tokenizer() -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    small::write_tokenizer(folder.path());
    Tokenizer::open(folder.path()).unwrap()
}

/// Its chat template.
pub(crate) fn small_template() -> ChatTemplate {
    ChatTemplate::new(small::TEMPLATE, "small", BTreeMap::new()).unwrap()
}

/// A decoder of two layers, with adapters or without, moved away from its start so that no gradient
/// vanishes by symmetry.
pub(crate) fn tiny_decoder(with_adapters: bool) -> Decoder {
    let init = Init::gpt2(5);
    let decoder = Decoder::new(small::config(), &init, Precision::F32).unwrap();
    if !with_adapters {
        return decoder;
    }
    let targets = ["q_proj", "down_proj"].map(str::to_owned).to_vec();
    let (r, alpha, seed) = (2, 4.0, 1);
    let lora = LoraConfig {
        r,
        alpha,
        targets,
        seed,
    };
    let adapted = decoder.with_adapters(lora).unwrap();
    let values = adapted.parameters().flat().unwrap();
    let moved: Vec<f64> = values
        .iter()
        .enumerate()
        .map(|(i, v)| v + 0.2 * ((i * 7919 % 101) as f64 / 50.0 - 1.0))
        .collect();
    adapted.parameters().set_flat(&moved).unwrap();
    adapted
}

fn candidate(seed: u32, n: u32) -> Candidate {
    let ids = (0..n).map(|i| (seed * 31 + i * 17) % 90 + 3).collect();
    Candidate {
        sequence: Sequence { ids, start: 4 },
        reference: -3.0 - f64::from(seed % 7),
    }
}

/// A row with two replicates and an empty pair.
pub(crate) fn example(seed: u32) -> Example {
    let pair = |seed: u32, n: u32| ScoredPair {
        chosen: candidate(seed, n),
        rejected: candidate(seed + 1, n + 2),
    };
    Example {
        id: format!("row-{seed}"),
        thinking: vec![pair(10 * seed, 12), pair(10 * seed + 4, 11)],
        empty: Some(pair(10 * seed + 8, 7)),
    }
}
