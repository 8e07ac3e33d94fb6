//! A real model in the trainable decoder beside the fast engine.
//!
//! Needs the folder of the weight files in the environment variable `MODEL_WEIGHTS`; without it the
//! test says so and passes, as the same comparison runs on tiny models in `hooks`.

use std::path::Path;

use model::infer::{Engine, EngineOptions, Outputs, Precision as Packing, Step};
use model::train::{Batch, Decoder, Gradients, Precision, mean_loss};
use model::weights::Checkpoint;

use crate::support::distance;

/// The beginning of a text in SmolLM2's vocabulary; any ids do.
const IDS: [u32; 24] = [
    504, 3575, 282, 4649, 314, 7042, 30, 657, 314, 253, 3438, 282, 1165, 30, 198, 788, 506, 260,
    2240, 28, 284, 357, 1277, 1535,
];

#[test]
fn smollm2_gives_the_same_logits_in_training_and_in_the_engine() {
    let Some(folder) = std::env::var_os("MODEL_WEIGHTS") else {
        eprintln!("NOT CHECKED: set MODEL_WEIGHTS to the folder with SmolLM2's weight file");
        return;
    };
    let path = Path::new(&folder).join("SmolLM2-135M-Instruct.Q4_1.gguf");
    let checkpoint = Checkpoint::open(&path).unwrap();
    let decoder = Decoder::from_checkpoint(&checkpoint, Precision::F32).unwrap();
    let batch = Batch::new(&[IDS]).unwrap();
    let logits: Vec<f32> = decoder
        .forward(&batch)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap();
    let options = EngineOptions {
        precision: Packing::Exact,
        n_threads: 1,
    };
    let engine = Engine::load(&checkpoint, options).unwrap();
    let mut sequence = engine.sequence();
    let mut steps = [Step {
        sequence: &mut sequence,
        tokens: &IDS,
        outputs: Outputs::All,
    }];
    let states = engine.forward(&mut steps, None).unwrap();
    let mut fast = Vec::new();
    engine.logits(&states, &mut |_, row| fast.extend_from_slice(row));
    let error = distance(&logits, &fast);
    eprintln!("largest difference of a logit of SmolLM2: {error:e}");
    assert!(error < 1e-3, "{error}");
    let logprobs = decoder.logprobs(&batch, &mut ()).unwrap();
    let loss = mean_loss(&logprobs, &batch, &batch.all_targets()).unwrap();
    let gradients = Gradients::of(&loss, decoder.parameters()).unwrap();
    assert!(gradients.norm().unwrap() > 0.0);
}
