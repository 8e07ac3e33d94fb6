//! From samples to atoms: sample covariance, bias correction, bootstrap, permutation null.
//!
//! Finite samples tell something even where there is nothing to tell: the plug-in information of
//! pure noise grows with `dimension² / n`. Three answers are kept apart here. The *bias correction*
//! (an option of the official code; Cai, Liang and Zhou 2015) subtracts what is expected for
//! Gaussian samples, the *permutation null* shows what shuffled targets give on the same sources,
//! and the *bootstrap* shows how much another sample of items would change the result.

use eval::stats::quantile;
use faer::{Mat, MatRef};
use rand::Rng;

use crate::atoms::Atoms;
use crate::channel::Dims;
use crate::error::PidError;
use crate::linalg::check_finite;
use crate::resampling;
use crate::upper_halves;

/// Samples of target and sources, one item a row.
#[derive(Clone, Debug)]
pub struct Samples {
    joint: Mat<f64>,
    dims: Dims,
}

impl Samples {
    /// Joins target, source 1, and source 2 item by item.
    ///
    /// # Errors
    /// The numbers of items differ, a block is empty or holds a value that is not finite, or there
    /// are no more items than dimensions, so that no sample covariance can be regular.
    pub fn new(
        y: MatRef<'_, f64>,
        x1: MatRef<'_, f64>,
        x2: MatRef<'_, f64>,
    ) -> Result<Self, PidError> {
        let n_items = y.nrows();
        for (block, what) in [(y, "the target"), (x1, "source 1"), (x2, "source 2")] {
            if block.ncols() == 0 {
                return Err(PidError::Empty { what });
            }
            if block.nrows() != n_items {
                let expected = (n_items, block.ncols());
                return Err(PidError::Dimensions {
                    what,
                    expected,
                    found: block.shape(),
                });
            }
            check_finite(block, what)?;
        }
        let dims = Dims {
            y: y.ncols(),
            x1: x1.ncols(),
            x2: x2.ncols(),
        };
        let n_items_min = dims.total() + 2;
        if n_items < n_items_min {
            return Err(PidError::TooFewItems {
                n_items,
                n_items_min,
            });
        }
        let joint = Mat::from_fn(n_items, dims.total(), |i, j| {
            if j < dims.y {
                y[(i, j)]
            } else if j < dims.y + dims.x1 {
                x1[(i, j - dims.y)]
            } else {
                x2[(i, j - dims.y - dims.x1)]
            }
        });
        Ok(Self { joint, dims })
    }

    /// Number of items.
    #[must_use]
    pub fn n_items(&self) -> usize {
        self.joint.nrows()
    }

    /// Sizes of target and sources.
    #[must_use]
    pub fn dims(&self) -> Dims {
        self.dims
    }

    /// Target, source 1, and source 2 beside each other, one item a row.
    #[must_use]
    pub fn joint(&self) -> MatRef<'_, f64> {
        self.joint.as_ref()
    }

    /// The plug-in atoms: closed form on the sample covariance.
    ///
    /// # Errors
    /// The sample covariance is singular.
    pub fn atoms(&self) -> Result<Atoms, PidError> {
        self.atoms_of(self.joint.as_ref())
    }

    /// The atoms after the bias correction of every information, see [`debias`].
    ///
    /// # Errors
    /// As [`Samples::atoms`].
    pub fn atoms_debiased(&self) -> Result<Atoms, PidError> {
        Ok(debias(&self.atoms()?, self.dims, self.n_items()))
    }

    /// Plug-in atoms of `n` resamples of the items with replacement. `go_on` is asked before each.
    ///
    /// # Errors
    /// A resample has a singular covariance.
    pub fn bootstrap(
        &self,
        n: usize,
        rng: &mut impl Rng,
        go_on: impl FnMut(usize) -> bool,
    ) -> Result<Vec<Atoms>, PidError> {
        let mut resample = Mat::zeros(self.n_items(), self.dims.total());
        resampling::bootstrap((n, self.n_items()), rng, go_on, |drawn| {
            let columns = 0..self.dims.total();
            gather(&mut resample, self.joint.as_ref(), columns, drawn);
            self.atoms_of(resample.as_ref())
        })
    }

    /// Plug-in atoms of `n` shuffles of the target against both sources, whose own dependence is
    /// kept. `go_on` is asked before each.
    ///
    /// # Errors
    /// A shuffle has a singular covariance.
    pub fn permutation_null(
        &self,
        n: usize,
        rng: &mut impl Rng,
        go_on: impl FnMut(usize) -> bool,
    ) -> Result<Vec<Atoms>, PidError> {
        let mut shuffled = self.joint.clone();
        resampling::permutation_null((n, self.n_items()), rng, go_on, |order| {
            gather(&mut shuffled, self.joint.as_ref(), 0..self.dims.y, order);
            self.atoms_of(shuffled.as_ref())
        })
    }

    fn atoms_of(&self, joint: MatRef<'_, f64>) -> Result<Atoms, PidError> {
        let covariance = covariance(joint);
        Atoms::of_covariance(covariance.as_ref(), self.dims)
    }
}

/// Copies the rows `items` of some columns.
fn gather(
    out: &mut Mat<f64>,
    from: MatRef<'_, f64>,
    columns: std::ops::Range<usize>,
    items: &[usize],
) {
    for column in columns {
        let source = from.col(column);
        for (target, item) in out.col_mut(column).iter_mut().zip(items) {
            *target = source[*item];
        }
    }
}

/// The sample covariance with divisor `n − 1`. The atoms do not depend on the divisor.
#[must_use]
pub fn covariance(samples: MatRef<'_, f64>) -> Mat<f64> {
    let n = samples.nrows() as f64;
    let means: Vec<f64> = (0..samples.ncols())
        .map(|j| samples.col(j).iter().sum::<f64>() / n)
        .collect();
    let centred = Mat::from_fn(samples.nrows(), samples.ncols(), |i, j| {
        samples[(i, j)] - means[j]
    });
    let products = centred.transpose() * &centred;
    upper_halves::clear();
    // Both triangles come from the lower one, so that the result is symmetric to the last bit.
    Mat::from_fn(products.nrows(), products.ncols(), |i, j| {
        products[(i.max(j), i.min(j))] / (n - 1.0)
    })
}

/// Expected excess of the log-determinant entropy of a `d`-dimensional Gaussian sample of size `n`,
/// in bits and with the sign of the bias: `b(d, n) = ½ Σ_{k=1..d} log2(1 − k/n)`
/// (Cai, Liang and Zhou 2015, Theorem 1). Not a number where `d ≥ n`.
#[must_use]
pub fn entropy_bias_bits(d: usize, n: usize) -> f64 {
    0.5 * (1..=d)
        .map(|k| (1.0 - k as f64 / n as f64).log2())
        .sum::<f64>()
}

/// Bias of the plug-in information between blocks of `du` and `dv` dimensions, in bits:
/// `b(du) + b(dv) − b(du + dv)`; never negative.
#[must_use]
pub fn information_bias_bits(du: usize, dv: usize, n: usize) -> f64 {
    entropy_bias_bits(du, n) + entropy_bias_bits(dv, n) - entropy_bias_bits(du + dv, n)
}

/// The correction of the official code (off by default there): each information loses its bias and
/// is floored at zero, the union information shrinks in proportion to the joint information, and is
/// then clamped so that every atom is non-negative.
#[must_use]
pub fn debias(atoms: &Atoms, dims: Dims, n_items: usize) -> Atoms {
    let less = |info: f64, d: usize| (info - information_bias_bits(d, dims.y, n_items)).max(0.0);
    let info12 = less(atoms.info12, dims.x1 + dims.x2);
    let ratio = if atoms.info12 > 0.0 {
        info12 / atoms.info12
    } else {
        0.0
    };
    let (info1, info2) = (less(atoms.info1, dims.x1), less(atoms.info2, dims.x2));
    Atoms::of_union_clamped(info1, info2, info12, atoms.union * ratio)
}

/// The basic bootstrap interval `[2t − q_high, 2t − q_low]` around the plug-in value `t` (Davison
/// and Hinkley 1997, eq. 5.6); `None` without resamples. It moves with the bootstrap's own estimate
/// of the bias, which a percentile interval of a biased statistic would count twice.
#[must_use]
pub fn basic_interval(plug_in: f64, resampled: &[f64], level: f64) -> Option<[f64; 2]> {
    let tail = (1.0 - level) / 2.0;
    let low = 2.0 * plug_in - quantile(resampled, 1.0 - tail).ok()?;
    let high = 2.0 * plug_in - quantile(resampled, tail).ok()?;
    Some([low, high])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Channel;
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};

    type Rng = eval::engine::Stream;

    fn noise(rows: usize, columns: usize, rng: &mut Rng) -> Mat<f64> {
        Mat::from_fn(rows, columns, |_, _| StandardNormal.sample(rng))
    }

    #[test]
    fn covariance_matches_a_case_by_hand() {
        let samples = faer::mat![[1.0, 2.0], [3.0, 2.0], [5.0, 8.0]];
        let expected = faer::mat![[4.0, 6.0], [6.0, 12.0]];
        assert!((covariance(samples.as_ref()) - expected).norm_max() < 1e-15);
    }

    #[test]
    fn the_bias_formula_predicts_what_pure_noise_gives() {
        let mut rng = Rng::seed_from_u64(1);
        let (n_items, dims) = (60, Dims { y: 2, x1: 4, x2: 3 });
        let n_worlds = 400;
        let (mut sum, mut sum_squares) = (0.0, 0.0);
        for _ in 0..n_worlds {
            let y = noise(n_items, dims.y, &mut rng);
            let x1 = noise(n_items, dims.x1, &mut rng);
            let x2 = noise(n_items, dims.x2, &mut rng);
            let samples = Samples::new(y.as_ref(), x1.as_ref(), x2.as_ref()).unwrap();
            let info = samples.atoms().unwrap().info12;
            sum += info;
            sum_squares += info * info;
        }
        let mean = sum / f64::from(n_worlds);
        let deviation = (sum_squares / f64::from(n_worlds) - mean * mean).sqrt();
        let error = deviation / f64::from(n_worlds).sqrt();
        let predicted = information_bias_bits(dims.x1 + dims.x2, dims.y, n_items);
        // The formula itself is of first order in 1/n; three standard errors plus 3 % cover it.
        assert!(
            (mean - predicted).abs() < 3.0 * error + 0.03 * predicted,
            "{mean} {predicted}"
        );
        assert!(predicted > 10.0 * error);
    }

    #[test]
    fn large_samples_of_a_known_channel_give_its_atoms() {
        let mut rng = Rng::seed_from_u64(2);
        let (h1, h2) = (faer::mat![[1.0, 0.3], [0.0, 0.5]], faer::mat![[0.2, 1.5]]);
        let truth = Channel::with_independent_noise(h1.clone(), h2.clone()).unwrap();
        let n_items = 40_000;
        let y = noise(n_items, 2, &mut rng);
        let x1 = &y * h1.transpose() + noise(n_items, 2, &mut rng);
        let x2 = &y * h2.transpose() + noise(n_items, 1, &mut rng);
        let samples = Samples::new(y.as_ref(), x1.as_ref(), x2.as_ref()).unwrap();
        let expected = Atoms::of_channel(&truth).unwrap();
        assert!(samples.atoms().unwrap().distance_max(&expected) < 0.03);
        let resampled = samples.bootstrap(40, &mut rng, |_| true).unwrap();
        let unions: Vec<f64> = resampled.iter().map(|atoms| atoms.union).collect();
        let interval = basic_interval(samples.atoms().unwrap().union, &unions, 0.999).unwrap();
        assert!(
            interval[0] < expected.union && expected.union < interval[1],
            "{interval:?}"
        );
    }

    #[test]
    fn shuffling_destroys_information_and_keeps_the_sources_dependence() {
        let mut rng = Rng::seed_from_u64(3);
        let y = noise(2000, 1, &mut rng);
        let x = &y + noise(2000, 1, &mut rng);
        let samples = Samples::new(y.as_ref(), x.as_ref(), (&x + &y).as_ref()).unwrap();
        let null = samples.permutation_null(20, &mut rng, |_| true).unwrap();
        assert!(null.iter().all(|atoms| atoms.info12 < 0.01));
        let stopped = samples
            .permutation_null(20, &mut rng, |done| done < 5)
            .unwrap();
        assert_eq!(stopped.len(), 5);
    }

    #[test]
    fn too_few_items_and_blocks_of_different_length_are_named() {
        let (a, b) = (Mat::<f64>::zeros(4, 2), Mat::<f64>::zeros(5, 2));
        let few = Samples::new(a.as_ref(), a.as_ref(), a.as_ref()).unwrap_err();
        assert_eq!(
            few,
            PidError::TooFewItems {
                n_items: 4,
                n_items_min: 8
            }
        );
        let uneven = Samples::new(a.as_ref(), b.as_ref(), a.as_ref()).unwrap_err();
        assert!(matches!(
            uneven,
            PidError::Dimensions {
                what: "source 1",
                ..
            }
        ));
    }

    #[test]
    fn the_basic_interval_mirrors_the_resamples_at_the_plug_in_value() {
        assert_eq!(
            basic_interval(2.0, &[4.0, 1.0, 3.0, 2.0], 1.0),
            Some([0.0, 3.0])
        );
        assert_eq!(basic_interval(2.0, &[], 0.95), None);
    }

    #[test]
    fn debiased_atoms_are_never_negative() {
        let raw = Atoms::of_union(0.02, 0.3, 0.31, 0.3001);
        let dims = Dims { y: 3, x1: 9, x2: 9 };
        let fixed = debias(&raw, dims, 500);
        assert!(
            fixed.parts().into_iter().all(|part| part >= 0.0),
            "{fixed:?}"
        );
        assert!(fixed.info12 < raw.info12);
    }
}
