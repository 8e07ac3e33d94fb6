//! Writes everything derived from a run: frames, tables, results, report, page.
//!
//! All of it can be deleted and rebuilt. Files are replaced in one step each.

use std::collections::BTreeSet;
use std::path::PathBuf;

use eval::digest::Digest;
use eval::{Error, Result, RowSource};
use polars::prelude::{DataFrame, ParquetCompression, ParquetWriter};

use crate::frame::{self, Rows};
use crate::sheet::Sheet;
use crate::store::{Finish, StoredRun};
use crate::tables::{self, ExperimentTable};
use crate::{markdown, page, results};

/// Lines of an experiment's table in Markdown and LaTeX; CSV and Parquet hold all.
const LINES_MAX: usize = 500;

/// What a page shows beside the stored run itself.
#[derive(Clone, Debug, Default)]
pub struct Derived {
    /// Which cells have a result.
    pub finish: Finish,
    /// Tables over the rows, one per experiment.
    pub tables: Vec<ExperimentTable>,
    /// Tables over the timings, one per experiment.
    pub timings: Vec<ExperimentTable>,
    /// Total processor time of all cells, where the engine recorded it.
    pub cpu_s: Option<f64>,
}

/// Writes all derived files of a run and returns the path of its page.
///
/// # Errors
/// Rows are damaged, or the folder cannot be written.
pub fn render(run: &StoredRun) -> Result<PathBuf> {
    let derived = write_tables(run)?;
    let report = markdown::report(run, &derived);
    eval::fs::write_atomic(&run.folder.file("report.md"), report.as_bytes())?;
    let page = page::run_page(run, &derived)?;
    let path = run.folder.file("report.html");
    eval::fs::write_atomic(&path, page.as_bytes())?;
    Ok(path)
}

/// Reads rows and timings, writes `rows.parquet` and `tables/`.
fn write_tables(run: &StoredRun) -> Result<Derived> {
    let folder = run.folder.file("tables");
    eval::fs::create_folder(&folder)?;
    write_sheet(
        &folder.join("claims"),
        &results::sheet(&run.summary),
        &results::full_sheet(&run.summary),
    )?;
    write_parquet(
        &folder.join("claims.parquet"),
        &mut results::frame(&run.summary)?,
    )?;
    eval::fs::write_json(&folder.join("claims.json"), &run.summary)?;
    let mut derived = Derived {
        finish: Finish::of(&run.folder, &run.plan),
        ..Derived::default()
    };
    let mut names = BTreeSet::from(["claims".to_owned()]);
    for source in [RowSource::Rows, RowSource::Timing] {
        let Rows {
            mut frame,
            experiments,
        } = frame::read(&run.folder, &derived.finish.finished, source)?;
        if source == RowSource::Rows {
            write_parquet(&run.folder.file("rows.parquet"), &mut frame)?;
        } else {
            derived.cpu_s = cpu_seconds(&frame);
        }
        let tables = tables::summarize(&Rows { frame, experiments })?;
        for table in &tables {
            let suffix = if source == RowSource::Timing {
                "-timing"
            } else {
                ""
            };
            let name = file_name(&format!("{}{suffix}", table.experiment), &mut names);
            let path = folder.join(name);
            write_sheet(&path, &table.sheet(LINES_MAX), &table.full_sheet())?;
            write_parquet(&with_extension(&path, "parquet"), &mut table.frame()?)?;
        }
        match source {
            RowSource::Rows => derived.tables = tables,
            RowSource::Timing => derived.timings = tables,
        }
    }
    Ok(derived)
}

fn write_sheet(path: &std::path::Path, people: &Sheet, programs: &Sheet) -> Result<()> {
    let write = |extension: &str, text: String| {
        eval::fs::write_atomic(&with_extension(path, extension), text.as_bytes())
    };
    write("md", people.markdown())?;
    write("tex", people.latex())?;
    write("csv", programs.csv()?)
}

/// Experiments may have dots in their names, so the extension is appended, not replaced.
fn with_extension(path: &std::path::Path, extension: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{extension}"));
    path.with_file_name(name)
}

/// A name for a file that no other experiment has, on any file system.
fn file_name(experiment: &str, taken: &mut BTreeSet<String>) -> String {
    const CHARS_MAX: usize = 80;
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut name: String = experiment
        .chars()
        .take(CHARS_MAX)
        .map(|c| if safe(c) { c } else { '_' })
        .collect();
    let changed = name != experiment || name.starts_with('.') || name.is_empty();
    if changed || taken.contains(&name.to_lowercase()) {
        let digest = Digest::of(experiment.as_bytes());
        name = format!("{}-{}", name.trim_start_matches('.'), &digest.as_hex()[..8]);
    }
    taken.insert(name.to_lowercase());
    name
}

/// Writes a frame as Parquet with zstd.
///
/// # Errors
/// The folder cannot be written.
pub fn write_parquet(path: &std::path::Path, frame: &mut DataFrame) -> Result<()> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Zstd(None))
        .finish(frame)
        .map_err(|e| Error::internal(format!("cannot encode `{}`", path.display())).caused_by(e))?;
    eval::fs::write_atomic(path, &bytes)
}

/// The processor time that the engine recorded for its cells.
fn cpu_seconds(frame: &DataFrame) -> Option<f64> {
    let metric = frame.column("metric").ok()?.str().ok()?;
    let value = frame.column("value").ok()?.f64().ok()?;
    let cells = metric
        .iter()
        .zip(value.iter())
        .filter(|(metric, _)| *metric == Some(CELL_CPU));
    let seconds: Vec<f64> = cells.filter_map(|(_, value)| value).collect();
    (!seconds.is_empty()).then(|| seconds.iter().sum())
}

/// The metric under which the engine records a cell's processor time in `timing.jsonl`.
const CELL_CPU: &str = "cell_cpu_s";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_cannot_leave_the_folder_or_collide() {
        let mut taken = BTreeSet::from(["claims".to_owned()]);
        let mut names = Vec::new();
        for experiment in [
            "timing",
            "Timing",
            "../../etc/passwd",
            "a/b",
            "a_b",
            "claims",
            ".",
            "",
        ] {
            names.push(file_name(experiment, &mut taken));
        }
        assert_eq!(names[0], "timing");
        assert!(
            names
                .iter()
                .all(|name| !name.contains('/') && !name.starts_with('.'))
        );
        let distinct: BTreeSet<String> = names.iter().map(|name| name.to_lowercase()).collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
    }
}
