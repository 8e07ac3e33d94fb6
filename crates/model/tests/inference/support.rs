//! Tiny models and small helpers.

use std::path::{Path, PathBuf};

use model::infer::{Engine, EngineOptions, Outputs, Precision, Sequence, Step};
use model::weights::Checkpoint;

/// All families with a tiny model among the fixtures.
pub const FAMILIES: [&str; 6] = ["llama", "qwen2", "qwen3", "qwen3moe", "gemma3", "gpt2"];

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/inference")
}

pub fn exact(n_threads: usize) -> EngineOptions {
    EngineOptions {
        precision: Precision::Exact,
        n_threads,
    }
}

pub fn tiny(family: &str) -> Engine {
    tiny_with(family, 1)
}

pub fn tiny_with(family: &str, n_threads: usize) -> Engine {
    let checkpoint = Checkpoint::open(&fixtures().join(family)).unwrap();
    Engine::load(&checkpoint, exact(n_threads)).unwrap()
}

/// Logits of every one of `tokens`, which continue `sequence`.
pub fn logits_of(engine: &Engine, sequence: &mut Sequence, tokens: &[u32]) -> Vec<Vec<f32>> {
    let step = Step {
        sequence,
        tokens,
        outputs: Outputs::All,
    };
    logits_of_steps(engine, &mut [step])
}

/// Logits of every row with an output.
pub fn logits_of_steps(engine: &Engine, steps: &mut [Step<'_>]) -> Vec<Vec<f32>> {
    let states = engine.forward(steps, None).unwrap();
    let mut logits = Vec::new();
    engine.logits(&states, &mut |_, row| logits.push(row.to_vec()));
    logits
}

/// Largest distance of two rows of numbers.
pub fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "numbers to compare");
    let distances = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    distances.fold(
        0.0,
        |worst, d| if d > worst || d.is_nan() { d } else { worst },
    )
}
