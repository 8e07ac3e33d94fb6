//! Tokens per processor second of the two pretrained models: prefill of 67 tokens, 100 tokens after
//! it, and the same for eight samples of one prompt. One thread, quantised.
//!
//! `MODEL_WEIGHTS` names the folder that holds the files; an absent file is said on stderr. Times
//! are processor time where the system tells it (Linux), so that a busy machine does not show in
//! them; elsewhere they are wall time.
//!
//! Sketch: SmolLM2-135M in 4 to 8 bits is 98 MB, all of it read once per step; at 10 GB/s that is
//! 10 ms, so about 100 tokens per second in a single stream, and more than three times that where
//! eight samples share the reading.

#[path = "peers/cpu_time.rs"]
mod cpu_time;

use std::path::PathBuf;
use std::time::Duration;

use cpu_time::CpuTime;
use criterion::measurement::Measurement;
use criterion::{Criterion, SamplingMode, Throughput};
use model::generate::{CompletionRequest, LocalModel, LocalOptions, Sampling};
use model::infer::{Engine, EngineOptions, Outputs, Precision, Step};
use model::weights::Checkpoint;

/// Tokens of the prompt.
const N_PROMPT: usize = 67;
/// Tokens of an answer.
const N_TOKENS: usize = 100;

#[expect(clippy::print_stderr, reason = "what is not measured is said loudly")]
fn open(file: &str) -> Option<LocalModel> {
    let path = std::env::var_os("MODEL_WEIGHTS").map(|folder| PathBuf::from(folder).join(file));
    let model = path.filter(|path| path.exists()).and_then(|path| {
        let engine = EngineOptions {
            precision: Precision::Quantised,
            n_threads: 1,
        };
        let options = LocalOptions {
            n_batch_max: 8,
            prefix_cache_bytes: 0,
        };
        let checkpoint = Checkpoint::open(&path).ok()?;
        let engine = Engine::load(&checkpoint, engine).ok()?;
        // Without a tokenizer no token ends a text, so every answer has its full length.
        LocalModel::new(file, engine, None, options).ok()
    });
    if model.is_none() {
        eprintln!("NOT MEASURED: set MODEL_WEIGHTS to the folder that holds `{file}`");
    }
    model
}

fn request(prompt: &[u32], n_samples: usize) -> CompletionRequest {
    CompletionRequest {
        prompt: prompt.to_vec(),
        n_samples,
        n_tokens_max: N_TOKENS,
        sampling: Sampling {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            seed: 1,
        },
        stop: Vec::new(),
        stop_tokens: Vec::new(),
        n_alternatives: 0,
    }
}

fn prefill(model: &LocalModel, prompt: &[u32]) {
    let engine = model.engine();
    let mut sequence = engine.sequence();
    let steps = &mut [Step {
        sequence: &mut sequence,
        tokens: prompt,
        outputs: Outputs::Last,
    }];
    let states = engine.forward(steps, None);
    let mut best = 0.0;
    if let Ok(states) = states {
        engine.logits(&states, &mut |_, logits| best = logits[0]);
    }
    std::hint::black_box(best);
}

/// Time of decoding alone: the prompt is computed before the clock starts, and the first token is
/// drawn from it, so `N_TOKENS − 1` passes are measured.
fn decode(model: &LocalModel, prompt: &[u32], n_samples: usize) -> Duration {
    let mut batch = model.batch();
    let mut n_generated = 0;
    let start = batch
        .submit(request(prompt, n_samples))
        .and_then(|_| batch.step(&mut None, None))
        .map(|_| CpuTime.start());
    while !batch.is_idle() {
        let Ok(done) = batch.step(&mut None, None) else {
            break;
        };
        n_generated += done.iter().map(|(_, c)| c.usage.n_generated).sum::<usize>();
    }
    assert_eq!(n_generated, n_samples * N_TOKENS, "an answer ended early");
    start.map_or(Duration::ZERO, |start| CpuTime.end(start))
}

fn bench(criterion: &mut Criterion<CpuTime>, name: &str, file: &str) {
    let Some(model) = open(file) else {
        return;
    };
    // Ids of plain words in both vocabularies; what they say does not matter to the time.
    let prompt: Vec<u32> = (0..N_PROMPT as u32)
        .map(|idx| 1000 + idx * 97 % 9000)
        .collect();
    let mut group = criterion.benchmark_group(format!("inference/{name}"));
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.warm_up_time(Duration::from_millis(200));
    group.measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(N_PROMPT as u64));
    group.bench_function("prefill", |b| b.iter(|| prefill(&model, &prompt)));
    for (id, n_samples) in [("decode", 1), ("decode8", 8)] {
        group.throughput(Throughput::Elements((n_samples * (N_TOKENS - 1)) as u64));
        group.bench_function(id, |b| {
            b.iter_custom(|n| (0..n).map(|_| decode(&model, &prompt, n_samples)).sum());
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default()
        .with_measurement(CpuTime)
        .configure_from_args();
    bench(&mut criterion, "smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf");
    bench(&mut criterion, "gemma3", "gemma-3-270m-q4_k_m.gguf");
    criterion.final_summary();
}
