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

/// Log-probabilities of two engines that round activations differently may be this far apart.
const LLAMA_CPP_NATS: f32 = 2e-2;
/// The same weights in f32, summed in another order.
const TRANSFORMERS_NATS: f32 = 1e-3;
/// Two tokens whose log-probabilities are closer than this are a tie: each may move by
/// [`LLAMA_CPP_NATS`].
const TIE_NATS: f32 = 2.0 * LLAMA_CPP_NATS;

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

/// Worst, mean, and median-free summary of distances, said on stderr.
fn worst(what: &str, pairs: impl Iterator<Item = (f32, f32)>) -> f32 {
    let distances: Vec<f32> = pairs.map(|(a, b)| (a - b).abs()).collect();
    let worst = distances.iter().copied().fold(0.0, f32::max);
    let mean = distances.iter().sum::<f32>() / distances.len() as f32;
    eprintln!(
        "{what}: {} log-probabilities, mean {mean:.5}, worst {worst:.5}",
        distances.len()
    );
    worst
}

fn check_transformers(name: &str) {
    let made = made(name);
    let Some(model) = open(&made.file, Precision::Exact) else {
        return;
    };
    let ours = scores(&model, &made.cases);
    let theirs = made
        .cases
        .iter()
        .flat_map(|case| case.transformers.iter().copied());
    let worst = worst(name, ours.concat().into_iter().zip(theirs));
    assert!(
        worst < TRANSFORMERS_NATS,
        "{name}: {worst} nats from transformers"
    );
}

fn check_llama_cpp(name: &str) {
    let made = made(name);
    let Some(model) = open(&made.file, Precision::Quantised) else {
        return;
    };
    let ours = scores(&model, &made.cases);
    let theirs = made
        .cases
        .iter()
        .flat_map(|case| case.llama_cpp.logprobs.iter().copied());
    let worst = worst(name, ours.concat().into_iter().zip(theirs));
    assert!(
        worst < LLAMA_CPP_NATS,
        "{name}: {worst} nats from llama.cpp"
    );
}

/// Greedy answers equal llama.cpp's, or part at a place where the two best tokens are a tie.
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
            our_gap < TIE_NATS && their_gap < TIE_NATS,
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
