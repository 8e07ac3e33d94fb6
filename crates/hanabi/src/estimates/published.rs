//! Analysis of published numbers, which are read from the table beside the results.

use eval::stats::ranks;
use eval::{Claim, Counts, Error, Estimate, MeasuredRow, Result};

use super::columns::{LEVEL, stream, undefined};
use crate::experiments::UNKNOWN;
use crate::statistics::{Comparison, n_needed, two_sided};

const TABLE: &str = include_str!("../../../../results/hanabi/published.csv");

/// Level of significance of the published analysis.
const SIGNIFICANT: f64 = 0.05;

/// Permutations where not all can be tried.
const N_PERMUTATIONS: u64 = 100_000;

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

/// A test of equal dependent correlations: its p-value.
type TestOfGap = fn(&Comparison) -> Result<f64>;

/// The two published correlations with every r12 of the rows that they admit.
fn comparisons(rows: &[MeasuredRow]) -> Result<Vec<Comparison>> {
    let r1 = paper_value("pearson_r_tom1_vs_game_score")?;
    let r2 = paper_value("pearson_r_tom2_vs_game_score")?;
    let n = n_models()? as u64;
    let unknown = rows.iter().filter(|row| row.cell.experiment == UNKNOWN);
    let compared = unknown.filter_map(|row| row.row.value);
    let compared = compared.map(|r12| Comparison { r1, r2, r12, n });
    Ok(compared.filter(|one| one.determinant() > 0.0).collect())
}

fn share(holds: &[bool], method: &str) -> Option<Estimate> {
    let n = holds.len() as u64;
    let counts = Counts {
        attempted: n,
        ..Counts::default()
    };
    let n_holding = holds.iter().filter(|holds| **holds).count();
    (n > 0).then(|| Estimate::deterministic(n_holding as f64 / n as f64, n, counts, method))
}

/// Over every r12 that the two published correlations admit, the share for which their difference
/// is significant by `test`, which is called `name`.
pub fn share_of_significant_gaps(
    rows: &[MeasuredRow],
    test: TestOfGap,
    name: &str,
) -> Result<Option<Estimate>> {
    let significant = |one: &Comparison| Ok(test(one)? < SIGNIFICANT);
    let admissible = comparisons(rows)?;
    let holds = admissible.iter().map(significant);
    let method = format!("share of the admissible r12 with p < 0.05 by {name} test");
    Ok(share(&holds.collect::<Result<Vec<_>>>()?, &method))
}

/// The median over the admissible r12 of the number of models with which Steiger's test would find
/// the published difference in four of five samples.
pub fn models_needed(rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    let needed = comparisons(rows)?
        .iter()
        .map(n_needed)
        .collect::<Vec<f64>>();
    if needed.is_empty() {
        return Ok(None);
    }
    let at = |p: f64| {
        eval::stats::quantile(&needed, p)
            .map_err(|why| Error::internal("no median of numbers of models").caused_by(why))
    };
    let counts = Counts {
        attempted: needed.len() as u64,
        ..Counts::default()
    };
    let method = format!(
        "median over the admissible r12 (central half {:.0} to {:.0}), power 0.8 of Steiger's test",
        at(0.25)?,
        at(0.75)?
    );
    let value = at(0.5)?;
    Ok(Some(Estimate::deterministic(
        value,
        needed.len() as u64,
        counts,
        method,
    )))
}

/// Of the recorded configurations of another benchmark, the probability that a reasoning one has
/// the higher mean score than one that is not, ties by half (Mann and Whitney).
///
/// `above` leaves out configurations that score no more than that: with 0, those that lose all
/// their lives before they play a card, as a model without the right format does there.
pub fn reasoning_wins(rows: &[MeasuredRow], above: f64) -> Result<Option<Estimate>> {
    if rows.is_empty() {
        return Ok(None);
    }
    let mut scores = configurations()?;
    scores.retain(|(_, score)| *score > above);
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
        p_value: Some(mann_whitney(&scores)?),
    }))
}

/// Mean score of each recorded configuration of the other benchmark, and whether it reasons.
fn configurations() -> Result<Vec<(bool, f64)>> {
    let rows = table()?.into_iter();
    let scores = rows
        .filter(|row| row.source.starts_with("demirev/hanabi-benchmark"))
        .filter(|row| row.metric == "avg_score");
    Ok(scores
        .filter_map(|row| Some((row.note.contains("reasoning=1"), row.value?)))
        .collect())
}

/// Mean score of reasoning configurations minus that of the others, with Welch's interval and the
/// p of a permutation test.
pub fn reasoning_difference(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    let (with, without): (Vec<_>, Vec<_>) = configurations()?
        .into_iter()
        .partition(|(reasons, _)| *reasons);
    let scores = |group: &[(bool, f64)]| group.iter().map(|(_, score)| *score).collect();
    let (with, without): (Vec<f64>, Vec<f64>) = (scores(&with), scores(&without));
    if rows.is_empty() || with.len() < 2 || without.len() < 2 {
        return Ok(None);
    }
    let welch = eval::stats::welch_difference(&without, &with, LEVEL).map_err(undefined)?;
    let permuted =
        eval::stats::two_sample_test(&without, &with, N_PERMUTATIONS, &mut stream(claim))
            .map_err(undefined)?;
    let n = (with.len() + without.len()) as u64;
    Ok(Some(Estimate {
        value: welch.interval.value,
        low: welch.interval.low,
        high: welch.interval.high,
        n,
        attempted: n,
        failed: 0,
        unparsed: 0,
        n_seeds: 1,
        deterministic: false,
        method: format!(
            "difference of means of {} and {} configurations, Welch; p of {} permutations",
            with.len(),
            without.len(),
            permuted.n_relabellings
        ),
        p_value: Some(permuted.p_value),
    }))
}

/// Mann and Whitney's test, two-sided, by the normal law with the correction for ties.
fn mann_whitney(scores: &[(bool, f64)]) -> Result<f64> {
    let (area, _) = superiority(scores)?;
    let n = scores.len() as f64;
    let n_one = scores.iter().filter(|(reasoning, _)| *reasoning).count() as f64;
    let n_other = n - n_one;
    let mut values: Vec<f64> = scores.iter().map(|(_, score)| *score).collect();
    values.sort_by(f64::total_cmp);
    let tied = values.chunk_by(|a, b| a == b).map(|tied| tied.len() as f64);
    let ties: f64 = tied.map(|t| t * t * t - t).sum();
    let variance = n_one * n_other / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)));
    let z = (area - 0.5) * n_one * n_other / variance.sqrt();
    two_sided(z)
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
