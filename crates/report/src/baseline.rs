//! Makes a run the baseline of its paper.

use std::path::{Path, PathBuf};

use eval::run::RunStatus;
use eval::{Error, Result, Scale, Summary};

use crate::store::{self, Finish, StoredRun};

/// Writes `results/<paper>/baseline.json` from a run and returns its path.
///
/// # Errors
/// The run is not complete, some claim of it is incomplete, it is of scale smoke, its code is not
/// the code that is there, or the file cannot be written.
pub fn write(root: &Path, run: &StoredRun) -> Result<PathBuf> {
    let (paper, name) = (&run.summary.paper, run.folder.name());
    if run.summary.scale == Scale::Smoke {
        return Err(Error::usage(format!(
            "run `{name}` is of scale smoke, which issues no verdicts"
        ))
        .hint(format!("cargo xtask reproduce {paper} --scale quick")));
    }
    let n_unfinished = Finish::of(&run.folder, &run.plan).unfinished.len();
    if run.record.status != RunStatus::Complete || n_unfinished > 0 {
        return Err(Error::incomplete(format!("run `{name}` is not complete"))
            .hint(format!("cargo xtask reproduce {paper} --resume {name}")));
    }
    if run.freshness != store::Freshness::Fresh {
        return Err(
            Error::usage(format!("run `{name}` is stale: the code has changed since"))
                .hint(format!("cargo xtask reproduce {paper}")),
        );
    }
    let summary = Summary::read(&run.folder.file("summary.json"))?;
    let path = path(root, paper);
    eval::fs::write_json(&path, &summary)?;
    Ok(path)
}

/// Where a paper's baseline lies.
#[must_use]
pub fn path(root: &Path, paper: &str) -> PathBuf {
    store::results(root).join(paper).join("baseline.json")
}
