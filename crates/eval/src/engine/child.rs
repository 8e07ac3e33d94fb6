//! `<paper> cell <run> <cell-id>`: measures one cell and exits.

use std::path::Path;
use std::time::Duration;

use super::context::{Cx, Place};
use super::interrupt::stop_flag;
use super::lock::Lock;
use super::{Paper, cell_progress};
use crate::error::{Error, Result};
use crate::fs::create_folder;
use crate::run::RunFolder;
use crate::{Cell, Inputs};

/// How long a cell waits for an earlier process on the same cell to die.
const PATIENCE: Duration = Duration::from_secs(10);

/// Measures the cell named `id` of the run in `folder`.
///
/// # Errors
/// The run has no such cell, another process measures it, or the measurement failed.
pub fn measure<P: Paper>(folder: &Path, id: &str, paper: &str) -> Result<()> {
    die_with_parent()?;
    let run = RunFolder::new(folder);
    let (plan, record) = (run.plan()?, run.record()?);
    let inputs = Inputs::read(&run.file("inputs.json"))?;
    let cell = plan
        .cells
        .into_iter()
        .find(|cell| cell.id().as_str() == id)
        .ok_or_else(|| {
            Error::usage(format!("run `{}` has no cell `{id}`", run.name()))
                .hint("the cells of a run stand in its `plan.json`")
        })?;
    let config: P::Config = serde_json::from_value(record.config)
        .map_err(|e| Error::internal("the run's configuration is not understood").caused_by(e))?;
    let place = run.cell(&cell.id());
    create_folder(&place)?;
    let _lock = Lock::take(&place.join("lock"), PATIENCE)?;
    if run.done(&cell.id()).is_some() {
        return Ok(());
    }
    sweep(&place)?;
    let results = folder.parent().and_then(Path::parent).unwrap_or(folder);
    let place = Place {
        folder: place,
        cache: results.join(".cache"),
        source: Some(record.source),
        cancelled: stop_flag()?,
    };
    let mut cx = Cx::open(paper, &cell, place, inputs)?;
    cx.report_progress();
    run_to_end::<P>(cx, &config, &cell)
}

fn run_to_end<P: Paper>(mut cx: Cx, config: &P::Config, cell: &Cell) -> Result<()> {
    P::run(&mut cx, config, cell)?;
    let done = cx.finish()?;
    cell_progress::progress_line(1, 1);
    tracing::debug!(rows = done.n_rows, "cell finished");
    Ok(())
}

/// Removes what an earlier attempt left; the marker first, so that it never outlives its rows.
fn sweep(cell: &Path) -> Result<()> {
    const KEPT: [&str; 2] = ["lock", "stderr.log"];
    remove(&cell.join("done.json"))?;
    let entries = std::fs::read_dir(cell).map_err(|e| Error::io("list", cell, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| Error::io("list", cell, e))?;
        if !KEPT.iter().any(|kept| entry.file_name() == *kept) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(Error::io("remove", path, cause)),
    }
}

/// Asks the system to end this process when the engine dies, so that no cell outlives a kill of
/// the engine alone.
#[cfg(target_os = "linux")]
fn die_with_parent() -> Result<()> {
    let asked = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
    asked.map_err(|e| Error::internal("cannot tie the cell to the engine").caused_by(e))
}

/// Elsewhere the lock on the cell keeps two processes apart.
#[cfg(not(target_os = "linux"))]
fn die_with_parent() -> Result<()> {
    Ok(())
}
