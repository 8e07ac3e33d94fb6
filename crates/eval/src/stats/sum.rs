//! Sums over a fixed tree, and the moments built on them.
//!
//! The order of additions depends on the number of values alone, so equal lists give equal bits;
//! pairwise summation keeps the rounding error at O(log n) units in the last place (Higham 1993,
//! "The accuracy of floating point summation").

use super::undefined::{Undefined, finite, require};

/// Below this length values are added from left to right; recursion below it only costs time.
const LEAF_LEN_MAX: usize = 32;

/// The pairwise sum; 0 for no values. Not finite where an input or a partial sum is not.
#[must_use]
pub fn sum(values: &[f64]) -> f64 {
    if values.len() <= LEAF_LEN_MAX {
        return values.iter().sum::<f64>() + 0.0;
    }
    let (left, right) = values.split_at(values.len() / 2);
    sum(left) + sum(right)
}

/// The arithmetic mean. It never lies outside the values' range, so equal values average to
/// exactly themselves.
///
/// # Errors
/// There are no values, one is not finite, or their sum overflows.
pub fn mean(values: &[f64]) -> Result<f64, Undefined> {
    require(values, 1)?;
    let (low, high) = values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
            (low.min(*x), high.max(*x))
        });
    let total = finite(sum(values))?;
    Ok((total / values.len() as f64).clamp(low, high) + 0.0)
}

/// The sample standard deviation (divisor n − 1), in two passes; 0 where all values are equal.
///
/// # Errors
/// There are fewer than two values, one is not finite, or a deviation overflows.
pub fn sample_sd(values: &[f64]) -> Result<f64, Undefined> {
    require(values, 2)?;
    let centre = mean(values)?;
    let deviations: Vec<f64> = values.iter().map(|x| x - centre).collect();
    Ok(norm(&deviations)? / ((values.len() - 1) as f64).sqrt())
}

/// The Euclidean norm, scaled so that squares neither overflow nor vanish.
pub(super) fn norm(values: &[f64]) -> Result<f64, Undefined> {
    let scale = values.iter().fold(0.0_f64, |scale, x| scale.max(x.abs()));
    if values.iter().any(|x| !x.is_finite()) {
        return Err(Undefined::NotFinite);
    }
    if scale == 0.0 {
        return Ok(0.0);
    }
    let squares: Vec<f64> = values.iter().map(|x| (x / scale).powi(2)).collect();
    finite(scale * sum(&squares).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairwise_sum_of_many_tenths_is_better_than_a_running_sum() {
        let values = vec![0.1; 1_000_000];
        // The true sum of the float nearest to 0.1 is 100000.00000000000555.
        assert!((sum(&values) - 100_000.0).abs() < 1e-9);
        assert!((values.iter().sum::<f64>() - 100_000.0).abs() > 1e-7);
    }

    #[test]
    fn equal_values_average_to_exactly_themselves() {
        assert_eq!(mean(&[0.1; 3]), Ok(0.1));
        assert_eq!(sample_sd(&[0.1; 3]), Ok(0.0));
    }

    #[test]
    fn the_mean_of_nothing_is_undefined() {
        assert_eq!(mean(&[]), Err(Undefined::TooFew { have: 0, need: 1 }));
        assert_eq!(
            sample_sd(&[1.0]),
            Err(Undefined::TooFew { have: 1, need: 2 })
        );
        assert_eq!(mean(&[f64::NAN]), Err(Undefined::NotFinite));
        assert_eq!(mean(&[f64::MAX, f64::MAX]), Err(Undefined::NotFinite));
    }

    #[test]
    fn the_spread_of_tiny_and_huge_values_neither_vanishes_nor_overflows() {
        let root_half = 0.5_f64.sqrt();
        for scale in [1e-300, 1.0, 1e300] {
            let sd = sample_sd(&[scale, 2.0 * scale]).unwrap();
            assert!((sd / scale - root_half).abs() < 1e-15);
        }
    }
}
