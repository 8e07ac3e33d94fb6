//! What each method is expected to answer rightly on a question, over sub-samples of k.

use eval::Result;
use rand::Rng;

use crate::rule::{Calibration, ForestTie, Policy, Ranking, agent_forest, mux};
use crate::samples::{Code, REFERENCE, SampleTable, Tally};
use crate::scaling::Simulator;

/// A way to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// One sample of the model with the highest validation accuracy.
    SingleBest,
    /// That model's plurality of k samples.
    SelfConsistency,
    /// That model's plurality of as many samples as the whole pool draws, at most those recorded.
    SelfConsistencySameTotal,
    /// Algorithm 1.
    Mux,
    /// Pooled votes.
    Forest(ForestTie),
    /// The calibrated selector of T11.
    Calibrated,
    /// Whether any model's mode is right.
    Oracle,
}

/// Every method with its name in rows.
pub const METHODS: [(&str, Method); 10] = [
    ("single-best", Method::SingleBest),
    ("self-consistency", Method::SelfConsistency),
    (
        "self-consistency-same-total",
        Method::SelfConsistencySameTotal,
    ),
    ("mux", Method::Mux),
    (
        "af-concatenated",
        Method::Forest(ForestTie::FirstConcatenated),
    ),
    (
        "af-interleaved",
        Method::Forest(ForestTie::FirstInterleaved),
    ),
    ("af-random", Method::Forest(ForestTie::Random)),
    ("af-support", Method::Forest(ForestTie::Support)),
    ("calibrated", Method::Calibrated),
    ("oracle", Method::Oracle),
];

/// The expected share of right answers of each test question. The rule, pluralities, single
/// models, and the oracle are exact over all sub-samples; pooled votes and the calibrated selector
/// are means of `n_trials` sub-samples.
///
/// # Errors
/// k samples cannot be drawn from those recorded.
pub fn expected_right(
    method: Method,
    simulator: &Simulator,
    validation: &SampleTable,
    test: &SampleTable,
    n_trials: usize,
    random: &mut impl Rng,
) -> Result<Vec<f64>> {
    let ranking = Ranking::of_policy(
        &Policy::reproduction(),
        &validation.accuracies(),
        test.models().len(),
    );
    let best = ranking.order()[0];
    let k = simulator.k();
    let questions = 0..test.questions().len();
    Ok(match method {
        Method::SingleBest => questions
            .map(|q| share_right(test.codes(q, best)))
            .collect(),
        Method::SelfConsistency => questions
            .map(|q| simulator.modal(q, best).accuracy())
            .collect(),
        Method::SelfConsistencySameTotal => {
            let total = (k * test.models().len()).min(test.n_samples());
            let alone = test.of_models(&[best]);
            let simulator = Simulator::new(&alone, total)?;
            questions
                .map(|q| simulator.modal(q, 0).accuracy())
                .collect()
        }
        Method::Mux => questions
            .map(|q| simulator.expected(q, ranking.order()).accuracy)
            .collect(),
        Method::Oracle => questions
            .map(|q| simulator.expected(q, ranking.order()).oracle)
            .collect(),
        Method::Forest(ties) => trials(test, k, n_trials, random, |codes, random| {
            agent_forest(codes, k, ties, &ranking, random) == REFERENCE
        }),
        Method::Calibrated => {
            let calibration = Calibration::fit(validation, k);
            let models: Vec<usize> = (0..test.models().len()).collect();
            trials(test, k, n_trials, random, |codes, _| {
                let tallies: Vec<Tally> = codes.chunks_exact(k).map(Tally::of).collect();
                let chosen = calibration.choose(&tallies, &models, &ranking);
                chosen.is_some_and(|model| tallies[model].is_right())
            })
        }
    })
}

/// The share of right answers by a policy of Algorithm 1 on sub-samples, and the mean number of
/// samples drawn a question.
pub(super) fn by_policy(
    policy: &Policy,
    halves: (&SampleTable, &SampleTable),
    k: usize,
    n_trials: usize,
    random: &mut impl Rng,
) -> (f64, f64) {
    let (validation, test) = halves;
    let ranking = Ranking::of_policy(policy, &validation.accuracies(), test.models().len());
    let mut n_samples = 0u64;
    let right = trials(test, k, n_trials, random, |codes, random| {
        let choice = mux(codes, k, policy, &ranking, random);
        n_samples += u64::from(choice.n_samples);
        choice.is_right()
    });
    let n = right.len().max(1) as f64;
    let drawn = n_samples as f64 / (n * n_trials as f64);
    (right.iter().sum::<f64>() / n, drawn)
}

/// The share of `n_trials` sub-samples of k, drawn without replacement, of which `is_right` holds.
pub(super) fn trials<R: Rng>(
    table: &SampleTable,
    k: usize,
    n_trials: usize,
    random: &mut R,
    mut is_right: impl FnMut(&[Code], &mut R) -> bool,
) -> Vec<f64> {
    let mut drawn = Vec::with_capacity(k * table.models().len());
    (0..table.questions().len())
        .map(|question| {
            let mut n_right = 0;
            for _ in 0..n_trials {
                drawn.clear();
                for model in 0..table.models().len() {
                    draw(table.codes(question, model), k, random, &mut drawn);
                }
                n_right += usize::from(is_right(&drawn, random));
            }
            n_right as f64 / n_trials as f64
        })
        .collect()
}

/// k of the samples without replacement, in the order in which they were recorded (Knuth's
/// selection sampling).
fn draw(codes: &[Code], k: usize, random: &mut impl Rng, drawn: &mut Vec<Code>) {
    use rand::RngExt;
    let mut n_wanted = k.min(codes.len());
    for (place, code) in codes.iter().enumerate() {
        if n_wanted > 0 && random.random_range(0..codes.len() - place) < n_wanted {
            drawn.push(*code);
            n_wanted -= 1;
        }
    }
}

fn share_right(codes: &[Code]) -> f64 {
    let right = codes.iter().filter(|code| **code == REFERENCE).count();
    right as f64 / codes.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn table() -> SampleTable {
        let codes = vec![
            0, 0, 0, /**/ 1, 1, 0, /**/ 2, 2, 2, /**/ 0, 0, 1,
        ];
        let names = ["a", "b"].map(str::to_owned).to_vec();
        SampleTable::from_codes(names, 3, codes).unwrap()
    }

    fn of(name: &str, k: usize) -> Vec<f64> {
        let table = table();
        let simulator = Simulator::new(&table, k).unwrap();
        let method = METHODS.iter().find(|(known, _)| *known == name).unwrap().1;
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(0);
        expected_right(method, &simulator, &table, &table, 50, &mut random).unwrap()
    }

    #[test]
    fn all_samples_decide_as_by_hand() {
        // Both models have half of their samples right, so `a` ranks first.
        assert_eq!(of("single-best", 3), [1.0, 0.0]);
        assert_eq!(of("self-consistency", 3), [1.0, 0.0]);
        assert_eq!(of("mux", 3), [1.0, 0.0]);
        // Pools: 0 0 0 1 1 0 and 2 2 2 0 0 1.
        assert_eq!(of("af-random", 3), [1.0, 0.0]);
        assert_eq!(of("oracle", 3), [1.0, 1.0]);
        // Unanimous `a` is right half the time, `b` with two of three as well: the ranking decides.
        assert_eq!(of("calibrated", 3), [1.0, 0.0]);
    }

    #[test]
    fn one_sample_is_the_best_model_alone() {
        assert_eq!(of("mux", 1), of("single-best", 1));
        assert_eq!(of("self-consistency-same-total", 1).len(), 2);
    }

    #[test]
    fn draws_keep_the_order_and_repeat_nothing() {
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(1);
        let codes = [5, 6, 7, 8];
        let mut seen = [0; 4];
        for _ in 0..4000 {
            let mut drawn = Vec::new();
            draw(&codes, 2, &mut random, &mut drawn);
            assert!(drawn.len() == 2 && drawn[0] < drawn[1]);
            drawn
                .iter()
                .for_each(|code| seen[usize::from(code - 5)] += 1);
        }
        // Each of four is drawn in half of the cases; six standard deviations.
        assert!(
            seen.iter().all(|n: &i32| n.abs_diff(2000) < 190),
            "{seen:?}"
        );
    }
}
