//! Sub-samples of k of the recorded samples: a fast simulator and its exact expectation.
//!
//! The rule only asks a model's samples for their mode and its count. There are C(K, k) sub-samples
//! of K recorded samples, at most a few thousand, so mode and count of each are computed once; a
//! trial then draws one sub-sample a model and compares counts. Because models are drawn
//! independently, the expectation over all sub-samples is T3 on the shares of the table.

use eval::{Error, Result};
use rand::{Rng, RngExt};

use crate::rule::Ranking;
use crate::samples::{Code, NO_ANSWER, REFERENCE, SampleTable, Tally};
use crate::search::n_subsets;
use crate::theory::{Modal, Regret, regret};

/// The most sub-samples of one pair that are tabulated.
const SUBSETS_MAX: u64 = 20_000;

/// Every sub-sample of size k of every question and model.
#[derive(Clone, Debug)]
pub struct Simulator {
    n_questions: usize,
    n_models: usize,
    n_subsets: usize,
    k: usize,
    /// `[question][model][subset]`: count in the high half, mode in the low half.
    outcomes: Vec<u32>,
    /// `[question][model]`: shares of modal counts with right and wrong modes, ties fair.
    modals: Vec<Modal>,
}

impl Simulator {
    /// Tabulates sub-samples of size `k`, from 1 to the number recorded. In a trial ties inside a
    /// model go to the answer recorded first; in the expectation they are fair.
    ///
    /// # Errors
    /// `k` is out of range, or there are too many sub-samples to tabulate.
    pub fn new(table: &SampleTable, k: usize) -> Result<Self> {
        let recorded = table.n_samples();
        let n_subsets = n_subsets(recorded, k);
        if k == 0 || k > recorded {
            return Err(Error::usage(format!(
                "{k} samples of {recorded} recorded ones cannot be drawn without replacement"
            )));
        }
        if n_subsets > SUBSETS_MAX {
            return Err(Error::usage(format!(
                "{recorded} recorded samples have {n_subsets} sub-samples of {k}, more than \
                 {SUBSETS_MAX}"
            ))
            .hint("take the first samples only: `SampleTable::of_first_samples`"));
        }
        let subsets = subsets(recorded, k);
        let mut simulator = Self {
            n_questions: table.questions().len(),
            n_models: table.models().len(),
            n_subsets: subsets.len(),
            k,
            outcomes: Vec::new(),
            modals: Vec::new(),
        };
        for question in 0..simulator.n_questions {
            for model in 0..simulator.n_models {
                simulator.add(table.codes(question, model), &subsets);
            }
        }
        Ok(simulator)
    }

    /// k.
    #[must_use]
    pub fn k(&self) -> usize {
        self.k
    }

    /// One trial of one question: the chosen answer and the chosen model.
    #[inline]
    pub fn choose(
        &self,
        question: usize,
        models: &[usize],
        random: &mut impl Rng,
    ) -> (usize, Code) {
        let base = question * self.n_models;
        let mut best = (usize::MAX, 0u32);
        for model in models {
            let subset = random.random_range(0..self.n_subsets as u32) as usize;
            let outcome = self.outcomes[(base + model) * self.n_subsets + subset];
            // Models come in the order of the ranking, so the first of equal counts stays.
            if best.0 == usize::MAX || outcome >> 16 > best.1 >> 16 {
                best = (*model, outcome);
            }
        }
        (best.0, (best.1 & 0xffff) as Code)
    }

    /// One trial of all questions: how many are answered rightly. `models` is a pool in the order
    /// of its ranking; empty it answers nothing.
    pub fn trial(&self, models: &[usize], random: &mut impl Rng) -> usize {
        if models.is_empty() {
            return 0;
        }
        (0..self.n_questions)
            .filter(|question| self.choose(*question, models, random).1 == REFERENCE)
            .count()
    }

    /// The shares of one model's modal counts on one question.
    #[must_use]
    pub fn modal(&self, question: usize, model: usize) -> &Modal {
        &self.modals[question * self.n_models + model]
    }

    /// Accuracy, oracle, and losses of the rule on one question, expected over all sub-samples.
    #[must_use]
    pub fn expected(&self, question: usize, models: &[usize]) -> Regret {
        let modals: Vec<Modal> = models
            .iter()
            .map(|model| self.modal(question, *model).clone())
            .collect();
        regret(&modals, &Ranking::list_order(modals.len()))
    }

    fn add(&mut self, codes: &[Code], subsets: &[Vec<usize>]) {
        let mut modal = Modal {
            right: vec![0.0; self.k + 1],
            wrong: vec![0.0; self.k + 1],
        };
        let share = 1.0 / subsets.len() as f64;
        let mut drawn = vec![NO_ANSWER; self.k];
        for subset in subsets {
            for (code, place) in drawn.iter_mut().zip(subset) {
                *code = codes[*place];
            }
            let tally = Tally::of(&drawn);
            self.outcomes
                .push(tally.count << 16 | u32::from(tally.mode));
            let right = match (tally.reference_tied, tally.n_tied) {
                (true, n_tied) => 1.0 / f64::from(n_tied),
                (false, _) => 0.0,
            };
            modal.right[tally.count as usize] += share * right;
            modal.wrong[tally.count as usize] += share * (1.0 - right);
        }
        self.modals.push(modal);
    }
}

/// All subsets of size k of 0..n, ascending.
fn subsets(n: usize, k: usize) -> Vec<Vec<usize>> {
    let mut found = Vec::new();
    let mut chosen: Vec<usize> = (0..k).collect();
    loop {
        found.push(chosen.clone());
        let Some(place) = (0..k).rev().find(|place| chosen[*place] < n - k + place) else {
            return found;
        };
        chosen[place] += 1;
        for later in place + 1..k {
            chosen[later] = chosen[later - 1] + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn table() -> SampleTable {
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(2);
        let codes = (0..20 * 3 * 6)
            .map(|_| match random.random_range(0..6u16) {
                5 => NO_ANSWER,
                code => code.saturating_sub(1),
            })
            .collect();
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        SampleTable::from_codes(names, 6, codes).unwrap()
    }

    #[test]
    fn every_subset_comes_once() {
        assert_eq!(subsets(4, 2).len(), 6);
        assert_eq!(subsets(9, 4).len(), 126);
        assert_eq!(subsets(3, 3), [[0, 1, 2]]);
    }

    #[test]
    fn all_recorded_samples_leave_nothing_to_chance() {
        let table = table();
        let simulator = Simulator::new(&table, 6).unwrap();
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(0);
        let ranking = Ranking::by_accuracy(&[0.1, 0.3, 0.2]);
        let policy = crate::rule::Policy::reproduction();
        let mut n_right = 0;
        for question in 0..20 {
            let codes = table.question(question);
            let choice = crate::rule::mux(codes, 6, &policy, &ranking, &mut random);
            let found = simulator.choose(question, ranking.order(), &mut random);
            assert_eq!((Some(found.0), found.1), (choice.model, choice.code));
            n_right += usize::from(choice.is_right());
        }
        assert_eq!(simulator.trial(ranking.order(), &mut random), n_right);
    }

    #[test]
    fn trials_scatter_around_the_expectation() {
        // One question where no two answers of a model tie, so both tie rules agree.
        let codes = vec![0, 0, 0, 0, 1, /**/ 2, 2, 2, 0, 0];
        let names = ["a", "b"].map(str::to_owned).to_vec();
        let table = SampleTable::from_codes(names, 5, codes).unwrap();
        let simulator = Simulator::new(&table, 3).unwrap();
        let expected = simulator.expected(0, &[1, 0]).accuracy;
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(4);
        let n = 40_000;
        let n_right: usize = (0..n).map(|_| simulator.trial(&[1, 0], &mut random)).sum();
        let error = (n_right as f64 / f64::from(n) - expected).abs();
        // Five standard errors.
        assert!(error < 5.0 * 0.5 / f64::from(n).sqrt(), "{error}");
        // By hand: b is unanimous and wrong in 1 of 10, two wrong of three in 6; a has 3 or 2.
        // a loses to 3 of b (rank) always, and to 2 of b unless a has 3 (4 of 10).
        let by_hand = 0.6 * 0.4 + 0.3;
        assert!((expected - by_hand).abs() < 1e-12, "{expected} {by_hand}");
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        assert!(Simulator::new(&table(), 0).is_err());
        assert!(Simulator::new(&table(), 7).is_err());
        let wide = SampleTable::from_codes(vec!["a".to_owned()], 40, vec![0; 40]).unwrap();
        let error = Simulator::new(&wide, 20).unwrap_err();
        assert!(error.to_string().contains("137846528820"), "{error}");
    }
}
