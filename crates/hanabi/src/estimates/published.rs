//! Analysis of published numbers, which are read from the table beside the results.

use eval::stats::ranks;
use eval::{Counts, Error, Estimate, MeasuredRow, Result};

use crate::experiments::UNKNOWN;
use crate::statistics::{Comparison, williams};

const TABLE: &str = include_str!("../../../../results/hanabi/published.csv");

/// Level of significance of the published analysis.
const SIGNIFICANT: f64 = 0.05;

/// One row of the table.
#[derive(Clone, Debug, serde::Deserialize)]
struct Published {
    source: String,
    metric: String,
    value: Option<f64>,
    note: String,
}

fn table() -> Result<Vec<Published>> {
    csv::Reader::from_reader(TABLE.as_bytes())
        .deserialize()
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| {
            Error::inputs("`results/hanabi/published.csv` cannot be read").caused_by(error)
        })
}

/// The number that the paper itself reports under `metric`.
fn paper_value(metric: &str) -> Result<f64> {
    let rows = table()?;
    let found = rows
        .iter()
        .find(|row| row.source.starts_with("arXiv 2510.04980") && row.metric == metric);
    found
        .and_then(|row| row.value)
        .ok_or_else(|| Error::inputs(format!("`results/hanabi/published.csv` has no `{metric}`")))
}

/// How many models the paper correlates over.
pub fn n_models() -> Result<usize> {
    Ok(paper_value("number_of_models")? as usize)
}

/// Over every r12 that the two published correlations admit, the share for which their difference
/// is significant by Williams' test.
pub fn share_of_significant_gaps(rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    let r1 = paper_value("pearson_r_tom1_vs_game_score")?;
    let r2 = paper_value("pearson_r_tom2_vs_game_score")?;
    let n = n_models()? as u64;
    let (mut n_admissible, mut n_significant) = (0_u64, 0_u64);
    let unknown = rows.iter().filter(|row| row.cell.experiment == UNKNOWN);
    for r12 in unknown.filter_map(|row| row.row.value) {
        let comparison = Comparison { r1, r2, r12, n };
        if comparison.determinant() > 0.0 {
            n_admissible += 1;
            n_significant += u64::from(williams(&comparison)? < SIGNIFICANT);
        }
    }
    if n_admissible == 0 {
        return Ok(None);
    }
    let counts = Counts {
        attempted: n_admissible,
        ..Counts::default()
    };
    let share = n_significant as f64 / n_admissible as f64;
    let method = "share of the admissible r12 with p < 0.05 by Williams' test";
    Ok(Some(Estimate::deterministic(
        share,
        n_admissible,
        counts,
        method,
    )))
}

/// Of the recorded configurations of another benchmark, the probability that a reasoning one has
/// the higher mean score than one that is not, ties by half (Mann and Whitney).
pub fn reasoning_wins(rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    if rows.is_empty() {
        return Ok(None);
    }
    let scores: Vec<(bool, f64)> = table()?
        .into_iter()
        .filter(|row| row.source.starts_with("demirev/hanabi-benchmark"))
        .filter(|row| row.metric == "avg_score")
        .filter_map(|row| Some((row.note.contains("reasoning=1"), row.value?)))
        .collect();
    let n_reasoning = scores.iter().filter(|(reasoning, _)| *reasoning).count();
    let n_other = scores.len() - n_reasoning;
    if n_reasoning == 0 || n_other == 0 {
        return Ok(None);
    }
    let (value, error) = superiority(&scores)?;
    // Normal interval with Hanley and McNeil's (1982) standard error of the area.
    let half = 1.959_963_984_540_054 * error;
    let n = scores.len() as u64;
    Ok(Some(Estimate {
        value,
        low: (value - half).max(0.0),
        high: (value + half).min(1.0),
        n,
        attempted: n,
        failed: 0,
        unparsed: 0,
        n_seeds: 1,
        deterministic: false,
        method: format!(
            "P(reasoning > other) over {n_reasoning} × {n_other} configurations, Hanley–McNeil"
        ),
        p_value: None,
    }))
}

/// Probability of superiority and its standard error.
fn superiority(scores: &[(bool, f64)]) -> Result<(f64, f64)> {
    let values: Vec<f64> = scores.iter().map(|(_, score)| *score).collect();
    let ranks = ranks(&values)
        .map_err(|why| Error::internal("the scores cannot be ranked").caused_by(why))?;
    let n_one = scores.iter().filter(|(reasoning, _)| *reasoning).count() as f64;
    let n_other = scores.len() as f64 - n_one;
    let sum: f64 = scores
        .iter()
        .zip(ranks)
        .filter(|((reasoning, _), _)| *reasoning)
        .map(|(_, rank)| rank)
        .sum();
    let area = (sum - n_one * (n_one + 1.0) / 2.0) / (n_one * n_other);
    let q1 = area / (2.0 - area);
    let q2 = 2.0 * area * area / (1.0 + area);
    let variance = area * (1.0 - area)
        + (n_one - 1.0) * (q1 - area * area)
        + (n_other - 1.0) * (q2 - area * area);
    Ok((area, (variance / (n_one * n_other)).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superiority_is_the_share_of_pairs() {
        let scores = [
            (true, 3.0),
            (true, 1.0),
            (false, 2.0),
            (false, 1.0),
            (false, 0.0),
        ];
        let mut wins = 0.0;
        for (_, one) in scores.iter().filter(|(reasoning, _)| *reasoning) {
            for (_, other) in scores.iter().filter(|(reasoning, _)| !*reasoning) {
                wins += f64::from(one > other) + 0.5 * f64::from(one == other);
            }
        }
        let (area, error) = superiority(&scores).unwrap();
        assert!((area - wins / 6.0).abs() < 1e-12);
        assert!(error > 0.0);
    }

    #[test]
    fn the_table_has_what_the_analysis_reads() {
        assert!(n_models().unwrap() > 3);
        let labelled = table().unwrap();
        let labelled = labelled.iter().filter(|row| row.metric == "avg_score");
        let (mut yes, mut no) = (0, 0);
        for row in labelled {
            yes += u32::from(row.note.contains("reasoning=1"));
            no += u32::from(row.note.contains("reasoning=0"));
        }
        assert!(yes > 0 && no > 0);
    }
}
