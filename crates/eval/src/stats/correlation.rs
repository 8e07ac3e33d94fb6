//! Correlations with intervals.

use rand::Rng;

use super::bootstrap::{Bootstrap, bootstrap_units};
use super::distribution::{normal_quantile, normal_two_sided, t_two_sided};
use super::interval::{Interval, upper_tail};
use super::order::ranks;
use super::sum::{mean, norm, sum};
use super::undefined::{Undefined, require, require_same_length};

/// Fewest pairs for an interval by Fisher's transformation, whose variance is 1 / (n − 3).
const PAIRS_MIN: usize = 4;

/// A correlation with its interval by Fisher's transformation `z = atanh(r)`.
///
/// A correlation of exactly ±1 has an infinite `z`: its interval is the point itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlation {
    /// The coefficient and its interval, within [−1, 1].
    pub interval: Interval,
    /// Pairs of values.
    pub n: usize,
    /// Standard error of `z`.
    pub z_error: f64,
}

impl Correlation {
    fn new(value: f64, n: usize, z_error: f64, level: f64) -> Result<Self, Undefined> {
        let reach = normal_quantile(1.0 - upper_tail(level)?)? * z_error;
        let z = value.atanh();
        // tanh(atanh(r)) may miss r by rounding.
        let (low, high) = if value.abs() == 1.0 {
            (value, value)
        } else {
            ((z - reach).tanh().min(value), (z + reach).tanh().max(value))
        };
        Ok(Self {
            interval: Interval::checked(value, low, high, level)?,
            n,
            z_error,
        })
    }

    /// Two-sided p-value of the hypothesis that the true correlation is `null`, by Fisher's
    /// transformation: below `1 − level` exactly where the interval excludes `null`.
    ///
    /// # Errors
    /// `null` lies outside (−1, 1).
    pub fn p_value(&self, null: f64) -> Result<f64, Undefined> {
        if null.abs() >= 1.0 || null.is_nan() {
            return Err(Undefined::OutOfRange {
                what: "a null correlation lies within (-1, 1)",
            });
        }
        normal_two_sided((self.interval.value.atanh() - null.atanh()) / self.z_error)
    }

    /// Two-sided p-value of the hypothesis of no correlation by the t test on n − 2 degrees of
    /// freedom, exact for Pearson's coefficient of normal pairs.
    ///
    /// # Errors
    /// There is none for a correlation made by this module.
    pub fn p_value_zero(&self) -> Result<f64, Undefined> {
        let (r, df) = (self.interval.value, (self.n - 2) as f64);
        t_two_sided(r * (df / ((1.0 - r) * (1.0 + r))).sqrt(), df)
    }
}

/// Pearson's correlation with Fisher's interval (Fisher 1921).
///
/// # Errors
/// There are fewer than four pairs, one list has no spread, a value is not finite, lists differ
/// in length, or `level` lies outside (0, 1).
pub fn pearson(x: &[f64], y: &[f64], level: f64) -> Result<Correlation, Undefined> {
    require_pairs(x, y, PAIRS_MIN)?;
    let z_error = 1.0 / ((x.len() - 3) as f64).sqrt();
    Correlation::new(coefficient(x, y)?, x.len(), z_error, level)
}

/// Which standard error of Fisher's `z` a rank correlation gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RankError {
    /// `sqrt(1.06 / (n − 3))` (Fieller, Hartley, and Pearson 1957); for |r| up to 0.8.
    Fieller,
    /// `sqrt((1 + r²/2) / (n − 3))` (Bonett and Wright 2000); holds for stronger correlations too.
    BonettWright,
}

/// Spearman's rank correlation, average ranks for ties, with an interval by Fisher's
/// transformation.
///
/// # Errors
/// As [`pearson`].
pub fn spearman(
    x: &[f64],
    y: &[f64],
    error: RankError,
    level: f64,
) -> Result<Correlation, Undefined> {
    require_pairs(x, y, PAIRS_MIN)?;
    let value = coefficient(&ranks(x)?, &ranks(y)?)?;
    let numerator = match error {
        RankError::Fieller => 1.06,
        RankError::BonettWright => 1.0 + 0.5 * value * value,
    };
    let z_error = (numerator / (x.len() - 3) as f64).sqrt();
    Correlation::new(value, x.len(), z_error, level)
}

/// Spearman's rank correlation bootstrapped over pairs; ranks are taken anew in every resample.
///
/// # Errors
/// As [`bootstrap_units`]; one list has no spread.
pub fn spearman_bootstrap(
    pairs: &[(f64, f64)],
    n_resamples: usize,
    stream: &mut impl Rng,
) -> Result<Bootstrap, Undefined> {
    let (x, y): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    spearman_coefficient(&x, &y)?;
    bootstrap_units(pairs, n_resamples, stream, |sample| {
        let (x, y): (Vec<f64>, Vec<f64>) = sample.iter().copied().unzip();
        // A resample of equal values has no correlation; the bootstrap counts it as lost.
        spearman_coefficient(&x, &y).unwrap_or(f64::NAN)
    })
}

/// Spearman's rank correlation alone.
///
/// # Errors
/// There are fewer than two pairs, one list has no spread, a value is not finite, or the lists
/// differ in length.
pub fn spearman_coefficient(x: &[f64], y: &[f64]) -> Result<f64, Undefined> {
    require_pairs(x, y, 2)?;
    coefficient(&ranks(x)?, &ranks(y)?)
}

fn require_pairs(x: &[f64], y: &[f64], need: usize) -> Result<(), Undefined> {
    require_same_length(x.len(), y.len())?;
    require(x, need)?;
    require(y, need)
}

/// Pearson's coefficient: the cosine between the centred lists.
fn coefficient(x: &[f64], y: &[f64]) -> Result<f64, Undefined> {
    let (x, y) = (direction(x)?, direction(y)?);
    let products: Vec<f64> = x.iter().zip(&y).map(|(x, y)| x * y).collect();
    Ok(sum(&products).clamp(-1.0, 1.0))
}

/// The centred list at length 1.
fn direction(values: &[f64]) -> Result<Vec<f64>, Undefined> {
    let centre = mean(values)?;
    let mut centred: Vec<f64> = values.iter().map(|x| x - centre).collect();
    let length = norm(&centred)?;
    if length == 0.0 {
        return Err(Undefined::NoSpread);
    }
    for value in &mut centred {
        *value /= length;
    }
    Ok(centred)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_without_spread_have_no_correlation() {
        let (flat, line) = ([1.0; 5], [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(pearson(&flat, &line, 0.95), Err(Undefined::NoSpread));
        assert_eq!(
            spearman(&line, &flat, RankError::Fieller, 0.95),
            Err(Undefined::NoSpread)
        );
        assert_eq!(
            pearson(&[], &[], 0.95),
            Err(Undefined::TooFew { have: 0, need: 4 })
        );
        assert!(pearson(&line, &[1.0, f64::INFINITY, 1.0, 2.0, 3.0], 0.95).is_err());
        assert!(pearson(&line, &line[1..], 0.95).is_err());
    }

    #[test]
    fn a_perfect_order_has_a_rank_correlation_of_one() {
        let x = [1.0, 2.0, 3.0, 4.0, 5.0];
        let y = x.map(|x: f64| x.exp());
        let found = spearman(&x, &y, RankError::BonettWright, 0.95).unwrap();
        assert!((found.interval.value - 1.0).abs() < 1e-15);
        assert!(found.p_value(0.0).unwrap() < 1e-9);
        assert!(found.p_value(1.0).is_err());
        assert!(found.p_value_zero().unwrap() < 1e-9);
    }
}
