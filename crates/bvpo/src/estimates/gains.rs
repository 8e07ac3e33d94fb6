//! What BVPO gains over the better of two baselines, cell by cell.

use std::collections::BTreeMap;

use eval::stats::mean_interval;
use eval::{Claim, Counts, Estimate, MeasuredRow};

/// Confidence level, as in the stock recipes.
const LEVEL: f64 = 0.95;

/// The smallest mean gain among modes and metrics, with its interval over seeds: all gains are
/// positive only if the smallest is.
pub fn worst(claim: &Claim, rows: &[MeasuredRow]) -> Option<Estimate> {
    let recipe = &claim.estimate;
    let wanted = |row: &&MeasuredRow| row.row.metric == recipe.metric && row.matches(&recipe.tags);
    let mut cells: BTreeMap<(&str, &str), BTreeMap<u64, f64>> = BTreeMap::new();
    let mut counts = Counts::default();
    for row in rows.iter().filter(wanted) {
        counts.attempted += 1;
        let key = (row.get("mode").unwrap_or(""), row.get("of").unwrap_or(""));
        match row.row.value {
            Some(value) => {
                cells.entry(key).or_default().insert(row.cell.seed, value);
            }
            None => counts.failed += 1,
        }
    }
    let intervals = cells.iter().filter_map(|(key, by_seed)| {
        let values: Vec<f64> = by_seed.values().copied().collect();
        Some((key, mean_interval(&values, LEVEL).ok()?, values.len()))
    });
    let worst = intervals.min_by(|a, b| a.1.interval.value.total_cmp(&b.1.interval.value));
    let (key, found, n_seeds) = worst?;
    let n_cells = cells.len();
    Some(Estimate {
        value: found.interval.value,
        low: found.interval.low,
        high: found.interval.high,
        n: n_seeds as u64,
        attempted: counts.attempted,
        failed: counts.failed,
        unparsed: 0,
        n_seeds: n_seeds as u64,
        deterministic: false,
        method: format!(
            "smallest of {n_cells} mean gains ({}, {}), t interval over {n_seeds} seeds, 95 %",
            key.0, key.1
        ),
        p_value: found.p_value(claim.test.bound.unwrap_or(0.0)).ok(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use eval::{Cell, Paper, PaperManifest, Row};

    use super::*;

    #[test]
    fn the_worst_cell_decides() {
        let manifest = PaperManifest::parse(crate::Bvpo::MANIFEST, "paper.toml").unwrap();
        let claim = manifest
            .claims
            .into_iter()
            .find(|claim| claim.id == "C10")
            .unwrap();
        let mut rows = Vec::new();
        for (seed, worst) in [(0, -1.0), (1, -2.0), (2, -3.0)] {
            let cell = Arc::new(Cell::new("tiny-training", seed).with("group", "core"));
            for (of, value) in [("accuracy", worst), ("reward", 5.0)] {
                let row = Row::new("gain_over_best", value, "points");
                let row = row.tag("mode", "thinking").tag("of", of);
                rows.push(MeasuredRow {
                    cell: cell.clone(),
                    row,
                });
            }
        }
        let found = worst(&claim, &rows).unwrap();
        // Mean and t interval of −1, −2, −3: −2 ± 4.3027/√3.
        assert!((found.value + 2.0).abs() < 1e-12);
        assert!((found.high - (4.302_652_73 / 3_f64.sqrt() - 2.0)).abs() < 1e-6);
        assert_eq!((found.n_seeds, found.attempted), (3, 6));
        assert!(worst(&claim, &[]).is_none());
    }
}
