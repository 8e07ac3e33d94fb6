//! Means and differences whose items come in clusters (several questions on one passage).
//!
//! Standard errors are cluster-robust as in Miller (2024), arXiv 2411.00640: residuals are added
//! within a cluster before they are squared, so that related items are not counted as independent
//! evidence. Intervals use the t distribution on (clusters − 1) degrees of freedom.

use std::collections::BTreeMap;

use super::student::{TInterval, differences};
use super::sum::{mean, norm, sum};
use super::undefined::{Undefined, require, require_same_length};

/// The finite-sample correction of a cluster-robust variance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// None: the sum of squared cluster totals, as printed by Miller (2024). Too small for few
    /// clusters.
    Cr0,
    /// Times `G / (G − 1)` for G clusters. With one item per cluster the mean's standard error is
    /// then the ordinary one.
    Cr1,
}

/// The mean over all items, `clusters[i]` naming the cluster of `values[i]`.
///
/// # Errors
/// There are fewer than two clusters, a value is not finite, lists differ in length, or `level`
/// lies outside (0, 1).
pub fn clustered_mean<C: Ord>(
    values: &[f64],
    clusters: &[C],
    correction: Correction,
    level: f64,
) -> Result<TInterval, Undefined> {
    require_same_length(values.len(), clusters.len())?;
    let value = mean(values)?;
    let n = values.len() as f64;
    let influences = values.iter().map(|x| (x - value) / n);
    interval(value, clusters.iter().zip(influences), correction, level)
}

/// The mean of `b − a` over items measured twice, `clusters[i]` naming the cluster of item i.
///
/// # Errors
/// As [`clustered_mean`].
pub fn clustered_paired_difference<C: Ord>(
    a: &[f64],
    b: &[f64],
    clusters: &[C],
    correction: Correction,
    level: f64,
) -> Result<TInterval, Undefined> {
    require_same_length(a.len(), b.len())?;
    clustered_mean(&differences(a, b), clusters, correction, level)
}

/// `mean(b) − mean(a)` of two sets of items, each given as values with their clusters. A cluster
/// may have items in both sets: what is common to them then cancels in the standard error.
///
/// # Errors
/// A set is empty; otherwise as [`clustered_mean`], clusters counted over both sets.
pub fn clustered_difference<C: Ord>(
    a: (&[f64], &[C]),
    b: (&[f64], &[C]),
    correction: Correction,
    level: f64,
) -> Result<TInterval, Undefined> {
    for (values, clusters) in [a, b] {
        require_same_length(values.len(), clusters.len())?;
        require(values, 1)?;
    }
    let (mean_a, mean_b) = (mean(a.0)?, mean(b.0)?);
    let (n_a, n_b) = (a.0.len() as f64, b.0.len() as f64);
    let of_a = a.1.iter().zip(a.0.iter().map(|x| (mean_a - x) / n_a));
    let of_b = b.1.iter().zip(b.0.iter().map(|x| (x - mean_b) / n_b));
    interval(mean_b - mean_a, of_a.chain(of_b), correction, level)
}

/// The interval of a value from each item's influence on it.
fn interval<'a, C: Ord + 'a>(
    value: f64,
    influences: impl Iterator<Item = (&'a C, f64)>,
    correction: Correction,
    level: f64,
) -> Result<TInterval, Undefined> {
    let mut by_cluster: BTreeMap<&C, Vec<f64>> = BTreeMap::new();
    for (cluster, influence) in influences {
        by_cluster.entry(cluster).or_default().push(influence);
    }
    let n_clusters = by_cluster.len();
    if n_clusters < 2 {
        return Err(Undefined::TooFew {
            have: n_clusters,
            need: 2,
        });
    }
    let totals: Vec<f64> = by_cluster
        .values()
        .map(|influences| sum(influences))
        .collect();
    let df = (n_clusters - 1) as f64;
    let factor = match correction {
        Correction::Cr0 => 1.0,
        Correction::Cr1 => (n_clusters as f64 / df).sqrt(),
    };
    TInterval::new(value, factor * norm(&totals)?, df, level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::mean_interval;

    #[test]
    fn one_item_per_cluster_with_cr1_is_the_ordinary_interval() {
        let values = [1.0, 4.0, 2.0, 8.0];
        let clustered = clustered_mean(&values, &[0, 1, 2, 3], Correction::Cr1, 0.9).unwrap();
        let plain = mean_interval(&values, 0.9).unwrap();
        assert!((clustered.standard_error - plain.standard_error).abs() < 1e-15);
        assert_eq!(clustered.df, plain.df);
    }

    #[test]
    fn copies_of_an_item_in_its_cluster_add_no_evidence() {
        let once = clustered_mean(&[1.0, 4.0, 2.0], &[0, 1, 2], Correction::Cr0, 0.9).unwrap();
        let copied = clustered_mean(
            &[1.0, 1.0, 4.0, 4.0, 2.0, 2.0],
            &[0, 0, 1, 1, 2, 2],
            Correction::Cr0,
            0.9,
        );
        assert!((once.standard_error - copied.unwrap().standard_error).abs() < 1e-15);
    }

    #[test]
    fn one_cluster_has_no_interval() {
        let lone = clustered_mean(&[1.0, 2.0], &["x", "x"], Correction::Cr1, 0.9);
        assert_eq!(lone, Err(Undefined::TooFew { have: 1, need: 2 }));
        let empty: (&[f64], &[u8]) = (&[], &[]);
        let lone = clustered_difference(empty, (&[1.0], &[1]), Correction::Cr1, 0.9);
        assert_eq!(lone, Err(Undefined::TooFew { have: 0, need: 1 }));
    }
}
