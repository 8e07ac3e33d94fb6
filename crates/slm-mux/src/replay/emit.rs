//! The rows of one pool of recorded samples.

use eval::{Cx, Result, Row};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use super::curves::curves;
use super::methods::by_policy;
use super::reliability::reliability;
use super::selection::{
    best_subset, leakage_inflation, mux_accuracy, objective_correlations, search_pool,
};
use crate::rule::{Policy, Ranking, adaptive, mux_of_tallies};
use crate::samples::{SampleTable, Tally};
use crate::scaling::Simulator;
use crate::search::Objective;

/// Two halves of questions with the same models in the same order.
#[derive(Clone, Copy, Debug)]
pub struct Halves<'a> {
    /// What choices are made on.
    pub validation: &'a SampleTable,
    /// What numbers come from.
    pub test: &'a SampleTable,
    /// Sub-samples per question where an expectation has no closed form.
    pub n_trials: usize,
}

/// Emits every row of the module's table.
///
/// # Errors
/// The rows cannot be written, or the halves have too few samples for any k.
pub fn emit(cx: &mut Cx, halves: &Halves<'_>) -> Result<()> {
    let mut random = Pcg64Mcg::from_rng(&mut cx.rng("replay"));
    let pair = searched(halves, 2.min(halves.test.models().len()))?;
    by_samples(cx, halves)?;
    let validation = halves.validation.of_models(&pair);
    let test = halves.test.of_models(&pair);
    let of_pair = Halves {
        validation: &validation,
        test: &test,
        ..*halves
    };
    per_k(cx, &of_pair, "searched", &mut random)?;
    per_k(cx, halves, "all", &mut random)?;
    per_size(cx, halves)?;
    reliabilities(cx, halves.test)?;
    policies(cx, &of_pair, &mut random)?;
    objectives(cx, halves)
}

/// The subset that the search chooses on validation: plotted objective, two right samples asked
/// for.
fn searched(halves: &Halves<'_>, size: usize) -> Result<Vec<usize>> {
    let robust = 2.min(halves.validation.n_samples());
    let found = best_subset(halves.validation, &Objective::PLOTTED, robust, size)?;
    Ok(found.models)
}

/// How wrong answers of a model agree: the share of unanimous wrong modes among wrong modes.
fn by_samples(cx: &mut Cx, halves: &Halves<'_>) -> Result<()> {
    for (model, name) in halves.test.models().iter().enumerate() {
        let (mut n_wrong, mut n_unanimous) = (0u32, 0u32);
        for question in 0..halves.test.questions().len() {
            let tally = Tally::of(halves.test.codes(question, model));
            if !tally.is_right() {
                n_wrong += 1;
                n_unanimous += u32::from(tally.is_unanimous());
            }
        }
        if n_wrong > 0 {
            let share = f64::from(n_unanimous) / f64::from(n_wrong);
            cx.row(Row::new("unanimous_among_wrong", share, "1").tag("model", name))?;
        }
    }
    Ok(())
}

/// Accuracy of every method and the losses of the rule for each k.
fn per_k(cx: &mut Cx, halves: &Halves<'_>, pool: &str, random: &mut Pcg64Mcg) -> Result<()> {
    let ks = 1..=halves.test.n_samples();
    let curves = curves(halves.validation, halves.test, ks, halves.n_trials, random)?;
    for curve in &curves {
        let row = |metric: &str, value: f64| {
            Row::new(metric, 100.0 * value, "points")
                .tag("k", curve.k)
                .tag("pool", pool)
        };
        for (method, right) in &curve.right {
            let mean = right.iter().sum::<f64>() / right.len().max(1) as f64;
            cx.row(row("accuracy", mean).tag("method", method))?;
        }
        cx.row(row("oracle", curve.oracle))?;
        cx.row(row("confidently_wrong", curve.confidently_wrong))?;
        cx.row(row("tie_lost", curve.tie_lost))?;
        let margin = curve.confidently_wrong - curve.tie_lost;
        cx.row(row("confident_minus_tie", margin))?;
    }
    Ok(())
}

/// The best subset of each size: what the search counts, and what the rule makes of it.
fn per_size(cx: &mut Cx, halves: &Halves<'_>) -> Result<()> {
    const SIZE_MAX: usize = 5;
    let k = 3.min(halves.test.n_samples());
    let simulator = Simulator::new(halves.test, k)?;
    let accuracies = halves.validation.accuracies();
    let n = halves.test.questions().len();
    let robust = 2.min(halves.test.n_samples());
    let of_test = search_pool(halves.test, robust)?;
    let of_validation = search_pool(halves.validation, robust)?;
    for size in 1..=SIZE_MAX.min(accuracies.len()) {
        let models = searched(halves, size)?;
        let counts = of_validation.counts(&models);
        let n_validation = of_validation.n_questions().max(1) as f64;
        let objective = Objective::PLOTTED.value(counts, of_validation.n_questions());
        let better = models
            .iter()
            .map(|model| mux_accuracy(&simulator, &accuracies, &[*model], n))
            .fold(0.0, f64::max);
        let accuracy = mux_accuracy(&simulator, &accuracies, &models, n);
        for (metric, value) in [
            ("pool_accuracy", accuracy),
            ("pool_gain_over_better_member", accuracy - better),
            ("pool_union", f64::from(counts.union) / n_validation),
            (
                "pool_contradiction",
                f64::from(counts.contradiction) / n_validation,
            ),
            (
                "pool_union_test",
                f64::from(of_test.counts(&models).union) / n.max(1) as f64,
            ),
            ("objective", objective),
        ] {
            cx.row(Row::new(metric, 100.0 * value, "points").tag("K", size))?;
        }
    }
    Ok(())
}

fn reliabilities(cx: &mut Cx, test: &SampleTable) -> Result<()> {
    for (model, name) in test.models().iter().enumerate() {
        let found = reliability(test, model);
        for (count, (right, n)) in found.by_count.iter().enumerate() {
            if *n > 0 {
                for (metric, value) in [("calibration_right", right), ("calibration_n", n)] {
                    let row = Row::new(metric, f64::from(*value), "1");
                    cx.row(row.tag("model", name).tag("count", count))?;
                }
            }
        }
        if let Some(auroc) = found.auroc {
            cx.row(Row::new("auroc", auroc, "1").tag("model", name))?;
        }
        cx.row(Row::new("ece", found.ece, "1").tag("model", name))?;
    }
    Ok(())
}

/// X6 and X7 on the searched pair with five samples, or those there are.
fn policies(cx: &mut Cx, halves: &Halves<'_>, random: &mut Pcg64Mcg) -> Result<()> {
    let k = 5.min(halves.test.n_samples());
    let of_default = Policy::reproduction();
    for (name, policy) in Policy::named() {
        let pair = (halves.validation, halves.test);
        let (accuracy, n_samples) = by_policy(&policy, pair, k, halves.n_trials, random);
        cx.row(Row::new("policy_accuracy", 100.0 * accuracy, "points").tag("policy", name))?;
        cx.row(Row::new("policy_samples", n_samples, "1").tag("policy", name))?;
    }
    let accuracies = halves.validation.accuracies();
    let ranking = Ranking::of_policy(&of_default, &accuracies, accuracies.len());
    let test = halves.test.of_first_samples(k);
    let (mut n_samples, mut n_differs) = (0u32, 0u32);
    for question in 0..test.questions().len() {
        let codes = test.question(question);
        let found = adaptive(codes, k, &ranking);
        let tallies: Vec<Tally> = codes.chunks_exact(k).map(Tally::of).collect();
        let whole = mux_of_tallies(&tallies, &of_default, &ranking);
        n_samples += found.n_samples;
        n_differs += u32::from(found.code != whole.code);
    }
    let whole = (test.questions().len() * accuracies.len() * k).max(1) as f64;
    cx.row(Row::new(
        "adaptive_samples",
        f64::from(n_samples) / whole,
        "1",
    ))?;
    cx.row(Row::new("adaptive_differs", f64::from(n_differs), "1"))
}

/// X8 and X9.
fn objectives(cx: &mut Cx, halves: &Halves<'_>) -> Result<()> {
    let k = 3.min(halves.test.n_samples());
    for size in 2..=3.min(halves.test.models().len()) {
        let inflation = leakage_inflation(halves.validation, halves.test, size, k)?;
        cx.row(Row::new("leakage_inflation", 100.0 * inflation, "points").tag("K", size))?;
    }
    if halves.test.models().len() < 3 {
        return Ok(());
    }
    for found in objective_correlations(halves.validation, halves.test, k)? {
        let row = |metric: &str, value: f64| {
            Row::new(metric, value, "1")
                .tag("objective", &found.name)
                .tag("robust", found.robust_level)
        };
        // Without spread there is no rank; saying 0 would be an invention.
        cx.row(match found.rank_correlation {
            Some(value) => row("objective_rank_correlation", value),
            None => Row::failed(
                "objective_rank_correlation",
                "1",
                "all pairs score the same",
            )
            .tag("objective", &found.name)
            .tag("robust", found.robust_level),
        })?;
        cx.row(row("objective_regret", found.regret))?;
    }
    Ok(())
}
