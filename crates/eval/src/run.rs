//! The folder of one run: where each file lies and what the hand-over files hold.
//!
//! ```text
//! results/<paper>/<run>/
//!   run.json inputs.json plan.json journal.jsonl
//!   cells/<cell>/  rows.jsonl transcript.jsonl timing.jsonl stderr.log failed.json done.json
//!   figures.json summary.json          written last
//!   report.html report.md tables/ rows.parquet   derived
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cell::{Cell, CellId};
use crate::claim::RowSource;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::row::{MeasuredRow, Row};
use crate::scale::Effort;

/// The format version of `run.json`; it governs every line file of the folder too.
pub const FORMAT: u32 = 1;

/// The folder of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// The folder at `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run's name: the folder's last component.
    #[must_use]
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// A file directly in the folder.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder of one cell.
    #[must_use]
    pub fn cell(&self, id: &CellId) -> PathBuf {
        self.path.join("cells").join(id.as_str())
    }

    /// Reads `plan.json`.
    ///
    /// # Errors
    /// The file is missing or damaged.
    pub fn plan(&self) -> Result<Plan> {
        crate::fs::read_json(&self.file("plan.json"))
    }

    /// Reads `run.json`.
    ///
    /// # Errors
    /// The file is missing or damaged.
    pub fn record(&self) -> Result<RunRecord> {
        crate::fs::read_json(&self.file("run.json"))
    }

    /// The marker of a finished cell, if it is there, whole, and true of `rows.jsonl`.
    ///
    /// Readers trust only this marker.
    #[must_use]
    pub fn done(&self, id: &CellId) -> Option<CellDone> {
        let folder = self.cell(id);
        let done: CellDone = crate::fs::read_json(&folder.join("done.json")).ok()?;
        let digest = Digest::of_file(&folder.join("rows.jsonl")).ok()?;
        (done.format == FORMAT && digest == done.rows).then_some(done)
    }

    /// The rows of all finished cells, in plan order.
    ///
    /// # Errors
    /// A finished cell's line file cannot be read.
    pub fn rows(&self, plan: &Plan, source: RowSource) -> Result<Vec<MeasuredRow>> {
        let file = match source {
            RowSource::Rows => "rows.jsonl",
            RowSource::Timing => "timing.jsonl",
        };
        let mut rows = Vec::new();
        for cell in &plan.cells {
            let id = cell.id();
            if self.done(&id).is_none() {
                continue;
            }
            let cell = Arc::new(cell.clone());
            let path = self.cell(&id).join(file);
            let lines: Vec<Row> = crate::fs::read_json_lines(&path)?;
            rows.extend(lines.into_iter().map(|row| MeasuredRow {
                cell: Arc::clone(&cell),
                row,
            }));
        }
        Ok(rows)
    }

    /// The digest over the row digests of all cells, in plan order; `None` until all are finished.
    #[must_use]
    pub fn rows_digest(&self, plan: &Plan) -> Option<Digest> {
        let mut hasher = Hasher::new();
        for cell in &plan.cells {
            let id = cell.id();
            let done = self.done(&id)?;
            hasher.update(format!("{id} {}\n", done.rows).as_bytes());
        }
        Some(hasher.finish())
    }
}

/// `plan.json`: every cell, written before the first starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Format version.
    pub format: u32,
    /// The claims the run was asked for, in the order of `paper.toml`.
    pub claims: Vec<String>,
    /// The cells in canonical order.
    pub cells: Vec<Cell>,
}

/// `done.json`: the marker that a cell is finished, written last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellDone {
    /// Format version.
    pub format: u32,
    /// Lines in `rows.jsonl`.
    pub n_rows: u64,
    /// Digest of `rows.jsonl`.
    pub rows: Digest,
}

/// `failed.json`: why a cell has no `done.json` although it was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellFailed {
    /// Format version.
    pub format: u32,
    /// How the process ended: `exit code 70`, `killed by signal 9`.
    pub ended: String,
    /// The last lines it wrote to its standard error.
    pub stderr: String,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Started and not known to have ended; after a crash it stays so until resumed.
    Running,
    /// Every cell is finished and `summary.json` is written.
    Complete,
    /// Ended with cells missing or failed.
    Incomplete,
}

/// `run.json`: where a run comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Format version.
    pub format: u32,
    /// The paper's id.
    pub paper: String,
    /// How far it is.
    pub status: RunStatus,
    /// The command line.
    pub argv: Vec<String>,
    /// Scale and seeds.
    pub effort: Effort,
    /// The resolved configuration of the paper.
    pub config: serde_json::Value,
    /// What makes two runs the same work: digest over paper, effort, claims, config, source, and
    /// input digests. The same command resumes an unfinished run with this key.
    pub key: Digest,
    /// Digest over the code that measures.
    pub source: Digest,
    /// Git commit, where known.
    pub commit: Option<String>,
    /// Whether the working tree differed from that commit.
    pub dirty: Option<bool>,
    /// `rustc --version` of the build.
    pub toolchain: String,
    /// Build profile and instruction set: `release, x86_64-linux`.
    pub target: String,
    /// Digest of `Cargo.lock`.
    pub lock: Option<Digest>,
    /// The machine.
    pub machine: Machine,
    /// Cells measured at the same time at most.
    pub n_jobs: u64,
    /// Start of the first attempt, UTC, RFC 3339.
    pub started: String,
    /// End of the last attempt, UTC, RFC 3339.
    pub ended: Option<String>,
}

/// The machine a run was measured on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Processor's name.
    pub cpu: String,
    /// Cores that can be used.
    pub n_cores: u64,
    /// Memory.
    pub ram_bytes: u64,
    /// Operating system and version.
    pub os: String,
}

/// The run folders of one paper below `results`, oldest first.
///
/// # Errors
/// The folder exists but cannot be read.
pub fn runs_of(results: &Path, paper: &str) -> Result<Vec<RunFolder>> {
    let folder = results.join(paper);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(&folder).map_err(|e| Error::io("list", &folder, e))?;
    let mut runs: Vec<RunFolder> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.join("run.json").is_file())
        .map(RunFolder::new)
        .collect();
    // Names start with a UTC stamp, so their order is the order of time.
    runs.sort_by_key(RunFolder::name);
    Ok(runs)
}
