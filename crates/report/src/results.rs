//! The results table: what the paper says, what we measured, and what it means.
//!
//! One line per claim, in words for people ([`sheet`]) and with numbers in full for programs
//! ([`full_sheet`], [`frame`]). Reads a [`Summary`] and nothing else.

use eval::{ClaimSummary, Estimate, Result, Summary, Verdict};
use polars::prelude::{
    BooleanChunked, Column, DataFrame, Float64Chunked, IntoColumn, NewChunkedArray, StringChunked,
    UInt64Chunked,
};

use crate::frame::broken;
use crate::number;
use crate::sheet::{Align, Sheet};
use crate::text;

/// A sign that goes with a verdict, so that tables can be skimmed; the word always follows it.
#[must_use]
pub fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Reproduced | Verdict::Supported => "✓",
        Verdict::Approximate => "≈",
        Verdict::Inconclusive => "?",
        Verdict::NotObserved | Verdict::NotReproduced => "✗",
        Verdict::InvalidRun => "!",
        Verdict::Incomplete => "…",
        Verdict::Stale => "~",
        Verdict::NotAttempted => "–",
    }
}

/// What was measured, with its counts, or that nothing was.
#[must_use]
pub fn measured(estimate: Option<&Estimate>, unit: &str, published: Option<f64>) -> String {
    estimate.map_or_else(
        || "nothing measured".to_owned(),
        |estimate| {
            format!(
                "{}\n{}",
                number::measured(estimate, unit, published),
                number::counts(estimate)
            )
        },
    )
}

/// The table for people.
#[must_use]
pub fn sheet(summary: &Summary) -> Sheet {
    let caption = format!(
        "{} · run {} · scale {}",
        summary.paper, summary.run, summary.scale
    );
    let columns = [
        "claim",
        "paper says",
        "we measured [interval] (n)",
        "tier",
        "verdict",
    ];
    let mut sheet = Sheet::new(caption, &columns.map(|title| (title, Align::Left)));
    for claim in &summary.claims {
        sheet.rows.push(vec![
            format!("{}: {}", claim.id, short(&claim.says)),
            paper_says(claim),
            measured(claim.estimate.as_ref(), &claim.unit, claim.published),
            claim.tier.to_string(),
            format!(
                "{} {}\n{}",
                sign(claim.verdict),
                claim.verdict,
                short(&claim.reason)
            ),
        ]);
    }
    if summary.scale == eval::Scale::Smoke {
        sheet
            .notes
            .push("Scale smoke shows that everything runs; it issues no verdicts.".into());
    }
    sheet
}

/// What the paper says, in the words of one cell: the number with its unit, or the test, and where.
#[must_use]
pub fn paper_says(claim: &ClaimSummary) -> String {
    let says = match claim.published {
        Some(_) => number::published(claim.published, &claim.unit),
        None => short(&claim.test),
    };
    format!("{says}\n{}", short(&claim.place))
}

fn short(words: &str) -> String {
    text::line(words, 400)
}

const FULL_COLUMNS: [(&str, Align); 22] = [
    ("paper", Align::Left),
    ("run", Align::Left),
    ("scale", Align::Left),
    ("claim", Align::Left),
    ("says", Align::Left),
    ("where", Align::Left),
    ("tier", Align::Left),
    ("test", Align::Left),
    ("unit", Align::Left),
    ("published", Align::Right),
    ("value", Align::Right),
    ("low", Align::Right),
    ("high", Align::Right),
    ("n", Align::Right),
    ("attempted", Align::Right),
    ("failed", Align::Right),
    ("unparsed", Align::Right),
    ("n_seeds", Align::Right),
    ("deterministic", Align::Left),
    ("method", Align::Left),
    ("verdict", Align::Left),
    ("reason", Align::Left),
];

/// The table for programs: one column per field, numbers in full.
#[must_use]
pub fn full_sheet(summary: &Summary) -> Sheet {
    let mut sheet = Sheet::new(format!("claims of {}", summary.paper), &FULL_COLUMNS);
    for claim in &summary.claims {
        let estimate = claim.estimate.as_ref();
        let real = |get: fn(&Estimate) -> f64| {
            estimate
                .map(|e| number::as_printed(get(e)))
                .unwrap_or_default()
        };
        let count =
            |get: fn(&Estimate) -> u64| estimate.map(|e| get(e).to_string()).unwrap_or_default();
        sheet.rows.push(vec![
            summary.paper.clone(),
            summary.run.clone(),
            summary.scale.to_string(),
            claim.id.clone(),
            claim.says.clone(),
            claim.place.clone(),
            claim.tier.to_string(),
            claim.test.clone(),
            claim.unit.clone(),
            claim.published.map(number::as_printed).unwrap_or_default(),
            real(|e| e.value),
            real(|e| e.low),
            real(|e| e.high),
            count(|e| e.n),
            count(|e| e.attempted),
            count(|e| e.failed),
            count(|e| e.unparsed),
            count(|e| e.n_seeds),
            estimate
                .map(|e| e.deterministic.to_string())
                .unwrap_or_default(),
            estimate.map(|e| e.method.clone()).unwrap_or_default(),
            claim.verdict.to_string(),
            claim.reason.clone(),
        ]);
    }
    sheet
}

/// The table as a data frame with typed columns, named as in [`full_sheet`].
///
/// # Errors
/// The table library fails.
pub fn frame(summary: &Summary) -> Result<DataFrame> {
    let sheet = full_sheet(summary);
    let estimates: Vec<Option<&Estimate>> = summary
        .claims
        .iter()
        .map(|claim| claim.estimate.as_ref())
        .collect();
    let columns = FULL_COLUMNS.iter().enumerate().map(|(idx, (name, _))| {
        let real = |get: fn(&Estimate) -> f64| {
            let cells: Vec<Option<f64>> = estimates.iter().map(|e| e.map(get)).collect();
            Float64Chunked::from_slice_options((*name).into(), &cells).into_column()
        };
        let count = |get: fn(&Estimate) -> u64| {
            let cells: Vec<Option<u64>> = estimates.iter().map(|e| e.map(get)).collect();
            UInt64Chunked::from_slice_options((*name).into(), &cells).into_column()
        };
        match *name {
            "published" => {
                let cells: Vec<_> = summary.claims.iter().map(|claim| claim.published).collect();
                Float64Chunked::from_slice_options((*name).into(), &cells).into_column()
            }
            "value" => real(|e| e.value),
            "low" => real(|e| e.low),
            "high" => real(|e| e.high),
            "n" => count(|e| e.n),
            "attempted" => count(|e| e.attempted),
            "failed" => count(|e| e.failed),
            "unparsed" => count(|e| e.unparsed),
            "n_seeds" => count(|e| e.n_seeds),
            "deterministic" => {
                let cells: Vec<_> = estimates
                    .iter()
                    .map(|e| e.map(|e| e.deterministic))
                    .collect();
                BooleanChunked::from_slice_options((*name).into(), &cells).into_column()
            }
            _ => texts(name, &sheet, idx),
        }
    });
    DataFrame::new(summary.claims.len(), columns.collect()).map_err(broken)
}

fn texts(name: &str, sheet: &Sheet, column_idx: usize) -> Column {
    let cells: Vec<String> = sheet
        .rows
        .iter()
        .map(|row| text::block(&row[column_idx], text::BLOCK_CHARS_MAX))
        .collect();
    StringChunked::from_slice(name.into(), &cells).into_column()
}
