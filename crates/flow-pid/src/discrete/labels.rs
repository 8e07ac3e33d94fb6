//! From discrete samples to atoms: plug-in and corrected, with bootstrap and permutation null.

use rand::Rng;

use super::broja::{Broja, BrojaConfig};
use super::information::InformationEstimator;
use super::joint::Joint;
use crate::atoms::Atoms;
use crate::error::PidError;
use crate::resampling;

/// Discrete samples of two sources and a target, one item a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    x1: Vec<usize>,
    x2: Vec<usize>,
    y: Vec<usize>,
    shape: [usize; 3],
}

impl Labels {
    /// Joins three sequences of class numbers from 0; the number of classes is one more than the
    /// largest.
    ///
    /// # Errors
    /// The sequences have different lengths, or no item.
    pub fn new(x1: Vec<usize>, x2: Vec<usize>, y: Vec<usize>) -> Result<Self, PidError> {
        let n = y.len();
        for (values, what) in [(&x1, "source 1"), (&x2, "source 2")] {
            if values.len() != n {
                return Err(PidError::Dimensions {
                    what,
                    expected: (n, 1),
                    found: (values.len(), 1),
                });
            }
        }
        if n == 0 {
            return Err(PidError::TooFewItems {
                n_items: 0,
                n_items_min: 1,
            });
        }
        let classes = |values: &[usize]| 1 + values.iter().copied().max().unwrap_or(0);
        let shape = [classes(&x1), classes(&x2), classes(&y)];
        Ok(Self { x1, x2, y, shape })
    }

    /// Number of items.
    #[must_use]
    pub fn n_items(&self) -> usize {
        self.y.len()
    }

    /// Numbers of classes of X1, X2, and Y.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Counts in the order of [`Joint::table`].
    #[must_use]
    pub fn counts(&self) -> Vec<u64> {
        self.counts_of(|item| item, |item| item)
    }

    /// Counts with sources taken at `source(k)` and the target at `target(k)`.
    fn counts_of(
        &self,
        source: impl Fn(usize) -> usize,
        target: impl Fn(usize) -> usize,
    ) -> Vec<u64> {
        let mut counts = vec![0; self.shape.iter().product()];
        for k in 0..self.n_items() {
            let (from, to) = (source(k), target(k));
            let pair = self.x1[from] * self.shape[1] + self.x2[from];
            counts[pair * self.shape[2] + self.y[to]] += 1;
        }
        counts
    }

    /// The exact decomposition of the empirical distribution.
    ///
    /// # Errors
    /// As [`Broja::of`].
    pub fn broja(&self) -> Result<Broja, PidError> {
        let joint = Joint::of_counts(self.shape, &self.counts())?;
        Broja::of(&joint, &BrojaConfig::default())
    }

    /// The plug-in atoms.
    ///
    /// # Errors
    /// As [`Broja::of`].
    pub fn atoms(&self) -> Result<Atoms, PidError> {
        self.atoms_of(&self.counts())
    }

    /// The atoms after a correction of every information: each is floored at zero, the union
    /// information shrinks in proportion to the joint information, and is then clamped so that
    /// every atom is non-negative, as the Gaussian estimate does.
    ///
    /// # Errors
    /// As [`Broja::of`].
    pub fn atoms_corrected(&self, estimator: InformationEstimator) -> Result<Atoms, PidError> {
        let counts = self.counts();
        let raw = self.atoms_of(&counts)?;
        let [n1, n2, ny] = self.shape;
        let (mut pair1, mut pair2) = (vec![0; n1 * ny], vec![0; n2 * ny]);
        for (cell, count) in counts.iter().enumerate() {
            pair1[cell / (n2 * ny) * ny + cell % ny] += count;
            pair2[cell % (n2 * ny)] += count;
        }
        let info = |counts: &[u64]| estimator.information_bits(counts, ny).max(0.0);
        let info12 = info(&counts);
        let ratio = if raw.info12 > 0.0 {
            info12 / raw.info12
        } else {
            0.0
        };
        let (info1, info2) = (info(&pair1), info(&pair2));
        Ok(Atoms::of_union_clamped(
            info1,
            info2,
            info12,
            raw.union * ratio,
        ))
    }

    /// Plug-in atoms of `n` resamples of the items with replacement. `go_on` is asked before each.
    ///
    /// # Errors
    /// As [`Broja::of`].
    pub fn bootstrap(
        &self,
        n: usize,
        rng: &mut impl Rng,
        go_on: impl FnMut(usize) -> bool,
    ) -> Result<Vec<Atoms>, PidError> {
        resampling::bootstrap((n, self.n_items()), rng, go_on, |drawn| {
            self.atoms_of(&self.counts_of(|k| drawn[k], |k| drawn[k]))
        })
    }

    /// Plug-in atoms of `n` shuffles of the target against both sources, whose own dependence is
    /// kept. `go_on` is asked before each.
    ///
    /// # Errors
    /// As [`Broja::of`].
    pub fn permutation_null(
        &self,
        n: usize,
        rng: &mut impl Rng,
        go_on: impl FnMut(usize) -> bool,
    ) -> Result<Vec<Atoms>, PidError> {
        resampling::permutation_null((n, self.n_items()), rng, go_on, |order| {
            self.atoms_of(&self.counts_of(|k| k, |k| order[k]))
        })
    }

    fn atoms_of(&self, counts: &[u64]) -> Result<Atoms, PidError> {
        let joint = Joint::of_counts(self.shape, counts)?;
        Ok(Broja::of(&joint, &BrojaConfig::default())?.atoms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    type Stream = eval::engine::Stream;

    /// Noisy exclusive or: Y is flipped for one item in ten.
    fn noisy_xor(n: usize, rng: &mut Stream) -> Labels {
        let mut columns = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..n {
            let (a, b) = (rng.random_range(0..2_usize), rng.random_range(0..2_usize));
            let flip = usize::from(rng.random::<f64>() < 0.1);
            for (column, value) in columns.iter_mut().zip([a, b, a ^ b ^ flip]) {
                column.push(value);
            }
        }
        let [x1, x2, y] = columns;
        Labels::new(x1, x2, y).unwrap()
    }

    #[test]
    fn a_noisy_gate_is_found_within_its_bootstrap_and_above_its_null() {
        let mut rng = Stream::seed_from_u64(1);
        let labels = noisy_xor(2000, &mut rng);
        let truth = 1.0 + 0.1 * 0.1_f64.log2() + 0.9 * 0.9_f64.log2();
        let found = labels.atoms().unwrap();
        assert!((found.synergy - truth).abs() < 0.05, "{found:?}");
        let resampled = labels.bootstrap(40, &mut rng, |_| true).unwrap();
        let values: Vec<f64> = resampled.iter().map(|atoms| atoms.synergy).collect();
        let range = crate::estimate::basic_interval(found.synergy, &values, 0.99).unwrap();
        assert!(range[0] < truth && truth < range[1], "{range:?}");
        let null = labels.permutation_null(40, &mut rng, |_| true).unwrap();
        assert!(null.iter().all(|atoms| atoms.info12 < 0.02));
        let stopped = labels
            .permutation_null(40, &mut rng, |done| done < 3)
            .unwrap();
        assert_eq!(stopped.len(), 3);
    }

    #[test]
    fn corrected_atoms_of_noise_are_smaller_and_never_negative() {
        let mut rng = Stream::seed_from_u64(2);
        let mut column = |classes: usize| -> Vec<usize> {
            (0..200).map(|_| rng.random_range(0..classes)).collect()
        };
        let labels = Labels::new(column(4), column(4), column(3)).unwrap();
        let raw = labels.atoms().unwrap();
        let fixed = labels
            .atoms_corrected(InformationEstimator::MillerMadow)
            .unwrap();
        assert!(fixed.info12 < 0.5 * raw.info12, "{fixed:?} {raw:?}");
        assert!(fixed.parts().into_iter().all(|part| part >= 0.0));
    }

    #[test]
    fn sequences_of_different_length_are_refused() {
        let error = Labels::new(vec![0], vec![0, 1], vec![0, 1]).unwrap_err();
        assert!(matches!(
            error,
            PidError::Dimensions {
                what: "source 1",
                ..
            }
        ));
        let error = Labels::new(vec![], vec![], vec![]).unwrap_err();
        assert!(matches!(error, PidError::TooFewItems { .. }));
    }
}
