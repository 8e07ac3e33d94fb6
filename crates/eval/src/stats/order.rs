//! Order statistics: median, quantiles, and ranks.

use super::undefined::{Undefined, require};

/// The median; the mean of the two middle values for an even number of them.
///
/// # Errors
/// There are no values, or one is not finite.
pub fn median(values: &[f64]) -> Result<f64, Undefined> {
    quantile(values, 0.5)
}

/// The quantile at `p` by linear interpolation between order statistics: type 7 of Hyndman and
/// Fan (1996), the default of R and of numpy.
///
/// # Errors
/// There are no values, one is not finite, or `p` lies outside [0, 1].
pub fn quantile(values: &[f64], p: f64) -> Result<f64, Undefined> {
    require(values, 1)?;
    if !(0.0..=1.0).contains(&p) {
        return Err(Undefined::OutOfRange {
            what: "a quantile's probability lies in [0, 1]",
        });
    }
    let mut values = values.to_vec();
    let place = p * (values.len() - 1) as f64;
    let below_idx = place.floor() as usize;
    let (_, below, above) = values.select_nth_unstable_by(below_idx, f64::total_cmp);
    let below = *below;
    let above = above.iter().copied().reduce(f64::min).unwrap_or(below);
    Ok(interpolate(below, above, place - below_idx as f64))
}

/// As [`quantile`], for values that are sorted, finite, and at least one.
pub(super) fn quantile_of_sorted(sorted: &[f64], p: f64) -> f64 {
    let place = p * (sorted.len() - 1) as f64;
    let below_idx = place.floor() as usize;
    let above_idx = (below_idx + 1).min(sorted.len() - 1);
    interpolate(
        sorted[below_idx],
        sorted[above_idx],
        place - below_idx as f64,
    )
}

/// A point between two values; it cannot overflow, nor leave their range.
fn interpolate(below: f64, above: f64, share: f64) -> f64 {
    (below * (1.0 - share) + above * share).clamp(below, above)
}

/// Ranks from 1; equal values share the mean of their ranks.
///
/// # Errors
/// A value is not finite. No values have no ranks, which is no error.
pub fn ranks(values: &[f64]) -> Result<Vec<f64>, Undefined> {
    require(values, 0)?;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let tied = order[start..]
            .iter()
            .take_while(|idx| values[**idx] == values[order[start]])
            .count();
        // Ranks start + 1 to start + tied, on average.
        let shared = start as f64 + 0.5 * (tied + 1) as f64;
        for idx in &order[start..start + tied] {
            ranks[*idx] = shared;
        }
        start += tied;
    }
    Ok(ranks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_values_have_no_median_and_one_value_is_its_own() {
        assert_eq!(median(&[]), Err(Undefined::TooFew { have: 0, need: 1 }));
        assert_eq!(median(&[3.0]), Ok(3.0));
        assert_eq!(median(&[f64::NAN]), Err(Undefined::NotFinite));
    }

    #[test]
    fn the_middle_of_opposite_extremes_does_not_overflow() {
        assert_eq!(median(&[f64::MAX, -f64::MAX]), Ok(0.0));
        assert_eq!(median(&[f64::MAX, f64::MAX]), Ok(f64::MAX));
    }

    #[test]
    fn zeros_of_both_signs_are_tied() {
        assert_eq!(ranks(&[0.0, -0.0, 1.0]), Ok(vec![1.5, 1.5, 3.0]));
        assert_eq!(ranks(&[]), Ok(vec![]));
    }

    #[test]
    fn a_probability_outside_the_unit_interval_is_refused() {
        for p in [-0.1, 1.1, f64::NAN] {
            assert!(matches!(
                quantile(&[1.0], p),
                Err(Undefined::OutOfRange { .. })
            ));
        }
    }
}
