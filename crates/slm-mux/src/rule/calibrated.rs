//! T11: a selector that learns on validation data how much a count means for each model.

use super::policy::Ranking;
use crate::samples::{SampleTable, Tally};

/// For each model and modal count c, how often the mode was right on validation data.
///
/// `g_i(c) = (right + 1) / (count + 2)`; Algorithm 1 is the special case that orders by (c, a_i).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calibration {
    /// `[model][count]` → (right, seen).
    seen: Vec<Vec<(u32, u32)>>,
}

impl Calibration {
    /// Counts the modes of `k` samples a model on validation questions: the first k, then the
    /// next, as many whole groups as were recorded. An empty table leaves every g at one half.
    #[must_use]
    pub fn fit(validation: &SampleTable, k: usize) -> Self {
        let mut seen = vec![vec![(0, 0); k + 1]; validation.models().len()];
        for question in 0..validation.questions().len() {
            for (model, seen) in seen.iter_mut().enumerate() {
                for group in validation.codes(question, model).chunks_exact(k.max(1)) {
                    let tally = Tally::of(group);
                    let cell = &mut seen[tally.count as usize];
                    cell.0 += u32::from(tally.is_right());
                    cell.1 += 1;
                }
            }
        }
        Self { seen }
    }

    /// Right and seen for a model at a modal count; nothing beyond the k it was fitted with.
    #[must_use]
    pub fn counts(&self, model: usize, count: u32) -> (u32, u32) {
        self.seen[model]
            .get(count as usize)
            .copied()
            .unwrap_or((0, 0))
    }

    /// g of a model at a modal count, from 0 to 1.
    #[must_use]
    pub fn probability(&self, model: usize, count: u32) -> f64 {
        let (right, seen) = self.counts(model, count);
        f64::from(right + 1) / f64::from(seen + 2)
    }

    /// The model with the highest g at its own count; ties by the ranking. `models` names the
    /// models of the validation table to which the tallies belong.
    #[must_use]
    pub fn choose(&self, tallies: &[Tally], models: &[usize], ranking: &Ranking) -> Option<usize> {
        let fraction = |idx: usize| {
            let (right, seen) = self.counts(models[idx], tallies[idx].count);
            (u64::from(right + 1), u64::from(seen + 2))
        };
        let mut best: Option<usize> = None;
        for idx in ranking.order().iter().copied() {
            // A model without any answer is never worth choosing.
            if tallies[idx].count == 0 {
                continue;
            }
            let better = best.is_none_or(|best| {
                let ((a, b), (c, d)) = (fraction(idx), fraction(best));
                a * d > c * b
            });
            if better {
                best = Some(idx);
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confidently_wrong_model_is_distrusted() {
        // Model 0 is always unanimous and wrong, model 1 has two of three and is right.
        let question = [1, 1, 1, 0, 0, 2];
        let names = vec!["m".to_owned(), "n".to_owned()];
        let table = SampleTable::from_codes(names, 3, question.repeat(10)).unwrap();
        let calibration = Calibration::fit(&table, 3);
        assert_eq!(calibration.counts(0, 3), (0, 10));
        assert!((calibration.probability(1, 2) - 11.0 / 12.0).abs() < 1e-15);
        let tallies = [Tally::of(&question[..3]), Tally::of(&question[3..])];
        let ranking = Ranking::list_order(2);
        assert_eq!(calibration.choose(&tallies, &[0, 1], &ranking), Some(1));
    }

    #[test]
    fn without_validation_data_the_ranking_decides() {
        let names = vec!["m".to_owned(), "n".to_owned()];
        let table = SampleTable::from_codes(names, 3, Vec::new()).unwrap();
        let calibration = Calibration::fit(&table, 3);
        let tallies = [Tally::of(&[0, 1, 2]), Tally::of(&[1, 1, 1])];
        let ranking = Ranking::by_accuracy(&[0.9, 0.1]);
        assert_eq!(calibration.choose(&tallies, &[0, 1], &ranking), Some(0));
        let silent = [Tally::of(&[u16::MAX; 3]); 2];
        assert_eq!(calibration.choose(&silent, &[0, 1], &ranking), None);
    }
}
