//! The bootstrap: intervals of any statistic by resampling units, clusters, or strata.
//!
//! Intervals are the percentile interval and the bias-corrected and accelerated one (BCa, Efron
//! 1987; Efron and Tibshirani 1993, equations 14.9 to 14.15). BCa needs a statistic that moves
//! smoothly with the data: take the percentile interval for medians, whose jackknife fails.
//!
//! No bootstrap conjures information from few units: an interval made of n values covers the
//! centre of a symmetric distribution with probability at most `1 − 2^(1 − n)`, which reaches 95 %
//! only at n = 6.

use rand::{Rng, RngExt};

use super::distribution::{normal_cdf, normal_quantile};
use super::interval::{Interval, upper_tail};
use super::order::quantile_of_sorted;
use super::sum::{mean, sample_sd, sum};
use super::undefined::{Undefined, finite, require};

/// Largest share of resamples without a value that still leaves an interval: the usual tails of
/// 2.5 % each must not be decided by what is missing.
const LOST_SHARE_MAX: f64 = 0.01;

/// A statistic's value and its bootstrap distribution.
#[derive(Clone, Debug, PartialEq)]
pub struct Bootstrap {
    value: f64,
    /// Sorted, finite, at least one.
    replicates: Vec<f64>,
    n_lost: usize,
    /// Bias correction of BCa; infinite where the value lies outside all replicates.
    bias: f64,
    /// Acceleration of BCa; absent where the jackknife gives none.
    acceleration: Option<f64>,
}

impl Bootstrap {
    /// A bootstrap distribution from replicates computed elsewhere. `jackknife` holds, stratum by
    /// stratum, the statistic with one unit of that stratum left out. Replicates that are not
    /// finite count as lost.
    ///
    /// # Errors
    /// `value` is not finite, there are no replicates, or more than 1 % of them are lost.
    pub fn from_replicates(
        value: f64,
        replicates: Vec<f64>,
        jackknife: &[Vec<f64>],
    ) -> Result<Self, Undefined> {
        finite(value)?;
        let drawn = replicates.len();
        require(&[], usize::from(drawn == 0))?;
        let mut kept: Vec<f64> = replicates.into_iter().filter(|x| x.is_finite()).collect();
        let lost = drawn - kept.len();
        if kept.is_empty() || lost as f64 > LOST_SHARE_MAX * drawn as f64 {
            return Err(Undefined::Unstable { lost, drawn });
        }
        kept.sort_by(f64::total_cmp);
        let below = share_below(&kept, value);
        let bias = normal_quantile(below).unwrap_or(if below == 0.0 {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        });
        let acceleration = acceleration(jackknife);
        Ok(Self {
            value,
            replicates: kept,
            n_lost: lost,
            bias,
            acceleration,
        })
    }

    /// The statistic on the data themselves.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.value
    }

    /// The statistic on every resample, ascending.
    #[must_use]
    pub fn replicates(&self) -> &[f64] {
        &self.replicates
    }

    /// Resamples in which the statistic had no value.
    #[must_use]
    pub fn n_lost(&self) -> usize {
        self.n_lost
    }

    /// Standard deviation of the replicates.
    ///
    /// # Errors
    /// There are fewer than two replicates.
    pub fn standard_error(&self) -> Result<f64, Undefined> {
        sample_sd(&self.replicates)
    }

    /// The percentile interval.
    ///
    /// # Errors
    /// `level` lies outside (0, 1).
    pub fn percentile(&self, level: f64) -> Result<Interval, Undefined> {
        let tail = upper_tail(level)?;
        self.between(tail, 1.0 - tail, level)
    }

    /// The bias-corrected and accelerated interval. Without any spread among the replicates it is
    /// the value itself.
    ///
    /// # Errors
    /// `level` lies outside (0, 1); the jackknife gives no acceleration; or the value lies outside
    /// all replicates, so that the bias has no finite correction. The percentile interval exists
    /// then still.
    pub fn bca(&self, level: f64) -> Result<Interval, Undefined> {
        let tail = upper_tail(level)?;
        if self.is_flat() {
            return Interval::checked(self.value, self.value, self.value, level);
        }
        let z = normal_quantile(tail)?;
        self.between(self.bca_share(z)?, self.bca_share(-z)?, level)
    }

    /// Two-sided p-value of `null` that agrees with the percentile interval: twice the smaller
    /// share of replicates on one side, at least 2 / (replicates + 1).
    ///
    /// # Errors
    /// `null` is not finite.
    pub fn p_percentile(&self, null: f64) -> Result<f64, Undefined> {
        let share = self.share_at(finite(null)?);
        Ok((2.0 * share.min(1.0 - share)).min(1.0))
    }

    /// Two-sided p-value of `null` that agrees with the BCa interval: the level at which one of
    /// its ends would fall on `null`.
    ///
    /// # Errors
    /// As [`Bootstrap::bca`]; `null` is not finite.
    pub fn p_bca(&self, null: f64) -> Result<f64, Undefined> {
        finite(null)?;
        if self.is_flat() {
            return self.p_percentile(null);
        }
        let (bias, acceleration) = self.correction()?;
        let from_bias = normal_quantile(self.share_at(null))? - bias;
        let stretch = 1.0 + acceleration * from_bias;
        if stretch <= 0.0 {
            return Err(Undefined::NotFinite);
        }
        let share = normal_cdf(from_bias / stretch - bias);
        Ok((2.0 * share.min(1.0 - share)).clamp(self.share_min(), 1.0))
    }

    /// The share of replicates below which BCa places the normal quantile `z`.
    fn bca_share(&self, z: f64) -> Result<f64, Undefined> {
        let (bias, acceleration) = self.correction()?;
        let shrink = 1.0 - acceleration * (bias + z);
        if shrink <= 0.0 {
            return Err(Undefined::NotFinite);
        }
        Ok(normal_cdf(bias + (bias + z) / shrink))
    }

    fn correction(&self) -> Result<(f64, f64), Undefined> {
        Ok((
            finite(self.bias)?,
            self.acceleration.ok_or(Undefined::NoSpread)?,
        ))
    }

    fn is_flat(&self) -> bool {
        self.replicates.iter().all(|x| *x == self.value)
    }

    fn between(&self, below: f64, above: f64, level: f64) -> Result<Interval, Undefined> {
        let low = quantile_of_sorted(&self.replicates, below);
        let high = quantile_of_sorted(&self.replicates, above);
        Interval::checked(self.value, low, high, level)
    }

    /// The share of replicates below `null`, kept off 0 and 1: no finite number of resamples
    /// proves that a value never occurs.
    fn share_at(&self, null: f64) -> f64 {
        share_below(&self.replicates, null).clamp(self.share_min(), 1.0 - self.share_min())
    }

    fn share_min(&self) -> f64 {
        1.0 / (self.replicates.len() + 1) as f64
    }
}

/// Resamples independent units with replacement. A unit may be a value, a pair (the paired
/// bootstrap), or whatever belongs together. Equal units, resamples, and stream give equal bits.
///
/// `statistic` says "no value" by returning a number that is not finite.
///
/// # Errors
/// There are fewer than two units or no resamples, the statistic has no value on the data, or in
/// more than 1 % of the resamples.
pub fn bootstrap_units<T: Copy>(
    units: &[T],
    n_resamples: usize,
    stream: &mut impl Rng,
    mut statistic: impl FnMut(&[T]) -> f64,
) -> Result<Bootstrap, Undefined> {
    require_units(units.len())?;
    let value = finite(statistic(units))?;
    let mut sample = units.to_vec();
    let mut replicates = Vec::with_capacity(n_resamples);
    for _ in 0..n_resamples {
        resample(units, &mut sample, stream);
        replicates.push(statistic(&sample));
    }
    let jackknife = (0..units.len())
        .map(|left_out| statistic(&without(units, left_out)))
        .collect();
    Bootstrap::from_replicates(value, replicates, &[jackknife])
}

/// Resamples whole clusters with replacement; the statistic sees the items of the drawn clusters
/// one after the other, and the jackknife leaves out one cluster at a time.
///
/// # Errors
/// As [`bootstrap_units`], a unit being a cluster.
pub fn bootstrap_clusters<T: Copy>(
    clusters: &[Vec<T>],
    n_resamples: usize,
    stream: &mut impl Rng,
    mut statistic: impl FnMut(&[T]) -> f64,
) -> Result<Bootstrap, Undefined> {
    let order: Vec<usize> = (0..clusters.len()).collect();
    let mut items = Vec::new();
    bootstrap_units(&order, n_resamples, stream, |drawn| {
        items.clear();
        for cluster_idx in drawn {
            items.extend_from_slice(&clusters[*cluster_idx]);
        }
        statistic(&items)
    })
}

/// Resamples units within each stratum, so that every resample has the strata's sizes (rliable's
/// choice for few seeds on many tasks, Agarwal et al. 2021, arXiv 2108.13264).
///
/// # Errors
/// As [`bootstrap_units`], for every stratum; there is no stratum.
pub fn bootstrap_strata<T: Copy>(
    strata: &[Vec<T>],
    n_resamples: usize,
    stream: &mut impl Rng,
    mut statistic: impl FnMut(&[Vec<T>]) -> f64,
) -> Result<Bootstrap, Undefined> {
    if strata.is_empty() {
        return Err(Undefined::TooFew { have: 0, need: 1 });
    }
    for stratum in strata {
        require_units(stratum.len())?;
    }
    let value = finite(statistic(strata))?;
    let mut sample = strata.to_vec();
    let mut replicates = Vec::with_capacity(n_resamples);
    for _ in 0..n_resamples {
        for (stratum, drawn) in strata.iter().zip(&mut sample) {
            resample(stratum, drawn, stream);
        }
        replicates.push(statistic(&sample));
    }
    let mut jackknife = Vec::with_capacity(strata.len());
    let mut sample = strata.to_vec();
    for (stratum_idx, stratum) in strata.iter().enumerate() {
        let mut left_one_out = Vec::with_capacity(stratum.len());
        for left_out in 0..stratum.len() {
            sample[stratum_idx] = without(stratum, left_out);
            left_one_out.push(statistic(&sample));
        }
        sample[stratum_idx].clone_from(stratum);
        jackknife.push(left_one_out);
    }
    Bootstrap::from_replicates(value, replicates, &jackknife)
}

fn require_units(n_units: usize) -> Result<(), Undefined> {
    if n_units < 2 {
        Err(Undefined::TooFew {
            have: n_units,
            need: 2,
        })
    } else {
        Ok(())
    }
}

fn resample<T: Copy>(units: &[T], drawn: &mut [T], stream: &mut impl Rng) {
    for place in drawn {
        *place = units[stream.random_range(0..units.len())];
    }
}

fn without<T: Copy>(units: &[T], left_out: usize) -> Vec<T> {
    let mut rest = units.to_vec();
    rest.remove(left_out);
    rest
}

/// The share of sorted values below `x`, equal ones counted half.
fn share_below(sorted: &[f64], x: f64) -> f64 {
    let below = sorted.partition_point(|value| *value < x);
    let up_to = sorted.partition_point(|value| *value <= x);
    (below + up_to) as f64 / (2 * sorted.len()) as f64
}

/// The acceleration from one-left-out values (Efron and Tibshirani 1993, equation 14.15, and
/// equation 15.36 for several strata).
fn acceleration(jackknife: &[Vec<f64>]) -> Option<f64> {
    let mut influences = Vec::new();
    for stratum in jackknife {
        let n = stratum.len() as f64;
        let centre = mean(stratum).ok()?;
        influences.extend(stratum.iter().map(|value| (n - 1.0) / n * (centre - value)));
    }
    // The ratio does not depend on the scale; at scale 1 nothing vanishes or overflows.
    let scale = influences
        .iter()
        .fold(0.0_f64, |scale, x| scale.max(x.abs()));
    let power = |k| {
        sum(&influences
            .iter()
            .map(|x: &f64| (x / scale).powi(k))
            .collect::<Vec<_>>())
    };
    let acceleration = power(3) / (6.0 * power(2).powf(1.5));
    acceleration.is_finite().then_some(acceleration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_replicates_may_not_hide_many_lost_ones() {
        let mut replicates = vec![f64::NAN; 2];
        replicates.extend([1.0; 98]);
        let lost = Bootstrap::from_replicates(1.0, replicates, &[]);
        assert_eq!(
            lost,
            Err(Undefined::Unstable {
                lost: 2,
                drawn: 100
            })
        );
        let none = Bootstrap::from_replicates(1.0, vec![], &[]);
        assert_eq!(none, Err(Undefined::TooFew { have: 0, need: 1 }));
    }

    #[test]
    fn a_value_outside_all_replicates_has_a_percentile_interval_only() {
        let biased =
            Bootstrap::from_replicates(9.0, vec![1.0, 2.0, 3.0], &[vec![1.0, 2.0, 4.0]]).unwrap();
        assert_eq!(biased.bca(0.9), Err(Undefined::NotFinite));
        assert!(biased.percentile(0.9).unwrap().high < 9.0);
        assert!(biased.p_bca(2.0).is_err());
    }

    #[test]
    fn replicates_without_spread_give_an_interval_without_width() {
        let flat = Bootstrap::from_replicates(1.0, vec![1.0; 99], &[vec![1.0; 5]]).unwrap();
        assert_eq!(flat.bca(0.95).map(|i| (i.low, i.high)), Ok((1.0, 1.0)));
        assert_eq!(flat.p_bca(1.0), Ok(1.0));
        assert!((flat.p_bca(2.0).unwrap() - 0.02).abs() < 1e-15);
    }
}
