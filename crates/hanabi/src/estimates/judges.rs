//! How good judges are, and what their error does to the correlations (C5, Q2); how language models
//! answer CoordQA (Q3).

use std::collections::BTreeMap;

use eval::stats::{Bootstrap, binomial_test, bootstrap_units, clopper_pearson, pearson};
use eval::{Claim, Counts, Error, Estimate, MeasuredRow, Outcome, Result};

use super::columns::{LEVEL, N_RESAMPLES, stream, undefined};
use crate::judges::{corrected_for_attenuation, weighted_kappa};

/// Scores of a first-order judge: 0 to 10.
const SCORE_MAX: f64 = 10.0;

/// Quadratic kappa of a judge's plain scores with the known agreement, bootstrap over pairs.
pub fn kappa(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    let mut pairs: BTreeMap<(String, &str), BTreeMap<&str, f64>> = BTreeMap::new();
    let mut counts = Counts::default();
    let mut seeds = std::collections::BTreeSet::new();
    for row in rows.iter().filter(|row| row.matches(&claim.estimate.tags)) {
        if row.row.metric == "judge_score" {
            counts.attempted += 1;
            counts.failed += u64::from(row.row.outcome == Outcome::Failed);
            counts.unparsed += u64::from(row.row.outcome == Outcome::Unparsed);
            seeds.insert(row.cell.seed);
        }
        if let (Some(item), Some(value)) = (&row.row.item, row.row.value) {
            let unit = (row.cell.id().to_string(), item.as_str());
            pairs
                .entry(unit)
                .or_default()
                .insert(&row.row.metric, value);
        }
    }
    let judged: Vec<(usize, usize)> = pairs
        .values()
        .filter_map(|pair| {
            let (score, agreement) = (pair.get("judge_score")?, pair.get("agreement")?);
            Some((*score as usize, (agreement * SCORE_MAX).round() as usize))
        })
        .collect();
    if judged.len() < 10 {
        return Ok(None);
    }
    let statistic = |sample: &[(usize, usize)]| {
        let (scores, truth): (Vec<usize>, Vec<usize>) = sample.iter().copied().unzip();
        weighted_kappa(&scores, &truth, SCORE_MAX as usize + 1).unwrap_or(f64::NAN)
    };
    let found = bootstrap_units(&judged, N_RESAMPLES, &mut stream(claim), statistic);
    let what = "quadratic kappa, percentile bootstrap over pairs, 95 %";
    let units = Units {
        n: judged.len(),
        counts,
        n_seeds: seeds.len() as u64,
    };
    finish(claim, found.map_err(undefined)?, units, what).map(Some)
}

/// A player judged by words and by intents.
#[derive(Clone, Copy, Debug)]
struct Judged {
    score: f64,
    known: f64,
    judged: f64,
}

/// The correlation of the judged first-order score with the points, corrected for the judge's
/// reliability (its squared correlation with the known agreement across players), minus the
/// correlation of the known one.
pub fn correction_error(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    let (players, n_seeds) = judged_players(claim, rows)?;
    if players.len() < 10 {
        return Ok(None);
    }
    let found = bootstrap_units(&players, N_RESAMPLES, &mut stream(claim), |sample| {
        let [judged, known, reliability] = correlations(sample);
        let corrected = corrected_for_attenuation(judged, reliability, 1.0);
        corrected.map_or(f64::NAN, |corrected| corrected - known)
    });
    let what = "corrected minus known correlation, percentile bootstrap over players, 95 %";
    finish_players(claim, found, &players, n_seeds, what)
}

/// How much smaller the correlation of the judged score is than that of the known one.
pub fn attenuation(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    let (players, n_seeds) = judged_players(claim, rows)?;
    if players.len() < 10 {
        return Ok(None);
    }
    let found = bootstrap_units(&players, N_RESAMPLES, &mut stream(claim), |sample| {
        let [judged, known, _] = correlations(sample);
        known - judged
    });
    let what = "known minus judged correlation, percentile bootstrap over players, 95 %";
    finish_players(claim, found, &players, n_seeds, what)
}

/// corr(judged, points), corr(known, points), and the judge's reliability.
fn correlations(players: &[Judged]) -> [f64; 3] {
    let column = |get: fn(&Judged) -> f64| players.iter().map(get).collect::<Vec<f64>>();
    let (score, known, judged) = (
        column(|p| p.score),
        column(|p| p.known),
        column(|p| p.judged),
    );
    let r =
        |x: &[f64], y: &[f64]| pearson(x, y, LEVEL).map_or(f64::NAN, |found| found.interval.value);
    let validity = r(&judged, &known);
    [r(&judged, &score), r(&known, &score), validity * validity]
}

fn judged_players(claim: &Claim, rows: &[MeasuredRow]) -> Result<(Vec<Judged>, u64)> {
    let mut found: BTreeMap<(String, &str), BTreeMap<&str, f64>> = BTreeMap::new();
    let mut seeds = std::collections::BTreeSet::new();
    for row in rows.iter().filter(|row| row.matches(&claim.estimate.tags)) {
        if let (Some(item), Some(value)) = (&row.row.item, row.row.value) {
            let unit = (row.cell.id().to_string(), item.as_str());
            found
                .entry(unit)
                .or_default()
                .insert(&row.row.metric, value);
            seeds.insert(row.cell.seed);
        }
    }
    let order = &claim.estimate.metric;
    let judged_order = format!("judged_{order}");
    let player = |((cell, item), metrics): ((String, &str), BTreeMap<&str, f64>)| {
        let get = |metric: &str| {
            metrics.get(metric).copied().ok_or_else(|| {
                Error::internal(format!("`{item}` of cell `{cell}` has no `{metric}`"))
            })
        };
        Ok(Judged {
            score: get("score_points")?,
            known: get(order)?,
            judged: get(&judged_order)?,
        })
    };
    let players = found.into_iter().map(player).collect::<Result<Vec<_>>>()?;
    Ok((players, seeds.len() as u64))
}

/// The share of right answers minus the share that even guessing gets, with an exact binomial
/// interval (Clopper and Pearson) of the former.
pub fn above_guessing(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    let (mut n, mut n_correct, mut guessed) = (0_u64, 0_u64, 0.0);
    for row in rows.iter().filter(|row| row.matches(&claim.estimate.tags)) {
        match (row.row.metric.as_str(), row.row.value) {
            ("correct", Some(value)) => {
                n += 1;
                n_correct += u64::from(value == 1.0);
            }
            ("guessing_rate", Some(value)) => guessed += value,
            _ => {}
        }
    }
    if n == 0 {
        return Ok(None);
    }
    let guessing = guessed / n as f64;
    let interval = clopper_pearson(n_correct, n, LEVEL).map_err(undefined)?;
    Ok(Some(Estimate {
        value: interval.value - guessing,
        low: interval.low - guessing,
        high: interval.high - guessing,
        n,
        attempted: n,
        failed: 0,
        unparsed: 0,
        n_seeds: 1,
        deterministic: false,
        method: format!(
            "{n_correct} of {n} items right, {guessing:.4} by guessing; Clopper–Pearson, 95 %"
        ),
        p_value: binomial_test(n_correct, n, guessing).ok(),
    }))
}

/// What stands behind an estimate.
struct Units {
    n: usize,
    counts: Counts,
    n_seeds: u64,
}

fn finish_players(
    claim: &Claim,
    found: std::result::Result<Bootstrap, eval::stats::Undefined>,
    players: &[Judged],
    n_seeds: u64,
    what: &str,
) -> Result<Option<Estimate>> {
    let units = Units {
        n: players.len(),
        counts: Counts {
            attempted: players.len() as u64,
            ..Counts::default()
        },
        n_seeds,
    };
    finish(claim, found.map_err(undefined)?, units, what).map(Some)
}

fn finish(claim: &Claim, found: Bootstrap, units: Units, what: &str) -> Result<Estimate> {
    let interval = found.percentile(LEVEL).map_err(undefined)?;
    let null = claim.test.bound.or(claim.published);
    Ok(Estimate {
        value: interval.value,
        low: interval.low,
        high: interval.high,
        n: units.n as u64,
        attempted: units.counts.attempted,
        failed: units.counts.failed,
        unparsed: units.counts.unparsed,
        n_seeds: units.n_seeds,
        deterministic: false,
        method: format!("{what} ({} units)", units.n),
        p_value: null.and_then(|null| found.p_percentile(null).ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};

    #[test]
    fn the_correction_recovers_the_correlation_that_noise_hid() {
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(4);
        let players: Vec<Judged> = (0..20_000)
            .map(|_| {
                let [known, other, noise]: [f64; 3] =
                    std::array::from_fn(|_| StandardNormal.sample(&mut rng));
                Judged {
                    score: known + other,
                    known,
                    judged: known + noise,
                }
            })
            .collect();
        let [judged, known, reliability] = correlations(&players);
        assert!((reliability - 0.5).abs() < 0.02 && known - judged > 0.15);
        let corrected = corrected_for_attenuation(judged, reliability, 1.0).unwrap();
        assert!((corrected - known).abs() < 0.02, "{corrected} {known}");
    }
}
