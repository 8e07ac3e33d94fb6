//! Tables of an experiment: one line per metric, condition, and tag, over all its rows.
//!
//! Tags with many values (more than [`TAG_VALUES_MAX`] in the experiment) are averaged over, and a
//! note says so. Statistics are polars' own: mean, sample standard deviation (divisor n − 1),
//! minimum, median, maximum of the values that are there.

use std::cmp::Ordering;

use eval::Result;
use polars::frame::group_by::GroupsIndicator;
use polars::prelude::{
    ChunkAgg, ChunkQuantile, ChunkVar, Column, DataFrame, Float64Chunked, IdxSize, IntoColumn,
    NewChunkedArray, PolarsError, StringChunked, UInt64Chunked,
};

use crate::frame::{Rows, broken};
use crate::number;
use crate::sheet::{Align, Sheet};

/// A tag with more values than this in one experiment tells items apart, not conditions.
pub const TAG_VALUES_MAX: usize = 40;

/// What the rows of one experiment add up to.
#[derive(Clone, Debug)]
pub struct ExperimentTable {
    /// The experiment.
    pub experiment: String,
    /// Names of the keys: `metric`, `condition.d`, `tag.solver`; keys that never vary are dropped.
    pub keys: Vec<String>,
    /// The lines, sorted by their keys, numbers as numbers.
    pub lines: Vec<Line>,
    /// What a reader must know.
    pub notes: Vec<String>,
}

/// One line of an [`ExperimentTable`].
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Values of the keys; absent where a cell or row does not have the key.
    pub keys: Vec<Option<String>>,
    /// The unit of the values.
    pub unit: String,
    /// Values there are.
    pub n: u64,
    /// Rows without a value because the measurement failed.
    pub failed: u64,
    /// Rows without a value because an answer could not be read.
    pub unparsed: u64,
    /// Mean, if there is a value.
    pub mean: Option<f64>,
    /// Sample standard deviation, from two values on.
    pub sd: Option<f64>,
    /// Smallest value.
    pub min: Option<f64>,
    /// Median.
    pub median: Option<f64>,
    /// Largest value.
    pub max: Option<f64>,
}

/// The table of every experiment in `rows`, in order.
///
/// # Errors
/// The table library fails.
pub fn summarize(rows: &Rows) -> Result<Vec<ExperimentTable>> {
    let experiments = rows.experiments.iter();
    experiments
        .map(|(experiment, start, n_rows)| {
            let slice = rows.frame.slice(*start as i64, *n_rows);
            table(experiment, &slice).map_err(broken)
        })
        .collect()
}

fn table(experiment: &str, frame: &DataFrame) -> Result<ExperimentTable, PolarsError> {
    let mut keys = vec!["metric".to_owned()];
    let mut notes = Vec::new();
    for column in frame.columns() {
        let name = column.name().as_str();
        let tag = name.strip_prefix("tag.");
        if tag.is_none() && !name.starts_with("condition.") {
            continue;
        }
        let n_values = column.n_unique()?;
        if n_values <= 1 {
            continue;
        }
        match tag {
            Some(tag) if n_values > TAG_VALUES_MAX => {
                notes.push(format!("Averaged over tag {tag} ({n_values} values)."));
            }
            _ => keys.push(name.to_owned()),
        }
    }
    let mut by = keys.clone();
    by.push("unit".to_owned());
    let groups = frame.group_by(by.iter().map(String::as_str))?;
    let labels = groups.keys();
    let labels: Vec<&StringChunked> = labels.iter().map(Column::str).collect::<Result<_, _>>()?;
    let values = frame.column("value")?.f64()?;
    let outcomes = frame.column("outcome")?.str()?;
    let mut lines = Vec::with_capacity(groups.get_groups().len());
    for (group_idx, group) in groups.get_groups().iter().enumerate() {
        let label = |key_idx: usize| labels[key_idx].get(group_idx).map(str::to_owned);
        let keys = (0..keys.len()).map(label).collect();
        let unit = label(labels.len() - 1).unwrap_or_default();
        lines.push(line(keys, unit, &indices(&group), values, outcomes));
    }
    lines.sort_by(|a, b| compare_keys(&a.keys, &b.keys).then_with(|| a.unit.cmp(&b.unit)));
    Ok(ExperimentTable {
        experiment: experiment.to_owned(),
        keys,
        lines,
        notes,
    })
}

fn indices(group: &GroupsIndicator<'_>) -> Vec<usize> {
    match group {
        GroupsIndicator::Idx((_, all)) => all.iter().map(|idx| *idx as usize).collect(),
        GroupsIndicator::Slice([first, n_rows]) => {
            let range: std::ops::Range<IdxSize> = *first..*first + *n_rows;
            range.map(|idx| idx as usize).collect()
        }
    }
}

fn line(
    keys: Vec<Option<String>>,
    unit: String,
    rows: &[usize],
    values: &Float64Chunked,
    outcomes: &StringChunked,
) -> Line {
    let there: Vec<f64> = rows.iter().filter_map(|idx| values.get(*idx)).collect();
    let count = |word| {
        rows.iter()
            .filter(|idx| outcomes.get(**idx) == Some(word))
            .count() as u64
    };
    let there = Float64Chunked::from_vec("value".into(), there);
    Line {
        keys,
        unit,
        n: there.len() as u64,
        failed: count("failed"),
        unparsed: count("unparsed"),
        mean: there.mean(),
        sd: there.std(1),
        min: there.min(),
        median: there.median(),
        max: there.max(),
    }
}

/// Orders keys: absent first, numbers by value, then words.
fn compare_keys(a: &[Option<String>], b: &[Option<String>]) -> Ordering {
    let pairs = a.iter().zip(b).map(|(a, b)| match (a, b) {
        (Some(a), Some(b)) => match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(x), Ok(y)) => x.total_cmp(&y).then_with(|| a.cmp(b)),
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => a.cmp(b),
        },
        (a, b) => a.is_some().cmp(&b.is_some()),
    });
    pairs.fold(Ordering::Equal, Ordering::then)
}

impl ExperimentTable {
    /// The table for people, at most `n_lines_max` lines.
    #[must_use]
    pub fn sheet(&self, n_lines_max: usize) -> Sheet {
        let mut sheet = Sheet::new(format!("Experiment {}", self.experiment), &[]);
        let column = |title: &str, align| crate::sheet::Column {
            title: title.to_owned(),
            align,
        };
        for key in &self.keys {
            let short = key
                .trim_start_matches("condition.")
                .trim_start_matches("tag.");
            sheet.columns.push(column(short, Align::Left));
        }
        sheet.columns.push(column("unit", Align::Left));
        for title in [
            "n", "mean", "sd", "min", "median", "max", "failed", "unparsed",
        ] {
            sheet.columns.push(column(title, Align::Right));
        }
        let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number::plain);
        for line in self.lines.iter().take(n_lines_max) {
            let keys = line
                .keys
                .iter()
                .map(|key| key.clone().unwrap_or_else(|| "–".to_owned()));
            let mut cells: Vec<String> = keys.collect();
            cells.push(line.unit.clone());
            cells.push(line.n.to_string());
            let numbers = [line.mean, line.sd, line.min, line.median, line.max];
            cells.extend(numbers.map(shown));
            cells.extend([line.failed.to_string(), line.unparsed.to_string()]);
            sheet.rows.push(cells);
        }
        sheet.notes.clone_from(&self.notes);
        if self.lines.len() > n_lines_max {
            let n = self.lines.len();
            sheet
                .notes
                .push(format!("The first {n_lines_max} of {n} lines are shown."));
        }
        sheet
    }

    /// The table as a data frame with numbers in full.
    ///
    /// # Errors
    /// The table library fails.
    pub fn frame(&self) -> Result<DataFrame> {
        let text = |name: &str, cells: Vec<Option<&str>>| {
            StringChunked::from_slice_options(name.into(), &cells).into_column()
        };
        let lines = &self.lines;
        let n = lines.len();
        let experiment = Some(self.experiment.as_str());
        let mut columns = vec![text("experiment", vec![experiment; n])];
        for (idx, key) in self.keys.iter().enumerate() {
            columns.push(text(
                key,
                lines.iter().map(|line| line.keys[idx].as_deref()).collect(),
            ));
        }
        columns.push(text(
            "unit",
            lines.iter().map(|line| Some(line.unit.as_str())).collect(),
        ));
        let count = |name: &str, get: fn(&Line) -> u64| {
            let cells: Vec<u64> = lines.iter().map(get).collect();
            UInt64Chunked::from_vec(name.into(), cells).into_column()
        };
        let number = |name: &str, get: fn(&Line) -> Option<f64>| {
            let cells: Vec<Option<f64>> = lines.iter().map(get).collect();
            Float64Chunked::from_slice_options(name.into(), &cells).into_column()
        };
        columns.extend([
            count("n", |line| line.n),
            number("mean", |line| line.mean),
            number("sd", |line| line.sd),
            number("min", |line| line.min),
            number("median", |line| line.median),
            number("max", |line| line.max),
            count("failed", |line| line.failed),
            count("unparsed", |line| line.unparsed),
        ]);
        DataFrame::new(n, columns).map_err(broken)
    }

    /// The table for programs: every line, numbers in full.
    #[must_use]
    pub fn full_sheet(&self) -> Sheet {
        let mut sheet = self.sheet(0);
        sheet.notes.clear();
        for (column, key) in sheet.columns.iter_mut().zip(&self.keys) {
            column.title.clone_from(key);
        }
        let shown = |value: Option<f64>| value.map(number::as_printed).unwrap_or_default();
        for line in &self.lines {
            let mut cells: Vec<String> = line
                .keys
                .iter()
                .map(|key| key.clone().unwrap_or_default())
                .collect();
            cells.extend([line.unit.clone(), line.n.to_string()]);
            cells.extend([line.mean, line.sd, line.min, line.median, line.max].map(shown));
            cells.extend([line.failed.to_string(), line.unparsed.to_string()]);
            sheet.rows.push(cells);
        }
        sheet
    }
}
