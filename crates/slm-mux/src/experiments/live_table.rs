//! What part B and part C add to the rows that all pools share: the comparison of methods within a
//! fixed group, the price of each, pools of every size question by question, and whether members
//! fail together.

use eval::{Cx, Result, Row};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use crate::replay::{Halves, best_subset, curves};
use crate::rule::Ranking;
use crate::samples::{SampleTable, Tally};
use crate::scaling::Simulator;
use crate::search::Objective;

/// Numbers of samples at which every method's answers are given question by question.
const KS_WHOLE: [usize; 3] = [2, 3, 9];
/// Methods of which they are given at every k: the two lines in the plane of price and accuracy.
const METHODS_WHOLE: [&str; 2] = ["mux", "self-consistency"];

/// Every method on a fixed group of models, question by question (metric `right`, tag `pool`), the
/// losses of the rule, and what the rule and self-consistency cost.
///
/// # Errors
/// The rows cannot be written.
pub fn compare(cx: &mut Cx, halves: &Halves<'_>, pool: &str) -> Result<()> {
    let mut random = Pcg64Mcg::from_rng(&mut cx.rng(&format!("compare {pool}")));
    let (validation, test) = (halves.validation, halves.test);
    losses(cx, halves, pool)?;
    let ks = 1..=test.n_samples();
    for curve in curves(validation, test, ks, halves.n_trials, &mut random)? {
        let row = |metric: &str, value: f64, unit: &str| {
            let row = Row::new(metric, value, unit);
            row.tag("k", curve.k).tag("pool", pool)
        };
        for (method, right) in &curve.right {
            if !KS_WHOLE.contains(&curve.k) && !METHODS_WHOLE.contains(method) {
                continue;
            }
            for (question, right) in right.iter().enumerate() {
                let row = row("right", *right, "share").item(&test.questions()[question]);
                cx.row(
                    row.tag("method", method)
                        .tag("task", &test.tasks()[question]),
                )?;
            }
        }
        let best = Ranking::by_accuracy(&validation.accuracies()).order()[0];
        let all: Vec<usize> = (0..test.models().len()).collect();
        for (method, models) in [("mux", &all[..]), ("self-consistency", &[best])] {
            let tokens = curve.k as f64 * tokens_per_sample(test, models);
            cx.row(row("tokens_mean", tokens, "tokens").tag("method", method))?;
        }
    }
    Ok(())
}

/// The same for the pair that the search chooses on the validation half (`pool` is `searched`).
///
/// # Errors
/// The rows cannot be written.
pub fn compare_searched(cx: &mut Cx, halves: &Halves<'_>) -> Result<()> {
    let robust = 2.min(halves.validation.n_samples());
    let size = 2.min(halves.test.models().len());
    let pair = best_subset(halves.validation, &Objective::PLOTTED, robust, size)?;
    let validation = halves.validation.of_models(&pair.models);
    let test = halves.test.of_models(&pair.models);
    let of_pair = Halves {
        validation: &validation,
        test: &test,
        ..*halves
    };
    compare(cx, &of_pair, "searched")
}

/// What the rule loses against the oracle on each question with three samples, in its two parts
/// (T10).
fn losses(cx: &mut Cx, halves: &Halves<'_>, pool: &str) -> Result<()> {
    let k = 3.min(halves.test.n_samples());
    let simulator = Simulator::new(halves.test, k)?;
    let ranking = Ranking::by_accuracy(&halves.validation.accuracies());
    for (question, name) in halves.test.questions().iter().enumerate() {
        let regret = simulator.expected(question, ranking.order());
        for (part, value) in [
            ("confidently-wrong", regret.confidently_wrong),
            ("tie", regret.tie_lost),
        ] {
            let row = Row::new("loss", value, "share")
                .item(name)
                .tag("part", part);
            cx.row(row.tag("pool", pool).tag("k", k))?;
        }
    }
    Ok(())
}

/// Mean tokens of one sample of each of the models, prompt included: the price of a question at
/// k = 1.
fn tokens_per_sample(table: &SampleTable, models: &[usize]) -> f64 {
    let n_questions = table.questions().len();
    let places = (0..n_questions).flat_map(|q| models.iter().map(move |model| (q, *model)));
    let per_sample = |(question, model): (usize, usize)| -> f64 {
        let tokens = table.tokens(question, model);
        let total: u64 = tokens.iter().map(|t| t.prompt + t.generated).sum();
        total as f64 / tokens.len() as f64
    };
    places.map(per_sample).sum::<f64>() / n_questions.max(1) as f64
}

/// The rule with all samples on the pool that the search chose for each size, question by question
/// (metric `right_at_size`, tag `K`), and the pool chosen with a look at the test half (X8).
///
/// # Errors
/// The rows cannot be written.
pub fn sizes(cx: &mut Cx, halves: &Halves<'_>) -> Result<()> {
    const SIZE_MAX: usize = 5;
    let simulator = Simulator::new(halves.test, halves.test.n_samples())?;
    let ranking = Ranking::by_accuracy(&halves.validation.accuracies());
    let robust = 2.min(halves.validation.n_samples());
    for size in 1..=SIZE_MAX.min(halves.test.models().len()) {
        for (chosen_on, table) in [("validation", halves.validation), ("test", halves.test)] {
            let found = best_subset(table, &Objective::PLOTTED, robust, size)?;
            let mut models = found.models;
            models.sort_by_key(|model| ranking.place(*model));
            for (question, name) in halves.test.questions().iter().enumerate() {
                let right = simulator.expected(question, &models).accuracy;
                let row = Row::new("right_at_size", right, "share").item(name);
                cx.row(row.tag("K", size).tag("chosen_on", chosen_on))?;
            }
        }
    }
    Ok(())
}

/// Whether the modes of two models are wrong together: Pearson's correlation over test questions.
///
/// # Errors
/// The rows cannot be written.
pub fn correlations(cx: &mut Cx, test: &SampleTable, pool: &str) -> Result<()> {
    let wrong: Vec<Vec<f64>> = (0..test.models().len())
        .map(|model| {
            let questions = 0..test.questions().len();
            let tallies = questions.map(|question| Tally::of(test.codes(question, model)));
            tallies.map(|tally| f64::from(!tally.is_right())).collect()
        })
        .collect();
    for (a, first) in wrong.iter().enumerate() {
        for (b, second) in wrong.iter().enumerate().skip(a + 1) {
            let (one, two) = (&test.models()[a], &test.models()[b]);
            // Members of one model differ after their first hyphen; trained members all differ.
            let weights = |name: &str| name.split('-').next().unwrap_or_default().to_owned();
            let is_same = weights(one) == weights(two) && weights(one) != "member";
            let row = match eval::stats::pearson(first, second, 0.95) {
                Ok(found) => Row::new("error_correlation", found.interval.value, "r"),
                Err(why) => Row::failed("error_correlation", "r", why.to_string()),
            };
            let kind = if is_same { "same" } else { "other" };
            let row = row.tag("a", one).tag("b", two).tag("pool", pool);
            cx.row(row.tag("weights", kind))?;
        }
    }
    Ok(())
}

/// How often a mode is right by its count among all recorded samples, question by question: metric
/// `mode_right` with the count as a tag.
///
/// # Errors
/// The rows cannot be written.
pub fn modes(cx: &mut Cx, test: &SampleTable, pool: &str) -> Result<()> {
    for (model, name) in test.models().iter().enumerate() {
        for (question, item) in test.questions().iter().enumerate() {
            let tally = Tally::of(test.codes(question, model));
            let row = Row::new("mode_right", f64::from(tally.is_right()), "1").item(item);
            let row = row.tag("model", name).tag("count", tally.count);
            cx.row(row.tag("pool", pool))?;
        }
    }
    Ok(())
}
