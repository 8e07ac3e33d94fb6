//! Votes of nearest neighbours that an item itself has no part in.

use faer::MatRef;

use crate::data::standardise;
use crate::error::PidError;

/// The class that most of the `k` nearest items of the other folds have, by Euclidean distance on
/// standardised columns; ties go to the smaller class. Item `i` belongs to fold `folds_of[i]`.
///
/// # Errors
/// A column is constant or not finite, lengths differ, or `k` is 0.
pub fn out_of_fold_votes(
    view: MatRef<'_, f64>,
    classes: &[usize],
    folds_of: &[usize],
    k: usize,
) -> Result<Vec<usize>, PidError> {
    if k == 0 {
        let (knob, must) = ("neighbours", "at least 1");
        return Err(PidError::Config { knob, must });
    }
    let n = view.nrows();
    if classes.len() != n || folds_of.len() != n {
        return Err(PidError::Dimensions {
            what: "the labels of a view",
            expected: (n, 1),
            found: (classes.len(), 1),
        });
    }
    let points = standardise(view)?;
    // Squared distances from products: |a − b|² = |a|² + |b|² − 2ab; |a|² is the same for all b.
    let products = &points * points.transpose();
    let n_classes = classes.iter().copied().max().map_or(0, |last| last + 1);
    Ok((0..n)
        .map(|item| {
            let mut others: Vec<(f64, usize)> = (0..n)
                .filter(|other| folds_of[*other] != folds_of[item])
                .map(|other| {
                    (
                        products[(other, other)] - 2.0 * products[(item, other)],
                        other,
                    )
                })
                .collect();
            let kept = k.min(others.len());
            if kept == 0 {
                return 0;
            }
            others.select_nth_unstable_by(kept - 1, |a, b| a.0.total_cmp(&b.0));
            let mut votes = vec![0_usize; n_classes];
            for (_, other) in &others[..kept] {
                votes[classes[*other]] += 1;
            }
            let most = votes.iter().copied().max().unwrap_or(0);
            votes.iter().position(|count| *count == most).unwrap_or(0)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::Mat;

    #[test]
    fn an_item_has_no_vote_for_itself_nor_has_its_fold() {
        // Two groups; item 0 is labelled against its group, and only itself would say so.
        let view = Mat::from_fn(
            12,
            1,
            |i, _| if i < 6 { i as f64 } else { 100.0 + i as f64 },
        );
        let mut classes: Vec<usize> = (0..12).map(|i| usize::from(i >= 6)).collect();
        classes[0] = 1;
        let folds: Vec<usize> = (0..12).map(|i| i % 3).collect();
        let votes = out_of_fold_votes(view.as_ref(), &classes, &folds, 3).unwrap();
        assert_eq!(votes[0], 0);
        assert_eq!(&votes[6..], [1; 6]);
        assert!(out_of_fold_votes(view.as_ref(), &classes, &folds, 0).is_err());
    }
}
