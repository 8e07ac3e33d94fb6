//! Correlations across the players of populations.

use std::collections::BTreeMap;

use eval::engine::{Stream, StreamKey};
use eval::stats::{Bootstrap, bootstrap_units, pearson};
use eval::{Cell, Claim, Error, Estimate, MeasuredRow, Result};
use rand::RngExt;

use super::published;

const N_RESAMPLES: usize = 4000;
/// Samples of as many players as the paper has models.
const N_SAMPLES: usize = 5000;
const LEVEL: f64 = 0.95;

/// What is known of a player.
#[derive(Clone, Copy, Debug)]
struct Player {
    score: f64,
    first: f64,
    second: f64,
    ability_first: f64,
    ability_second: f64,
}

/// The players of the claim's rows: its metric is the score, its tags choose the population.
fn players(claim: &Claim, rows: &[MeasuredRow]) -> Result<(Vec<Player>, u64)> {
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
    let player = |((cell, item), metrics): ((String, &str), BTreeMap<&str, f64>)| {
        let get = |metric: &str| {
            metrics.get(metric).copied().ok_or_else(|| {
                Error::internal(format!("`{item}` of cell `{cell}` has no `{metric}`"))
            })
        };
        Ok(Player {
            score: get(&claim.estimate.metric)?,
            first: get("first_order")?,
            second: get("second_order")?,
            ability_first: get("ability_first_order")?,
            ability_second: get("ability_second_order")?,
        })
    };
    let players = found.into_iter().map(player).collect::<Result<Vec<_>>>()?;
    Ok((players, seeds.len() as u64))
}

type Column = fn(&Player) -> f64;

/// corr(a, y) − corr(b, y); not a number where a column has no spread.
fn gap(players: &[Player], a: Column, b: Column, y: Column) -> f64 {
    let column = |column: Column| players.iter().map(column).collect::<Vec<f64>>();
    let y = column(y);
    let r =
        |x: Column| pearson(&column(x), &y, LEVEL).map_or(f64::NAN, |found| found.interval.value);
    r(a) - r(b)
}

fn stream(claim: &Claim) -> Stream {
    let cell = Cell::new("estimate", 0);
    StreamKey {
        paper: "hanabi",
        cell: &cell,
        purpose: &claim.id,
    }
    .stream()
}

/// r1 − r2: which order of theory of mind goes more with the score.
pub fn gap_of_correlations(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    let (players, n_seeds) = players(claim, rows)?;
    if players.len() < 4 {
        return Ok(None);
    }
    let statistic = |sample: &[Player]| gap(sample, |p| p.first, |p| p.second, |p| p.score);
    let found = bootstrap_units(&players, N_RESAMPLES, &mut stream(claim), statistic);
    finish(found.map_err(undefined)?, players.len(), n_seeds, "r1 − r2")
}

/// corr(X2, t2) − corr(X2, t1): positive where the second-order score follows the second ability.
pub fn what_the_second_order_score_tracks(
    claim: &Claim,
    rows: &[MeasuredRow],
) -> Result<Option<Estimate>> {
    let (players, n_seeds) = players(claim, rows)?;
    if players.len() < 4 {
        return Ok(None);
    }
    let statistic = |sample: &[Player]| {
        gap(
            sample,
            |p| p.ability_second,
            |p| p.ability_first,
            |p| p.second,
        )
    };
    let found = bootstrap_units(&players, N_RESAMPLES, &mut stream(claim), statistic);
    finish(
        found.map_err(undefined)?,
        players.len(),
        n_seeds,
        "corr(X2, t2) − corr(X2, t1)",
    )
}

/// Of samples of as many players as the paper has models, the share in which r1 exceeds r2.
pub fn samples_with_the_published_order(
    claim: &Claim,
    rows: &[MeasuredRow],
) -> Result<Option<Estimate>> {
    let (players, n_seeds) = players(claim, rows)?;
    let n_models = published::n_models()?;
    if players.len() < 2 * n_models {
        return Ok(None);
    }
    let mut stream = stream(claim);
    let mut n_above = 0_u64;
    for _ in 0..N_SAMPLES {
        let sample: Vec<Player> = (0..n_models)
            .map(|_| players[stream.random_range(0..players.len())])
            .collect();
        n_above += u64::from(gap(&sample, |p| p.first, |p| p.second, |p| p.score) > 0.0);
    }
    let interval = eval::stats::wilson(n_above, N_SAMPLES as u64, LEVEL).map_err(undefined)?;
    Ok(Some(Estimate {
        value: interval.value,
        low: interval.low,
        high: interval.high,
        n: players.len() as u64,
        attempted: players.len() as u64,
        failed: 0,
        unparsed: 0,
        n_seeds,
        deterministic: false,
        method: format!(
            "share of {N_SAMPLES} samples of {n_models} players, Wilson interval of the resampling"
        ),
        p_value: None,
    }))
}

fn finish(
    found: Bootstrap,
    n_players: usize,
    n_seeds: u64,
    what: &str,
) -> Result<Option<Estimate>> {
    let interval = found.percentile(LEVEL).map_err(undefined)?;
    Ok(Some(Estimate {
        value: interval.value,
        low: interval.low,
        high: interval.high,
        n: n_players as u64,
        attempted: n_players as u64,
        failed: 0,
        unparsed: 0,
        n_seeds,
        deterministic: false,
        method: format!("{what}, percentile bootstrap over {n_players} players, 95 %"),
        p_value: found.p_percentile(0.0).ok(),
    }))
}

fn undefined(why: eval::stats::Undefined) -> Error {
    Error::internal("the correlations have no value").caused_by(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn population(n: usize) -> Vec<Player> {
        use rand::SeedableRng;
        use rand_distr::{Distribution, StandardNormal};
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(3);
        (0..n)
            .map(|_| {
                let [first, second, noise]: [f64; 3] =
                    std::array::from_fn(|_| StandardNormal.sample(&mut rng));
                let score = first + 0.3 * second + noise;
                Player {
                    score,
                    first,
                    second,
                    ability_first: first,
                    ability_second: second,
                }
            })
            .collect()
    }

    #[test]
    fn swapping_the_two_scores_turns_the_claim_around() {
        let players = population(300);
        let swapped: Vec<Player> = players
            .iter()
            .map(|p| Player {
                first: p.second,
                second: p.first,
                ..*p
            })
            .collect();
        let score_gap = |players: &[Player]| gap(players, |p| p.first, |p| p.second, |p| p.score);
        assert!(score_gap(&players) > 0.2);
        assert!((score_gap(&players) + score_gap(&swapped)).abs() < 1e-12);
    }

    #[test]
    fn permuting_the_scores_removes_both_correlations() {
        let mut players = population(2000);
        let scores: Vec<f64> = players.iter().map(|p| p.score).collect();
        for (idx, player) in players.iter_mut().enumerate() {
            player.score = scores[(idx + 997) % scores.len()];
        }
        assert!(gap(&players, |p| p.first, |p| p.second, |p| p.score).abs() < 0.1);
    }
}
