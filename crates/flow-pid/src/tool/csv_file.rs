//! CSV with or without a header row.

use std::path::Path;

use eval::{Error, Result};

use super::table::{Column, check_size, from_texts, unreadable};

/// Texts that stand for a missing value.
const GAPS: [&str; 7] = ["", "NA", "N/A", "NaN", "nan", "null", "NULL"];

/// Reads every column. The first row is a header unless all its fields are numbers.
///
/// # Errors
/// The file cannot be opened, a row has another number of fields than the first, or text is not
/// UTF-8.
pub(super) fn read(path: &Path, delimiter: u8) -> Result<Vec<Column>> {
    let file = std::fs::File::open(path).map_err(|e| Error::io("open", path, e))?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter)
        .from_reader(file);
    let mut names: Vec<String> = Vec::new();
    let mut columns: Vec<Vec<Option<String>>> = Vec::new();
    for (row, record) in reader.records().enumerate() {
        let record = record.map_err(|e| unreadable(path, "CSV", e))?;
        if row == 0 {
            columns = vec![Vec::new(); record.len()];
            let is_number = |text: &str| text.trim().parse::<f64>().is_ok();
            if !record.iter().all(is_number) {
                names = record.iter().map(|name| name.trim().to_owned()).collect();
                continue;
            }
            names = (0..record.len()).map(|k| format!("c{k}")).collect();
        }
        check_size(path, row, columns.len())?;
        for (column, text) in columns.iter_mut().zip(&record) {
            let text = text.trim();
            column.push((!GAPS.contains(&text)).then(|| text.to_owned()));
        }
    }
    let named = names.into_iter().zip(columns);
    Ok(named
        .map(|(name, texts)| Column {
            name,
            values: from_texts(texts),
        })
        .collect())
}
