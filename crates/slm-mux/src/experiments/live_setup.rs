//! Part B, what its cells share: tasks, the members of the pool, and their recorded samples.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eval::{Cell, Cx, Error, Result, Row, Scale};
use serde::{Deserialize, Serialize};

use super::Recordings;
use crate::live::{
    Drawing, FewShot, Layout, Recorder, Sharing, Sizes, Speaker, TASKS, Task, read_items, shots_of,
    split,
};
use crate::samples::{RecordedSample, read_records, write_records};

/// Recording.
pub const SAMPLES: &str = "live-samples";
/// The word tasks.
const DATA: &str = "function-vectors";
/// Short names of the small language models and their weights.
pub const SLMS: [(&str, &str); 2] = [
    ("smollm2", "smollm2-135m-instruct"),
    ("gemma3", "gemma-3-270m"),
];
/// Tasks are dealt to so many cells.
pub const N_PARTS: usize = 4;
/// Samples per question and member. Paper: up to 9.
pub const K_RECORDED: usize = 9;
/// Temperature of the comparison of methods (paper: 0.3), and of search and scaling (paper: 0.5).
pub const TEMPERATURES: [f32; 2] = [0.3, 0.5];
/// The comparison of methods is between these three, as the paper's is between three models: both
/// models in the first layout, and the larger one in the second layout as well.
pub const TRIO: [&str; 3] = ["smollm2-qa-5", "gemma3-qa-5", "gemma3-arrow-5"];

/// One member of the live pool: weights under a layout with some examples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveMember {
    /// Short name of the model.
    pub slm: String,
    /// Layout of its prompts.
    pub layout: Layout,
    /// Examples in its prompts.
    pub n_shots: usize,
}

impl LiveMember {
    /// Name in the pool: `gemma3-arrow-5`.
    pub fn name(&self) -> String {
        format!("{}-{}-{}", self.slm, self.layout.word(), self.n_shots)
    }
}

/// The size of part B.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveSetup {
    /// Questions of each task.
    pub sizes: Sizes,
    /// The layouts of the pool.
    pub layouts: Vec<Layout>,
    /// Seed of splits, examples, and samples.
    pub seed: u64,
}

impl LiveSetup {
    /// The setup at a scale, for cells of one seed.
    pub fn new(sizes: Sizes, scale: Scale, seed: u64) -> Self {
        let layouts = match scale {
            Scale::Smoke | Scale::Quick => vec![Layout::Qa, Layout::Arrow],
            Scale::Full | Scale::Paper => vec![Layout::Qa, Layout::Arrow, Layout::Sentence],
        };
        Self {
            sizes,
            layouts,
            seed,
        }
    }

    /// The setup that a cell names.
    ///
    /// # Errors
    /// The cell is no cell of part B; a bug.
    pub fn of_cell(cell: &Cell) -> Result<Self> {
        let number = |key: &str| super::live::condition::<usize>(cell, key);
        let n_layouts = number("layouts")?;
        let layouts = [Layout::Qa, Layout::Arrow, Layout::Sentence];
        Ok(Self {
            sizes: Sizes {
                n_validation: number("validation")?,
                n_test: number("test")?,
            },
            layouts: layouts[..n_layouts.min(layouts.len())].to_vec(),
            seed: cell.seed,
        })
    }

    /// A cell of an experiment of part B. All declare the same inputs, so that they share what is
    /// recorded.
    pub fn cell(&self, experiment: &str) -> Cell {
        let mut cell = Cell::new(experiment, self.seed)
            .with("validation", self.sizes.n_validation)
            .with("test", self.sizes.n_test)
            .with("layouts", self.layouts.len())
            .needs(DATA);
        for (_, weights) in SLMS {
            cell = cell.needs(format!("models/{weights}"));
        }
        cell
    }

    /// The cell that records one model on one part of the tasks.
    pub fn samples_cell(&self, slm: &str, part: usize) -> Cell {
        self.cell(SAMPLES).with("slm", slm).with("part", part)
    }

    /// The members of one model.
    pub fn members(&self, slm: &str) -> Vec<LiveMember> {
        let shots = [5, 2];
        let layouts = self.layouts.iter();
        let members = layouts.flat_map(|layout| shots.map(|n_shots| (*layout, n_shots)));
        members
            .map(|(layout, n_shots)| LiveMember {
                slm: slm.to_owned(),
                layout,
                n_shots,
            })
            .collect()
    }

    /// The names of all members, in the order of the pool.
    pub fn names(&self) -> Vec<String> {
        let members = SLMS.iter().flat_map(|(slm, _)| self.members(slm));
        members.map(|member| member.name()).collect()
    }

    /// The tasks of one part, or of all.
    ///
    /// # Errors
    /// The data is absent or damaged, or a task has too few items.
    pub fn tasks(&self, cx: &Cx, part: Option<usize>) -> Result<Vec<Task>> {
        let files = cx.data(DATA)?;
        let mut tasks = Vec::new();
        for (idx, name) in TASKS.iter().enumerate() {
            if part.is_some_and(|part| idx % N_PARTS != part) {
                continue;
            }
            let path = files.file(&format!("{name}.json"))?;
            tasks.push(split(name, read_items(&path)?, self.sizes, self.seed)?);
        }
        Ok(tasks)
    }
}

/// What identifies one recording.
#[derive(Serialize)]
struct Key<'a> {
    setup: &'a LiveSetup,
    slm: &'a str,
    part: usize,
    k: usize,
    temperatures: [f32; 2],
}

/// Samples of one model on one part of the tasks: of an earlier run where one is replayed, else
/// recorded now or found in the cache.
///
/// # Errors
/// An input is missing, the earlier run has no such samples, or the cache cannot be written.
pub fn recorded(
    cx: &mut Cx,
    setup: &LiveSetup,
    slm: &str,
    part: usize,
    replay: Option<&Recordings>,
) -> Result<Recording> {
    if let Some(recordings) = replay {
        return Recording::replayed(recordings, &setup.samples_cell(slm, part));
    }
    let tasks = setup.tasks(cx, Some(part))?;
    let weights = cx.weights(
        SLMS.iter()
            .find(|(name, _)| *name == slm)
            .map_or("", |s| s.1),
    )?;
    let n_threads = cx.threads();
    let key = Key {
        setup,
        slm,
        part,
        k: K_RECORDED,
        temperatures: TEMPERATURES,
    };
    let folder = cx.stage("live-samples", &key, |folder| {
        let speaker = Speaker::of_files(&weights, n_threads)?;
        let recorded = record(&speaker, setup, slm, &tasks)?;
        recorded.write(folder)
    })?;
    Recording::read(&folder)
}

/// Recorded samples and what their prompts took.
pub struct Recording {
    /// Samples at each of [`TEMPERATURES`].
    pub samples: [Vec<RecordedSample>; 2],
    /// Prompt tokens.
    pub sharing: Sharing,
}

impl Recording {
    fn files(folder: &Path) -> ([PathBuf; 2], PathBuf) {
        let samples = ["samples-03.jsonl", "samples-05.jsonl"];
        (
            samples.map(|name| folder.join(name)),
            folder.join("sharing.json"),
        )
    }

    fn write(&self, folder: &Path) -> Result<()> {
        let (samples, sharing) = Self::files(folder);
        for (path, records) in samples.iter().zip(&self.samples) {
            write_records(path, records)?;
        }
        eval::fs::write_json(&sharing, &self.sharing)
    }

    /// What a cell of an earlier run recorded.
    fn replayed(recordings: &Recordings, cell: &Cell) -> Result<Self> {
        let samples: Vec<RecordedSample> = recordings.transcript(cell)?;
        let is_low = |record: &RecordedSample| record.temperature == f64::from(TEMPERATURES[0]);
        let (low, high) = samples.into_iter().partition(is_low);
        let rows = recordings.rows(cell, &N_TOKENS.map(|(metric, _)| metric))?;
        Ok(Self {
            samples: [low, high],
            sharing: sharing_of_rows(&rows)?,
        })
    }

    fn read(folder: &Path) -> Result<Self> {
        let ([low, high], sharing) = Self::files(folder);
        let text = std::fs::read_to_string(&sharing).map_err(|e| Error::io("read", &sharing, e))?;
        let damaged = |cause| {
            Error::incomplete(format!("`{}` is damaged", sharing.display())).caused_by(cause)
        };
        Ok(Self {
            samples: [read_records(&low)?, read_records(&high)?],
            sharing: serde_json::from_str(&text).map_err(damaged)?,
        })
    }
}

/// One count of [`Sharing`].
type Count = fn(&mut Sharing) -> &mut u64;

/// The counts of a recording, as metrics.
const N_TOKENS: [(&str, Count); 4] = [
    ("prompt_tokens_separate", |sharing| &mut sharing.n_separate),
    ("prompt_tokens_per_question", |sharing| {
        &mut sharing.n_per_question
    }),
    ("prompt_tokens_evaluated", |sharing| {
        &mut sharing.n_evaluated
    }),
    ("tokens_generated", |sharing| &mut sharing.n_generated),
];

/// What a recording took, and how much of the prompts was shared.
pub fn sharing_rows(sharing: &Sharing) -> Vec<Row> {
    let mut counts = *sharing;
    let row = |(metric, count): (&str, Count)| Row::new(metric, *count(&mut counts) as f64, "1");
    let mut rows: Vec<Row> = N_TOKENS.map(row).to_vec();
    let separate = sharing.n_separate as f64;
    for (metric, n_evaluated) in [
        ("prompt_sharing_ratio", sharing.n_evaluated),
        (
            "prompt_sharing_ratio_within_question",
            sharing.n_per_question,
        ),
    ] {
        rows.push(Row::new(metric, separate / n_evaluated as f64, "1"));
    }
    rows
}

/// The counts back from their rows.
fn sharing_of_rows(rows: &[Row]) -> Result<Sharing> {
    let mut sharing = Sharing::default();
    for (metric, count) in N_TOKENS {
        let found = rows.iter().find(|row| row.metric == metric);
        let value = found.and_then(|row| row.value).ok_or_else(|| {
            Error::inputs(format!("the recorded run has no row `{metric}`"))
                .hint("record again: its format is older than this program")
        })?;
        *count(&mut sharing) = value as u64;
    }
    Ok(sharing)
}

/// Asks every member of the model: at the first temperature those of the trio, at the second all.
fn record(speaker: &Speaker, setup: &LiveSetup, slm: &str, tasks: &[Task]) -> Result<Recording> {
    let shots = shots_of(tasks);
    let mut recording = Recording {
        samples: [Vec::new(), Vec::new()],
        sharing: Sharing::default(),
    };
    for member in setup.members(slm) {
        let name = member.name();
        let wording = FewShot::new(member.layout, member.n_shots, Arc::clone(&shots));
        let recorder = Recorder {
            speaker,
            name: &name,
            wording: &wording,
        };
        for (idx, temperature) in TEMPERATURES.into_iter().enumerate() {
            if idx == 0 && !TRIO.contains(&name.as_str()) {
                continue;
            }
            let drawing = Drawing {
                k: K_RECORDED,
                temperature,
                seed: setup.seed,
            };
            for task in tasks {
                for (split, questions) in [("validation", &task.validation), ("test", &task.test)] {
                    let (records, sharing) = recorder.record(questions, split, drawing)?;
                    recording.samples[idx].extend(records);
                    recording.sharing += sharing;
                }
            }
        }
    }
    Ok(recording)
}

/// All recordings of all models: the samples at each temperature.
///
/// # Errors
/// As [`recorded`].
pub fn all_recorded(
    cx: &mut Cx,
    setup: &LiveSetup,
    replay: Option<&Recordings>,
) -> Result<[Vec<RecordedSample>; 2]> {
    let mut samples = [Vec::new(), Vec::new()];
    for (slm, _) in SLMS {
        for part in 0..N_PARTS {
            let recording = recorded(cx, setup, slm, part, replay)?;
            for (all, some) in samples.iter_mut().zip(recording.samples) {
                all.extend(some);
            }
        }
    }
    Ok(samples)
}
