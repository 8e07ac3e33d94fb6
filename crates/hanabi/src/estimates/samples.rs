//! What samples of few players would show (question Q5).

use eval::stats::{Interval, wilson};
use eval::{Claim, Estimate, MeasuredRow, Result};
use rand::RngExt;

use super::columns::{Columns, LEVEL, stream, undefined};
use super::published;
use crate::statistics::{Comparison, williams};

/// Samples of as many players as the paper has models.
const N_SAMPLES: usize = 5000;
/// Samples of every other size.
const N_SAMPLES_PER_SIZE: usize = 1000;
/// The level of significance of the test of a sample.
const SIGNIFICANT: f64 = 0.05;
/// The power that is usually asked for.
const POWER: f64 = 0.8;
/// Sizes of samples among which the least sufficient one is sought.
const SIZES: [usize; 15] = [
    8, 10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 900,
];

const METRICS: [&str; 2] = ["first_order", "second_order"];

fn columns(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Columns>> {
    let score = claim.estimate.metric.as_str();
    let found = Columns::of(claim, rows, &[score, METRICS[0], METRICS[1]])?;
    let n_models = published::n_models()?;
    Ok(found.filter(|columns| columns.len() >= 2 * n_models))
}

/// Of `n_samples` samples of `size` players drawn with replacement, the share in which `counts`.
fn share(
    columns: &Columns,
    rng: &mut impl rand::Rng,
    (n_samples, size): (usize, usize),
    counts: impl Fn(&[usize]) -> bool,
) -> Result<Interval> {
    let mut n_found = 0;
    for _ in 0..n_samples {
        let sample: Vec<usize> = (0..size)
            .map(|_| rng.random_range(0..columns.len()))
            .collect();
        n_found += u64::from(counts(&sample));
    }
    wilson(n_found, n_samples as u64, LEVEL).map_err(undefined)
}

fn finish(columns: &Columns, interval: Interval, method: String) -> Estimate {
    Estimate {
        low: interval.low,
        high: interval.high,
        ..columns.without_interval(interval.value, method)
    }
}

/// Of samples of as many players as the paper has models, the share in which r1 exceeds r2.
pub fn with_the_published_order(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    let Some(columns) = columns(claim, rows)? else {
        return Ok(None);
    };
    let n_models = published::n_models()?;
    let score = claim.estimate.metric.as_str();
    let found = share(
        &columns,
        &mut stream(claim),
        (N_SAMPLES, n_models),
        |sample| columns.gap(METRICS, score, sample) > 0.0,
    )?;
    let method =
        format!("share of {N_SAMPLES} samples of {n_models} players, Wilson interval of the draws");
    Ok(Some(finish(&columns, found, method)))
}

/// Whether Williams' test finds in the sample that the first order goes more with the score.
fn is_significant(columns: &Columns, score: &str, sample: &[usize]) -> bool {
    let comparison = Comparison {
        r1: columns.correlation(METRICS[0], score, sample),
        r2: columns.correlation(METRICS[1], score, sample),
        r12: columns.correlation(METRICS[0], METRICS[1], sample),
        n: sample.len() as u64,
    };
    comparison.r1 > comparison.r2 && williams(&comparison).is_ok_and(|p| p < SIGNIFICANT)
}

/// Power: of samples of as many players as the paper has models, the share in which Williams' test
/// finds the order.
pub fn power(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    let Some(columns) = columns(claim, rows)? else {
        return Ok(None);
    };
    let n_models = published::n_models()?;
    let score = claim.estimate.metric.as_str();
    let found = share(
        &columns,
        &mut stream(claim),
        (N_SAMPLES, n_models),
        |sample| is_significant(&columns, score, sample),
    )?;
    let method = format!(
        "share of {N_SAMPLES} samples of {n_models} players with p < 0.05 by Williams' test, \
         Wilson interval of the draws"
    );
    Ok(Some(finish(&columns, found, method)))
}

/// The least number of players at which Williams' test finds the order in four of five samples, to
/// the next of a list of sizes; the largest size where none suffices.
pub fn needed(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    let Some(columns) = columns(claim, rows)? else {
        return Ok(None);
    };
    let score = claim.estimate.metric.as_str();
    let mut rng = stream(claim);
    let mut powers = Vec::new();
    for size in SIZES {
        let found = share(&columns, &mut rng, (N_SAMPLES_PER_SIZE, size), |sample| {
            is_significant(&columns, score, sample)
        })?;
        powers.push((size, found));
        // Surely enough, and larger samples only take time.
        if found.low > POWER {
            break;
        }
    }
    let least = |power: fn(&Interval) -> f64| {
        let enough = powers.iter().find(|(_, found)| power(found) >= POWER);
        enough.map_or(SIZES[SIZES.len() - 1], |(size, _)| *size) as f64
    };
    let method = format!(
        "least of {} sizes with power 0.8, {N_SAMPLES_PER_SIZE} samples each; interval from those \
         of the powers",
        SIZES.len()
    );
    Ok(Some(Estimate {
        low: least(|found| found.high),
        high: least(|found| found.low),
        ..columns.without_interval(least(|found| found.value), method)
    }))
}
