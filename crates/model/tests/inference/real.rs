//! The two pretrained models, where `MODEL_WEIGHTS` names the folder that holds them.
//!
//! Fixtures: `fixtures/inference/real/llama_cpp.py` and `transformers_f32.py`.

#![expect(clippy::print_stderr, reason = "what was not checked must be seen")]

use std::path::PathBuf;

use model::generate::{
    CompletionRequest, LanguageModel, LocalModel, LocalOptions, Sampling, ScoreRequest,
};
use model::infer::{EngineOptions, Precision};
use serde::Deserialize;

use super::support::fixtures;

/// The same weights in f32, summed in another order.
const TRANSFORMERS_NATS: f32 = 1e-3;
/// Two engines that round activations to 8 bits, each in its own way, are √2 times as far from each
/// other as either is from exact arithmetic, were their errors alike and independent; here is
/// allowance for chance.
///
/// No engine is within 0.02 nats of llama.cpp that does not equal it bit for bit: the rounding
/// amplifies any difference to its own size. With SmolLM2, llama.cpp is 0.037 nats (mean; worst
/// 0.30) from exact arithmetic; to round only the *scales* of the blocks of activations to half
/// precision, as llama.cpp does, moves log-probabilities by 0.039 nats (`real/rounding.py`). With
/// Gemma, llama.cpp is 0.036 nats (mean; worst 0.23) from itself when it reads as one prompt what
/// it had generated token by token (`real/llama_cpp_self.py`).
const ROUNDINGS_APART: f32 = 1.5;

#[derive(Deserialize)]
struct Made {
    file: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    prompt: Vec<u32>,
    llama_cpp: Continuation,
    transformers: Vec<f32>,
}

#[derive(Deserialize)]
struct Continuation {
    tokens: Vec<u32>,
    logprobs: Vec<f32>,
    top: Vec<Vec<(u32, f32)>>,
}

fn made(name: &str) -> Made {
    let file = fixtures().join("real").join(format!("{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// The model, or nothing (said loudly) where it is absent.
fn open(file: &str, precision: Precision) -> Option<LocalModel> {
    let path = std::env::var_os("MODEL_WEIGHTS").map(|folder| PathBuf::from(folder).join(file));
    let Some(path) = path.filter(|path| path.exists()) else {
        eprintln!(
            "NOT CHECKED: `{file}` is absent, so only tiny models were compared with others; set \
             MODEL_WEIGHTS to the folder that holds it"
        );
        return None;
    };
    let engine = EngineOptions {
        precision,
        n_threads: 1,
    };
    let options = LocalOptions {
        n_batch_max: 8,
        prefix_cache_bytes: 0,
    };
    Some(LocalModel::open(&path, engine, options).unwrap())
}

fn scores(model: &LocalModel, cases: &[Case]) -> Vec<Vec<f32>> {
    let requests: Vec<ScoreRequest> = cases
        .iter()
        .map(|case| ScoreRequest {
            prompt: case.prompt.clone(),
            continuations: vec![case.llama_cpp.tokens.clone()],
        })
        .collect();
    let scores = model.score(&requests).unwrap();
    scores
        .into_iter()
        .map(|mut score| score.logprobs.remove(0))
        .collect()
}

/// Mean and largest distance, in nats.
#[derive(Clone, Copy)]
struct Distance {
    mean: f32,
    worst: f32,
}

fn distance(what: &str, ours: &[f32], theirs: &[f32]) -> Distance {
    assert_eq!(ours.len(), theirs.len());
    let distances: Vec<f32> = ours
        .iter()
        .zip(theirs)
        .map(|(a, b)| (a - b).abs())
        .collect();
    let worst = distances.iter().copied().fold(0.0, f32::max);
    let mean = distances.iter().sum::<f32>() / distances.len() as f32;
    let n = distances.len();
    eprintln!("{what}: {n} log-probabilities, mean {mean:.5}, worst {worst:.5}");
    Distance { mean, worst }
}

fn of_transformers(made: &Made) -> Vec<f32> {
    let cases = made.cases.iter();
    cases.flat_map(|case| case.transformers.clone()).collect()
}

fn of_llama_cpp(made: &Made) -> Vec<f32> {
    let cases = made.cases.iter();
    cases
        .flat_map(|case| case.llama_cpp.logprobs.clone())
        .collect()
}

/// How far llama.cpp is from exact arithmetic on the same weights.
fn rounding_of_llama_cpp(name: &str, made: &Made) -> Distance {
    let what = format!("{name}, llama.cpp from transformers");
    distance(&what, &of_llama_cpp(made), &of_transformers(made))
}

fn check_transformers(name: &str) {
    let made = made(name);
    let Some(model) = open(&made.file, Precision::Exact) else {
        return;
    };
    let ours = scores(&model, &made.cases).concat();
    let what = format!("{name}, exact from transformers");
    let found = distance(&what, &ours, &of_transformers(&made));
    assert!(found.worst < TRANSFORMERS_NATS, "{name}");
}

fn check_llama_cpp(name: &str) {
    let made = made(name);
    let Some(model) = open(&made.file, Precision::Quantised) else {
        return;
    };
    let ours = scores(&model, &made.cases).concat();
    let limit = ROUNDINGS_APART * rounding_of_llama_cpp(name, &made).mean;
    let what = format!("{name}, quantised from transformers");
    let exact = distance(&what, &ours, &of_transformers(&made));
    assert!(exact.mean < limit, "{name}: a coarser rounding");
    let what = format!("{name}, quantised from llama.cpp");
    let other = distance(&what, &ours, &of_llama_cpp(&made));
    assert!(other.mean < limit, "{name}: more than two roundings apart");
}

/// Greedy answers equal llama.cpp's, or part at a place where the two best tokens are a tie: closer
/// than twice the largest rounding error of llama.cpp on these prompts.
fn check_greedy(name: &str) {
    let made = made(name);
    let Some(model) = open(&made.file, Precision::Quantised) else {
        return;
    };
    let requests: Vec<CompletionRequest> = made
        .cases
        .iter()
        .map(|case| CompletionRequest {
            prompt: case.prompt.clone(),
            n_samples: 1,
            n_tokens_max: 32,
            sampling: Sampling {
                temperature: 0.0,
                top_k: 0,
                top_p: 1.0,
                min_p: 0.0,
                seed: 0,
            },
            stop: Vec::new(),
            stop_tokens: Vec::new(),
            n_alternatives: 2,
        })
        .collect();
    let completions = model.complete(&requests, None).unwrap();
    let tie = 2.0 * rounding_of_llama_cpp(name, &made).worst;
    let mut n_equal = 0;
    for (case, completion) in made.cases.iter().zip(&completions) {
        let ours = &completion.samples[0].tokens;
        let theirs = &case.llama_cpp.tokens;
        let parted = ours.iter().zip(theirs).position(|(a, b)| a.id != *b);
        let Some(place) = parted else {
            assert!(
                ours.len() >= theirs.len(),
                "{name}: `{}` ends early",
                case.text
            );
            n_equal += 1;
            continue;
        };
        let their_gap = case.llama_cpp.top[place][0].1 - case.llama_cpp.top[place][1].1;
        let our_gap = ours[place].alternatives[0].1 - ours[place].alternatives[1].1;
        eprintln!(
            "{name}: `{}` parts at token {place}; gap of the two best: {our_gap:.4} here, \
             {their_gap:.4} there",
            case.text
        );
        assert!(
            our_gap < tie && their_gap < tie,
            "{name}: `{}` is no tie",
            case.text
        );
    }
    eprintln!(
        "{name}: {n_equal} of {} answers identical",
        made.cases.len()
    );
}

#[test]
fn smollm2_log_probabilities_equal_transformers() {
    check_transformers("smollm2");
}

#[test]
fn gemma3_log_probabilities_equal_transformers() {
    check_transformers("gemma3");
}

#[test]
fn smollm2_log_probabilities_equal_llama_cpp() {
    check_llama_cpp("smollm2");
}

#[test]
fn gemma3_log_probabilities_equal_llama_cpp() {
    check_llama_cpp("gemma3");
}

#[test]
fn smollm2_greedy_answers_equal_llama_cpp_up_to_ties() {
    check_greedy("smollm2");
}

#[test]
fn gemma3_greedy_answers_equal_llama_cpp_up_to_ties() {
    check_greedy("gemma3");
}
