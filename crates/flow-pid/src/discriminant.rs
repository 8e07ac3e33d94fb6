//! Linear discriminant analysis: the unimodal accuracy that a view's unique information is compared
//! with.

use faer::{Mat, MatRef};

use crate::error::PidError;
use crate::estimate::covariance;
use crate::linalg::{cholesky, solve_lower};

/// Share of items whose class is predicted correctly by linear discriminant analysis fitted on the
/// other folds; item `i` belongs to fold `i mod folds`, which is balanced where items are sorted by
/// class.
///
/// Every class counts as equally likely. All classes share one covariance, estimated within them.
///
/// # Errors
/// The pooled covariance is singular, a training part lacks a class, or fewer than two folds.
pub fn accuracy(view: MatRef<'_, f64>, classes: &[usize], folds: usize) -> Result<f64, PidError> {
    if folds < 2 {
        return Err(PidError::Config {
            knob: "folds",
            must: "at least 2",
        });
    }
    let n_classes = classes.iter().copied().max().map_or(0, |last| last + 1);
    let mut n_right = 0_u32;
    for fold in 0..folds {
        let means = class_means(view, classes, n_classes, |item| item % folds != fold)?;
        let train: Vec<usize> = (0..view.nrows())
            .filter(|item| item % folds != fold)
            .collect();
        let within = Mat::from_fn(train.len(), view.ncols(), |i, j| {
            view[(train[i], j)] - means[(classes[train[i]], j)]
        });
        let lower = cholesky(
            covariance(within.as_ref()).as_ref(),
            "the pooled covariance",
        )?;
        // Distances in whitened coordinates are Mahalanobis distances.
        let centres = solve_lower(lower.as_ref(), means.transpose());
        let points = solve_lower(lower.as_ref(), view.transpose());
        for item in (0..view.nrows()).filter(|item| item % folds == fold) {
            let distance = |class: usize| (points.col(item) - centres.col(class)).squared_norm_l2();
            let nearest = (0..n_classes).min_by(|a, b| distance(*a).total_cmp(&distance(*b)));
            n_right += u32::from(nearest == Some(classes[item]));
        }
    }
    Ok(f64::from(n_right) / view.nrows() as f64)
}

fn class_means(
    view: MatRef<'_, f64>,
    classes: &[usize],
    n_classes: usize,
    used: impl Fn(usize) -> bool,
) -> Result<Mat<f64>, PidError> {
    let mut means = Mat::zeros(n_classes, view.ncols());
    let mut counts = vec![0_u32; n_classes];
    for item in (0..view.nrows()).filter(|item| used(*item)) {
        counts[classes[item]] += 1;
        for j in 0..view.ncols() {
            means[(classes[item], j)] += view[(item, j)];
        }
    }
    for (class, count) in counts.into_iter().enumerate() {
        if count == 0 {
            let (n_items, n_items_min) = (view.nrows(), 2 * n_classes);
            return Err(PidError::TooFewItems {
                n_items,
                n_items_min,
            });
        }
        for j in 0..view.ncols() {
            means[(class, j)] /= f64::from(count);
        }
    }
    Ok(means)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two features that circle a centre per class; `spread` decides whether classes overlap.
    fn world(spread: f64) -> (Mat<f64>, Vec<usize>) {
        let classes: Vec<usize> = (0..90).map(|i| i / 30).collect();
        let view = Mat::from_fn(90, 2, |i, j| {
            let angle = 2.399_963 * i as f64;
            let centre = if j == 0 {
                classes[i] as f64
            } else {
                (classes[i] % 2) as f64
            };
            centre + spread * if j == 0 { angle.cos() } else { angle.sin() }
        });
        (view, classes)
    }

    #[test]
    fn separate_classes_are_all_told_apart_and_mixed_ones_are_not() {
        let (view, classes) = world(0.2);
        assert_eq!(accuracy(view.as_ref(), &classes, 5), Ok(1.0));
        let (view, classes) = world(30.0);
        assert!(accuracy(view.as_ref(), &classes, 5).unwrap() < 0.6);
    }

    #[test]
    fn a_class_that_is_missing_from_training_is_an_error() {
        let view = Mat::from_fn(10, 1, |i, _| i as f64);
        let classes = [0, 0, 0, 0, 0, 1, 1, 1, 1, 2];
        assert!(matches!(
            accuracy(view.as_ref(), &classes, 5),
            Err(PidError::TooFewItems { .. })
        ));
    }
}
