//! `results/<paper>/published.csv`: the numbers that a paper prints, read for display only.

use std::path::PathBuf;

use crate::sheet::{Align, Sheet};
use crate::store::StoredRun;

/// The columns of `published.csv`.
pub const COLUMNS: [&str; 9] = [
    "source",
    "table",
    "model",
    "condition",
    "dataset",
    "metric",
    "value",
    "unit",
    "note",
];

/// The published numbers of a run's paper, at most `n_lines_max`; `None` where there is no file.
///
/// A file that cannot be understood gives an empty table with a note, since no verdict rests on it.
#[must_use]
pub fn sheet(run: &StoredRun, n_lines_max: usize) -> Option<Sheet> {
    let path = path(run)?;
    let file = std::fs::File::open(&path).ok()?;
    let mut reader = csv::Reader::from_reader(std::io::BufReader::new(file));
    let columns = COLUMNS.map(|title| {
        (
            title,
            if title == "value" {
                Align::Right
            } else {
                Align::Left
            },
        )
    });
    let mut sheet = Sheet::new(
        "As printed; the source column names the version read.",
        &columns,
    );
    match reader.headers() {
        Ok(heading) if heading.iter().eq(COLUMNS) => {}
        _ => {
            sheet.notes.push(format!(
                "The file's columns are not {}.",
                COLUMNS.join(", ")
            ));
            return Some(sheet);
        }
    }
    let mut n_lines = 0;
    for record in reader.records() {
        match record {
            Ok(record) => {
                n_lines += 1;
                if n_lines <= n_lines_max {
                    sheet.rows.push(record.iter().map(str::to_owned).collect());
                }
            }
            Err(cause) => {
                sheet.notes.push(format!("The file is damaged: {cause}"));
                break;
            }
        }
    }
    if n_lines > n_lines_max {
        sheet.notes.push(format!(
            "The first {n_lines_max} of {n_lines} numbers are shown."
        ));
    }
    Some(sheet)
}

/// `published.csv` lies beside the run folders.
fn path(run: &StoredRun) -> Option<PathBuf> {
    Some(run.folder.path().parent()?.join("published.csv"))
}
