//! One DPO step on a real model: forward, backward, clipping, AdamW on all parameters.
//!
//! `dpo_step/smollm2` is one pair of 116 tokens each, of which 56 are scored, with cached reference
//! log-probabilities, on one thread; it needs the folder MODEL_WEIGHTS and says so without it. The
//! loss of the first step must be that of PyTorch to 1e-4. `peers/dpo_step.py` measures the same in
//! a plain PyTorch loop and in TRL's `DPOTrainer`.
//!
//! Sketch: 232 tokens through 106 M weights, forward and back, 6 × 106 M × 232 = 148 GFLOP; 112
//! scored tokens through the head of 28 M, 6 × 28 M × 112 = 19 GFLOP; AdamW moves 135 M × 28
//! bytes. At 150 GFLOP/s and 10 GB/s: 1.1 s and 0.4 s. Measured on a quiet machine, processor time:
//! 1.68 s, a plain PyTorch loop 3.51 s, TRL 3.43 s. A profile has six tenths in matrix products and
//! a tenth in AdamW and clipping. Before gradients kept their memory from step to step: 2.4 s,
//! a third of it in fresh pages.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on should stop"
)]

use std::path::{Path, PathBuf};

use bvpo::assembly::Sequence;
use bvpo::method::loss::Dpo;
use bvpo::trainer::{Candidate, ScoredPair, Term, gradient};
use criterion::{Criterion, criterion_group, criterion_main};
use model::train::{AdamW, AdamWConfig, Decoder, Precision};
use model::weights::Checkpoint;

#[path = "../../model/benches/peers/cpu_time.rs"]
mod cpu_time;

const WEIGHTS: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const RATE: f64 = 1e-6;

fn weights() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("MODEL_WEIGHTS")?);
    let path = folder.join(WEIGHTS);
    path.is_file().then_some(path)
}

/// The pair, β, and the loss that PyTorch computes for it.
fn case() -> (ScoredPair, f64, f64) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/dpo_step.json");
    let text = std::fs::read_to_string(path).unwrap();
    let case: serde_json::Value = serde_json::from_str(&text).unwrap();
    let start = case["start"].as_u64().unwrap() as usize;
    let candidate = |which: &str, place: usize| {
        let ids = case[which].as_array().unwrap();
        let ids = ids.iter().map(|id| id.as_u64().unwrap() as u32).collect();
        Candidate {
            sequence: Sequence { ids, start },
            reference: case["reference"][place].as_f64().unwrap(),
        }
    };
    let pair = ScoredPair {
        chosen: candidate("chosen", 0),
        rejected: candidate("rejected", 1),
    };
    let number = |key: &str| case[key].as_f64().unwrap();
    (pair, number("beta"), number("loss"))
}

fn step(criterion: &mut Criterion<cpu_time::CpuTime>) {
    let Some(path) = weights() else {
        eval::output::note(&format!(
            "NOT MEASURED: dpo_step/smollm2 needs `{WEIGHTS}` in the folder MODEL_WEIGHTS"
        ));
        return;
    };
    let checkpoint = Checkpoint::open(&path).unwrap();
    let decoder = Decoder::from_checkpoint(&checkpoint, Precision::F32).unwrap();
    let config = AdamWConfig {
        weight_decay: 0.0,
        ..AdamWConfig::default()
    };
    let mut optimizer = AdamW::new(config, decoder.parameters()).unwrap();
    let (pair, beta, expected) = case();
    let loss = Dpo { beta };
    let terms = [Term {
        pair: &pair,
        weight: 1.0,
    }];
    let mut step = || {
        let (mut gradients, outcomes) = gradient(&decoder, &loss, &terms, 1).unwrap();
        gradients.clip(1.0).unwrap();
        optimizer
            .step(decoder.parameters(), &gradients, RATE)
            .unwrap();
        outcomes[0].loss
    };
    model::ops::with_threads(1, || {
        let first = step();
        assert!(
            (first - expected).abs() < 1e-4,
            "loss {first}, PyTorch says {expected}"
        );
        eval::output::note(&format!("loss {first:.6}, PyTorch says {expected:.6}"));
        criterion.bench_function("dpo_step/smollm2", |bencher| bencher.iter(&mut step));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(cpu_time::CpuTime).sample_size(10);
    targets = step
}
criterion_main!(benches);
