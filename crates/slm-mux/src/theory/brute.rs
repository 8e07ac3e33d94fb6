//! The referee of T3: every tuple of samples, decided by the rule itself.

use std::collections::BTreeMap;

use crate::rule::{Policy, Ranking, mux_of_tallies};
use crate::samples::{Code, NO_ANSWER, Tally};

/// The accuracy of Algorithm 1 by enumeration of all sample tuples: for each model all sequences
/// of `k` answers, each tied mode with its share; then all combinations of models, each decided by
/// [`mux_of_tallies`]. Equal outcomes of one model are merged. Nothing of T3's formula is used.
///
/// `worlds` holds each model's probabilities of answers, the right one first; what is missing to 1
/// is the probability of no answer.
#[must_use]
pub fn brute_rule_accuracy(worlds: &[Vec<f64>], k: usize, ranking: &Ranking) -> f64 {
    let outcomes: Vec<Vec<(Tally, f64)>> =
        worlds.iter().map(|answers| outcomes(answers, k)).collect();
    let mut tallies = Vec::new();
    combine(&outcomes, ranking, &mut tallies, 1.0)
}

fn combine(
    outcomes: &[Vec<(Tally, f64)>],
    ranking: &Ranking,
    tallies: &mut Vec<Tally>,
    share: f64,
) -> f64 {
    let Some((first, rest)) = outcomes.split_first() else {
        let choice = mux_of_tallies(tallies, &Policy::reproduction(), ranking);
        return if choice.is_right() { share } else { 0.0 };
    };
    let mut sum = 0.0;
    for (tally, probability) in first {
        tallies.push(*tally);
        sum += combine(rest, ranking, tallies, share * probability);
        tallies.pop();
    }
    sum
}

/// Every sequence of k samples of one model, as tallies with their probabilities.
fn outcomes(answers: &[f64], k: usize) -> Vec<(Tally, f64)> {
    let none = (1.0 - answers.iter().sum::<f64>()).max(0.0);
    let mut merged: BTreeMap<(Code, u32), (Tally, f64)> = BTreeMap::new();
    let n_codes = answers.len() + 1;
    for sequence in 0..n_codes.pow(k as u32) {
        let mut rest = sequence;
        let mut share = 1.0;
        let mut codes = Vec::with_capacity(k);
        for _ in 0..k {
            let code = rest % n_codes;
            rest /= n_codes;
            share *= answers.get(code).copied().unwrap_or(none);
            codes.push(if code < answers.len() {
                code as Code
            } else {
                NO_ANSWER
            });
        }
        if share == 0.0 {
            continue;
        }
        let tally = Tally::of(&codes);
        let count_of = |code: Code| codes.iter().filter(|c| **c == code).count() as u32;
        let tied = (0..answers.len() as Code).filter(|code| count_of(*code) == tally.count);
        let modes: Vec<Code> = if tally.count == 0 {
            vec![NO_ANSWER]
        } else {
            tied.collect()
        };
        for mode in &modes {
            let entry = merged.entry((*mode, tally.count)).or_insert((
                Tally {
                    mode: *mode,
                    ..tally
                },
                0.0,
            ));
            entry.1 += share / modes.len() as f64;
        }
    }
    merged.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::{Modal, rule_accuracy};
    use rand::{RngExt, SeedableRng};

    #[test]
    fn the_formula_equals_brute_force_on_random_worlds() {
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(11);
        for _ in 0..150 {
            let (n, k) = (random.random_range(1..=4), random.random_range(1..=4));
            let worlds: Vec<Vec<f64>> = (0..n)
                .map(|_| {
                    let draws: Vec<f64> = (0..random.random_range(2..=5))
                        .map(|_| random.random::<f64>())
                        .collect();
                    let total: f64 = draws.iter().sum();
                    // The last share is that of no answer, in half of the worlds.
                    let keep = draws.len() - random.random_range(0..=1);
                    draws[..keep].iter().map(|share| share / total).collect()
                })
                .collect();
            let accuracies: Vec<f64> = (0..n).map(|_| random.random()).collect();
            let ranking = Ranking::by_accuracy(&accuracies);
            let modals: Vec<Modal> = worlds
                .iter()
                .map(|answers| Modal::of_distribution(answers, k))
                .collect();
            let exact = rule_accuracy(&modals, &ranking);
            let brute = brute_rule_accuracy(&worlds, k, &ranking);
            assert!(
                (exact - brute).abs() < 1e-12,
                "n = {n}, k = {k}: {exact} {brute}"
            );
        }
    }
}
