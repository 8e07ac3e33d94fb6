//! Rows as a polars data frame.
//!
//! Line files are read one line at a time into column builders, without a value per row in
//! between; a million rows need their columns and one line. Cells are visited in the order of
//! experiment and name, so the frame is sorted by experiment, cell, and line, whatever the plan's
//! order. This module writes nothing.
//!
//! Columns: `experiment`, `cell`, `seed`, `source` (`rows` or `timing`), `condition.<key>` for each
//! key of any condition, `metric`, `item`, `value`, `unit`, `outcome`, `reason`, `tag.<key>` for
//! each tag, and `tags` (JSON) for tags beyond the first [`TAG_COLUMNS_MAX`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use eval::run::{CellDone, RunFolder};
use eval::{Cell, Error, Outcome, Result, RowSource};
use polars::prelude::{
    ChunkFull, ChunkFullNull, ChunkedBuilder, Column, DataFrame, Float64Type, IntoColumn,
    PolarsError, PrimitiveChunkedBuilder, StringChunked, StringChunkedBuilder, UInt64Chunked,
};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};

use crate::text;

/// Tags that get a column of their own; more keys than these share one column of JSON text, since
/// every column costs memory for every row.
pub const TAG_COLUMNS_MAX: usize = 64;
/// Characters of a reason kept in the frame.
const REASON_CHARS_MAX: usize = 1000;

/// The rows of a run.
#[derive(Clone, Debug)]
pub struct Rows {
    /// All rows.
    pub frame: DataFrame,
    /// The experiments in order, each with its first row and its number of rows.
    pub experiments: Vec<(String, usize, usize)>,
}

/// The rows of the finished cells.
///
/// # Errors
/// A cell's line file cannot be read or is damaged.
pub fn read(folder: &RunFolder, finished: &[(Cell, CellDone)], source: RowSource) -> Result<Rows> {
    let mut cells: Vec<&(Cell, CellDone)> = finished.iter().collect();
    cells.sort_by_cached_key(|(cell, _)| (cell.experiment.clone(), cell.id()));
    let condition_keys: BTreeSet<&str> = cells
        .iter()
        .flat_map(|(cell, _)| cell.condition.keys().map(String::as_str))
        .collect();
    let mut parts = Vec::new();
    let mut tag_keys = BTreeSet::new();
    for (cell, done) in cells {
        let (file, n_rows) = match source {
            RowSource::Rows => ("rows.jsonl", done.n_rows),
            RowSource::Timing => ("timing.jsonl", 0),
        };
        let columns = read_cell(&folder.cell(&cell.id()).join(file), n_rows, &mut tag_keys)?;
        if columns.n_rows > 0 {
            parts.push((cell, columns));
        }
    }
    let mut experiments: Vec<(String, usize, usize)> = Vec::new();
    let mut frame = DataFrame::empty();
    for (cell, columns) in parts {
        let start = frame.height();
        match experiments.last_mut() {
            Some(last) if last.0 == cell.experiment => last.2 += columns.n_rows,
            _ => experiments.push((cell.experiment.clone(), start, columns.n_rows)),
        }
        let part = columns
            .finish(cell, source, &condition_keys, &tag_keys)
            .map_err(broken)?;
        if frame.width() == 0 {
            frame = part;
        } else {
            frame.vstack_mut_owned(part).map_err(broken)?;
        }
    }
    frame.rechunk_mut();
    Ok(Rows { frame, experiments })
}

/// A failure of the table library, which has no cause a user could mend.
pub(crate) fn broken(cause: PolarsError) -> Error {
    Error::internal("cannot build a table").caused_by(cause)
}

/// One line of a rows file, borrowed from the line where it has no escapes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    metric: Text<'a>,
    value: Option<f64>,
    #[serde(borrow)]
    unit: Text<'a>,
    #[serde(borrow, default)]
    item: Option<Text<'a>>,
    #[serde(borrow, default)]
    tags: Tags<'a>,
    #[serde(default = "ok")]
    outcome: Outcome,
    #[serde(borrow, default)]
    reason: Option<Text<'a>>,
}

fn ok() -> Outcome {
    Outcome::Ok
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Tags in the order of the line, without a tree per row.
#[derive(Default)]
struct Tags<'a>(Vec<(Text<'a>, Text<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Tags<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Tags<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("tags as an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tags<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Tags(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// The columns of one cell while they grow.
struct CellColumns {
    n_rows: usize,
    metric: StringChunkedBuilder,
    item: StringChunkedBuilder,
    value: PrimitiveChunkedBuilder<Float64Type>,
    unit: StringChunkedBuilder,
    outcome: StringChunkedBuilder,
    reason: StringChunkedBuilder,
    tags: BTreeMap<String, Sparse>,
    more_tags: Sparse,
}

/// A text column that is padded only when a value comes, so that rare keys cost nothing.
struct Sparse {
    builder: StringChunkedBuilder,
    n_rows: usize,
}

impl Sparse {
    fn new(name: &str) -> Self {
        Self {
            builder: StringChunkedBuilder::new(name.into(), 0),
            n_rows: 0,
        }
    }

    fn pad(&mut self, n_rows: usize) {
        while self.n_rows < n_rows {
            self.builder.append_null();
            self.n_rows += 1;
        }
    }

    fn put(&mut self, row_idx: usize, value: &str) {
        self.pad(row_idx);
        // A key that comes twice in one line keeps its first value.
        if self.n_rows == row_idx {
            self.builder.append_value(value);
            self.n_rows += 1;
        }
    }

    fn finish(mut self, n_rows: usize) -> Column {
        self.pad(n_rows);
        self.builder.finish().into_column()
    }
}

fn read_cell(path: &Path, n_rows: u64, tag_keys: &mut BTreeSet<String>) -> Result<CellColumns> {
    // The count is a hint for memory only, so a wrong one may not cost any.
    const CAPACITY_MAX: u64 = 1 << 20;
    let mut columns = CellColumns::new(n_rows.min(CAPACITY_MAX) as usize);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(columns),
        Err(cause) => return Err(Error::io("open", path, cause)),
    };
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        reader
            .read_until(b'\n', &mut line)
            .map_err(|e| Error::io("read", path, e))?;
        // A last line without its end is torn and dropped, as the journal's rule says.
        let Some(whole) = line.strip_suffix(b"\n") else {
            return Ok(columns);
        };
        let parsed: Line<'_> = serde_json::from_slice(whole).map_err(|cause| {
            let line_no = columns.n_rows + 1;
            Error::incomplete(format!("`{}` is damaged at line {line_no}", path.display()))
                .caused_by(cause)
                .hint("run the paper again: cells with damaged files are measured anew")
        })?;
        columns.push(&parsed, tag_keys);
    }
}

impl CellColumns {
    fn new(capacity: usize) -> Self {
        let text = |name: &str| StringChunkedBuilder::new(name.into(), capacity);
        Self {
            n_rows: 0,
            metric: text("metric"),
            item: text("item"),
            value: PrimitiveChunkedBuilder::new("value".into(), capacity),
            unit: text("unit"),
            outcome: text("outcome"),
            reason: text("reason"),
            tags: BTreeMap::new(),
            more_tags: Sparse::new("tags"),
        }
    }

    fn push(&mut self, line: &Line<'_>, tag_keys: &mut BTreeSet<String>) {
        self.metric.append_value(text::key(&line.metric.0));
        self.item
            .append_option(line.item.as_ref().map(|item| text::key(&item.0)));
        self.value.append_option(line.value);
        self.unit.append_value(text::key(&line.unit.0));
        self.outcome.append_value(match line.outcome {
            Outcome::Ok => "ok",
            Outcome::Failed => "failed",
            Outcome::Unparsed => "unparsed",
        });
        let reason = line.reason.as_ref();
        self.reason
            .append_option(reason.map(|reason| text::block(&reason.0, REASON_CHARS_MAX)));
        let mut more = BTreeMap::new();
        for (key, value) in &line.tags.0 {
            let (key, value) = (text::key(&key.0), text::key(&value.0));
            if let Some(column) = self.tags.get_mut(key.as_ref()) {
                column.put(self.n_rows, &value);
            } else if tag_keys.contains(key.as_ref()) || tag_keys.len() < TAG_COLUMNS_MAX {
                tag_keys.insert(key.clone().into_owned());
                let mut column = Sparse::new(&format!("tag.{key}"));
                column.put(self.n_rows, &value);
                self.tags.insert(key.into_owned(), column);
            } else {
                more.insert(key, value);
            }
        }
        if !more.is_empty() {
            let text = serde_json::to_string(&more).unwrap_or_default();
            self.more_tags.put(self.n_rows, &text);
        }
        self.n_rows += 1;
    }

    fn finish(
        mut self,
        cell: &Cell,
        source: RowSource,
        condition_keys: &BTreeSet<&str>,
        tag_keys: &BTreeSet<String>,
    ) -> Result<DataFrame, PolarsError> {
        let n_rows = self.n_rows;
        let constant =
            |name: &str, value: &str| StringChunked::full(name.into(), value, n_rows).into_column();
        let absent = |name: &str| StringChunked::full_null(name.into(), n_rows).into_column();
        let mut columns = vec![
            constant("experiment", &text::key(&cell.experiment)),
            constant("cell", cell.id().as_str()),
            UInt64Chunked::full("seed".into(), cell.seed, n_rows).into_column(),
            constant("source", source_name(source)),
        ];
        for key in condition_keys {
            let name = format!("condition.{key}");
            columns.push(match cell.get(key) {
                Some(value) => constant(&name, &text::key(value)),
                None => absent(&name),
            });
        }
        columns.extend([
            self.metric.finish().into_column(),
            self.item.finish().into_column(),
            self.value.finish().into_column(),
            self.unit.finish().into_column(),
            self.outcome.finish().into_column(),
            self.reason.finish().into_column(),
        ]);
        for key in tag_keys {
            columns.push(match self.tags.remove(key) {
                Some(column) => column.finish(n_rows),
                None => absent(&format!("tag.{key}")),
            });
        }
        columns.push(self.more_tags.finish(n_rows));
        DataFrame::new(n_rows, columns)
    }
}

/// The word for a source in tables.
#[must_use]
pub fn source_name(source: RowSource) -> &'static str {
    match source {
        RowSource::Rows => "rows",
        RowSource::Timing => "timing",
    }
}
