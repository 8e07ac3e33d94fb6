//! From rows to units: selection, counting, and averaging within a unit.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::claim::Recipe;
use crate::error::{Error, Result};
use crate::estimate::Counts;
use crate::row::{MeasuredRow, Outcome};
use crate::stats;

/// What makes up one independent unit: the values of the keys of `unit_by`, or, without any, the
/// row's place among all rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Unit {
    row_idx: usize,
    keys: Vec<String>,
}

/// One measured number with the unit it belongs to.
pub(super) struct Measured<'a> {
    pub(super) unit: Unit,
    pub(super) value: f64,
    pub(super) row: &'a MeasuredRow,
}

/// The rows of one metric: those with a number, and how many were tried.
#[derive(Default)]
pub(super) struct Selection<'a> {
    pub(super) measured: Vec<Measured<'a>>,
    pub(super) counts: Counts,
}

impl<'a> Selection<'a> {
    /// The rows of `metric` that have the recipe's tags and that `wanted` accepts.
    ///
    /// # Errors
    /// A row with a number lacks a key of `unit_by`, or `wanted` cannot tell.
    pub(super) fn of(
        recipe: &Recipe,
        metric: &str,
        rows: &'a [MeasuredRow],
        wanted: impl Fn(&MeasuredRow) -> Result<bool>,
    ) -> Result<Self> {
        let mut selection = Self::default();
        for (row_idx, row) in rows.iter().enumerate() {
            if row.row.metric != metric || !row.matches(&recipe.tags) || !wanted(row)? {
                continue;
            }
            let counts = &mut selection.counts;
            counts.attempted += 1;
            match (row.row.outcome, row.row.value) {
                (Outcome::Ok, Some(value)) if value.is_finite() => {
                    let unit = unit_of(recipe, row, row_idx)?;
                    selection.measured.push(Measured { unit, value, row });
                }
                (Outcome::Unparsed, _) => counts.unparsed += 1,
                (Outcome::Ok | Outcome::Failed, _) => counts.failed += 1,
            }
        }
        Ok(selection)
    }

    /// The mean of each unit's values, in the order of the units.
    pub(super) fn unit_means(&self) -> Result<BTreeMap<Unit, f64>> {
        let mut values: BTreeMap<&Unit, Vec<f64>> = BTreeMap::new();
        for measured in &self.measured {
            values
                .entry(&measured.unit)
                .or_default()
                .push(measured.value);
        }
        values
            .into_iter()
            .map(|(unit, values)| Ok((unit.clone(), average(&values)?)))
            .collect()
    }

    /// Distinct seeds behind the numbers.
    pub(super) fn seeds(&self) -> BTreeSet<u64> {
        self.measured
            .iter()
            .map(|measured| measured.row.cell.seed)
            .collect()
    }
}

/// The mean of values that belong to one unit.
///
/// # Errors
/// Their sum overflows.
pub(super) fn average(values: &[f64]) -> Result<f64> {
    stats::mean(values)
        .map_err(|why| Error::internal("values of one unit cannot be averaged").caused_by(why))
}

fn unit_of(recipe: &Recipe, row: &MeasuredRow, row_idx: usize) -> Result<Unit> {
    if recipe.unit_by.is_empty() {
        return Ok(Unit {
            row_idx,
            keys: Vec::new(),
        });
    }
    let keys: Result<Vec<String>> = recipe
        .unit_by
        .iter()
        .map(|key| Ok(key_of(row, key)?.into_owned()))
        .collect();
    Ok(Unit {
        row_idx: 0,
        keys: keys?,
    })
}

/// The value of a key of a row: `seed`, `item`, and `experiment` are built in, others are looked
/// up among tags and condition.
///
/// # Errors
/// The row has no such key.
pub(super) fn key_of<'a>(row: &'a MeasuredRow, key: &str) -> Result<Cow<'a, str>> {
    let value = match key {
        "seed" => Some(Cow::Owned(row.cell.seed.to_string())),
        "experiment" => Some(Cow::Borrowed(row.cell.experiment.as_str())),
        "item" => row.row.item.as_deref().map(Cow::Borrowed),
        _ => row.get(key).map(Cow::Borrowed),
    };
    value.ok_or_else(|| {
        Error::usage(format!(
            "a row of metric `{}` in cell `{}` has no key `{key}`",
            row.row.metric,
            row.cell.id()
        ))
        .hint(format!(
            "tag the row with `{key}`, put it into the cell's condition, or change the recipe in \
             `paper.toml`"
        ))
    })
}
