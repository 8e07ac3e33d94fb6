//! Runs, baselines, and published numbers side by side.
//!
//! [`resolve`] turns the words of a command line into columns, [`compare`] joins them by paper and
//! claim, [`gate`] holds runs against their baselines. Showing is left to [`show`].

mod gate;
mod operand;
pub mod show;

use std::collections::BTreeMap;

use eval::{ClaimSummary, Estimate, Scale, Summary, Verdict};
use serde::Serialize;

use crate::number;

pub use gate::gate;
pub use operand::{find_run, resolve};

/// What stands behind one side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A run folder.
    Run,
    /// The committed summary of a reference run.
    Baseline,
    /// The numbers that the paper prints.
    Published,
}

/// One operand, restricted to one paper.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// What it is.
    pub kind: Kind,
    /// Claims with their numbers; verdicts are `stale` where the code has changed since.
    pub summary: Summary,
    /// Verdicts as recorded, in the order of the claims.
    pub recorded: Vec<Verdict>,
    /// Half of the last printed digit by claim, where the paper states it: published numbers only.
    pub resolution: BTreeMap<String, f64>,
    /// The claims the run was asked for.
    pub selected: Vec<String>,
}

/// One operand: its name and what it says about each paper.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The name in headings.
    pub label: String,
    /// What it says, by paper.
    pub sides: BTreeMap<String, Side>,
}

/// Columns joined by paper and claim.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Format version.
    pub format: u32,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// One row per claim, papers by name, claims in the paper's order.
    pub rows: Vec<Row>,
    /// What a reader must know: other scales, other code.
    pub notes: Vec<String>,
}

/// One claim in all columns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The paper's id.
    pub paper: String,
    /// The claim's id.
    pub claim: String,
    /// The claim's sentence.
    pub says: String,
    /// The unit of all numbers of the row.
    pub unit: String,
    /// One cell per column; absent where the column knows nothing of the claim.
    pub cells: Vec<Option<Cell>>,
    /// How the first column relates to each further one.
    pub relations: Vec<Option<Relation>>,
}

/// What one column says about one claim.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// What stands behind it.
    pub kind: Kind,
    /// The number, where there is one.
    pub value: Option<f64>,
    /// Lower end of the interval; for a published number, of what prints as it.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Units behind the number.
    pub n: Option<u64>,
    /// Measurements tried.
    pub attempted: Option<u64>,
    /// Measurements without a number.
    pub failed: Option<u64>,
    /// Answers that could not be read.
    pub unparsed: Option<u64>,
    /// Whether chance plays no part.
    pub deterministic: bool,
    /// The verdict as it counts; none for published numbers.
    pub verdict: Option<Verdict>,
    /// The verdict as it was recorded.
    pub recorded: Option<Verdict>,
}

/// How two cells relate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Relation {
    /// First minus other, in the claim's unit.
    pub difference: Option<f64>,
    /// Whether the intervals share a value.
    pub overlap: Option<bool>,
    /// Whether value or verdict differ, as `--only-diff` understands it.
    pub differs: bool,
    /// The relation in words.
    pub says: String,
}

/// The format version of a comparison in JSON.
pub const FORMAT: u32 = 1;

/// Joins columns.
#[must_use]
pub fn compare(columns: &[Column]) -> Comparison {
    let mut rows = Vec::new();
    for paper in papers(columns) {
        let sides: Vec<Option<&Side>> = columns
            .iter()
            .map(|column| column.sides.get(&paper))
            .collect();
        for claim in claims(&sides) {
            rows.push(row(&paper, claim, &sides));
        }
    }
    let labels = columns.iter().map(|column| column.label.clone()).collect();
    Comparison {
        format: FORMAT,
        columns: labels,
        rows,
        notes: notes(columns),
    }
}

impl Comparison {
    /// Keeps the rows in which some value or verdict differs from the first column's.
    pub fn keep_differences(&mut self) {
        self.rows.retain(|row| {
            row.relations
                .iter()
                .flatten()
                .any(|relation| relation.differs)
        });
    }
}

fn papers(columns: &[Column]) -> Vec<String> {
    let mut papers: Vec<String> = columns
        .iter()
        .flat_map(|column| column.sides.keys().cloned())
        .collect();
    papers.sort();
    papers.dedup();
    papers
}

/// Every claim of any side, in the order of the first side that has it.
fn claims<'a>(sides: &[Option<&'a Side>]) -> Vec<&'a ClaimSummary> {
    let mut claims: Vec<&ClaimSummary> = Vec::new();
    for claim in sides.iter().flatten().flat_map(|side| &side.summary.claims) {
        if !claims.iter().any(|known| known.id == claim.id) {
            claims.push(claim);
        }
    }
    claims
}

fn row(paper: &str, claim: &ClaimSummary, sides: &[Option<&Side>]) -> Row {
    let cells: Vec<Option<Cell>> = sides
        .iter()
        .map(|side| side.and_then(|side| cell(side, &claim.id)))
        .collect();
    let unit = claim.unit.as_str();
    let first = cells.first().cloned().flatten();
    let relations = cells.iter().skip(1).map(|other| match (&first, other) {
        (Some(first), Some(other)) => Some(relate(first, other, unit)),
        (Some(_), None) | (None, Some(_)) => Some(Relation {
            difference: None,
            overlap: None,
            differs: true,
            says: "only one of the two has this claim".to_owned(),
        }),
        (None, None) => None,
    });
    Row {
        paper: paper.to_owned(),
        claim: claim.id.clone(),
        says: claim.says.clone(),
        unit: unit.to_owned(),
        relations: relations.collect(),
        cells,
    }
}

fn cell(side: &Side, id: &str) -> Option<Cell> {
    let idx = side
        .summary
        .claims
        .iter()
        .position(|claim| claim.id == id)?;
    let claim = &side.summary.claims[idx];
    if side.kind == Kind::Published {
        let value = claim.published;
        let half = side.resolution.get(id).copied().unwrap_or(0.0);
        return Some(Cell {
            kind: side.kind,
            value,
            low: value.map(|value| value - half),
            high: value.map(|value| value + half),
            n: None,
            attempted: None,
            failed: None,
            unparsed: None,
            deterministic: true,
            verdict: None,
            recorded: None,
        });
    }
    let estimate = claim.estimate.as_ref();
    let count = |get: fn(&Estimate) -> u64| estimate.map(get);
    Some(Cell {
        kind: side.kind,
        value: estimate.map(|e| e.value),
        low: estimate.map(|e| e.low),
        high: estimate.map(|e| e.high),
        n: count(|e| e.n),
        attempted: count(|e| e.attempted),
        failed: count(|e| e.failed),
        unparsed: count(|e| e.unparsed),
        deterministic: estimate.is_some_and(|e| e.deterministic),
        verdict: Some(claim.verdict),
        recorded: side.recorded.get(idx).copied(),
    })
}

/// How the first cell relates to another.
#[must_use]
pub fn relate(first: &Cell, other: &Cell, unit: &str) -> Relation {
    let verdicts = match (first.verdict, other.verdict) {
        (Some(a), Some(b)) => a != b,
        _ => false,
    };
    let ends = |cell: &Cell| Some((cell.value?, cell.low?, cell.high?));
    let (Some((a, a_low, a_high)), Some((b, b_low, b_high))) = (ends(first), ends(other)) else {
        let differs = verdicts || first.value.is_some() != other.value.is_some();
        let differs = differs && other.kind != Kind::Published;
        let says = "no two numbers to compare".to_owned();
        return Relation {
            difference: None,
            overlap: None,
            differs,
            says,
        };
    };
    let difference = a - b;
    let overlap = a_low <= b_high && b_low <= a_high;
    let amount = format!(
        "difference {}{}",
        number::plain(difference),
        number::unit_suffix(unit)
    );
    let published = first.kind == Kind::Published || other.kind == Kind::Published;
    let says = if a == b && !published {
        "same value".to_owned()
    } else if published {
        let place = if overlap { "inside" } else { "outside" };
        format!("{amount}; the published number lies {place} the interval")
    } else if overlap {
        format!("{amount}; the intervals overlap")
    } else if first.deterministic && other.deterministic {
        format!("{amount}; drift: neither has an interval")
    } else {
        format!("{amount}; drift: the intervals do not overlap")
    };
    let value_differs = if published {
        !overlap
    } else {
        a.to_bits() != b.to_bits()
    };
    Relation {
        difference: Some(difference),
        overlap: Some(overlap),
        differs: verdicts || value_differs,
        says,
    }
}

/// Scales, and code, that are not the first column's.
fn notes(columns: &[Column]) -> Vec<String> {
    let mut notes = Vec::new();
    for paper in papers(columns) {
        let sides: Vec<(&str, &Side)> = columns
            .iter()
            .filter_map(|column| Some((column.label.as_str(), column.sides.get(&paper)?)))
            .filter(|(_, side)| side.kind != Kind::Published)
            .collect();
        for (label, side) in &sides {
            if side
                .summary
                .claims
                .iter()
                .any(|claim| claim.verdict == Verdict::Stale)
            {
                notes.push(format!(
                    "{paper}: {label} is stale; verdicts in brackets are those of that time."
                ));
            }
            if side.summary.scale == Scale::Smoke {
                notes.push(format!(
                    "{paper}: {label} is of scale smoke and issues no verdicts."
                ));
            }
        }
        let Some(((first_label, first), others)) = sides.split_first() else {
            continue;
        };
        for (label, side) in others {
            let (a, b) = (&first.summary, &side.summary);
            if a.scale != b.scale {
                notes.push(format!(
                    "{paper}: scales differ: {first_label} is {}, {label} is {}.",
                    a.scale, b.scale
                ));
            }
            if a.source != b.source {
                let short = |digest: &str| digest.chars().take(12).collect::<String>();
                notes.push(format!(
                    "{paper}: measured with different code: {first_label} {}, {label} {}.",
                    short(&a.source),
                    short(&b.source)
                ));
            } else if a.rows == b.rows && !a.rows.is_empty() {
                notes.push(format!(
                    "{paper}: {first_label} and {label} have identical rows."
                ));
            }
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(kind: Kind, value: f64, half: f64) -> Cell {
        Cell {
            kind,
            value: Some(value),
            low: Some(value - half),
            high: Some(value + half),
            n: Some(5),
            attempted: Some(5),
            failed: Some(0),
            unparsed: Some(0),
            deterministic: half == 0.0,
            verdict: (kind != Kind::Published).then_some(Verdict::Reproduced),
            recorded: None,
        }
    }

    #[test]
    fn relations_name_difference_and_overlap() {
        let ours = cell(Kind::Run, 0.5, 0.1);
        let cases = [
            (cell(Kind::Run, 0.5, 0.1), "same value", false),
            (
                cell(Kind::Baseline, 0.6, 0.1),
                "difference -0.1 bits; the intervals overlap",
                true,
            ),
            (
                cell(Kind::Baseline, 0.9, 0.1),
                "difference -0.4 bits; drift: the intervals do not overlap",
                true,
            ),
            (
                cell(Kind::Published, 0.45, 0.0),
                "difference 0.05 bits; the published number lies inside the interval",
                false,
            ),
            (
                cell(Kind::Published, 0.3, 0.01),
                "difference 0.2 bits; the published number lies outside the interval",
                true,
            ),
        ];
        for (other, says, differs) in cases {
            let relation = relate(&ours, &other, "bits");
            assert_eq!(relation.says, says);
            assert_eq!(relation.differs, differs, "{says}");
        }
        let exact = relate(&cell(Kind::Run, 1.0, 0.0), &cell(Kind::Run, 2.0, 0.0), "1");
        assert_eq!(exact.says, "difference -1; drift: neither has an interval");
    }

    #[test]
    fn a_changed_verdict_is_a_difference_even_with_equal_values() {
        let ours = cell(Kind::Run, 0.5, 0.1);
        let fell = Cell {
            verdict: Some(Verdict::InvalidRun),
            ..ours.clone()
        };
        assert!(relate(&ours, &fell, "1").differs);
        let nothing = Cell {
            value: None,
            ..ours.clone()
        };
        assert!(relate(&ours, &nothing, "1").differs);
    }
}
