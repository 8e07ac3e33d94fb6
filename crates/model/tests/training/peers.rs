//! Numbers computed once with PyTorch, transformers, and peft (`fixtures/training/make.py`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use model::train::{
    AdamW, AdamWConfig, Batch, Decay, DecayOn, Decoder, Gradients, GroupSettings, Hooks,
    Parameters, Precision, Schedule, Site, load_adapters, mean_loss,
};
use model::weights::Checkpoint;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::support::distance;

pub fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(path)
}

fn read<T: DeserializeOwned>(path: &str) -> T {
    serde_json::from_slice(&std::fs::read(fixture(path)).unwrap()).unwrap()
}

/// A tiny model of the inference tests.
pub fn tiny(family: &str) -> Decoder {
    let checkpoint = Checkpoint::open(&fixture(&format!("inference/{family}"))).unwrap();
    Decoder::from_checkpoint(&checkpoint, Precision::F32).unwrap()
}

#[derive(Deserialize)]
struct AdamWCase {
    schedule: String,
    start: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
    steps: Vec<AdamWRecord>,
}

#[derive(Deserialize)]
struct AdamWRecord {
    gradients: BTreeMap<String, Vec<f64>>,
    norm: f64,
    rate: f64,
    parameters: BTreeMap<String, Vec<f64>>,
}

fn schedule(name: &str) -> Schedule {
    let (n_warmup, decay) = match name {
        "constant" => (0, Decay::Constant),
        "linear" => (
            3,
            Decay::Linear {
                n_steps: 8,
                floor: 0.0,
            },
        ),
        "cosine" => (
            3,
            Decay::Cosine {
                n_steps: 8,
                floor: 0.0,
            },
        ),
        "inverse_sqrt" => (3, Decay::InverseSqrt),
        "cosine_with_min_lr" => (
            3,
            Decay::Cosine {
                n_steps: 8,
                floor: 0.1,
            },
        ),
        other => panic!("unknown schedule {other}"),
    };
    Schedule {
        peak: 0.02,
        n_warmup,
        decay,
    }
}

/// Gradients with given values: those of `Σ g·p`.
fn gradients(parameters: &Parameters, values: &BTreeMap<String, Vec<f64>>) -> Gradients {
    let mut loss = Tensor::new(0.0_f64, &Device::Cpu).unwrap();
    for (name, variable) in parameters.trainable() {
        let values = Tensor::from_vec(values[name].clone(), variable.dims(), &Device::Cpu).unwrap();
        let values = values.to_dtype(variable.dtype()).unwrap();
        let product = (variable.as_tensor() * values).unwrap().sum_all().unwrap();
        loss = (loss.to_dtype(variable.dtype()).unwrap() + product).unwrap();
    }
    Gradients::of(&loss, parameters).unwrap()
}

fn check_adamw(precision: Precision, tolerance: f64) {
    let cases: Vec<AdamWCase> = read("training/adamw.json");
    assert_eq!(cases.len(), 5);
    for case in cases {
        let mut parameters = Parameters::new(precision);
        for (name, (shape, values)) in &case.start {
            let tensor = Tensor::from_vec(values.clone(), shape.as_slice(), &Device::Cpu).unwrap();
            parameters.insert(name, &tensor).unwrap();
        }
        let config = AdamWConfig {
            beta2: 0.95,
            ..AdamWConfig::default()
        };
        let group = |name: &str| GroupSettings {
            weight_decay: if name.starts_with('a') { 0.1 } else { 0.0 },
            rate_factor: if name.starts_with('a') { 1.0 } else { 0.5 },
        };
        let mut optimizer = AdamW::with_groups(config, &parameters, group).unwrap();
        let schedule = schedule(&case.schedule);
        for (step, record) in case.steps.iter().enumerate() {
            let rate = schedule.rate(step as u64);
            assert!(
                (rate - record.rate).abs() < 1e-15,
                "{} {step}",
                case.schedule
            );
            let mut gradients = gradients(&parameters, &record.gradients);
            let norm = gradients.clip(2.5).unwrap();
            assert!((norm / record.norm - 1.0).abs() < tolerance);
            optimizer.step(&parameters, &gradients, rate).unwrap();
            let expected: Vec<f64> = record.parameters.values().flatten().copied().collect();
            for (found, expected) in parameters.flat().unwrap().iter().zip(&expected) {
                let error = (found - expected).abs() / expected.abs().max(0.1);
                assert!(
                    error < tolerance,
                    "{} {step}: {found} {expected}",
                    case.schedule
                );
            }
        }
    }
}

#[test]
fn adamw_with_clipping_and_schedules_follows_pytorch() {
    check_adamw(Precision::F64, 1e-12);
    // Ten steps of 2 in the last place of values up to 3.
    check_adamw(Precision::F32, 3e-6);
}

#[derive(Deserialize)]
struct Curve {
    losses: Vec<f64>,
    norms: Vec<f64>,
    last_logits: Vec<f32>,
}

fn rows() -> Vec<Vec<u32>> {
    vec![
        vec![3, 17, 42, 5, 9, 60, 33, 2],
        vec![1, 30, 30, 8, 63, 4, 4, 19],
        vec![7, 7, 12, 50, 21, 10, 6, 6],
    ]
}

#[test]
fn five_training_steps_follow_pytorch() {
    let curves: BTreeMap<String, Curve> = read("training/curves.json");
    assert_eq!(curves.len(), 5);
    for (family, curve) in curves {
        let decoder = tiny(&family);
        let parameters = decoder.parameters();
        let config = AdamWConfig {
            beta2: 0.95,
            weight_decay: 0.0,
            decay_on: DecayOn::All,
            ..AdamWConfig::default()
        };
        let mut optimizer = AdamW::new(config, parameters).unwrap();
        let decay = Decay::Cosine {
            n_steps: 6,
            floor: 0.0,
        };
        let schedule = Schedule {
            peak: 1e-3,
            n_warmup: 2,
            decay,
        };
        let batch = Batch::new(&rows()).unwrap();
        for step in 0..5 {
            let logprobs = decoder.logprobs(&batch, &mut ()).unwrap();
            let loss = mean_loss(&logprobs, &batch, &batch.all_targets()).unwrap();
            let mut gradients = Gradients::of(&loss, parameters).unwrap();
            let norm = gradients.clip(1.0).unwrap();
            optimizer
                .step(parameters, &gradients, schedule.rate(step as u64))
                .unwrap();
            let loss = f64::from(loss.to_scalar::<f32>().unwrap());
            // AdamW turns the sign of a gradient near 0 into a whole step, so rounding grows.
            assert!(
                (loss / curve.losses[step] - 1.0).abs() < 2e-5,
                "{family} {step}: {loss}"
            );
            assert!(
                (norm / curve.norms[step] - 1.0).abs() < 2e-4,
                "{family} {step}: {norm}"
            );
        }
        let first = Batch::new(&rows()[..1]).unwrap();
        let logits = decoder
            .forward(&first)
            .unwrap()
            .get(0)
            .unwrap()
            .get(7)
            .unwrap();
        let error = distance(&logits.to_vec1().unwrap(), &curve.last_logits);
        assert!(error < 2e-3, "{family}: {error}");
    }
}

/// What transformers makes of a tiny model: logits per prompt, hidden states and router logits per
/// layer of the first prompt.
#[derive(Deserialize)]
struct Expected {
    prompts: Vec<Vec<u32>>,
    logits: Vec<Vec<f32>>,
    hidden: Vec<Vec<f32>>,
    routers: Vec<Vec<f32>>,
}

#[test]
fn logits_hidden_states_and_router_logits_are_those_of_transformers() {
    for family in ["llama", "qwen2", "qwen3", "qwen3moe", "gemma3", "gpt2"] {
        let expected: Expected = read(&format!("inference/{family}/expected.json"));
        let decoder = tiny(family);
        let batch = Batch::new(&expected.prompts).unwrap();
        let n_vocab = decoder.config().n_vocab;
        let logits = decoder.forward(&batch).unwrap();
        for (row, expected) in expected.logits.iter().enumerate() {
            let row: Vec<f32> = logits
                .get(row)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1()
                .unwrap();
            assert_eq!(expected.len() % n_vocab, 0);
            let error = distance(&row[..expected.len()], expected);
            assert!(error < 5e-5, "{family}: {error}");
        }
        let first = Batch::new(&expected.prompts[..1]).unwrap();
        let n_layers = decoder.config().n_layers;
        let sites: Vec<Site> = (0..n_layers)
            .map(Site::Hidden)
            .chain((0..expected.routers.len()).map(Site::Router))
            .collect();
        let mut hooks = Hooks::new().observe(&sites);
        decoder.states(&first, &mut hooks).unwrap();
        let seen = hooks.observers().next().unwrap().seen();
        assert_eq!(seen.len(), sites.len(), "{family}");
        for (site, rows, values) in seen {
            let expected = match site {
                Site::Hidden(layer) => &expected.hidden[*layer],
                Site::Router(layer) => &expected.routers[*layer],
            };
            assert_eq!(rows.len(), first.n_tokens());
            let error = distance(values, expected);
            assert!(error < 5e-5, "{family} {site:?}: {error}");
        }
    }
}

#[test]
fn an_adapter_of_peft_loads_and_computes_what_peft_computes() {
    let expected: Vec<Vec<f32>> = read("training/lora/expected.json");
    let base = tiny("llama");
    let adapted = load_adapters(&fixture("training/lora"), &base).unwrap();
    let first = Batch::new(&rows()[..1]).unwrap();
    for decoder in [&adapted, &adapted.merged().unwrap()] {
        let logits: Vec<f32> = decoder
            .forward(&first)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        assert!(distance(&logits, &expected.concat()) < 2e-5);
    }
    let plain: Vec<f32> = base
        .forward(&first)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap();
    assert!(
        distance(&plain, &expected.concat()) > 0.1,
        "the adapter must matter"
    );
}
