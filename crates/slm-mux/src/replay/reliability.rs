//! Whether agreeing with oneself means being right (C11).

use crate::samples::{SampleTable, Tally};

/// One model's modes by their counts, all recorded samples of each question.
#[derive(Clone, Debug, PartialEq)]
pub struct Reliability {
    /// `[count]`: questions with this modal count whose mode is right, and all of them.
    pub by_count: Vec<(u32, u32)>,
    /// The probability that a right mode has a higher count than a wrong one, ties by half; none
    /// without both kinds.
    pub auroc: Option<f64>,
    /// Mean distance between count over k and the share of right modes at that count, weighted by
    /// questions.
    pub ece: f64,
}

/// Reliability of one model on a table.
#[must_use]
pub fn reliability(table: &SampleTable, model: usize) -> Reliability {
    let k = table.n_samples();
    let mut by_count = vec![(0, 0); k + 1];
    for question in 0..table.questions().len() {
        let tally = Tally::of(table.codes(question, model));
        let cell = &mut by_count[tally.count as usize];
        cell.0 += u32::from(tally.is_right());
        cell.1 += 1;
    }
    let n: u32 = by_count.iter().map(|(_, n)| n).sum();
    let gap = |(count, (right, of)): (usize, &(u32, u32))| {
        let confidence = count as f64 / k as f64;
        (f64::from(*right) - confidence * f64::from(*of)).abs()
    };
    Reliability {
        ece: by_count.iter().enumerate().map(gap).sum::<f64>() / f64::from(n.max(1)),
        auroc: auroc(&by_count),
        by_count,
    }
}

fn auroc(by_count: &[(u32, u32)]) -> Option<f64> {
    let (mut wins, mut n_right, mut n_wrong) = (0.0, 0.0, 0.0);
    for (right, n) in by_count {
        let (right, wrong) = (f64::from(*right), f64::from(n - right));
        // Wrong modes of lower counts lose to these right ones; equal counts are half a win.
        wins += right * (n_wrong + 0.5 * wrong);
        n_right += right;
        n_wrong += wrong;
    }
    (n_right > 0.0 && n_wrong > 0.0).then(|| wins / (n_right * n_wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_separate_have_an_area_of_one() {
        let codes = vec![
            0, 0, 0, /**/ 1, 1, 2, /**/ 0, 0, 0, /**/ 2, 1, 1,
        ];
        let table = SampleTable::from_codes(vec!["m".to_owned()], 3, codes).unwrap();
        let found = reliability(&table, 0);
        assert_eq!(found.by_count, [(0, 0), (0, 0), (0, 2), (2, 2)]);
        assert_eq!(found.auroc, Some(1.0));
        // Two questions claim 2/3 and are never right, two claim 1 and are always right.
        assert!((found.ece - (2.0 / 3.0) / 2.0).abs() < 1e-12);
    }

    #[test]
    fn the_area_is_the_share_of_pairs() {
        let found = auroc(&[(0, 1), (1, 3), (2, 4)]).unwrap();
        // Right counts 1 2 2, wrong counts 0 1 1 2 2.
        let (rights, wrongs) = ([1, 2, 2], [0, 1, 1, 2, 2]);
        let mut wins = 0.0;
        for right in rights {
            for wrong in wrongs {
                wins += f64::from(u8::from(right > wrong));
                wins += 0.5 * f64::from(u8::from(right == wrong));
            }
        }
        assert!((found - wins / 15.0).abs() < 1e-12);
        assert_eq!(auroc(&[(1, 1)]), None);
    }
}
