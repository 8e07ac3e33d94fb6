//! Rows of players or teams as columns, one number per player.

use std::collections::{BTreeMap, BTreeSet};

use eval::engine::{Stream, StreamKey};
use eval::stats::{Bootstrap, Undefined, bootstrap_units, pearson};
use eval::{Cell, Claim, Error, Estimate, MeasuredRow, Result};

/// Resamples of a bootstrap over players.
pub const N_RESAMPLES: usize = 4000;
/// Level of intervals.
pub const LEVEL: f64 = 0.95;
/// Fewer players have no correlations to compare.
const PLAYERS_MIN: usize = 4;

/// Players by number, metrics by name.
pub struct Columns {
    values: BTreeMap<String, Vec<f64>>,
    n_players: usize,
    n_seeds: u64,
}

impl Columns {
    /// The players of the claim's rows: its tags choose the population. `None` if there are too
    /// few; what a player lacks of the `metrics` is an error.
    pub fn of(claim: &Claim, rows: &[MeasuredRow], metrics: &[&str]) -> Result<Option<Self>> {
        let mut players: BTreeMap<(String, &str), BTreeMap<&str, f64>> = BTreeMap::new();
        let mut seeds = BTreeSet::new();
        for row in rows.iter().filter(|row| row.matches(&claim.estimate.tags)) {
            if let (Some(item), Some(value)) = (&row.row.item, row.row.value)
                && metrics.contains(&row.row.metric.as_str())
            {
                let player = (row.cell.id().to_string(), item.as_str());
                players
                    .entry(player)
                    .or_default()
                    .insert(&row.row.metric, value);
                seeds.insert(row.cell.seed);
            }
        }
        let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for ((cell, item), found) in &players {
            for metric in metrics {
                let value = found.get(metric).copied().ok_or_else(|| {
                    Error::internal(format!("`{item}` of cell `{cell}` has no `{metric}`"))
                })?;
                values.entry((*metric).to_owned()).or_default().push(value);
            }
        }
        let columns = Self {
            values,
            n_players: players.len(),
            n_seeds: seeds.len() as u64,
        };
        Ok((columns.n_players >= PLAYERS_MIN).then_some(columns))
    }

    /// How many players there are.
    pub fn len(&self) -> usize {
        self.n_players
    }

    /// All players, in order.
    pub fn everybody(&self) -> Vec<usize> {
        (0..self.n_players).collect()
    }

    /// A metric of some players.
    pub fn column(&self, metric: &str, players: &[usize]) -> Vec<f64> {
        let column = self.values.get(metric).map_or(&[][..], Vec::as_slice);
        players
            .iter()
            .filter_map(|player| column.get(*player).copied())
            .collect()
    }

    /// corr(x, y) over some players; not a number where a column has no spread.
    pub fn correlation(&self, x: &str, y: &str, players: &[usize]) -> f64 {
        let (x, y) = (self.column(x, players), self.column(y, players));
        pearson(&x, &y, LEVEL).map_or(f64::NAN, |found| found.interval.value)
    }

    /// corr(a, y) − corr(b, y) over some players.
    pub fn gap(&self, [a, b]: [&str; 2], y: &str, players: &[usize]) -> f64 {
        self.correlation(a, y, players) - self.correlation(b, y, players)
    }

    /// A statistic of the players with the percentile interval of a bootstrap over them.
    pub fn bootstrap(
        &self,
        claim: &Claim,
        what: &str,
        statistic: impl Fn(&[usize]) -> f64,
    ) -> Result<Option<Estimate>> {
        let everybody = self.everybody();
        let found = bootstrap_units(&everybody, N_RESAMPLES, &mut stream(claim), statistic);
        self.finish(&found.map_err(undefined)?, what).map(Some)
    }

    fn finish(&self, found: &Bootstrap, what: &str) -> Result<Estimate> {
        let interval = found.percentile(LEVEL).map_err(undefined)?;
        let n = self.n_players;
        Ok(Estimate {
            low: interval.low,
            high: interval.high,
            p_value: found.p_percentile(0.0).ok(),
            ..self.without_interval(
                interval.value,
                format!("{what}, percentile bootstrap over {n} units, 95 %"),
            )
        })
    }

    /// An estimate over these players whose interval is its value.
    pub fn without_interval(&self, value: f64, method: String) -> Estimate {
        let n = self.n_players as u64;
        Estimate {
            value,
            low: value,
            high: value,
            n,
            attempted: n,
            failed: 0,
            unparsed: 0,
            n_seeds: self.n_seeds,
            deterministic: false,
            method,
            p_value: None,
        }
    }
}

/// The random stream of a claim's estimate.
pub fn stream(claim: &Claim) -> Stream {
    let cell = Cell::new("estimate", 0);
    StreamKey {
        paper: "hanabi",
        cell: &cell,
        purpose: &claim.id,
    }
    .stream()
}

/// A statistic has no value on these rows.
pub fn undefined(why: Undefined) -> Error {
    Error::internal("the statistic has no value").caused_by(why)
}
