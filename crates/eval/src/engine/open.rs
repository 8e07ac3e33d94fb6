//! Opening a run: a new folder, or the unfinished one of the same work.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::journal::{Event, Journal};
use super::lock::Lock;
use super::provenance;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::{create_folder, write_json};
use crate::run::{FORMAT, Plan, RunRecord, RunStatus, runs_of};
use crate::{Effort, Inputs, RunFolder};

/// What decides whether two runs are the same work.
pub struct Work {
    /// The paper's id.
    pub paper: String,
    /// Scale and seeds.
    pub effort: Effort,
    /// The resolved configuration.
    pub config: Value,
    /// The cells and claims.
    pub plan: Plan,
    /// The inputs found.
    pub inputs: Inputs,
    /// Digest over the code that measures.
    pub source: Digest,
}

impl Work {
    /// The digest over all of it.
    pub fn key(&self) -> Digest {
        let digests = |files: &std::collections::BTreeMap<String, crate::InputFile>| -> Value {
            files
                .iter()
                .map(|(name, file)| json!([name, file.sha256]))
                .collect()
        };
        let inputs: Value = self
            .inputs
            .inputs
            .iter()
            .map(|(name, input)| {
                json!([
                    name,
                    input.state == crate::InputState::Present,
                    digests(&input.files)
                ])
            })
            .collect();
        let whole = json!([
            self.paper,
            self.effort,
            self.config,
            self.plan,
            inputs,
            self.source
        ]);
        Digest::of(whole.to_string().as_bytes())
    }
}

/// Which run to open.
pub enum Choice {
    /// The latest unfinished run of the same work, else a new one.
    Auto,
    /// A new one.
    Fresh,
    /// This one.
    Resume(RunFolder),
}

/// A run whose lock is held.
pub struct OpenRun {
    /// The folder.
    pub folder: RunFolder,
    /// Every cell.
    pub plan: Plan,
    /// Where it comes from.
    pub record: RunRecord,
    /// Its inputs.
    pub inputs: Inputs,
    /// What happened.
    pub journal: Journal,
    _lock: Lock,
}

/// Opens the run of `work` that `choice` names below `results`.
///
/// # Errors
/// Another process holds the run, the named run is of other work, or the folder cannot be written.
pub fn open(
    root: &Path,
    results: &Path,
    work: Work,
    choice: Choice,
    argv: Vec<String>,
    n_jobs: u64,
) -> Result<OpenRun> {
    let key = work.key();
    let existing = match choice {
        Choice::Fresh => None,
        Choice::Resume(folder) => Some(same_work(folder, &key)?),
        Choice::Auto => unfinished(results, &work.paper, &key)?,
    };
    if let Some(folder) = existing {
        return resume(folder, work.inputs);
    }
    let record = record(root, &work, key, argv, n_jobs);
    create(&results.join(&work.paper), work, record)
}

/// The latest run with this key that is not complete.
///
/// # Errors
/// The folder of runs cannot be read.
pub fn unfinished(results: &Path, paper: &str, key: &Digest) -> Result<Option<RunFolder>> {
    let same = |folder: &RunFolder| {
        let record = folder.record().ok();
        record.is_some_and(|record| record.key == *key && record.status != RunStatus::Complete)
    };
    Ok(runs_of(results, paper)?.into_iter().rev().find(same))
}

fn same_work(folder: RunFolder, key: &Digest) -> Result<RunFolder> {
    let record = folder.record()?;
    if record.key == *key {
        return Ok(folder);
    }
    let message = format!(
        "run `{}` was started with other code, inputs, or settings",
        folder.name()
    );
    Err(Error::usage(message).hint("its rows would not fit together with new ones; use `--fresh`"))
}

fn resume(folder: RunFolder, inputs: Inputs) -> Result<OpenRun> {
    let lock = Lock::take(&folder.file("lock"), Duration::ZERO)?;
    // The paths of inputs may have moved since; their digests are part of the key.
    write_json(&folder.file("inputs.json"), &inputs)?;
    let mut journal = Journal::open(&folder.file("journal.jsonl"))?;
    journal.push(Event::Resumed, None, None)?;
    let (plan, record) = (folder.plan()?, folder.record()?);
    Ok(OpenRun {
        folder,
        plan,
        record,
        inputs,
        journal,
        _lock: lock,
    })
}

fn create(runs: &Path, work: Work, record: RunRecord) -> Result<OpenRun> {
    let name = format!("{}-{}", provenance::stamp(), &record.key.as_hex()[..8]);
    sweep_unborn(runs);
    let folder = RunFolder::new(unused(runs, &name));
    create_folder(folder.path())?;
    let lock = Lock::take(&folder.file("lock"), Duration::ZERO)?;
    let mut journal = Journal::open(&folder.file("journal.jsonl"))?;
    journal.push(Event::Started, None, None)?;
    write_json(&folder.file("inputs.json"), &work.inputs)?;
    write_json(&folder.file("plan.json"), &work.plan)?;
    // Written last: a folder without it is no run.
    write_json(&folder.file("run.json"), &record)?;
    let (plan, inputs) = (work.plan, work.inputs);
    Ok(OpenRun {
        folder,
        plan,
        record,
        inputs,
        journal,
        _lock: lock,
    })
}

/// Removes folders that were left by a kill before their `run.json` was written. They hold no
/// result; one that cannot be removed does no harm.
fn sweep_unborn(runs: &Path) {
    const UNBORN_AGE_MIN: Duration = Duration::from_secs(60);
    let entries = std::fs::read_dir(runs).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let age = path
            .metadata()
            .and_then(|data| data.modified())
            .map(|time| time.elapsed());
        let old = matches!(age, Ok(Ok(age)) if age > UNBORN_AGE_MIN);
        let unborn = path.join("lock").is_file() && !path.join("run.json").exists();
        if old && unborn && Lock::take(&path.join("lock"), Duration::ZERO).is_ok() {
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

/// `name`, or `name-2`, `name-3` … where it is taken within the same second.
fn unused(runs: &Path, name: &str) -> PathBuf {
    let mut path = runs.join(name);
    let mut attempt = 1;
    while path.exists() {
        attempt += 1;
        path = runs.join(format!("{name}-{attempt}"));
    }
    path
}

fn record(root: &Path, work: &Work, key: Digest, argv: Vec<String>, n_jobs: u64) -> RunRecord {
    let (commit, dirty) = provenance::git(root);
    RunRecord {
        format: FORMAT,
        paper: work.paper.clone(),
        status: RunStatus::Running,
        argv,
        effort: work.effort,
        config: work.config.clone(),
        key,
        source: work.source.clone(),
        commit,
        dirty,
        toolchain: provenance::TOOLCHAIN.to_owned(),
        target: provenance::TARGET.to_owned(),
        lock: provenance::lock_digest(root),
        machine: provenance::machine(),
        n_jobs,
        started: provenance::now(),
        ended: None,
    }
}

impl OpenRun {
    /// Opens a run to read it again and write what is derived from its rows.
    ///
    /// # Errors
    /// Another process holds it, or it is damaged.
    pub fn reopen(folder: RunFolder) -> Result<Self> {
        let inputs = Inputs::read(&folder.file("inputs.json"))?;
        resume(folder, inputs)
    }

    /// Writes how far the run is.
    ///
    /// # Errors
    /// `run.json` cannot be written.
    pub fn set_status(&mut self, status: RunStatus) -> Result<()> {
        self.record.status = status;
        self.record.ended = Some(provenance::now());
        write_json(&self.folder.file("run.json"), &self.record)
    }
}
