//! Two methods on the same questions: paired bootstrap over questions and exact McNemar test; and
//! how well a count predicts a right mode.

use std::collections::{BTreeMap, BTreeSet};

use eval::engine::{Stream, StreamKey};
use eval::stats::{bootstrap_units, mcnemar_exact, mean_interval};
use eval::{Cell, Claim, Counts, Error, Estimate, MeasuredRow, Outcome, Result};

/// Resamples of every bootstrap; the specification asks for at least 2,000. The smallest p-value is
/// 2 / (N + 1), which must survive Holm's correction over all claims of a run, so there are more.
const N_RESAMPLES: usize = 9_999;
/// Level of intervals.
const LEVEL: f64 = 0.95;
/// Fewer questions have no interval worth the name.
const QUESTIONS_MIN: usize = 6;

/// A question: the seed and its name. Questions of different seeds are different ones.
type Unit<'a> = (u64, &'a str);

fn stream(claim: &Claim) -> Stream {
    StreamKey {
        paper: "slm-mux",
        cell: &Cell::new("estimate", 0),
        purpose: &claim.id,
    }
    .stream()
}

/// The claim's rows with its metric and tags, and their counts.
fn selected<'a>(claim: &Claim, rows: &'a [MeasuredRow]) -> (Vec<&'a MeasuredRow>, Counts) {
    let recipe = &claim.estimate;
    let found: Vec<&MeasuredRow> = rows
        .iter()
        .filter(|row| row.row.metric == recipe.metric && row.matches(&recipe.tags))
        .collect();
    let with = |outcome| {
        found
            .iter()
            .filter(|row| row.row.outcome == outcome)
            .count() as u64
    };
    let counts = Counts {
        attempted: found.len() as u64,
        failed: with(Outcome::Failed),
        unparsed: with(Outcome::Unparsed),
    };
    (found, counts)
}

/// The values of both arms on each question that both have.
fn paired<'a>(
    claim: &Claim,
    found: &[&'a MeasuredRow],
    (arm, a, b): (&str, &str, &str),
) -> Result<BTreeMap<Unit<'a>, (f64, f64)>> {
    let mut questions: BTreeMap<Unit<'a>, [Option<f64>; 2]> = BTreeMap::new();
    for row in found {
        let place = match row.get(arm) {
            Some(value) if value == a => 0,
            Some(value) if value == b => 1,
            _ => continue,
        };
        let item = row.row.item.as_deref().ok_or_else(|| {
            Error::internal(format!("a row of claim `{}` names no question", claim.id))
        })?;
        questions.entry((row.cell.seed, item)).or_default()[place] = row.row.value;
    }
    let both = |(unit, [a, b]): (Unit<'a>, [Option<f64>; 2])| Some((unit, (a?, b?)));
    Ok(questions.into_iter().filter_map(both).collect())
}

/// The mean of `b − a` over questions that both arms of the claim have, with the wider of the
/// percentile interval of a paired bootstrap over questions and the t interval. Where every value
/// is 0 or 1, the p-value is McNemar's exact one; else the bootstrap's.
///
/// # Errors
/// The claim names no arms, or a row of an arm has no question.
pub fn difference(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    let recipe = &claim.estimate;
    let (Some(arm), Some(a), Some(b)) = (&recipe.arm, &recipe.a, &recipe.b) else {
        return Err(Error::internal(format!(
            "claim `{}` names no arms",
            claim.id
        )));
    };
    let (found, counts) = selected(claim, rows);
    let pairs = paired(claim, &found, (arm, a, b))?;
    if pairs.len() < QUESTIONS_MIN {
        return Ok(None);
    }
    let n_seeds = pairs
        .keys()
        .map(|(seed, _)| seed)
        .collect::<BTreeSet<_>>()
        .len() as u64;
    let pairs: Vec<(f64, f64)> = pairs.into_values().collect();
    let mean =
        |pairs: &[(f64, f64)]| pairs.iter().map(|(a, b)| b - a).sum::<f64>() / pairs.len() as f64;
    let undefined =
        |why: eval::stats::Undefined| Error::internal(format!("claim `{}`: {why}", claim.id));
    let boot = bootstrap_units(&pairs, N_RESAMPLES, &mut stream(claim), mean);
    let boot = boot.map_err(undefined)?;
    let interval = boot.percentile(LEVEL).map_err(undefined)?;
    // Where the arms differ on a few questions only, resamples without any of them pile up at 0 and
    // pull an end of the percentile interval there; the t interval knows better.
    let differences: Vec<f64> = pairs.iter().map(|(a, b)| b - a).collect();
    let by_t = mean_interval(&differences, LEVEL)
        .map_err(undefined)?
        .interval;
    let (low, high) = (interval.low.min(by_t.low), interval.high.max(by_t.high));
    let is_binary = |value: f64| value == 0.0 || value == 1.0;
    let binary = pairs.iter().all(|(a, b)| is_binary(*a) && is_binary(*b));
    let only = |first: bool| {
        let wins = |(a, b): &&(f64, f64)| if first { a > b } else { b > a };
        pairs.iter().filter(wins).count() as u64
    };
    // With no question on which the arms differ there is nothing to test.
    let mcnemar = (binary && only(true) + only(false) > 0)
        .then(|| mcnemar_exact(only(true), only(false)).ok())
        .flatten();
    let test = if mcnemar.is_some() {
        ", exact McNemar test"
    } else {
        ""
    };
    Ok(Some(Estimate {
        value: interval.value,
        low,
        high,
        n: pairs.len() as u64,
        attempted: counts.attempted,
        failed: counts.failed,
        unparsed: counts.unparsed,
        n_seeds,
        deterministic: false,
        method: format!(
            "mean difference, paired bootstrap over {} questions ({N_RESAMPLES} resamples) or t, \
             whichever is wider, 95 %{test}",
            pairs.len()
        ),
        p_value: mcnemar.or_else(|| boot.p_percentile(0.0).ok()),
    }))
}

/// The area under the ROC curve of the modal count as a predictor of a right mode: the mean over
/// models of the probability that a right mode has the higher count (ties by half), with the
/// percentile interval of a bootstrap over questions.
///
/// # Errors
/// A row has no question, model, or count.
pub fn auroc(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
    let (found, counts) = selected(claim, rows);
    let mut models: Vec<(u64, &str)> = Vec::new();
    let mut questions: BTreeMap<Unit<'_>, Vec<(usize, usize, bool)>> = BTreeMap::new();
    for row in found {
        let item = row.row.item.as_deref();
        let count = row.get("count").and_then(|text| text.parse().ok());
        let (Some(item), Some(count), Some(model)) = (item, count, row.get("model")) else {
            let message = format!(
                "a row of claim `{}` lacks model, question, or count",
                claim.id
            );
            return Err(Error::internal(message));
        };
        let model = (row.cell.seed, model);
        let place = models.iter().position(|known| *known == model);
        let place = place.unwrap_or_else(|| {
            models.push(model);
            models.len() - 1
        });
        let entry = questions.entry((row.cell.seed, item)).or_default();
        entry.push((place, count, row.row.value == Some(1.0)));
    }
    if questions.len() < QUESTIONS_MIN {
        return Ok(None);
    }
    let seeds: BTreeSet<u64> = questions.keys().map(|(seed, _)| *seed).collect();
    let questions: Vec<Vec<(usize, usize, bool)>> = questions.into_values().collect();
    let units: Vec<&[(usize, usize, bool)]> = questions.iter().map(Vec::as_slice).collect();
    let n_models = models.len();
    let undefined =
        |why: eval::stats::Undefined| Error::internal(format!("claim `{}`: {why}", claim.id));
    let boot = bootstrap_units(&units, N_RESAMPLES, &mut stream(claim), |sample| {
        mean_area(sample, n_models)
    });
    // So few right or wrong modes that resamples lose all of a kind allow no estimate; that is a
    // finding about the sample, not a fault.
    let Ok(boot) = boot else { return Ok(None) };
    let interval = boot.percentile(LEVEL).map_err(undefined)?;
    Ok(Some(Estimate {
        value: interval.value,
        low: interval.low,
        high: interval.high,
        n: questions.len() as u64,
        attempted: counts.attempted,
        failed: counts.failed,
        unparsed: counts.unparsed,
        n_seeds: seeds.len() as u64,
        deterministic: false,
        method: format!(
            "mean area over {n_models} models, percentile bootstrap over {} questions ({} \
             resamples), 95 %",
            questions.len(),
            N_RESAMPLES
        ),
        p_value: boot.p_percentile(0.5).ok(),
    }))
}

/// Models whose modes are all right or all wrong have no area and are left out.
fn mean_area(sample: &[&[(usize, usize, bool)]], n_models: usize) -> f64 {
    let n_counts = 1 + sample
        .iter()
        .flat_map(|modes| modes.iter().map(|(_, count, _)| *count))
        .max()
        .unwrap_or(0);
    let mut seen = vec![vec![(0.0, 0.0); n_counts]; n_models];
    for (model, count, is_right) in sample.iter().flat_map(|modes| modes.iter()) {
        let cell = &mut seen[*model][*count];
        if *is_right {
            cell.0 += 1.0;
        } else {
            cell.1 += 1.0;
        }
    }
    let areas: Vec<f64> = seen.iter().filter_map(|counts| area(counts)).collect();
    areas.iter().sum::<f64>() / areas.len() as f64
}

fn area(counts: &[(f64, f64)]) -> Option<f64> {
    let (mut wins, mut n_right, mut n_wrong) = (0.0, 0.0, 0.0);
    for (right, wrong) in counts {
        wins += right * (n_wrong + 0.5 * wrong);
        n_right += right;
        n_wrong += wrong;
    }
    (n_right > 0.0 && n_wrong > 0.0).then(|| wins / (n_right * n_wrong))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use eval::Row;

    fn claim(estimate: &str) -> Claim {
        let text = format!(
            "id = \"C\"\nsays = \"s\"\nwhere = \"w\"\ntier = \"scaled\"\nunit = \"1\"\n\
             measures = \"m\"\nexperiments = [\"e\"]\n\
             estimate = {{ recipe = \"custom\", {estimate} }}\n\
             test = {{ kind = \"at_least\", bound = 0.0 }}\n"
        );
        toml::from_str(&text).unwrap()
    }

    fn measured(row: Row) -> MeasuredRow {
        MeasuredRow {
            cell: Arc::new(Cell::new("e", 0)),
            row,
        }
    }

    #[test]
    fn pairs_are_differences_and_binary_ones_get_mcnemar() {
        let claim = claim("metric = \"right\", arm = \"method\", a = \"x\", b = \"y\"");
        let mut rows = Vec::new();
        // x: right on 5 of 20, y: right on 15 of 20, 3 of them in common.
        for item in 0..20 {
            let (x, y) = (item < 5, (2..17).contains(&item));
            for (method, right) in [("x", x), ("y", y)] {
                let row = Row::new("right", f64::from(right), "1").item(item);
                rows.push(measured(row.tag("method", method)));
            }
        }
        rows.push(measured(
            Row::new("right", 1.0, "1").item(77).tag("method", "x"),
        ));
        let found = difference(&claim, &rows).unwrap().unwrap();
        assert!((found.value - 0.5).abs() < 1e-12);
        assert_eq!((found.n, found.attempted), (20, 41));
        assert!(found.low < 0.5 && found.high > 0.5);
        // Two questions only x has, twelve only y: twice the binomial tail P(X <= 2; 14, 1/2).
        let tail = f64::from(1 + 14 + 91) / f64::from(1u32 << 14);
        assert!((found.p_value.unwrap() - 2.0 * tail).abs() < 1e-12);
    }

    #[test]
    fn one_question_that_differs_decides_nothing() {
        let claim = claim("metric = \"right\", arm = \"method\", a = \"x\", b = \"y\"");
        let mut rows = Vec::new();
        for item in 0..40 {
            for (method, right) in [("x", true), ("y", item != 3)] {
                let row = Row::new("right", f64::from(right), "1").item(item);
                rows.push(measured(row.tag("method", method)));
            }
        }
        let found = difference(&claim, &rows).unwrap().unwrap();
        assert!(found.low < 0.0 && found.high > 0.0, "{found:?}");
        assert_eq!(found.p_value, Some(1.0));
    }

    #[test]
    fn too_few_questions_have_no_estimate() {
        let claim = claim("metric = \"right\", arm = \"method\", a = \"x\", b = \"y\"");
        assert_eq!(difference(&claim, &[]).unwrap(), None);
    }

    #[test]
    fn a_count_that_separates_has_an_area_of_one() {
        let claim = claim("metric = \"mode_right\"");
        let rows: Vec<MeasuredRow> = (0..12)
            .map(|item| {
                let right = item % 2 == 0;
                let count = if right { 9 } else { 4 };
                let row = Row::new("mode_right", f64::from(right), "1").item(item);
                measured(row.tag("model", "m").tag("count", count))
            })
            .collect();
        let found = auroc(&claim, &rows).unwrap().unwrap();
        assert_eq!((found.value, found.n), (1.0, 12));
        assert_eq!(area(&[(0.0, 1.0), (1.0, 2.0), (2.0, 1.0)]), Some(0.75));
    }
}
