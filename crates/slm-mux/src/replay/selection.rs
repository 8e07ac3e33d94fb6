//! Which subset of models to take, and how well the choice holds on other questions (C5 to C7, X8,
//! X9).

use eval::{Error, Result};

use crate::rule::{Policy, Ranking};
use crate::samples::SampleTable;
use crate::scaling::Simulator;
use crate::search::{Form, Found, Lambda, Objective, Pool, branch_and_bound};

/// Nodes that are more than enough for pools of some tens.
const NODES_MAX: u64 = 1_000_000;

/// Samples behind the two bits of a question in the search, as the paper has them.
const SEARCH_SAMPLES: usize = 3;

/// The two bits of each model and question from the first three samples, or those there are.
///
/// # Errors
/// The robust level is out of range.
pub fn search_pool(table: &SampleTable, robust_level: usize) -> Result<Pool> {
    let n_samples = SEARCH_SAMPLES.min(table.n_samples());
    Pool::of_table(&table.of_first_samples(n_samples), robust_level)
}

/// The best subset of `size` by validation samples.
///
/// # Errors
/// The robust level is out of range, or the pool is too large for a certified optimum.
pub fn best_subset(
    validation: &SampleTable,
    objective: &Objective,
    robust_level: usize,
    size: usize,
) -> Result<Found> {
    let pool = search_pool(validation, robust_level)?;
    let bounded = branch_and_bound(&pool, objective, size, NODES_MAX);
    if !bounded.is_certified {
        return Err(Error::usage(format!(
            "{size} of {} models cannot be searched exactly within {NODES_MAX} nodes",
            pool.n_models()
        )));
    }
    Ok(bounded.found)
}

/// Expected accuracy of Algorithm 1 with k samples of each of `models`, ranked by validation
/// accuracy.
#[must_use]
pub fn mux_accuracy(simulator: &Simulator, accuracies: &[f64], models: &[usize], n: usize) -> f64 {
    let policy = Policy::reproduction();
    let ranking = Ranking::of_policy(&policy, accuracies, accuracies.len());
    let mut order = models.to_vec();
    order.sort_by_key(|model| ranking.place(*model));
    let right = |question| simulator.expected(question, &order).accuracy;
    (0..n).map(right).sum::<f64>() / n.max(1) as f64
}

/// X8: accuracy on the test half of the pair chosen with the test half, minus that of the pair
/// chosen without it, both ranked by the data they were chosen on.
///
/// # Errors
/// As [`best_subset`].
pub fn leakage_inflation(
    validation: &SampleTable,
    test: &SampleTable,
    size: usize,
    k: usize,
) -> Result<f64> {
    let simulator = Simulator::new(test, k)?;
    let n = test.questions().len();
    let with = |chosen_on: &SampleTable| -> Result<f64> {
        let robust = 2.min(chosen_on.n_samples());
        let found = best_subset(chosen_on, &Objective::PLOTTED, robust, size)?;
        let accuracies = chosen_on.accuracies();
        Ok(mux_accuracy(&simulator, &accuracies, &found.models, n))
    };
    Ok(with(test)? - with(validation)?)
}

/// How one variant of the objective goes with held-out accuracy over all pairs of models.
#[derive(Clone, Debug, PartialEq)]
pub struct Correlated {
    /// `printed-1`, `conditional-0.5`, …, or `direct` for validation accuracy of the rule itself.
    pub name: String,
    /// Correct samples asked for; 0 for `direct`.
    pub robust_level: usize,
    /// Spearman's correlation with the rule's accuracy on the test half; none without spread.
    pub rank_correlation: Option<f64>,
    /// Best test accuracy of a pair minus that of the pair this objective chooses.
    pub regret: f64,
    /// The pair it chooses.
    pub chosen: Vec<usize>,
}

/// X9: every variant of the objective over all pairs of models, k samples each on the test half.
///
/// # Errors
/// k samples cannot be drawn.
pub fn objective_correlations(
    validation: &SampleTable,
    test: &SampleTable,
    k: usize,
) -> Result<Vec<Correlated>> {
    let n_models = test.models().len();
    let pairs: Vec<[usize; 2]> = (0..n_models)
        .flat_map(|a| (a + 1..n_models).map(move |b| [a, b]))
        .collect();
    let accuracies = validation.accuracies();
    let of = |table: &SampleTable| -> Result<Vec<f64>> {
        let simulator = Simulator::new(table, k)?;
        let n = table.questions().len();
        let one = |pair: &[usize; 2]| mux_accuracy(&simulator, &accuracies, pair, n);
        Ok(pairs.iter().map(one).collect())
    };
    let held_out = of(test)?;
    let mut found = vec![judge(
        "direct".to_owned(),
        0,
        &of(validation)?,
        &held_out,
        &pairs,
    )];
    let halves = [(0, 1), (1, 2), (1, 1), (3, 2), (2, 1)];
    for robust_level in 1..=SEARCH_SAMPLES.min(validation.n_samples()) {
        let pool = search_pool(validation, robust_level)?;
        for form in [Form::Printed, Form::Conditional] {
            for lambda in halves.iter().filter_map(|(a, b)| Lambda::new(*a, *b)) {
                let objective = Objective { form, lambda };
                let value =
                    |pair: &[usize; 2]| objective.value(pool.counts(pair), pool.n_questions());
                let values: Vec<f64> = pairs.iter().map(value).collect();
                let word = match form {
                    Form::Printed => "printed",
                    Form::Conditional => "conditional",
                };
                let name = format!("{word}-{}", lambda.value());
                found.push(judge(name, robust_level, &values, &held_out, &pairs));
            }
        }
    }
    Ok(found)
}

fn judge(
    name: String,
    robust_level: usize,
    values: &[f64],
    held_out: &[f64],
    pairs: &[[usize; 2]],
) -> Correlated {
    let first_of_highest = |values: &[f64]| {
        (0..values.len()).fold(
            0,
            |best, at| if values[at] > values[best] { at } else { best },
        )
    };
    let (chosen, best) = (first_of_highest(values), first_of_highest(held_out));
    Correlated {
        name,
        robust_level,
        rank_correlation: eval::stats::spearman_coefficient(values, held_out).ok(),
        regret: held_out.get(best).unwrap_or(&0.0) - held_out.get(chosen).unwrap_or(&0.0),
        chosen: pairs
            .get(chosen)
            .map(|pair| pair.to_vec())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complementary_models_are_found_and_held_out_accuracy_follows() {
        // Models 0 and 2 complement each other; model 1 is consistently wrong where 0 is right.
        let question = [0, 0, 0, /**/ 1, 1, 1, /**/ 1, 2, 3];
        let other = [1, 2, 3, /**/ 1, 1, 2, /**/ 0, 0, 0];
        let codes = [question, other].concat().repeat(8);
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let table = SampleTable::from_codes(names, 3, codes).unwrap();
        let found = best_subset(&table, &Objective::PLOTTED, 2, 2).unwrap();
        assert_eq!(found.models, [0, 2]);
        let simulator = Simulator::new(&table, 3).unwrap();
        let accuracy = mux_accuracy(&simulator, &table.accuracies(), &found.models, 16);
        assert_eq!(accuracy, 1.0);
        let correlated = objective_correlations(&table, &table, 3).unwrap();
        assert_eq!(correlated[0].name, "direct");
        assert!((correlated[0].rank_correlation.unwrap() - 1.0).abs() < 1e-12);
        assert!(
            correlated
                .iter()
                .all(|c| c.chosen != [0, 2] || c.regret == 0.0)
        );
        assert_eq!(leakage_inflation(&table, &table, 2, 3).unwrap(), 0.0);
    }
}
