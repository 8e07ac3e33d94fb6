//! Saves: cut at any step, continued to the bit; damaged files.

use std::path::Path;

use model::infer::{EngineOptions, Precision as Packing};
use model::train::{
    AdamW, AdamWConfig, Batch, Decay, DecayOn, Decoder, Gradients, Init, LoraConfig, Precision,
    Progress, Schedule, load_progress, load_training, mean_loss, save_training,
};
use model::weights::Checkpoint;
use rand::Rng;

use crate::support::{experts, gpt, llama, stream};

const N_STEPS: u64 = 7;

fn schedule() -> Schedule {
    Schedule {
        peak: 0.01,
        n_warmup: 2,
        decay: Decay::Cosine {
            n_steps: N_STEPS,
            floor: 0.1,
        },
    }
}

fn setting() -> AdamWConfig {
    AdamWConfig {
        decay_on: DecayOn::Projections,
        weight_decay: 0.1,
        ..AdamWConfig::default()
    }
}

/// Batch `index` of the data order.
fn data(n_vocab: usize, index: u64) -> Batch {
    let mut stream = stream(100 + index);
    let row = |_| -> Vec<u32> {
        (0..6)
            .map(|_| (stream.next_u64() % n_vocab as u64) as u32)
            .collect()
    };
    Batch::new(&(0..3).map(row).collect::<Vec<_>>()).unwrap()
}

/// A run's decoder and optimiser before its first step.
fn start(kind: &str) -> (Decoder, AdamW) {
    let config = match kind {
        "gpt" => gpt(),
        "experts" => experts(true),
        _ => llama(),
    };
    let mut decoder = Decoder::new(config, &Init::gpt2(1), Precision::F32).unwrap();
    if kind == "adapters" {
        let targets = vec!["q_proj".to_owned(), "down_proj".to_owned()];
        let config = LoraConfig {
            r: 2,
            alpha: 4.0,
            targets,
            seed: 2,
        };
        decoder = decoder.with_adapters(config).unwrap();
    }
    let optimizer = AdamW::new(setting(), decoder.parameters()).unwrap();
    (decoder, optimizer)
}

/// Steps `from..to`; two micro-batches each.
fn train(decoder: &Decoder, optimizer: &mut AdamW, from: u64, to: u64) {
    for step in from..to {
        let part = |index: u64| {
            let batch = data(decoder.config().n_vocab, index);
            let logprobs = decoder.logprobs(&batch, &mut ()).unwrap();
            let loss = mean_loss(&logprobs, &batch, &batch.all_targets()).unwrap();
            Gradients::of(&loss, decoder.parameters()).unwrap()
        };
        let mut gradients = part(2 * step);
        gradients.add(&part(2 * step + 1)).unwrap();
        gradients.scale(0.5);
        gradients.clip(0.5).unwrap();
        let rate = schedule().rate(step);
        optimizer
            .step(decoder.parameters(), &gradients, rate)
            .unwrap();
    }
}

fn save(folder: &Path, decoder: &Decoder, optimizer: &AdamW, step: u64) {
    let progress = Progress {
        step,
        n_consumed: 2 * step,
        schedule: schedule(),
    };
    save_training(folder, decoder, optimizer, &progress).unwrap();
}

fn bits(decoder: &Decoder) -> Vec<u64> {
    let values = decoder.parameters().flat().unwrap();
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn a_run_cut_at_any_step_continues_to_the_bit() {
    for kind in ["gpt", "experts", "adapters"] {
        let (whole, mut optimizer) = start(kind);
        train(&whole, &mut optimizer, 0, N_STEPS);
        for cut in 0..=N_STEPS {
            let folder = tempfile::tempdir().unwrap();
            let (first, mut optimizer) = start(kind);
            train(&first, &mut optimizer, 0, cut);
            save(folder.path(), &first, &optimizer, cut);
            drop((first, optimizer));
            let (mut second, mut optimizer) = start(kind);
            let progress = load_training(folder.path(), &mut second, &mut optimizer);
            let progress = progress.unwrap().unwrap();
            assert_eq!((progress.step, progress.n_consumed), (cut, 2 * cut));
            assert_eq!(optimizer.n_steps(), cut);
            train(&second, &mut optimizer, progress.step, N_STEPS);
            assert_eq!(bits(&second), bits(&whole), "{kind} cut at {cut}");
        }
    }
}

#[test]
fn a_save_replaces_older_ones_and_unfinished_ones_are_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let (mut decoder, mut optimizer) = start("gpt");
    assert!(load_progress(folder.path()).unwrap().is_none());
    assert!(
        load_progress(&folder.path().join("absent"))
            .unwrap()
            .is_none()
    );
    let nothing = load_training(folder.path(), &mut decoder, &mut optimizer).unwrap();
    assert!(nothing.is_none());
    for step in [1, 2, 2, 3] {
        save(folder.path(), &decoder, &optimizer, step);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
    // A crash before the marker was written.
    let torn = folder.path().join("save-000099");
    std::fs::create_dir(&torn).unwrap();
    std::fs::write(torn.join("optimizer.safetensors"), "half").unwrap();
    assert_eq!(load_progress(folder.path()).unwrap().unwrap().step, 3);
    save(folder.path(), &decoder, &optimizer, 4);
    assert_eq!(load_progress(folder.path()).unwrap().unwrap().step, 4);
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "swept"
    );
}

#[test]
fn altered_saves_and_saves_of_other_runs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (decoder, optimizer) = start("gpt");
    save(folder.path(), &decoder, &optimizer, 1);
    let load = |kind: &str| {
        let (mut decoder, mut optimizer) = start(kind);
        let loaded = load_training(folder.path(), &mut decoder, &mut optimizer);
        loaded.map(|_| ()).unwrap_err().to_string()
    };
    assert!(load("experts").contains("another decoder"));
    let (mut other, _) = start("gpt");
    let config = AdamWConfig {
        beta1: 0.8,
        ..setting()
    };
    let mut optimizer = AdamW::new(config, other.parameters()).unwrap();
    assert!(load_training(folder.path(), &mut other, &mut optimizer).is_err());
    let path = folder.path().join("save-000000/optimizer.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(load("gpt").contains("was altered"));
}

#[test]
fn numbers_that_are_not_finite_are_never_written() {
    let folder = tempfile::tempdir().unwrap();
    let (decoder, optimizer) = start("gpt");
    save(folder.path(), &decoder, &optimizer, 1);
    let mut values = decoder.parameters().flat().unwrap();
    values[17] = f64::NAN;
    decoder.parameters().set_flat(&values).unwrap();
    let progress = Progress {
        step: 2,
        n_consumed: 0,
        schedule: schedule(),
    };
    assert!(save_training(folder.path(), &decoder, &optimizer, &progress).is_err());
    assert_eq!(
        load_progress(folder.path()).unwrap().unwrap().step,
        1,
        "the old save stays"
    );
}

#[test]
fn a_saved_model_loads_like_any_other_and_the_engine_samples_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let (decoder, mut optimizer) = start("experts");
    train(&decoder, &mut optimizer, 0, 2);
    save(folder.path(), &decoder, &optimizer, 2);
    let checkpoint = Checkpoint::open(&folder.path().join("save-000000")).unwrap();
    let back = Decoder::from_checkpoint(&checkpoint, Precision::F32).unwrap();
    assert_eq!(back.config(), decoder.config());
    assert_eq!(bits(&back), bits(&decoder));
    let tensors = decoder.tensors().unwrap();
    let names: Vec<&str> = tensors.keys().map(String::as_str).collect();
    assert_eq!(names, checkpoint.names().collect::<Vec<_>>());
    let again = Decoder::from_tensors(decoder.config().clone(), &tensors, Precision::F32).unwrap();
    assert_eq!(bits(&again), bits(&decoder));
    let options = EngineOptions {
        precision: Packing::Exact,
        n_threads: 1,
    };
    assert_eq!(back.engine(options).unwrap().config(), decoder.config());
}
