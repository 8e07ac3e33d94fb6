//! The discrete method: bins of each source's leading component against the label.

use eval::engine::Stream;
use eval::{Error, Result};
use faer::Mat;
use rand::SeedableRng;

use super::methods::{Found, Seen};
use super::options::Method;
use super::report::Diagnostics;
use crate::data::principal_components;
use crate::discrete::Labels;
use crate::discrete::information::InformationEstimator;

/// Bins the sources, then decomposes the empirical distribution exactly.
pub(super) fn run(seen: &Seen<'_>) -> Result<Found> {
    let options = seen.options;
    let bins = options.bins;
    let (bins1, bins2) = (binned(&seen.x1, bins)?, binned(&seen.x2, bins)?);
    let target = match &seen.variables.classes {
        Some(classes) => classes.clone(),
        None if seen.variables.y.ncols() == 1 => quantile_bins(&column(&seen.variables.y, 0), bins),
        None => {
            return Err(Error::usage("the discrete method needs one target column")
                .hint("select one, or choose `--method copula`"));
        }
    };
    let labels = Labels::new(bins1, bins2, target)?;
    let broja = labels.broja()?;
    let mut rng = Stream::seed_from_u64(options.seed);
    let resampled = labels.bootstrap(options.bootstrap, &mut rng, |_| true)?;
    let mut rng = Stream::seed_from_u64(options.seed ^ u64::MAX);
    let shuffled = labels.permutation_null(options.shuffles, &mut rng, |_| true)?;
    let mut warnings = Vec::new();
    if seen.x1.ncols() > 1 || seen.x2.ncols() > 1 {
        warnings.push(
            "only the leading component of a source with several columns enters: what the others \
             tell is lost"
                .to_owned(),
        );
    }
    Ok(Found {
        method: Method::Discrete,
        note: format!(
            "at most {bins} quantile bins a source, exact decomposition of their counts{}",
            seen.why
        ),
        atoms: broja.atoms,
        debiased: Some(labels.atoms_corrected(InformationEstimator::MillerMadow)?),
        resampled,
        shuffled,
        n_columns: [1, 1],
        diagnostics: Diagnostics {
            gap_bits: Some(broja.certificate.gap_bits()),
            ..Diagnostics::default()
        },
        warnings,
    })
}

fn column(view: &Mat<f64>, k: usize) -> Vec<f64> {
    view.col(k).iter().copied().collect()
}

/// Bins of the only column, or of the leading principal component.
fn binned(view: &Mat<f64>, bins: usize) -> Result<Vec<usize>> {
    if view.ncols() == 1 {
        return Ok(quantile_bins(&column(view, 0), bins));
    }
    let scores = principal_components(view.as_ref(), 1)?;
    Ok(quantile_bins(&column(&scores, 0), bins))
}

/// Values themselves as classes where there are few, else bins of equal counts as far as ties
/// allow; equal values always share a bin.
fn quantile_bins(values: &[f64], bins: usize) -> Vec<usize> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut distinct = sorted.clone();
    distinct.dedup();
    let mut edges = if distinct.len() <= bins {
        distinct
    } else {
        (0..bins).map(|k| sorted[k * sorted.len() / bins]).collect()
    };
    edges.dedup();
    values
        .iter()
        .map(|value| {
            edges
                .partition_point(|edge| edge <= value)
                .saturating_sub(1)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_are_classes_and_many_are_cut_evenly() {
        assert_eq!(quantile_bins(&[5.0, 1.0, 5.0, 9.0], 4), [1, 0, 1, 2]);
        let many: Vec<f64> = (0..100).map(f64::from).collect();
        let bins = quantile_bins(&many, 4);
        for bin in 0..4 {
            assert_eq!(bins.iter().filter(|b| **b == bin).count(), 25);
        }
        // Half of the values are equal: they stay together.
        let tied: Vec<f64> = (0..100).map(|k| f64::from(k).max(50.0)).collect();
        let bins = quantile_bins(&tied, 4);
        assert!(bins[..51].iter().all(|bin| *bin == bins[0]));
    }
}
