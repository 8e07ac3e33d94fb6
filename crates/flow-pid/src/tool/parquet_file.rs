//! Parquet files with flat columns: numbers, truth values, and texts, with gaps.

use std::fs::File;
use std::path::Path;

use eval::{Error, Result};
use parquet::basic::{LogicalType, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::table::{Column, Values, check_size, from_texts, unreadable};

/// Reads every column.
///
/// # Errors
/// The file cannot be read or is damaged, or a column is nested or of a type that is neither
/// number, truth value, nor text.
pub(super) fn read(path: &Path) -> Result<Vec<Column>> {
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let reader = SerializedFileReader::new(file).map_err(|e| unreadable(path, "Parquet", e))?;
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let rows = usize::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0);
    check_size(path, rows, schema.num_columns())?;
    let mut columns = Vec::with_capacity(schema.num_columns());
    for (k, descriptor) in schema.columns().iter().enumerate() {
        // pandas stores an index under this name; it is no feature.
        if descriptor.name().starts_with("__index_level_") {
            continue;
        }
        check_kind(path, descriptor)?;
        let mut parts = Vec::new();
        for group in 0..reader.num_row_groups() {
            let group = reader
                .get_row_group(group)
                .map_err(|e| unreadable(path, "Parquet", e))?;
            let part = read_part(group.as_ref(), k).map_err(|e| unreadable(path, "Parquet", e))?;
            parts.push(part);
        }
        columns.push(Column {
            name: descriptor.name().to_owned(),
            values: join(parts),
        });
    }
    Ok(columns)
}

fn check_kind(path: &Path, descriptor: &ColumnDescriptor) -> Result<()> {
    let refuse = |what: &str| {
        let (name, path) = (descriptor.name(), path.display());
        Err(Error::inputs(format!("column `{name}` of `{path}` {what}"))
            .hint("select other columns, or store this one as numbers or text"))
    };
    if descriptor.max_rep_level() > 0 || descriptor.max_def_level() > 1 {
        return refuse("is nested");
    }
    match (descriptor.physical_type(), descriptor.logical_type_ref()) {
        (_, Some(LogicalType::Decimal { .. })) => refuse("holds decimals, which are not read"),
        (_, Some(LogicalType::Date | LogicalType::Timestamp { .. } | LogicalType::Time { .. })) => {
            refuse("holds times, which are not read")
        }
        (Type::INT96 | Type::FIXED_LEN_BYTE_ARRAY, _) => refuse("is of a type that is not read"),
        _ => Ok(()),
    }
}

/// Parts of one column, in order.
fn join(parts: Vec<Values>) -> Values {
    let mut numbers = Vec::new();
    let mut texts = Vec::new();
    for part in parts {
        match part {
            Values::Numbers(values) => numbers.extend(values),
            Values::Texts(values) => texts.extend(values),
        }
    }
    if texts.is_empty() {
        Values::Numbers(numbers)
    } else {
        // All parts of a column have one type, so that there are no numbers beside.
        from_texts_kept(texts)
    }
}

/// Texts stay texts, even where each looks like a number: the file says so.
fn from_texts_kept(texts: Vec<Option<String>>) -> Values {
    match from_texts(texts.clone()) {
        Values::Numbers(_) if texts.iter().all(Option::is_none) => {
            Values::Numbers(vec![None; texts.len()])
        }
        _ => Values::Texts(texts),
    }
}

fn read_part(
    group: &dyn RowGroupReader,
    column: usize,
) -> std::result::Result<Values, ParquetError> {
    let n_items = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
    let numbers = |values: Vec<Option<f64>>| {
        // NaN is pandas' gap.
        let values = values.into_iter().map(|v| v.filter(|x: &f64| !x.is_nan()));
        Values::Numbers(values.collect())
    };
    let read = match group.get_column_reader(column)? {
        ColumnReader::BoolColumnReader(reader) => {
            numbers(typed(reader, n_items, |v| f64::from(u8::from(*v)))?)
        }
        ColumnReader::Int32ColumnReader(reader) => {
            numbers(typed(reader, n_items, |v| f64::from(*v))?)
        }
        ColumnReader::Int64ColumnReader(reader) => numbers(typed(reader, n_items, |v| exact(*v))?),
        ColumnReader::FloatColumnReader(reader) => {
            numbers(typed(reader, n_items, |v| f64::from(*v))?)
        }
        ColumnReader::DoubleColumnReader(reader) => numbers(typed(reader, n_items, |v| *v)?),
        ColumnReader::ByteArrayColumnReader(reader) => {
            Values::Texts(typed(reader, n_items, |bytes| {
                String::from_utf8_lossy(bytes.data()).into_owned()
            })?)
        }
        _ => return Err(ParquetError::General("a type that is not read".to_owned())),
    };
    if read.len() == n_items {
        return Ok(read);
    }
    Err(ParquetError::General(format!(
        "a column announces {n_items} values and holds {}",
        read.len()
    )))
}

/// Integers beyond 2⁵³ would lose digits; infinity is refused by name later.
fn exact(value: i64) -> f64 {
    if value.unsigned_abs() <= 1 << 53 {
        value as f64
    } else {
        f64::INFINITY
    }
}

fn typed<T: DataType, V>(
    mut reader: ColumnReaderImpl<T>,
    n_items: usize,
    convert: impl Fn(&T::T) -> V,
) -> std::result::Result<Vec<Option<V>>, ParquetError> {
    let (mut values, mut levels, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    let mut n_read = 0;
    while n_read < n_items {
        let wanted = n_items - n_read;
        let (records, ..) = reader.read_records(
            wanted,
            Some(&mut levels),
            Some(&mut repetitions),
            &mut values,
        )?;
        if records == 0 {
            break;
        }
        n_read += records;
    }
    // A column that cannot have gaps comes without levels.
    if levels.is_empty() {
        return Ok(values.iter().map(|value| Some(convert(value))).collect());
    }
    let mut present = values.iter();
    Ok(levels
        .iter()
        .map(|level| {
            if *level > 0 {
                present.next().map(&convert)
            } else {
                None
            }
        })
        .collect())
}
