//! `Cx`: the only door from a cell to the world.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use serde::Serialize;

use super::cell_progress;
use super::stage::{StageKey, stage};
use super::streams::{Stream, StreamKey};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::exit;
use crate::fs::{LineWriter, create_folder, write_json};
use crate::run::{CellDone, FORMAT};
use crate::{Cell, Input, InputState, Inputs, Row};

/// What a cell may do: emit rows, draw named randomness, read verified inputs, cache stages.
pub struct Cx {
    paper: String,
    cell: Cell,
    folder: PathBuf,
    cache: PathBuf,
    source: Option<Digest>,
    inputs: Inputs,
    rows: LineWriter,
    timing: LineWriter,
    transcript: Option<LineWriter>,
    cancelled: Arc<AtomicBool>,
    start: Stopwatch,
    progress: Progress,
}

/// Where a cell and its neighbours lie on disk.
pub(super) struct Place {
    /// The cell's folder.
    pub folder: PathBuf,
    /// The cache of stages.
    pub cache: PathBuf,
    /// Digest over the code that measures.
    pub source: Option<Digest>,
    /// Turns true when the cell is asked to stop.
    pub cancelled: Arc<AtomicBool>,
}

/// Where progress goes, and when it last did.
enum Progress {
    /// Nobody asks.
    Silent,
    /// To the engine, at most every [`Progress::PAUSE_MS`].
    Engine { last: Option<Instant> },
}

impl Progress {
    const PAUSE_MS: u128 = 200;
}

impl Cx {
    /// A context without processes or run folder, for tests and examples: the cell's files are
    /// written to `folder`.
    ///
    /// # Errors
    /// `folder` cannot be written.
    pub fn in_process(paper: &str, cell: &Cell, folder: &Path, inputs: Inputs) -> Result<Self> {
        let place = Place {
            folder: folder.to_owned(),
            cache: folder.join("cache"),
            source: None,
            cancelled: Arc::new(AtomicBool::new(false)),
        };
        Self::open(paper, cell, place, inputs)
    }

    /// A context whose files lie at `place`; line files of an earlier attempt start anew.
    pub(super) fn open(paper: &str, cell: &Cell, place: Place, inputs: Inputs) -> Result<Self> {
        create_folder(&place.folder)?;
        Ok(Self {
            paper: paper.to_owned(),
            cell: cell.clone(),
            rows: LineWriter::create(&place.folder.join("rows.jsonl"))?,
            timing: LineWriter::create(&place.folder.join("timing.jsonl"))?,
            transcript: None,
            folder: place.folder,
            cache: place.cache,
            source: place.source,
            inputs,
            cancelled: place.cancelled,
            start: Stopwatch::start(),
            progress: Progress::Silent,
        })
    }

    /// Sends progress to the engine that started this process.
    pub(super) fn report_progress(&mut self) {
        self.progress = Progress::Engine { last: None };
    }

    /// Emits one measurement to `rows.jsonl`. It must not depend on time, threads, or machine.
    ///
    /// # Errors
    /// The disk is full, the run folder cannot be written, or the run was interrupted.
    pub fn row(&mut self, row: Row) -> Result<()> {
        self.stop_if_cancelled()?;
        self.rows.push(&row)
    }

    /// Emits one duration or resource figure to `timing.jsonl`, which no digest covers.
    ///
    /// # Errors
    /// As [`Cx::row`].
    pub fn timing(&mut self, row: Row) -> Result<()> {
        self.stop_if_cancelled()?;
        self.timing.push(&row)
    }

    /// Keeps raw text (a model's answer) in `transcript.jsonl`.
    ///
    /// # Errors
    /// As [`Cx::row`].
    pub fn transcript<T: Serialize>(&mut self, entry: &T) -> Result<()> {
        self.stop_if_cancelled()?;
        let lines = match &mut self.transcript {
            Some(lines) => lines,
            none => none.insert(LineWriter::create(&self.folder.join("transcript.jsonl"))?),
        };
        lines.push(entry)
    }

    /// The random stream of that name. The same name gives the same numbers again; a draw from one
    /// never moves another.
    #[must_use]
    pub fn rng(&self, purpose: &str) -> Stream {
        StreamKey {
            paper: &self.paper,
            cell: &self.cell,
            purpose,
        }
        .stream()
    }

    /// The verified files of a data set that the cell declared with [`Cell::needs`].
    ///
    /// # Errors
    /// The cell did not declare it, or it is absent.
    pub fn data(&self, name: &str) -> Result<DataFiles> {
        if !self.cell.needs.iter().any(|need| need == name) {
            let message = format!(
                "cell `{}` reads `{name}` without declaring it",
                self.cell.id()
            );
            return Err(
                Error::internal(message).hint(format!("build the cell with `.needs(\"{name}\")`"))
            );
        }
        let input = self
            .inputs
            .inputs
            .get(name)
            .ok_or_else(|| absent(name, "it was not resolved"))?;
        match &input.state {
            InputState::Present => Ok(DataFiles {
                name: name.to_owned(),
                input: input.clone(),
            }),
            InputState::Missing { reason, fetch } | InputState::Mismatch { reason, fetch } => {
                Err(absent(name, reason).hint(format!("`{fetch}`")))
            }
        }
    }

    /// The verified files of `datasets/models/<name>`.
    ///
    /// # Errors
    /// As [`Cx::data`].
    pub fn weights(&self, name: &str) -> Result<DataFiles> {
        self.data(&format!("models/{name}"))
    }

    /// An expensive artefact worth keeping (a trained model): built once per `key`, source digest,
    /// and inputs, then read from the cache. `build` writes files into the folder it is given.
    ///
    /// # Errors
    /// `build` failed, or the cache cannot be written.
    pub fn stage<K: Serialize>(
        &mut self,
        name: &str,
        key: &K,
        build: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let inputs = self
            .cell
            .needs
            .iter()
            .filter_map(|need| self.inputs.inputs.get(need));
        let digests = inputs.flat_map(|input| input.files.values().map(|file| file.sha256.clone()));
        let key = StageKey::new(
            &self.paper,
            name,
            key,
            self.source.clone(),
            digests.collect(),
        )?;
        stage(&self.cache, &key, build)
    }

    /// Tells the engine how far the cell is.
    pub fn progress(&mut self, done: u64, total: u64) {
        if let Progress::Engine { last } = &mut self.progress
            && last.is_none_or(|last| last.elapsed().as_millis() >= Progress::PAUSE_MS)
        {
            *last = Some(Instant::now());
            cell_progress::progress_line(done, total);
        }
    }

    /// Whether the run was interrupted: return early, nothing of this cell will be kept.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Threads the cell may use.
    #[must_use]
    pub fn threads(&self) -> usize {
        let threads = std::env::var(crate::env::CELL_THREADS).ok();
        threads
            .and_then(|text| text.parse().ok())
            .filter(|threads| *threads > 0)
            .unwrap_or(1)
    }

    /// Starts a clock. Durations go to [`Cx::timing`] only.
    #[must_use]
    pub fn stopwatch(&self) -> Stopwatch {
        Stopwatch::start()
    }

    /// The cell being measured.
    #[must_use]
    pub fn cell(&self) -> &Cell {
        &self.cell
    }

    /// Ends the cell: everything is on disk, then the marker that says so.
    ///
    /// # Errors
    /// The disk is full, or the run was interrupted.
    pub fn finish(mut self) -> Result<CellDone> {
        self.stop_if_cancelled()?;
        let spent = self.start.elapsed();
        self.timing
            .push(&Row::new("cell_wall_s", spent.wall_s, "s"))?;
        self.timing
            .push(&Row::new("cell_cpu_s", spent.cpu_s, "s"))?;
        self.timing.push(&Row::new(
            "cell_memory_bytes_max",
            memory_bytes_max(),
            "bytes",
        ))?;
        self.timing.finish()?;
        if let Some(transcript) = self.transcript {
            transcript.finish()?;
        }
        let n_rows = self.rows.finish()?;
        let rows = Digest::of_file(&self.folder.join("rows.jsonl"))?;
        let done = CellDone {
            format: FORMAT,
            n_rows,
            rows,
        };
        write_json(&self.folder.join("done.json"), &done)?;
        Ok(done)
    }

    fn stop_if_cancelled(&self) -> Result<()> {
        if self.cancelled() {
            return Err(Error::new(exit::INTERRUPTED, "the run was interrupted"));
        }
        Ok(())
    }
}

fn absent(name: &str, why: &str) -> Error {
    Error::inputs(format!("the input `{name}` cannot be used: {why}"))
}

/// The verified files of one data set.
pub struct DataFiles {
    name: String,
    input: Input,
}

impl DataFiles {
    /// The names of the files in the manifest, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.input.files.keys().map(String::as_str)
    }

    /// The path of one file by its name in the manifest, after checking its bytes again.
    ///
    /// # Errors
    /// The manifest has no such file, or its bytes changed.
    pub fn file(&self, name: &str) -> Result<PathBuf> {
        let Some(file) = self.input.files.get(name) else {
            let known = self
                .input
                .files
                .keys()
                .cloned()
                .collect::<Vec<_>>()
                .join(", ");
            let message = format!("`{}` has no file `{name}`", self.name);
            return Err(Error::internal(message).hint(format!("its files are {known}")));
        };
        let digest = Digest::of_file(&file.path)?;
        if digest == file.sha256 {
            return Ok(file.path.clone());
        }
        let (path, pinned) = (file.path.display(), &file.sha256);
        Err(
            Error::inputs(format!("`{path}` has sha256 {digest}, {pinned} is pinned")).hint(
                format!("`cargo xtask data fetch {}` replaces it", self.name),
            ),
        )
    }
}

/// A running clock.
pub struct Stopwatch {
    wall: Instant,
    cpu_s: f64,
}

impl Stopwatch {
    fn start() -> Self {
        Self {
            wall: Instant::now(),
            cpu_s: cpu_s(),
        }
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Elapsed {
        Elapsed {
            wall_s: self.wall.elapsed().as_secs_f64(),
            cpu_s: cpu_s() - self.cpu_s,
        }
    }
}

/// A duration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elapsed {
    /// By the clock on the wall.
    pub wall_s: f64,
    /// Processor time of this process, all threads.
    pub cpu_s: f64,
}

/// User and system time of this process so far; 0 where the system does not tell.
fn cpu_s() -> f64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
        return 0.0;
    };
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + 1e-6 * time.tv_usec() as f64;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// Largest resident memory of this process so far; 0 where the system does not tell.
fn memory_bytes_max() -> f64 {
    // Linux counts in KiB, the BSD family in bytes.
    let unit_bytes = if cfg!(target_os = "linux") {
        1024.0
    } else {
        1.0
    };
    getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |usage| usage.max_rss() as f64 * unit_bytes)
}
