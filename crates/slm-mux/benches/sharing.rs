//! Nine samples of each of twelve few-shot questions, recorded as part B records them: how many
//! prompt tokens are computed, and how much processor time it takes. One thread, SmolLM2-135M in
//! 4 bits, temperature 0.5, every iteration on a model that has seen no prompt before.
//!
//! * `sharing/tokens`: prompt tokens evaluated in one iteration (twelve questions). It is a count:
//!   criterion and its files call a token a second.
//! * `sharing/cpu`: processor time of one iteration, answers included.
//!
//! `MODEL_WEIGHTS` names the folder that holds the weights; without it nothing is measured, and
//! stderr says so. The peer in `peers/llama.cpp.toml` is asked the same.

#[path = "../../model/benches/peers/cpu_time.rs"]
mod cpu_time;

use std::path::PathBuf;
use std::time::Duration;

use cpu_time::CpuTime;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, SamplingMode};
use eval::{Error, Result};
use serde::Deserialize;
use slm_mux::live::{Drawing, FewShot, Item, Layout, Recorder, Sharing, Speaker, Task, shots_of};
use slm_mux::protocols::Question;

const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// The file that the peer reads as well.
const QUESTIONS: &str = include_str!("peers/questions.json");

#[derive(Deserialize)]
struct Questions {
    shots: Vec<Item>,
    questions: Vec<String>,
}

fn task() -> Result<Task> {
    let read: Questions = serde_json::from_str(QUESTIONS)
        .map_err(|e| Error::internal("`questions.json` is not understood").caused_by(e))?;
    let questions = read.questions.into_iter().enumerate();
    let question = |(idx, text): (usize, String)| Question {
        id: format!("capital/{idx:02}"),
        task: "capital".to_owned(),
        text,
        reference: String::new(),
    };
    Ok(Task {
        name: "capital".to_owned(),
        shots: read.shots,
        validation: Vec::new(),
        test: questions.map(question).collect(),
    })
}

/// Records all questions on a fresh model: what it took, and the processor time without loading.
fn record(path: &std::path::Path) -> Result<(Sharing, Duration)> {
    let task = task()?;
    let shots = shots_of(std::slice::from_ref(&task));
    let wording = FewShot::new(Layout::Qa, task.shots.len(), shots);
    let speaker = Speaker::open(path, 1)?;
    let recorder = Recorder {
        speaker: &speaker,
        name: "smollm2-qa-5",
        wording: &wording,
    };
    let drawing = Drawing {
        k: 9,
        temperature: 0.5,
        seed: 1,
    };
    let start = CpuTime.start();
    let (_, sharing) = recorder.record(&task.test, "test", drawing)?;
    Ok((sharing, CpuTime.end(start)))
}

/// A count of tokens in the place of a time.
#[derive(Clone, Copy, Debug)]
struct Tokens;

impl Measurement for Tokens {
    type Intermediate = ();
    type Value = u64;

    fn start(&self) {}

    fn end(&self, (): ()) -> u64 {
        0
    }

    fn add(&self, a: &u64, b: &u64) -> u64 {
        a + b
    }

    fn zero(&self) -> u64 {
        0
    }

    fn to_f64(&self, value: &u64) -> f64 {
        // Criterion's unit is a billionth of what its files are read in.
        *value as f64 * 1e9
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        const WALL: WallTime = WallTime;
        WALL.formatter()
    }
}

fn weights() -> Option<PathBuf> {
    let path = std::env::var_os("MODEL_WEIGHTS").map(|folder| PathBuf::from(folder).join(FILE));
    path.filter(|path| path.exists())
}

fn settings<M: Measurement + 'static>(measurement: M) -> Criterion<M> {
    Criterion::default()
        .with_measurement(measurement)
        .sample_size(10)
        .warm_up_time(Duration::from_millis(1))
        .measurement_time(Duration::from_millis(1))
        .configure_from_args()
}

#[expect(clippy::print_stderr, reason = "what is not measured is said loudly")]
fn main() {
    let Some(path) = weights() else {
        eprintln!("NOT MEASURED: set MODEL_WEIGHTS to the folder that holds `{FILE}`");
        return;
    };
    // A failing model would give no time and no tokens; that must not pass for a measurement.
    let measured = || record(&path).unwrap_or_else(|error| panic!("{}", error.report()));
    let (sharing, _) = measured();
    eprintln!("{sharing:?} for twelve questions with nine samples each");
    let mut tokens = settings(Tokens);
    let mut group = tokens.benchmark_group("sharing");
    group.sampling_mode(SamplingMode::Flat);
    // Prompts and a fresh model give the same count every time: it need not be taken ten times.
    group.bench_function("tokens", |b| {
        b.iter_custom(|n| {
            // Criterion warms up by the clock, and would never be done with what takes no time.
            std::thread::sleep(Duration::from_millis(2));
            n * sharing.n_evaluated
        });
    });
    group.finish();
    let mut cpu = settings(CpuTime);
    let mut group = cpu.benchmark_group("sharing");
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function("cpu", |b| {
        b.iter_custom(|n| (0..n).map(|_| measured().1).sum());
    });
    group.finish();
}
