//! Holm's correction for several tests at once.

use super::undefined::Undefined;

/// Adjusted p-values (Holm 1979), in the order given: reject where the adjusted value is at most
/// the level, and the chance of any false rejection is at most that level, however the tests
/// depend on each other. No tests give no values.
///
/// ```
/// let adjusted = eval::stats::holm(&[0.01, 0.04, 0.03])?;
/// assert_eq!(adjusted, [0.03, 0.06, 0.06]);
/// # Ok::<(), eval::stats::Undefined>(())
/// ```
///
/// # Errors
/// A value lies outside [0, 1].
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>, Undefined> {
    if p_values.iter().any(|p| !(0.0..=1.0).contains(p)) {
        return Err(Undefined::OutOfRange {
            what: "a p-value lies in [0, 1]",
        });
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, idx) in order.into_iter().enumerate() {
        let n_left = (p_values.len() - rank) as f64;
        // A test is never easier to reject than one with a smaller p-value.
        largest = largest.max((n_left * p_values[idx]).min(1.0));
        adjusted[idx] = largest;
    }
    Ok(adjusted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stays_nothing_and_one_test_stays_as_it_is() {
        assert_eq!(holm(&[]), Ok(vec![]));
        assert_eq!(holm(&[0.2]), Ok(vec![0.2]));
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        for p in [-0.1, 1.1, f64::NAN] {
            assert!(holm(&[0.5, p]).is_err());
        }
    }
}
