//! From tables to numbers: alignment, missing values, labels.

use eval::{Error, Result};
use faer::Mat;

use super::options::{LabelCoding, Missing, Options, TargetKind};
use super::table::{Column, Table, Values};
use crate::data::{self, Coding};

/// Most different whole numbers that a column may have and still be taken for a label.
const CLASSES_MAX: usize = 20;

/// What the method works on.
pub(super) struct Variables {
    pub y: Mat<f64>,
    pub x1: Mat<f64>,
    pub x2: Mat<f64>,
    /// Classes of a label, as indices.
    pub classes: Option<Vec<usize>>,
    pub n_items_dropped: usize,
    pub n_values_imputed: usize,
}

/// Reads target and sources as numbers.
pub(super) fn variables(y: &Table, x1: &Table, x2: &Table, options: &Options) -> Result<Variables> {
    for (table, what) in [(x1, "source 1"), (x2, "source 2")] {
        if table.n_items() != y.n_items() {
            return Err(Error::inputs(format!(
                "`{}` ({what}) has {} items and the target `{}` has {}",
                table.file,
                table.n_items(),
                y.file,
                y.n_items()
            ))
            .hint("row k of all three must be the same item"));
        }
        check_numbers(table, what)?;
    }
    let is_label = is_label(y, options.target)?;
    let gap = |table: &Table, item: usize| {
        let mut columns = table.columns.iter();
        columns.any(|column| column.values.is_missing(item))
    };
    let tables = [y, x1, x2];
    let keep: Vec<usize> = match options.missing {
        Missing::Drop => (0..y.n_items())
            .filter(|item| !tables.iter().any(|table| gap(table, *item)))
            .collect(),
        Missing::Refuse | Missing::Mean => (0..y.n_items()).collect(),
    };
    if keep.is_empty() {
        return Err(Error::inputs("every item has a missing value")
            .hint("impute them: `--missing mean`, or select fuller columns"));
    }
    let mut n_values_imputed = 0;
    let mut numbers = |table: &Table, may_impute: bool| -> Result<Mat<f64>> {
        let mut out = Mat::zeros(keep.len(), table.columns.len());
        for (k, column) in table.columns.iter().enumerate() {
            let filled = fill(table, column, &keep, options.missing, may_impute)?;
            n_values_imputed += filled.1;
            for (i, value) in filled.0.into_iter().enumerate() {
                out[(i, k)] = value;
            }
        }
        Ok(out)
    };
    let (x1_numbers, x2_numbers) = (numbers(x1, true)?, numbers(x2, true)?);
    for (matrix, table) in [(&x1_numbers, x1), (&x2_numbers, x2)] {
        check_constant(matrix, table)?;
    }
    let (y_numbers, classes) = if is_label {
        let classes = classes(y, &keep)?;
        let coding = match options.coding {
            LabelCoding::OneHot => Coding::OneHot,
            LabelCoding::Scalar => Coding::Scalar,
        };
        (data::encode(&classes, coding), Some(classes))
    } else {
        let numbers = numbers(y, true)?;
        check_constant(&numbers, y)?;
        (numbers, None)
    };
    Ok(Variables {
        y: y_numbers,
        x1: x1_numbers,
        x2: x2_numbers,
        classes,
        n_items_dropped: y.n_items() - keep.len(),
        n_values_imputed,
    })
}

fn check_numbers(table: &Table, what: &str) -> Result<()> {
    for column in &table.columns {
        if let Values::Texts(values) = &column.values {
            let is_text = |text: &Option<String>| {
                text.as_ref()
                    .is_some_and(|text| text.parse::<f64>().is_err())
            };
            let item = values.iter().position(is_text).unwrap_or(0);
            let text = values[item].as_deref().unwrap_or_default();
            let shown: String = text.chars().take(24).collect();
            return Err(Error::inputs(format!(
                "column `{}` of `{}` ({what}) holds text: {shown:?} at item {item}",
                column.name, table.file
            ))
            .hint("name the numeric columns, or encode this one first"));
        }
    }
    Ok(())
}

/// Whether the target is a label.
fn is_label(y: &Table, kind: TargetKind) -> Result<bool> {
    let has_text = y
        .columns
        .iter()
        .any(|column| matches!(column.values, Values::Texts(_)));
    match kind {
        TargetKind::Number => check_numbers(y, "the target").map(|()| false),
        TargetKind::Label | TargetKind::Auto if y.columns.len() > 1 => {
            if kind == TargetKind::Label || has_text {
                return Err(Error::inputs(format!(
                    "the target `{}` has {} columns; a label is one",
                    y.file,
                    y.columns.len()
                ))
                .hint("select the label's column"));
            }
            Ok(false)
        }
        TargetKind::Label => Ok(true),
        TargetKind::Auto => Ok(has_text || few_whole_numbers(&y.columns[0])),
    }
}

fn few_whole_numbers(column: &Column) -> bool {
    let Values::Numbers(values) = &column.values else {
        return false;
    };
    let mut seen: Vec<f64> = Vec::new();
    for value in values.iter().flatten() {
        if value.fract() != 0.0 || !value.is_finite() {
            return false;
        }
        if !seen.contains(value) {
            seen.push(*value);
        }
        if seen.len() > CLASSES_MAX {
            return false;
        }
    }
    true
}

/// The kept values of a column and how many of them are means.
fn fill(
    table: &Table,
    column: &Column,
    keep: &[usize],
    missing: Missing,
    may_impute: bool,
) -> Result<(Vec<f64>, usize)> {
    let Values::Numbers(values) = &column.values else {
        return Err(Error::inputs(format!(
            "column `{}` of `{}` holds text",
            column.name, table.file
        )));
    };
    let place = |item: usize| {
        format!(
            "column `{}` of `{}` at item {item}",
            column.name, table.file
        )
    };
    if let Some(item) = values
        .iter()
        .position(|value| value.is_some_and(f64::is_infinite))
    {
        return Err(Error::inputs(format!(
            "{} is infinite, or an integer beyond 2^53",
            place(item)
        ))
        .hint("clip it or drop the item"));
    }
    let gaps: Vec<usize> = keep
        .iter()
        .copied()
        .filter(|item| values[*item].is_none())
        .collect();
    let present: Vec<f64> = keep.iter().filter_map(|item| values[*item]).collect();
    if let Some(first) = gaps.first() {
        if missing == Missing::Refuse || !may_impute {
            return Err(Error::inputs(format!(
                "{} has no value, and {} others of that column have none",
                place(*first),
                gaps.len() - 1
            ))
            .hint("choose `--missing drop` or `--missing mean`"));
        }
        if present.is_empty() {
            return Err(Error::inputs(format!(
                "column `{}` of `{}` has no value at all",
                column.name, table.file
            ))
            .hint("leave it out"));
        }
    }
    let mean = present.iter().sum::<f64>() / present.len().max(1) as f64;
    let filled = keep.iter().map(|item| values[*item].unwrap_or(mean));
    Ok((filled.collect(), gaps.len()))
}

fn check_constant(matrix: &Mat<f64>, table: &Table) -> Result<()> {
    for (k, column) in table.columns.iter().enumerate() {
        let first = matrix[(0, k)];
        if matrix.col(k).iter().all(|value| *value == first) {
            return Err(Error::inputs(format!(
                "column `{}` of `{}` is constant",
                column.name, table.file
            ))
            .hint("leave it out: it tells nothing"));
        }
    }
    Ok(())
}

/// Class indices in the order of the labels' values.
fn classes(y: &Table, keep: &[usize]) -> Result<Vec<usize>> {
    let column = &y.columns[0];
    let texts: Vec<String> = match &column.values {
        Values::Texts(values) => values
            .iter()
            .map(|text| text.clone().unwrap_or_default())
            .collect(),
        // Digits behind a sign and leading zeros keep the order of numbers as the order of texts
        // for no reader; only equality matters for a label, order is fixed for reproducibility.
        Values::Numbers(values) => values
            .iter()
            .map(|value| {
                value
                    .map(|value| format!("{value:024.6}"))
                    .unwrap_or_default()
            })
            .collect(),
    };
    if let Some(item) = keep.iter().find(|item| column.values.is_missing(**item)) {
        return Err(Error::inputs(format!(
            "the label of item {item} is missing in `{}`",
            y.file
        ))
        .hint("choose `--missing drop`; a label has no mean"));
    }
    let kept: Vec<&String> = keep.iter().map(|item| &texts[*item]).collect();
    let mut names = kept.clone();
    names.sort();
    names.dedup();
    if names.len() < 2 {
        return Err(
            Error::inputs(format!("the label of `{}` has one class", y.file))
                .hint("nothing can be told about a constant"),
        );
    }
    if names.len() * 2 > kept.len() {
        return Err(Error::inputs(format!(
            "the label of `{}` has {} classes for {} items",
            y.file,
            names.len(),
            kept.len()
        ))
        .hint("a target of numbers is chosen with `--target number`"));
    }
    Ok(kept
        .iter()
        .map(|text| names.partition_point(|name| name < text))
        .collect())
}
