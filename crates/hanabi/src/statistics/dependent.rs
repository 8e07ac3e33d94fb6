//! Are two correlations with the same variable different? (§3.2)

use eval::{Error, Result};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Two correlations with a shared variable, and the one between the other two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// corr(X1, Y).
    pub r1: f64,
    /// corr(X2, Y).
    pub r2: f64,
    /// corr(X1, X2).
    pub r12: f64,
    /// Units behind them.
    pub n: u64,
}

impl Comparison {
    /// Determinant of the correlation matrix; negative where no data can have these correlations.
    #[must_use]
    pub fn determinant(&self) -> f64 {
        let Self { r1, r2, r12, .. } = *self;
        1.0 - r1 * r1 - r2 * r2 - r12 * r12 + 2.0 * r1 * r2 * r12
    }

    fn check(&self) -> Result<()> {
        let inside = [self.r1, self.r2, self.r12].iter().all(|r| r.abs() < 1.0);
        if inside && self.n > 3 && self.determinant() >= 0.0 {
            return Ok(());
        }
        Err(
            Error::inputs(format!("{self:?} are not correlations of common data")).hint(
                "correlations lie in (-1, 1), fit each other, and need more than three units",
            ),
        )
    }
}

/// The range of r12 that is possible given `r1` and `r2`: `r1 r2 ± √((1 − r1²)(1 − r2²))`.
#[must_use]
pub fn admissible(r1: f64, r2: f64) -> (f64, f64) {
    let half = ((1.0 - r1 * r1) * (1.0 - r2 * r2)).max(0.0).sqrt();
    (r1 * r2 - half, r1 * r2 + half)
}

/// Williams (1959), as recommended by Steiger (1980): two-sided p of equal correlations, t with
/// n − 3 degrees of freedom.
///
/// # Errors
/// The numbers are not correlations of common data.
pub fn williams(comparison: &Comparison) -> Result<f64> {
    comparison.check()?;
    let Comparison { r1, r2, r12, n } = *comparison;
    let n = n as f64;
    let mean = (r1 + r2) / 2.0;
    let below =
        2.0 * (n - 1.0) / (n - 3.0) * comparison.determinant() + mean * mean * (1.0 - r12).powi(3);
    let t = (r1 - r2) * ((n - 1.0) * (1.0 + r12) / below).sqrt();
    let law = StudentsT::new(0.0, 1.0, n - 3.0)
        .map_err(|error| Error::internal("no t distribution").caused_by(error))?;
    Ok(2.0 * law.sf(t.abs()))
}

/// Steiger (1980), Z̄₁*: two-sided p of equal correlations.
///
/// # Errors
/// As [`williams`].
pub fn steiger(comparison: &Comparison) -> Result<f64> {
    comparison.check()?;
    let Comparison { r1, r2, n, .. } = *comparison;
    let s = covariance(comparison);
    let z = (r1.atanh() - r2.atanh()) * ((n as f64 - 3.0) / (2.0 - 2.0 * s)).sqrt();
    two_sided(z)
}

/// Meng, Rosenthal, and Rubin (1992): two-sided p of equal correlations.
///
/// # Errors
/// As [`williams`].
pub fn meng(comparison: &Comparison) -> Result<f64> {
    comparison.check()?;
    let Comparison { r1, r2, r12, n } = *comparison;
    let mean_sq = (r1 * r1 + r2 * r2) / 2.0;
    let f = ((1.0 - r12) / (2.0 * (1.0 - mean_sq))).min(1.0);
    let h = (1.0 - f * mean_sq) / (1.0 - mean_sq);
    let z = (r1.atanh() - r2.atanh()) * ((n as f64 - 3.0) / (2.0 * (1.0 - r12) * h)).sqrt();
    two_sided(z)
}

/// Units with which a test at 5 % finds a difference like this one in four of five samples, from
/// the normal law of Steiger's statistic; whatever `n` says.
#[must_use]
pub fn n_needed(comparison: &Comparison) -> f64 {
    /// Quantiles of the normal law at 0.975 and 0.8.
    const REACH: f64 = 1.959_963_984_540_054 + 0.841_621_233_572_914_4;
    let Comparison { r1, r2, .. } = *comparison;
    let spread = 2.0 - 2.0 * covariance(comparison);
    let distance = r1.atanh() - r2.atanh();
    3.0 + spread * (REACH / distance).powi(2)
}

/// Covariance of the two transformed correlations times n − 3 (Steiger 1980, pooled).
fn covariance(comparison: &Comparison) -> f64 {
    let Comparison { r1, r2, r12, .. } = *comparison;
    let mean_sq = ((r1 + r2) / 2.0).powi(2);
    let psi = r12 * (1.0 - 2.0 * mean_sq) - mean_sq * (1.0 - 2.0 * mean_sq - r12 * r12) / 2.0;
    psi / (1.0 - mean_sq).powi(2)
}

/// Two-sided p of a standard normal value.
///
/// # Errors
/// Never; the law exists.
pub fn two_sided(z: f64) -> Result<f64> {
    let law = Normal::new(0.0, 1.0)
        .map_err(|error| Error::internal("no normal distribution").caused_by(error))?;
    Ok(2.0 * law.sf(z.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use eval::stats::pearson;
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};

    const TESTS: [fn(&Comparison) -> Result<f64>; 3] = [williams, steiger, meng];

    #[test]
    fn equal_correlations_have_p_one_and_order_does_not_matter() {
        let comparison = Comparison {
            r1: 0.4,
            r2: 0.4,
            r12: 0.3,
            n: 30,
        };
        let (one, other) = (
            Comparison {
                r1: 0.7,
                ..comparison
            },
            Comparison {
                r2: 0.7,
                ..comparison
            },
        );
        for test in TESTS {
            assert!((test(&comparison).unwrap() - 1.0).abs() < 1e-12);
            assert!((test(&one).unwrap() - test(&other).unwrap()).abs() < 1e-12);
        }
    }

    #[test]
    fn at_the_ends_of_the_admissible_range_the_determinant_is_zero() {
        for (r1, r2) in [(0.7, 0.5), (0.1, -0.4), (0.0, 0.0)] {
            let (low, high) = admissible(r1, r2);
            for r12 in [low, high] {
                assert!(Comparison { r1, r2, r12, n: 9 }.determinant().abs() < 1e-12);
            }
            let outside = Comparison {
                r1,
                r2,
                r12: high + 1e-3,
                n: 9,
            };
            assert!(williams(&outside).is_err());
        }
    }

    #[test]
    fn with_the_units_needed_the_expected_statistic_is_as_far_as_the_power_asks() {
        let comparison = Comparison {
            r1: 0.7,
            r2: 0.4,
            r12: 0.5,
            n: 0,
        };
        let needed = n_needed(&comparison);
        // At that n the statistic itself is z(0.975) + z(0.8), whose two-sided p is known.
        let n = needed.round() as u64;
        let p = steiger(&Comparison { n, ..comparison }).unwrap();
        assert!((p - 0.005_088).abs() < 4e-4, "{p} with {needed}");
    }

    /// The independent oracle: under the null, with normal data, a test at 5 % rejects 5 %.
    #[test]
    fn under_the_null_five_percent_are_rejected() {
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(5);
        let (n, n_trials) = (30, 6000);
        let mut rejected = [0_u32; 3];
        for _ in 0..n_trials {
            let mut columns = [vec![], vec![], vec![]];
            for _ in 0..n {
                let [y, shared, e1, e2]: [f64; 4] =
                    std::array::from_fn(|_| StandardNormal.sample(&mut rng));
                columns[0].push(y);
                columns[1].push(0.6 * y + 0.5 * shared + e1);
                columns[2].push(0.6 * y + 0.5 * shared + e2);
            }
            let r = |a: usize, b: usize| {
                pearson(&columns[a], &columns[b], 0.95)
                    .unwrap()
                    .interval
                    .value
            };
            let comparison = Comparison {
                r1: r(0, 1),
                r2: r(0, 2),
                r12: r(1, 2),
                n,
            };
            for (count, test) in rejected.iter_mut().zip(TESTS) {
                *count += u32::from(test(&comparison).unwrap() < 0.05);
            }
        }
        for count in rejected {
            let share = f64::from(count) / f64::from(n_trials);
            assert!((share - 0.05).abs() < 0.012, "{share}");
        }
    }
}
