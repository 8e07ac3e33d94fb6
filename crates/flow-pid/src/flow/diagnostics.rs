//! How Gaussian latents are: marginal distances, multivariate skewness and kurtosis.

use faer::MatRef;
use statrs::distribution::{ContinuousCDF, Normal};

use crate::data::standardise;
use crate::error::PidError;
use crate::estimate::covariance;
use crate::linalg::{cholesky, solve_lower};

/// Items that enter skewness at most; its cost grows with their square.
const ITEMS_MAX: usize = 1000;

/// Departures from a Gaussian with the same first two moments; all are 0 for one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gaussianity {
    /// Largest Kolmogorov-Smirnov distance of a coordinate to a normal distribution with its own
    /// mean and variance (Lilliefors' statistic).
    pub marginal_distance: f64,
    /// Mardia's skewness `b₁` (1970, eq. 2.21), after subtracting what is expected of a Gaussian
    /// sample, per dimension.
    pub skewness: f64,
    /// Mardia's kurtosis over its value for a Gaussian, minus 1.
    pub kurtosis_excess: f64,
}

/// The departures of these rows.
///
/// # Errors
/// A column is constant or not finite, or the covariance is singular.
pub fn gaussianity(rows: MatRef<'_, f64>) -> Result<Gaussianity, PidError> {
    let standard = standardise(rows)?;
    let normal = Normal::standard();
    let mut marginal_distance = 0.0_f64;
    for column in 0..standard.ncols() {
        let mut values: Vec<f64> = standard.col(column).iter().copied().collect();
        values.sort_by(f64::total_cmp);
        let n = values.len() as f64;
        for (rank, value) in values.into_iter().enumerate() {
            let (below, above) = (rank as f64 / n, (rank + 1) as f64 / n);
            let expected = normal.cdf(value);
            let distance = (expected - below).abs().max((above - expected).abs());
            marginal_distance = marginal_distance.max(distance);
        }
    }
    let n = standard.nrows().min(ITEMS_MAX);
    let some = standard.subrows(0, n);
    let lower = cholesky(
        covariance(some).as_ref(),
        "the covariance of standardised latents",
    )?;
    let means: Vec<f64> = (0..some.ncols())
        .map(|k| some.col(k).iter().sum::<f64>() / n as f64)
        .collect();
    let centred = faer::Mat::from_fn(some.ncols(), n, |k, i| some[(i, k)] - means[k]);
    let white = solve_lower(lower.as_ref(), centred.as_ref());
    let products = white.transpose() * &white;
    let (mut cubes, mut squares) = (0.0, 0.0);
    for j in 0..n {
        cubes += products.col(j).iter().map(|m| m * m * m).sum::<f64>();
        squares += products[(j, j)].powi(2);
    }
    let (n, d) = (n as f64, some.ncols() as f64);
    // n·b₁/6 is asymptotically χ² with d(d+1)(d+2)/6 degrees of freedom.
    let expected = d * (d + 1.0) * (d + 2.0) / n;
    Ok(Gaussianity {
        marginal_distance,
        skewness: (cubes / (n * n) - expected) / d,
        kurtosis_excess: squares / n / (d * (d + 2.0)) - 1.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use eval::engine::Stream;
    use faer::Mat;
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};

    #[test]
    fn a_gaussian_sample_departs_little_and_a_cubed_one_much() {
        let mut rng = Stream::seed_from_u64(1);
        let sample = Mat::from_fn(1000, 3, |_, _| StandardNormal.sample(&mut rng));
        let near = gaussianity(sample.as_ref()).unwrap();
        assert!(near.marginal_distance < 0.05, "{near:?}");
        assert!(
            near.skewness.abs() < 0.05 && near.kurtosis_excess.abs() < 0.1,
            "{near:?}"
        );
        let cubed = Mat::from_fn(1000, 3, |i, k: usize| {
            let x: f64 = sample[(i, k)];
            x.powi(3)
        });
        let far = gaussianity(cubed.as_ref()).unwrap();
        assert!(
            far.marginal_distance > 0.15 && far.kurtosis_excess > 1.0,
            "{far:?}"
        );
        let skewed = Mat::from_fn(1000, 3, |i, k: usize| {
            let x: f64 = sample[(i, k)];
            x.exp()
        });
        assert!(gaussianity(skewed.as_ref()).unwrap().skewness > 1.0);
    }
}
