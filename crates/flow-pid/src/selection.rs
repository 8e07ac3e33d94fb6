//! E8: choosing a fusion model by the nearest synthetic set, for the estimates of claims on it.
//!
//! A target's nearest synthetic set minimises `Σ |Î − Î'|` over the four atoms as shares of their
//! sum (Appendix D.2); the models that are best there are recommended. The score of a
//! recommendation is the best accuracy of a recommended model on the target over the best of all.
//! Nothing that measures reads this module: it works on stored rows.

use std::collections::{BTreeMap, BTreeSet};

use eval::stats::mean_interval;
use eval::{Claim, Counts, Error, Estimate, MeasuredRow, Result};

use crate::atoms::ATOM_NAMES;

/// Confidence level of intervals.
const LEVEL: f64 = 0.95;

const PERCENT: f64 = 100.0;

/// Means over seeds by set, and by atom or model.
type Means = BTreeMap<String, BTreeMap<String, f64>>;

/// The recommendation for one target.
#[derive(Clone, Debug, PartialEq)]
struct Choice {
    /// The nearest synthetic set.
    nearest: String,
    /// Best accuracy among the recommended models over the best of all.
    score: f64,
    /// What as many models drawn at random would score in the mean.
    score_at_random: f64,
}

/// The estimate of a claim on model selection, in percent. The recipe's tags say how many models
/// are `recommended`, and the `summary`: `worst` (the lowest score of a target) or `gain` (mean
/// over targets of the score minus that of a random recommendation). `None` without rows.
///
/// # Errors
/// A tag is missing or unknown, or a row lacks a key.
pub fn estimate(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    let tag = |name: &str| {
        claim
            .estimate
            .tags
            .get(name)
            .ok_or_else(|| Error::internal(format!("claim `{}` has no tag `{name}`", claim.id)))
    };
    let number = tag("recommended")?;
    let n_recommended: usize = number
        .parse()
        .map_err(|_| Error::internal(format!("`recommended` is `{number}`, no number")))?;
    let found = choices(rows, n_recommended)?;
    if found.is_empty() {
        return Ok(None);
    }
    let counts = Counts {
        attempted: found.len() as u64,
        ..Counts::default()
    };
    let n_seeds: BTreeSet<u64> = select(rows, "model-selection", "accuracy")
        .map(|row| row.cell.seed)
        .collect();
    let n_seeds = n_seeds.len() as u64;
    let n = found.len() as u64;
    match tag("summary")?.as_str() {
        "worst" => {
            let worst = found
                .iter()
                .map(|choice| choice.score)
                .fold(f64::INFINITY, f64::min);
            let method = format!("smallest of {n} targets, each a mean over {n_seeds} seeds");
            Ok(Some(Estimate {
                n_seeds,
                ..Estimate::deterministic(PERCENT * worst, n, counts, method)
            }))
        }
        "gain" => {
            let gains: Vec<f64> = found
                .iter()
                .map(|choice| PERCENT * (choice.score - choice.score_at_random))
                .collect();
            let Ok(mean) = mean_interval(&gains, LEVEL) else {
                return Ok(None);
            };
            Ok(Some(Estimate {
                low: mean.interval.low,
                high: mean.interval.high,
                n_seeds,
                deterministic: false,
                p_value: mean.p_value(claim.test.bound.unwrap_or(0.0)).ok(),
                ..Estimate::deterministic(
                    mean.interval.value,
                    n,
                    counts,
                    format!("mean, t interval over {n} targets, 95 %"),
                )
            }))
        }
        other => Err(Error::internal(format!("no summary is called `{other}`"))),
    }
}

/// The recommendation for each target that has rows.
fn choices(rows: &[MeasuredRow], n_recommended: usize) -> Result<Vec<Choice>> {
    let of_flow = |experiment, key, value| {
        let rows = select(rows, experiment, "atom_bits");
        let rows = rows.filter(move |row| row.get("estimator") == Some(value));
        means(rows.filter(|row| row.get("kind") != Some("truth")), key)
    };
    let synthetic = of_flow("specialised", "atom", "realnvp-6")?;
    let targets = of_flow("real-fusion", "atom", "flow")?;
    let accuracies = means(select(rows, "model-selection", "accuracy"), "model")?;
    let mut found = Vec::new();
    for (target, atoms) in &targets {
        let Some(on_target) = accuracies.get(target) else {
            continue;
        };
        let known = synthetic
            .iter()
            .filter(|(set, _)| accuracies.contains_key(*set));
        let distances = known.map(|(set, other)| (set, distance(atoms, other)));
        let Some((nearest, _)) = distances.min_by(|a, b| a.1.total_cmp(&b.1)) else {
            continue;
        };
        let order = best_first(&accuracies[nearest]);
        let best = |models: &[&str]| {
            let values = models.iter().filter_map(|model| on_target.get(*model));
            values.copied().fold(f64::NEG_INFINITY, f64::max)
        };
        let n = n_recommended.min(order.len());
        found.push(Choice {
            nearest: nearest.clone(),
            score: best(&order[..n]) / best(&order),
            score_at_random: best_of_random(on_target, n) / best(&order),
        });
    }
    Ok(found)
}

fn select<'a>(
    rows: &'a [MeasuredRow],
    experiment: &'a str,
    metric: &'a str,
) -> impl Iterator<Item = &'a MeasuredRow> {
    rows.iter()
        .filter(move |row| row.cell.experiment == experiment && row.row.metric == metric)
}

/// Means over seeds by set and by the value of `key`.
fn means<'a>(rows: impl Iterator<Item = &'a MeasuredRow>, key: &str) -> Result<Means> {
    let mut values: BTreeMap<String, BTreeMap<String, Vec<f64>>> = BTreeMap::new();
    for row in rows {
        let get = |name: &str| {
            row.get(name).map(str::to_owned).ok_or_else(|| {
                Error::internal(format!("a row of cell `{}` has no `{name}`", row.cell.id()))
            })
        };
        if let Some(value) = row.row.value {
            let of_set = values.entry(get("set")?).or_default();
            of_set.entry(get(key)?).or_default().push(value);
        }
    }
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let of_set = |(set, by_key): (String, BTreeMap<String, Vec<f64>>)| {
        let means = by_key.into_iter().map(|(key, values)| (key, mean(values)));
        (set, means.collect())
    };
    Ok(values.into_iter().map(of_set).collect())
}

/// `Σ |Î − Î'|` over atoms as shares of their sum.
fn distance(one: &BTreeMap<String, f64>, other: &BTreeMap<String, f64>) -> f64 {
    let shares = |atoms: &BTreeMap<String, f64>| {
        let values = ATOM_NAMES.map(|name| atoms.get(name).copied().unwrap_or(f64::NAN));
        let total: f64 = values.iter().sum();
        values.map(|value| value / total)
    };
    let pairs = shares(one).into_iter().zip(shares(other));
    pairs.map(|(a, b)| (a - b).abs()).sum()
}

/// Models from the best on; equal ones in the order of their names.
fn best_first(accuracies: &BTreeMap<String, f64>) -> Vec<&str> {
    let mut models: Vec<(&str, f64)> = accuracies
        .iter()
        .map(|(model, value)| (model.as_str(), *value))
        .collect();
    models.sort_by(|a, b| b.1.total_cmp(&a.1));
    models.into_iter().map(|(model, _)| model).collect()
}

/// The expected largest of `n` values drawn without replacement.
fn best_of_random(accuracies: &BTreeMap<String, f64>, n: usize) -> f64 {
    let mut values: Vec<f64> = accuracies.values().copied().collect();
    values.sort_by(f64::total_cmp);
    // The k-th smallest is the largest of the draw in C(k, n − 1) of C(m, n) draws.
    let weights: Vec<f64> = (0..values.len())
        .map(|k| binomial(k, n.saturating_sub(1)))
        .collect();
    let total: f64 = weights.iter().sum();
    values
        .iter()
        .zip(&weights)
        .map(|(value, weight)| value * weight)
        .sum::<f64>()
        / total
}

fn binomial(n: usize, k: usize) -> f64 {
    if k > n {
        return 0.0;
    }
    (0..k).map(|i| (n - i) as f64 / (k - i) as f64).product()
}

#[cfg(test)]
mod tests {
    use super::*;
    use eval::{Cell, PaperManifest, Row};
    use std::sync::Arc;

    fn row(experiment: &str, set: &str, seed: u64, row: Row) -> MeasuredRow {
        let cell = Cell::new(experiment, seed).with("set", set);
        MeasuredRow {
            cell: Arc::new(cell),
            row,
        }
    }

    fn atoms(experiment: &str, set: &str, estimator: &str, values: [f64; 4]) -> Vec<MeasuredRow> {
        let pairs = ATOM_NAMES.into_iter().zip(values);
        pairs
            .map(|(name, value)| {
                let measured = Row::new("atom_bits", value, "bits").tag("atom", name);
                row(experiment, set, 0, measured.tag("estimator", estimator))
            })
            .collect()
    }

    fn accuracy(set: &str, values: [f64; 3]) -> Vec<MeasuredRow> {
        let pairs = ["a", "b", "c"].into_iter().zip(values);
        pairs
            .map(|(model, value)| {
                let measured = Row::new("accuracy", value, "1").tag("model", model);
                row("model-selection", set, 0, measured)
            })
            .collect()
    }

    /// Two synthetic sets with opposite preferences; a target that resembles the second.
    fn world() -> Vec<MeasuredRow> {
        [
            atoms("specialised", "R", "realnvp-6", [0.5, 0.0, 0.0, 0.1]),
            atoms("specialised", "S", "realnvp-6", [0.1, 0.0, 0.0, 0.3]),
            atoms("specialised", "R", "copula", [0.0, 0.0, 0.0, 9.0]),
            atoms("real-fusion", "wine", "flow", [0.3, 0.1, 0.0, 0.6]),
            accuracy("R", [0.9, 0.8, 0.7]),
            accuracy("S", [0.6, 0.7, 0.8]),
            accuracy("wine", [0.99, 0.5, 0.9]),
        ]
        .concat()
    }

    #[test]
    fn the_nearest_set_s_best_models_are_recommended() {
        let one = choices(&world(), 1).unwrap();
        assert_eq!((one.len(), one[0].nearest.as_str()), (1, "S"));
        assert!((one[0].score - 0.9 / 0.99).abs() < 1e-15);
        let mean = (0.99 + 0.5 + 0.9) / 3.0;
        assert!((one[0].score_at_random - mean / 0.99).abs() < 1e-15);
        let two = choices(&world(), 2).unwrap();
        assert!((two[0].score - 0.9 / 0.99).abs() < 1e-15);
        // Of three pairs two hold the best model, one the middle one at best.
        let expected = (2.0 * 0.99 + 0.9) / 3.0;
        assert!((two[0].score_at_random - expected / 0.99).abs() < 1e-15);
        assert_eq!(choices(&world(), 3).unwrap()[0].score, 1.0);
    }

    #[test]
    fn claims_say_what_they_recommend_and_the_score_is_in_percent() {
        let manifest = include_str!("../paper.toml");
        let manifest = PaperManifest::parse(manifest, "paper.toml").unwrap();
        let mut claim = manifest
            .claims
            .into_iter()
            .find(|claim| claim.id == "C9")
            .unwrap();
        claim
            .estimate
            .tags
            .insert("recommended".to_owned(), "1".to_owned());
        let found = estimate(&claim, &world()).unwrap().unwrap();
        assert!((found.value - 100.0 * 0.9 / 0.99).abs() < 1e-12);
        assert!(estimate(&claim, &[]).unwrap().is_none());
        claim.estimate.tags.remove("summary");
        assert!(estimate(&claim, &world()).is_err());
    }

    #[test]
    fn the_gain_over_chance_has_an_interval() {
        let manifest = include_str!("../paper.toml");
        let manifest = PaperManifest::parse(manifest, "paper.toml").unwrap();
        let claim = manifest
            .claims
            .iter()
            .find(|claim| claim.id == "C9-chance")
            .unwrap();
        let mut rows = world();
        rows.extend(atoms("real-fusion", "other", "flow", [0.9, 0.1, 0.0, 0.1]));
        rows.extend(accuracy("other", [0.9, 0.8, 0.1]));
        let found = estimate(claim, &rows).unwrap().unwrap();
        assert!(found.low < found.value && found.value < found.high);
        assert_eq!(found.n, 2);
    }
}
