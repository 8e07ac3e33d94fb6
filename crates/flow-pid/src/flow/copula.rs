//! The rank-Gaussian copula transform: each coordinate on its own to normal scores.
//!
//! It undoes every distortion that acts on single coordinates and is monotone, which is what the
//! paper's non-Gaussian experiment applies; it cannot undo any other. It is no flow: nothing is
//! trained and nothing is learned about how coordinates hang together.

use eval::stats::ranks;
use faer::{Mat, MatRef};
use statrs::distribution::{ContinuousCDF, Normal};

use crate::error::PidError;
use crate::linalg::check_finite;

/// Normal scores `Φ⁻¹(r / (n + 1))` of a column, with `r` the rank from 1 and ties sharing the mean
/// of their ranks (van der Waerden 1952).
///
/// # Errors
/// [`PidError::Empty`], or [`PidError::NotFinite`] with column 0.
pub fn normal_scores(column: &[f64]) -> Result<Vec<f64>, PidError> {
    let what = "a view";
    if column.is_empty() {
        return Err(PidError::Empty { what });
    }
    if let Some(row) = column.iter().position(|value| !value.is_finite()) {
        let column = 0;
        return Err(PidError::NotFinite { what, row, column });
    }
    let (normal, n) = (Normal::standard(), column.len() as f64);
    let ranks = ranks(column).map_err(|_| PidError::Empty { what })?;
    let score = |rank: f64| normal.inverse_cdf(rank / (n + 1.0));
    Ok(ranks.into_iter().map(score).collect())
}

/// The normal scores of every column.
///
/// # Errors
/// [`PidError::NotFinite`], or [`PidError::ConstantColumn`], whose scores would all be 0.
pub fn rank_gaussian(view: MatRef<'_, f64>) -> Result<Mat<f64>, PidError> {
    check_finite(view, "a view")?;
    let mut out = Mat::zeros(view.nrows(), view.ncols());
    for column in 0..view.ncols() {
        let values: Vec<f64> = view.col(column).iter().copied().collect();
        if values.iter().all(|value| *value == values[0]) {
            return Err(PidError::ConstantColumn {
                what: "a view",
                column,
            });
        }
        for (out, score) in out.col_mut(column).iter_mut().zip(normal_scores(&values)?) {
            *out = score;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_depend_on_ranks_alone_and_share_ties() {
        // scipy.stats.norm.ppf([1/5, 2.5/5, 4/5]), scipy 1.16.
        let expected = [-0.841_621_233_572_914_2, 0.0, 0.0, 0.841_621_233_572_914_2];
        for column in [[1.0, 2.0, 2.0, 3.0], [-9.0, 0.1, 0.1, 1e6]] {
            for (score, expected) in normal_scores(&column).unwrap().into_iter().zip(expected) {
                assert!((score - expected).abs() < 1e-9, "{score}");
            }
        }
    }

    #[test]
    fn a_constant_column_is_named() {
        let view = faer::mat![[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]];
        let error = rank_gaussian(view.as_ref()).unwrap_err();
        assert_eq!(error.to_string(), "column 1 of a view is constant");
    }
}
