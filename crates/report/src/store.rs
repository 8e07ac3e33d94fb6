//! A stored run as the other modules see it: read once, checked, and marked stale where it is.
//!
//! This module only reads. It trusts `summary.json` as the marker of a finished run.

use std::path::{Path, PathBuf};

use eval::inputs::Inputs;
use eval::run::{CellDone, CellFailed, Plan, RunFolder, RunRecord, runs_of};
use eval::{Cell, Error, Figure, PaperManifest, Result, Summary, Verdict};

use crate::text;

/// A finished run with everything that describes it, without its rows.
#[derive(Clone, Debug)]
pub struct StoredRun {
    /// Where it lies.
    pub folder: RunFolder,
    /// Where it comes from.
    pub record: RunRecord,
    /// Its cells.
    pub plan: Plan,
    /// What it found; verdicts are `stale` where the code has changed since.
    pub summary: Summary,
    /// The verdicts as they were recorded, in the order of the summary's claims.
    pub recorded: Vec<Verdict>,
    /// Whether the code has changed since.
    pub freshness: Freshness,
    /// What the paper says, where its `paper.toml` can be read.
    pub manifest: Option<PaperManifest>,
    /// The inputs it was measured on.
    pub inputs: Option<Inputs>,
    /// Data for its plots.
    pub figures: Vec<Figure>,
}

/// Whether the code that measured is the code that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It is.
    Fresh,
    /// It is not.
    Stale {
        /// Digest of the code that is there.
        now: String,
    },
}

/// Which cells have a result. Found once, since every marker is checked against all its rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finish {
    /// Cells with a trustworthy marker, in the order of the plan.
    pub finished: Vec<(Cell, CellDone)>,
    /// The others.
    pub unfinished: Vec<UnfinishedCell>,
}

impl Finish {
    /// Checks every planned cell.
    #[must_use]
    pub fn of(folder: &RunFolder, plan: &Plan) -> Self {
        let mut finish = Self::default();
        for cell in &plan.cells {
            let id = cell.id();
            match folder.done(&id) {
                Some(done) => finish.finished.push((cell.clone(), done)),
                None => finish.unfinished.push(UnfinishedCell {
                    id: id.to_string(),
                    failed: eval::fs::read_json(&folder.cell(&id).join("failed.json")).ok(),
                }),
            }
        }
        finish
    }
}

/// A cell without a result.
#[derive(Clone, Debug, PartialEq)]
pub struct UnfinishedCell {
    /// Its name.
    pub id: String,
    /// How it ended, where it was tried.
    pub failed: Option<CellFailed>,
}

impl StoredRun {
    /// Reads a run folder of the workspace at `root`.
    ///
    /// # Errors
    /// It is no run folder, it is not finished (with the command that resumes it), or a file is
    /// damaged.
    pub fn open(root: &Path, path: &Path) -> Result<Self> {
        let folder = RunFolder::new(path);
        if !folder.file("run.json").is_file() {
            return Err(
                Error::usage(format!("`{}` is no run folder", path.display()))
                    .hint("a run folder holds `run.json`: `results/<paper>/<run>`"),
            );
        }
        let record = folder.record()?;
        check_format(path, record.format)?;
        if !folder.file("summary.json").is_file() {
            return Err(unfinished(&record, &folder));
        }
        let mut summary = Summary::read(&folder.file("summary.json"))?;
        let recorded = summary.claims.iter().map(|claim| claim.verdict).collect();
        let freshness = freshness(root, &summary)?;
        if freshness != Freshness::Fresh {
            mark_stale(&mut summary);
        }
        Ok(Self {
            plan: folder.plan()?,
            manifest: manifest(root, &summary.paper),
            inputs: optional(&folder.file("inputs.json"))?,
            figures: optional(&folder.file("figures.json"))?.unwrap_or_default(),
            folder,
            record,
            summary,
            recorded,
            freshness,
        })
    }

    /// The paper's title, or its id where `paper.toml` cannot be read.
    #[must_use]
    pub fn title(&self) -> String {
        let title = self
            .manifest
            .as_ref()
            .map(|manifest| manifest.paper.title.as_str());
        text::line(title.unwrap_or(&self.summary.paper), text::CELL_CHARS_MAX)
    }
}

/// The `results` folder of a workspace.
#[must_use]
pub fn results(root: &Path) -> PathBuf {
    root.join("results")
}

/// The newest finished run of a paper.
///
/// # Errors
/// The results cannot be listed.
pub fn latest(root: &Path, paper: &str) -> Result<Option<RunFolder>> {
    let runs = runs_of(&results(root), paper)?;
    Ok(runs
        .into_iter()
        .rev()
        .find(|run| run.file("summary.json").is_file()))
}

/// The newest finished run of a paper; there must be one.
///
/// # Errors
/// There is none (with the command that makes one), or the results cannot be listed.
pub fn latest_or_hint(root: &Path, paper: &str) -> Result<RunFolder> {
    if let Some(run) = latest(root, paper)? {
        return Ok(run);
    }
    match runs_of(&results(root), paper)?.last() {
        Some(run) => Err(unfinished(&run.record()?, run)),
        None => Err(Error::incomplete(format!("paper `{paper}` has no run"))
            .hint(format!("cargo xtask reproduce {paper}"))),
    }
}

/// The papers of a workspace, by name: crates with a `paper.toml`, and papers with results.
///
/// # Errors
/// A folder cannot be listed.
pub fn papers(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (folder, marked) in [(root.join("crates"), true), (results(root), false)] {
        if !folder.is_dir() {
            continue;
        }
        let entries = std::fs::read_dir(&folder).map_err(|e| Error::io("list", &folder, e))?;
        for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            let name = name.filter(|name| !name.starts_with('.') && path.is_dir());
            if let Some(name) = name.filter(|_| !marked || path.join("paper.toml").is_file()) {
                names.push(name);
            }
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// Reads `paper.toml`; a paper whose file cannot be understood is shown by its id alone, since
/// everything a verdict needs is in the run folder.
#[must_use]
pub fn manifest(root: &Path, paper: &str) -> Option<PaperManifest> {
    let path = root.join("crates").join(paper).join("paper.toml");
    let text = std::fs::read_to_string(&path).ok()?;
    PaperManifest::parse(&text, &path.display().to_string()).ok()
}

/// Compares the code that measured with the code that is there.
///
/// # Errors
/// A source file cannot be read.
pub fn freshness(root: &Path, summary: &Summary) -> Result<Freshness> {
    let now = eval::source::source_digest(root, &summary.paper)?;
    Ok(if now.as_hex() == summary.source {
        Freshness::Fresh
    } else {
        Freshness::Stale {
            now: now.as_hex().to_owned(),
        }
    })
}

/// Replaces every verdict by `stale`; the recorded one moves into the reason. A claim that was not
/// attempted has no measurement that could be stale.
fn mark_stale(summary: &mut Summary) {
    for claim in &mut summary.claims {
        if claim.verdict == Verdict::NotAttempted {
            continue;
        }
        let (was, why) = (claim.verdict, &claim.reason);
        claim.reason = format!("the code has changed since this was measured; then: {was} ({why})");
        claim.verdict = Verdict::Stale;
    }
}

fn unfinished(record: &RunRecord, folder: &RunFolder) -> Error {
    let (paper, run) = (&record.paper, folder.name());
    Error::incomplete(format!(
        "run `{run}` of `{paper}` has no `summary.json`: it is not finished"
    ))
    .hint(format!("cargo xtask reproduce {paper} --resume {run}"))
}

fn optional<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    if path.is_file() {
        eval::fs::read_json(path).map(Some)
    } else {
        Ok(None)
    }
}

fn check_format(path: &Path, format: u32) -> Result<()> {
    if format == eval::run::FORMAT {
        return Ok(());
    }
    let reads = eval::run::FORMAT;
    Err(
        Error::internal(format!("run `{}` has format {format}", path.display())).hint(format!(
            "this program reads format {reads}; use the version that measured the run"
        )),
    )
}
