//! Tables of a user: Parquet, CSV, and NumPy files as named columns with gaps.

use std::path::Path;

use eval::{Error, Result};

use super::{csv_file, npy_file, parquet_file};

/// Most cells read from one file.
pub(super) const CELLS_MAX: usize = 1 << 27;

/// The values of one column; `None` is a missing value.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Every value present is a number.
    Numbers(Vec<Option<f64>>),
    /// At least one value is not a number.
    Texts(Vec<Option<String>>),
}

impl Values {
    /// Number of items, missing ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Texts(values) => values.len(),
        }
    }

    /// Whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the item has no value.
    #[must_use]
    pub fn is_missing(&self, item: usize) -> bool {
        match self {
            Self::Numbers(values) => values[item].is_none(),
            Self::Texts(values) => values[item].is_none(),
        }
    }
}

/// A named column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name in the file, or `c0`, `c1`, … where the file has none.
    pub name: String,
    /// Its values.
    pub values: Values,
}

/// The columns of one file, all of one length.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The file, as messages name it.
    pub file: String,
    /// The columns in the file's order.
    pub columns: Vec<Column>,
}

impl Table {
    /// Reads a file by the end of its name: `.parquet`, `.csv`, `.tsv`, or `.npy`.
    ///
    /// # Errors
    /// The ending is another one, the file cannot be read, is damaged or empty, or its columns
    /// differ in length; the message names the file.
    pub fn read(path: &Path) -> Result<Self> {
        let ending = path
            .extension()
            .and_then(|ending| ending.to_str())
            .map(str::to_ascii_lowercase);
        let columns = match ending.as_deref() {
            Some("parquet" | "pq") => parquet_file::read(path)?,
            Some("csv") => csv_file::read(path, b',')?,
            Some("tsv") => csv_file::read(path, b'\t')?,
            Some("npy") => npy_file::read(path)?,
            _ => {
                return Err(
                    Error::usage(format!("`{}` is of no known kind", path.display()))
                        .hint("files end in .parquet, .csv, .tsv, or .npy"),
                );
            }
        };
        Self::new(path.display().to_string(), columns)
    }

    /// A table of columns that are there already.
    ///
    /// # Errors
    /// There is no column or no item, columns differ in length, or two share a name.
    pub fn new(file: String, columns: Vec<Column>) -> Result<Self> {
        let n_items = columns.first().map_or(0, |column| column.values.len());
        if n_items == 0 {
            return Err(Error::inputs(format!("`{file}` is empty"))
                .hint("give at least one column and one row of values"));
        }
        for (k, column) in columns.iter().enumerate() {
            if column.values.len() != n_items {
                return Err(Error::inputs(format!(
                    "column `{}` of `{file}` has {} values, the first has {n_items}",
                    column.name,
                    column.values.len()
                )));
            }
            if columns[..k].iter().any(|other| other.name == column.name) {
                return Err(Error::inputs(format!(
                    "`{file}` has two columns called `{}`",
                    column.name
                ))
                .hint("rename one of them"));
            }
        }
        Ok(Self { file, columns })
    }

    /// Number of items.
    #[must_use]
    pub fn n_items(&self) -> usize {
        self.columns.first().map_or(0, |column| column.values.len())
    }

    /// The columns of these names, in this order; every column where no name is given.
    ///
    /// # Errors
    /// A name is unknown or given twice; the message names the nearest known one.
    pub fn select(mut self, names: &[String]) -> Result<Self> {
        if names.is_empty() {
            return Ok(self);
        }
        let mut columns = Vec::with_capacity(names.len());
        for (k, name) in names.iter().enumerate() {
            if names[..k].contains(name) {
                return Err(Error::usage(format!("column `{name}` is named twice")));
            }
            let found = self.columns.iter().find(|column| column.name == *name);
            columns.push(found.ok_or_else(|| self.unknown(name))?.clone());
        }
        self.columns = columns;
        Ok(self)
    }

    fn unknown(&self, name: &str) -> Error {
        const NAMED_MAX: usize = 12;
        let known: Vec<&str> = self
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        let shown = known[..known.len().min(NAMED_MAX)].join(", ");
        let more = known.len().saturating_sub(NAMED_MAX);
        let rest = if more > 0 {
            format!(", and {more} more")
        } else {
            String::new()
        };
        Error::inputs(format!("`{}` has no column `{name}`", self.file))
            .hint(format!("its columns are {shown}{rest}"))
    }
}

/// Numbers where every text is one or a gap; texts as they are otherwise.
pub(super) fn from_texts(texts: Vec<Option<String>>) -> Values {
    let number = |text: &String| text.trim().parse::<f64>().ok();
    let all = texts.iter().flatten().all(|text| number(text).is_some());
    if !all {
        return Values::Texts(texts);
    }
    // `NaN` parses as a number and is a gap all the same; infinities are refused later by name.
    let numbers = texts
        .iter()
        .map(|text| text.as_ref().and_then(number).filter(|x| !x.is_nan()))
        .collect();
    Values::Numbers(numbers)
}

/// The error of a file that is not what its name says.
pub(super) fn unreadable(
    path: &Path,
    kind: &str,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::inputs(format!("`{}` is no readable {kind} file", path.display()))
        .hint("write it again; half a file reads like this, too")
        .caused_by(cause)
}

/// Refuses a file that announces more cells than any table here should have.
pub(super) fn check_size(path: &Path, rows: usize, columns: usize) -> Result<()> {
    if rows.saturating_mul(columns) <= CELLS_MAX {
        return Ok(());
    }
    Err(Error::inputs(format!(
        "`{}` announces {rows} x {columns} values, more than {CELLS_MAX}",
        path.display()
    ))
    .hint("select columns or items before storing the file"))
}
