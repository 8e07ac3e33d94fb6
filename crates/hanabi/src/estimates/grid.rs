//! Effects of the two abilities over the grid of teams (question Q1).

use std::collections::BTreeMap;

use eval::stats::mean_interval;
use eval::{Claim, Estimate, MeasuredRow, Result};

use super::columns::{LEVEL, undefined};

/// What a batch of games in a cell weighs in an effect; 0 where it does not count.
type Weight = fn(first: f64, second: f64) -> f64;

/// Levels of each ability.
const N_LEVELS: f64 = 5.0;

/// Main effect of t1: from 0 to 1, mean over the levels of t2.
pub fn of_first(first: f64, _: f64) -> f64 {
    end(first) / N_LEVELS
}

/// Main effect of t2.
pub fn of_second(_: f64, second: f64) -> f64 {
    end(second) / N_LEVELS
}

/// How much more the first does than the second.
pub fn of_first_over_second(first: f64, second: f64) -> f64 {
    of_first(first, second) - of_second(first, second)
}

/// What both together do beyond the sum of each alone.
pub fn interaction(first: f64, second: f64) -> f64 {
    if end(first) == 0.0 || end(second) == 0.0 {
        0.0
    } else {
        end(first) * end(second)
    }
}

fn end(level: f64) -> f64 {
    if level == 0.0 {
        -1.0
    } else {
        f64::from(level == 1.0)
    }
}

/// An effect on the claim's metric: batches with the same number form one replicate.
pub fn effect(claim: &Claim, rows: &[MeasuredRow], weight: Weight) -> Result<Option<Estimate>> {
    let mut replicates: BTreeMap<&str, f64> = BTreeMap::new();
    for row in rows
        .iter()
        .filter(|row| row.row.metric == claim.estimate.metric)
    {
        let level = |key: &str| row.get(key).and_then(|text| text.parse::<f64>().ok());
        if let (Some(first), Some(second), Some(item), Some(value)) =
            (level("t1"), level("t2"), &row.row.item, row.row.value)
        {
            *replicates.entry(item).or_default() += weight(first, second) * value;
        }
    }
    let effects: Vec<f64> = replicates.into_values().collect();
    if effects.len() < 2 {
        return Ok(None);
    }
    let found = mean_interval(&effects, LEVEL).map_err(undefined)?;
    let n = effects.len() as u64;
    Ok(Some(Estimate {
        value: found.interval.value,
        low: found.interval.low,
        high: found.interval.high,
        n,
        attempted: n,
        failed: 0,
        unparsed: 0,
        n_seeds: 1,
        deterministic: false,
        method: format!("contrast of the grid, t interval over {n} batches of games in each cell"),
        p_value: found.p_value(0.0).ok(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_are_the_coefficients_of_a_known_surface() {
        let levels = [0.0, 0.25, 0.5, 0.75, 1.0];
        let pairs = levels
            .iter()
            .flat_map(|a| levels.iter().map(move |b| (*a, *b)));
        let effect = |weight: Weight| -> f64 {
            let surface = |a: f64, b: f64| 3.0 + 2.0 * a - b + 4.0 * a * b;
            pairs
                .clone()
                .map(|(a, b)| weight(a, b) * surface(a, b))
                .sum()
        };
        // The mean of the other ability is a half, so each main effect takes half the product.
        assert!((effect(of_first) - 4.0).abs() < 1e-12);
        assert!((effect(of_second) - 1.0).abs() < 1e-12);
        assert!((effect(of_first_over_second) - 3.0).abs() < 1e-12);
        assert!((effect(interaction) - 4.0).abs() < 1e-12);
    }
}
