//! The line through points on logarithmic axes: how fast a quantity grows.

use super::sum::{mean, norm, sum};
use super::undefined::{Undefined, finite, require_same_length};

/// `y = exp(intercept) · x^slope`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// The exponent of growth.
    pub slope: f64,
    /// Natural logarithm of the value at x = 1.
    pub intercept: f64,
}

/// Least squares of ln y on ln x.
///
/// # Errors
/// There are fewer than two points, a coordinate is not positive and finite, all x are equal, or
/// the lists differ in length.
pub fn log_log_line(x: &[f64], y: &[f64]) -> Result<Line, Undefined> {
    require_same_length(x.len(), y.len())?;
    if x.len() < 2 {
        return Err(Undefined::TooFew {
            have: x.len(),
            need: 2,
        });
    }
    if x.iter().chain(y).any(|value| !value.is_finite()) {
        return Err(Undefined::NotFinite);
    }
    if x.iter().chain(y).any(|value| *value <= 0.0) {
        return Err(Undefined::OutOfRange {
            what: "values on logarithmic axes are positive",
        });
    }
    if x.iter().all(|value| *value == x[0]) {
        return Err(Undefined::NoSpread);
    }
    let log_x: Vec<f64> = x.iter().map(|x| x.ln()).collect();
    let log_y: Vec<f64> = y.iter().map(|y| y.ln()).collect();
    let (centre_x, centre_y) = (mean(&log_x)?, mean(&log_y)?);
    let from_centre: Vec<f64> = log_x.iter().map(|x| x - centre_x).collect();
    let spread = norm(&from_centre)?;
    if spread == 0.0 {
        return Err(Undefined::NoSpread);
    }
    let products: Vec<f64> = from_centre
        .iter()
        .zip(&log_y)
        .map(|(dx, y)| (dx / spread) * ((y - centre_y) / spread))
        .collect();
    let slope = finite(sum(&products))?;
    Ok(Line {
        slope,
        intercept: finite(centre_y - slope * centre_x)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_law_gives_its_exponent() {
        let x: [f64; 4] = [1.0, 2.0, 4.0, 16.0];
        let y: Vec<f64> = x.iter().map(|x| 3.0 * x.powf(-1.5)).collect();
        let line = log_log_line(&x, &y).unwrap();
        assert!((line.slope + 1.5).abs() < 1e-14);
        assert!((line.intercept - 3.0_f64.ln()).abs() < 1e-14);
    }

    #[test]
    fn points_without_a_line_say_why() {
        assert_eq!(
            log_log_line(&[1.0], &[1.0]),
            Err(Undefined::TooFew { have: 1, need: 2 })
        );
        assert_eq!(
            log_log_line(&[2.0, 2.0], &[1.0, 3.0]),
            Err(Undefined::NoSpread)
        );
        assert!(matches!(
            log_log_line(&[0.0, 2.0], &[1.0, 3.0]),
            Err(Undefined::OutOfRange { .. })
        ));
        assert_eq!(
            log_log_line(&[1.0, f64::NAN], &[1.0, 1.0]),
            Err(Undefined::NotFinite)
        );
        assert!(log_log_line(&[1.0, 2.0], &[1.0]).is_err());
    }
}
