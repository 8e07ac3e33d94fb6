//! Real views: Parquet files of numbers, standardised and reduced to leading components.

use std::fs::File;
use std::path::Path;

use eval::Error;
use faer::{Mat, MatRef};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};

use crate::error::PidError;
use crate::estimate::covariance;
use crate::linalg::{check_finite, symmetric_eigen};

/// Most values read from one file: 2³⁰ bytes as `f64`, far above any view of this project.
const VALUES_MAX: u64 = 1 << 27;

/// Reads every column of a Parquet file into a matrix, one item a row.
///
/// Columns must have the physical type INT32, INT64, FLOAT, or DOUBLE and hold no null; integers
/// beyond 2⁵³ would lose digits and are refused.
///
/// # Errors
/// The file cannot be read, is no Parquet file, has no items, or has a column as above; the
/// message names file and column.
pub fn read_matrix(path: &Path) -> Result<Mat<f64>, Error> {
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let reader = SerializedFileReader::new(file).map_err(|e| unreadable(path, e))?;
    let metadata = reader.metadata();
    let n_items = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
    let n_columns = metadata.file_metadata().schema_descr().num_columns();
    if n_items == 0 || n_columns == 0 {
        return Err(
            Error::inputs(format!("`{}` holds no numbers", path.display()))
                .hint("verify the data set: cargo xtask data verify"),
        );
    }
    if n_items.saturating_mul(n_columns as u64) > VALUES_MAX {
        return Err(Error::inputs(format!(
            "`{}` announces {n_items} x {n_columns} values, more than {VALUES_MAX}",
            path.display()
        )));
    }
    // The product is below 2²⁷, so both factors fit.
    let mut matrix = Mat::zeros(n_items as usize, n_columns);
    let mut first_item = 0;
    for group_idx in 0..reader.num_row_groups() {
        let group = reader
            .get_row_group(group_idx)
            .map_err(|e| unreadable(path, e))?;
        let n_group = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
        if first_item + n_group > matrix.nrows() {
            return Err(Error::inputs(format!(
                "`{}` has more items in its row groups than it announces",
                path.display()
            )));
        }
        for column in 0..n_columns {
            let values = read_column(path, group.as_ref(), column, n_group)?;
            for (k, value) in values.into_iter().enumerate() {
                matrix[(first_item + k, column)] = value;
            }
        }
        first_item += n_group;
    }
    if first_item != matrix.nrows() {
        return Err(Error::inputs(format!(
            "`{}` announces {n_items} items and holds {first_item}",
            path.display()
        )));
    }
    Ok(matrix)
}

fn unreadable(path: &Path, cause: ParquetError) -> Error {
    Error::inputs(format!("`{}` is no readable Parquet file", path.display()))
        .hint("verify the data set: cargo xtask data verify")
        .caused_by(cause)
}

fn read_column(
    path: &Path,
    group: &dyn RowGroupReader,
    column: usize,
    n_items: usize,
) -> Result<Vec<f64>, Error> {
    let name = || {
        format!(
            "column `{}` of `{}`",
            group.metadata().column(column).column_path(),
            path.display()
        )
    };
    let reader = group
        .get_column_reader(column)
        .map_err(|e| unreadable(path, e))?;
    let values = match reader {
        ColumnReader::Int32ColumnReader(reader) => typed(reader, n_items, f64::from),
        ColumnReader::Int64ColumnReader(reader) => typed(reader, n_items, exact_or_nan),
        ColumnReader::FloatColumnReader(reader) => typed(reader, n_items, f64::from),
        ColumnReader::DoubleColumnReader(reader) => typed(reader, n_items, |value| value),
        _ => {
            return Err(Error::inputs(format!("{} does not hold numbers", name()))
                .hint("store it as INT32, INT64, FLOAT, or DOUBLE"));
        }
    };
    let values = values.map_err(|e| unreadable(path, e))?;
    if values.len() != n_items {
        return Err(Error::inputs(format!(
            "{} holds {} values for {n_items} items",
            name(),
            values.len()
        ))
        .hint("drop or impute missing values before storing the file"));
    }
    if let Some(item) = values.iter().position(|value| !value.is_finite()) {
        return Err(Error::inputs(format!(
            "{} holds a value at item {item} that is not finite, or an integer beyond 2^53",
            name()
        )));
    }
    Ok(values)
}

/// The column's values that are not null.
fn typed<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    n_items: usize,
    convert: impl Fn(T::T) -> f64,
) -> Result<Vec<f64>, ParquetError> {
    let mut values: Vec<T::T> = Vec::with_capacity(n_items);
    let (mut definitions, mut repetitions) = (Vec::new(), Vec::new());
    loop {
        let wanted = n_items - values.len().min(n_items);
        let (records, ..) = reader.read_records(
            wanted,
            Some(&mut definitions),
            Some(&mut repetitions),
            &mut values,
        )?;
        if records == 0 || values.len() >= n_items {
            return Ok(values.into_iter().map(convert).collect());
        }
    }
}

/// The integer as `f64`, or `NaN` where it cannot be represented.
fn exact_or_nan(value: i64) -> f64 {
    const EXACT_MAX: u64 = 1 << 53;
    if value.unsigned_abs() <= EXACT_MAX {
        value as f64
    } else {
        f64::NAN
    }
}

/// Class labels as indices `0..K`, in the order of their values.
///
/// # Errors
/// The matrix has more than one column, or fewer than two classes.
pub fn labels(matrix: MatRef<'_, f64>) -> Result<Vec<usize>, Error> {
    if matrix.ncols() != 1 {
        return Err(Error::inputs(format!(
            "labels have {} columns, not one",
            matrix.ncols()
        )));
    }
    let mut values: Vec<f64> = matrix.col(0).iter().copied().collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    if values.len() < 2 {
        return Err(Error::inputs("labels have fewer than two classes"));
    }
    // Every label was put into `values`, so that the partition point is its own place.
    Ok(matrix
        .col(0)
        .iter()
        .map(|label| values.partition_point(|value| value < label))
        .collect())
}

/// How a class label becomes a numerical target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `K − 1` indicator columns; the last class is the one with none set.
    OneHot,
    /// One column holding the class index: the paper's convention.
    Scalar,
}

impl Coding {
    /// The word used in conditions of cells.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OneHot => "one-hot",
            Self::Scalar => "scalar",
        }
    }
}

/// The target matrix of class indices.
#[must_use]
pub fn encode(classes: &[usize], coding: Coding) -> Mat<f64> {
    match coding {
        Coding::Scalar => Mat::from_fn(classes.len(), 1, |i, _| classes[i] as f64),
        Coding::OneHot => {
            let last = classes.iter().copied().max().unwrap_or(0);
            Mat::from_fn(classes.len(), last, |i, k| {
                f64::from(u8::from(classes[i] == k))
            })
        }
    }
}

/// Entropy of the class frequencies in bits: no source can tell more about the label.
#[must_use]
pub fn label_entropy_bits(classes: &[usize]) -> f64 {
    let n = classes.len() as f64;
    let n_classes = classes.iter().copied().max().map_or(0, |last| last + 1);
    let mut counts = vec![0_u32; n_classes];
    classes.iter().for_each(|&class| counts[class] += 1);
    let shares = counts
        .into_iter()
        .filter(|&count| count > 0)
        .map(|count| f64::from(count) / n);
    -shares.map(|share| share * share.log2()).sum::<f64>()
}

/// Each column with mean 0 and variance 1 (divisor `n − 1`).
///
/// # Errors
/// [`PidError::ConstantColumn`] or [`PidError::NotFinite`].
pub fn standardise(view: MatRef<'_, f64>) -> Result<Mat<f64>, PidError> {
    check_finite(view, "a view")?;
    let n = view.nrows() as f64;
    let mut out = view.to_owned();
    for column in 0..view.ncols() {
        let mean = view.col(column).iter().sum::<f64>() / n;
        let squares: f64 = view
            .col(column)
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum();
        let deviation = (squares / (n - 1.0)).sqrt();
        // A constant column leaves rounding of the mean, not exactly zero.
        if deviation <= 1e-12 * mean.abs().max(f64::MIN_POSITIVE) {
            return Err(PidError::ConstantColumn {
                what: "a view",
                column,
            });
        }
        out.col_mut(column)
            .iter_mut()
            .for_each(|value| *value = (*value - mean) / deviation);
    }
    Ok(out)
}

/// The view without its constant columns, and how many there were.
#[must_use]
pub fn without_constant_columns(view: MatRef<'_, f64>) -> (Mat<f64>, usize) {
    let varies = |column: &usize| {
        let first = view[(0, *column)];
        view.col(*column).iter().any(|value| *value != first)
    };
    let kept: Vec<usize> = (0..view.ncols()).filter(varies).collect();
    let out = Mat::from_fn(view.nrows(), kept.len(), |i, k| view[(i, kept[k])]);
    (out, view.ncols() - kept.len())
}

/// The scores on the leading principal components of the standardised view, at most `components`
/// of them and at most as many as there are columns.
///
/// # Errors
/// As [`standardise`], or the eigendecomposition did not converge.
pub fn principal_components(
    view: MatRef<'_, f64>,
    components: usize,
) -> Result<Mat<f64>, PidError> {
    let standard = standardise(view)?;
    let (_, vectors) = symmetric_eigen(covariance(standard.as_ref()).as_ref())?;
    let (n, kept) = (vectors.ncols(), components.min(vectors.ncols()));
    // Eigenvalues come in increasing order.
    Ok(standard * vectors.subcols(n - kept, kept))
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::mat;
    use parquet::data_type::{DoubleType, FloatType, Int32Type, Int64Type};
    use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
    use parquet::schema::parser::parse_message_type;
    use std::path::PathBuf;
    use std::sync::Arc;

    fn write(
        folder: &Path,
        schema: &str,
        fill: impl Fn(&mut SerializedRowGroupWriter<'_, File>),
    ) -> PathBuf {
        let path = folder.join("view.parquet");
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let file = File::create(&path).unwrap();
        let mut writer = SerializedFileWriter::new(file, schema, Default::default()).unwrap();
        for _ in 0..2 {
            let mut group = writer.next_row_group().unwrap();
            fill(&mut group);
            group.close().unwrap();
        }
        writer.close().unwrap();
        path
    }

    fn put<T: DataType>(group: &mut SerializedRowGroupWriter<'_, File>, values: &[T::T]) {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<T>().write_batch(values, None, None).unwrap();
        column.close().unwrap();
    }

    #[test]
    fn all_four_numeric_types_are_read_across_row_groups() {
        let folder = tempfile::tempdir().unwrap();
        let schema = "message v { required int32 a; required int64 b; required float c;
                      required double d; }";
        let path = write(folder.path(), schema, |group| {
            put::<Int32Type>(group, &[1, -2]);
            put::<Int64Type>(group, &[3, 4]);
            put::<FloatType>(group, &[0.5, 0.25]);
            put::<DoubleType>(group, &[1e-3, 7.0]);
        });
        let block = mat![[1.0, 3.0, 0.5, 1e-3], [-2.0, 4.0, 0.25, 7.0]];
        let expected = crate::linalg::stack_rows(block.as_ref(), block.as_ref());
        assert_eq!(read_matrix(&path).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let refuse = |path: &Path, part: &str| {
            let text = read_matrix(path).unwrap_err().to_string();
            assert!(text.contains(part), "{text}");
        };
        refuse(&folder.path().join("absent.parquet"), "cannot open");
        let junk = folder.path().join("junk.parquet");
        std::fs::write(&junk, b"PAR1 not really").unwrap();
        refuse(&junk, "no readable Parquet file");
        let path = write(folder.path(), "message v { required double a; }", |group| {
            put::<DoubleType>(group, &[f64::NAN]);
        });
        refuse(&path, "not finite");
        let path = write(folder.path(), "message v { required int64 a; }", |group| {
            put::<Int64Type>(group, &[(1 << 53) + 1]);
        });
        refuse(&path, "beyond 2^53");
        let path = write(
            folder.path(),
            "message v { required boolean a; }",
            |group| {
                put::<parquet::data_type::BoolType>(group, &[true]);
            },
        );
        refuse(&path, "does not hold numbers");
        let path = write(folder.path(), "message v { optional double a; }", |group| {
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<DoubleType>()
                .write_batch(&[1.0], Some(&[1, 0]), None)
                .unwrap();
            column.close().unwrap();
        });
        refuse(&path, "holds 1 values for 2 items");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        refuse(&path, "no readable Parquet file");
    }

    #[test]
    fn labels_become_indices_and_columns() {
        let classes = labels(mat![[7.0], [1.0], [3.0], [7.0]].as_ref()).unwrap();
        assert_eq!(classes, [2, 0, 1, 2]);
        let one_hot = encode(&classes, Coding::OneHot);
        assert_eq!(
            one_hot,
            mat![[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
        );
        assert_eq!(
            encode(&classes, Coding::Scalar),
            mat![[2.0], [0.0], [1.0], [2.0]]
        );
        assert!((label_entropy_bits(&classes) - 1.5).abs() < 1e-15);
        assert!(labels(mat![[1.0], [1.0]].as_ref()).is_err());
        assert!(labels(mat![[1.0, 2.0]].as_ref()).is_err());
    }

    #[test]
    fn components_are_uncorrelated_and_lead_with_the_largest_variance() {
        let view = Mat::from_fn(50, 3, |i, j| {
            let t = i as f64;
            match j {
                0 => (0.9 * t).sin(),
                1 => (0.9 * t).sin() + 0.2 * (2.3 * t).cos(),
                _ => (0.31 * t * t).sin(),
            }
        });
        let scores = principal_components(view.as_ref(), 2).unwrap();
        assert_eq!(scores.shape(), (50, 2));
        let scatter = covariance(scores.as_ref());
        assert!(scatter[(0, 1)].abs() < 1e-13);
        // Three standardised columns: the two correlated ones make the largest component.
        assert!(scatter[(1, 1)] > 1.5 && scatter[(1, 1)] > scatter[(0, 0)]);
    }

    #[test]
    fn constant_columns_are_named_and_can_be_dropped() {
        let view = mat![[1.0, 0.1, 2.0], [2.0, 0.1, 4.0], [4.0, 0.1, 5.0]];
        let refused = standardise(view.as_ref()).unwrap_err();
        assert_eq!(
            refused,
            PidError::ConstantColumn {
                what: "a view",
                column: 1
            }
        );
        let (kept, dropped) = without_constant_columns(view.as_ref());
        assert_eq!((kept.ncols(), dropped), (2, 1));
        assert!(standardise(kept.as_ref()).is_ok());
    }
}
