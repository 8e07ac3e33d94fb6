//! A comparison as tables.

use super::{Cell, Comparison, Kind};
use crate::number;
use crate::results::sign;
use crate::sheet::{Align, Column, Sheet};
use crate::text;

/// The table for people: one column per operand, one for the relations.
#[must_use]
pub fn sheet(comparison: &Comparison) -> Sheet {
    let caption = match comparison.rows.len() {
        0 => "No claim differs, or none is known to any operand.".to_owned(),
        n => format!("{} compared", number::plural(n as u64, "claim", "claims")),
    };
    let mut sheet = Sheet::new(caption, &[("claim", Align::Left)]);
    let column = |title: &str| Column {
        title: title.to_owned(),
        align: Align::Left,
    };
    sheet
        .columns
        .extend(comparison.columns.iter().map(|label| column(label)));
    if comparison.columns.len() > 1 {
        sheet.columns.push(column("first against the others"));
    }
    for row in &comparison.rows {
        let says = text::line(&row.says, 200);
        let mut cells = vec![format!("{} {}\n{says}", row.paper, row.claim)];
        for cell in &row.cells {
            cells.push(
                cell.as_ref()
                    .map_or_else(|| "–".to_owned(), |cell| show(cell, &row.unit)),
            );
        }
        if comparison.columns.len() > 1 {
            let pairs = comparison.columns.iter().skip(1).zip(&row.relations);
            let said = pairs.filter_map(|(label, relation)| {
                relation
                    .as_ref()
                    .map(|relation| format!("{label}: {}", relation.says))
            });
            cells.push(said.collect::<Vec<_>>().join("\n"));
        }
        sheet.rows.push(cells);
    }
    sheet.notes.clone_from(&comparison.notes);
    sheet
}

fn show(cell: &Cell, unit: &str) -> String {
    let suffix = number::unit_suffix(unit);
    let Some(value) = cell.value else {
        let nothing = match cell.kind {
            Kind::Published => "no number",
            Kind::Run | Kind::Baseline => "nothing measured",
        };
        return with_verdict(nothing.to_owned(), cell);
    };
    if cell.kind == Kind::Published {
        return format!("{}{suffix}", number::as_printed(value));
    }
    let n = cell.n.unwrap_or(0);
    let measured = match (cell.low, cell.high) {
        (Some(low), Some(high)) if !cell.deterministic => {
            let [value, low, high] = number::with_interval(value, low, high);
            format!("{value} [{low}, {high}]{suffix} (n = {n})")
        }
        _ => format!("{}{suffix}, no interval (n = {n})", number::plain(value)),
    };
    with_verdict(measured, cell)
}

fn with_verdict(measured: String, cell: &Cell) -> String {
    let Some(verdict) = cell.verdict else {
        return measured;
    };
    let was = cell.recorded.filter(|recorded| *recorded != verdict);
    let was = was
        .map(|recorded| format!(" [was {recorded}]"))
        .unwrap_or_default();
    format!("{measured}\n{} {verdict}{was}", sign(verdict))
}

/// The table for programs: one line per claim and column, numbers in full.
#[must_use]
pub fn full_sheet(comparison: &Comparison) -> Sheet {
    let left = ["paper", "claim", "unit", "column", "kind"];
    let right = [
        "value",
        "low",
        "high",
        "n",
        "attempted",
        "failed",
        "unparsed",
    ];
    let last = ["verdict", "recorded"];
    let mut sheet = Sheet::new("comparison", &[]);
    let mut add = |titles: &[&str], align| {
        let columns = titles.iter().map(|title| Column {
            title: (*title).to_owned(),
            align,
        });
        sheet.columns.extend(columns);
    };
    add(&left, Align::Left);
    add(&right, Align::Right);
    add(&last, Align::Left);
    add(&["difference"], Align::Right);
    add(&["overlap", "relation"], Align::Left);
    for row in &comparison.rows {
        for (idx, label) in comparison.columns.iter().enumerate() {
            let Some(cell) = &row.cells[idx] else {
                continue;
            };
            let relation = idx
                .checked_sub(1)
                .and_then(|idx| row.relations[idx].as_ref());
            let real = |value: Option<f64>| value.map(number::as_printed).unwrap_or_default();
            let count = |value: Option<u64>| value.map(|n| n.to_string()).unwrap_or_default();
            let kind = match cell.kind {
                Kind::Run => "run",
                Kind::Baseline => "baseline",
                Kind::Published => "published",
            };
            let mut cells: Vec<String> = vec![
                row.paper.clone(),
                row.claim.clone(),
                row.unit.clone(),
                label.clone(),
            ];
            cells.push(kind.to_owned());
            cells.extend([real(cell.value), real(cell.low), real(cell.high)]);
            cells.extend([cell.n, cell.attempted, cell.failed, cell.unparsed].map(count));
            cells.push(cell.verdict.map(|v| v.to_string()).unwrap_or_default());
            cells.push(cell.recorded.map(|v| v.to_string()).unwrap_or_default());
            cells.push(real(relation.and_then(|relation| relation.difference)));
            let overlap = relation.and_then(|relation| relation.overlap);
            cells.push(
                overlap
                    .map(|overlap| overlap.to_string())
                    .unwrap_or_default(),
            );
            cells.push(
                relation
                    .map(|relation| relation.says.clone())
                    .unwrap_or_default(),
            );
            sheet.rows.push(cells);
        }
    }
    sheet
}
