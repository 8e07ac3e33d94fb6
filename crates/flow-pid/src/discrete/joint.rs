//! A joint distribution of two sources and a target, each with finitely many values.

use crate::error::PidError;

/// How far a table's sum may be from 1.
const SUM_TOLERANCE: f64 = 1e-9;

/// Probabilities of (X1, X2, Y), stored with Y running fastest, then X2.
#[derive(Clone, Debug, PartialEq)]
pub struct Joint {
    shape: [usize; 3],
    p: Vec<f64>,
}

impl Joint {
    /// A distribution from its table, `p[(x1 · n2 + x2) · ny + y]`; divided by its sum.
    ///
    /// # Errors
    /// [`PidError::Distribution`] where the table has the wrong length, a negative or non-finite
    /// entry, or a sum further than `1e-9` from 1.
    pub fn new(shape: [usize; 3], p: Vec<f64>) -> Result<Self, PidError> {
        let bad = |must| Err(PidError::Distribution { must });
        if shape.contains(&0) || p.len() != shape.iter().product::<usize>() {
            return bad("one probability for every combination of at least one value each");
        }
        if !p.iter().all(|value| value.is_finite() && *value >= 0.0) {
            return bad("finite and not negative");
        }
        let sum: f64 = p.iter().sum();
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            return bad("of sum 1");
        }
        let p = p.into_iter().map(|value| value / sum).collect();
        Ok(Self { shape, p })
    }

    /// The empirical distribution of counts in the same order.
    ///
    /// # Errors
    /// As [`Joint::new`], and where there are no counts at all.
    pub fn of_counts(shape: [usize; 3], counts: &[u64]) -> Result<Self, PidError> {
        let n: u64 = counts.iter().sum();
        if n == 0 {
            return Err(PidError::TooFewItems {
                n_items: 0,
                n_items_min: 1,
            });
        }
        Self::new(shape, counts.iter().map(|c| *c as f64 / n as f64).collect())
    }

    /// Numbers of values of X1, X2, and Y.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The table, Y fastest.
    #[must_use]
    pub fn table(&self) -> &[f64] {
        &self.p
    }

    /// `p(x1, y)`, Y fastest.
    #[must_use]
    pub fn pair1(&self) -> Vec<f64> {
        let [n1, n2, ny] = self.shape;
        let mut pair = vec![0.0; n1 * ny];
        for (cell, value) in self.p.iter().enumerate() {
            let (x1, y) = (cell / (n2 * ny), cell % ny);
            pair[x1 * ny + y] += value;
        }
        pair
    }

    /// `p(x2, y)`, Y fastest.
    #[must_use]
    pub fn pair2(&self) -> Vec<f64> {
        let [_, n2, ny] = self.shape;
        let mut pair = vec![0.0; n2 * ny];
        for (cell, value) in self.p.iter().enumerate() {
            pair[cell % (n2 * ny)] += value;
        }
        pair
    }

    /// `H(Y)` in bits: no information about Y exceeds it.
    #[must_use]
    pub fn target_entropy_bits(&self) -> f64 {
        let ny = self.shape[2];
        let mut marginal = vec![0.0; ny];
        for (cell, value) in self.p.iter().enumerate() {
            marginal[cell % ny] += value;
        }
        entropy_bits(&marginal)
    }

    /// `I(X1;Y)` in bits.
    #[must_use]
    pub fn info1_bits(&self) -> f64 {
        information_of_table(&self.pair1(), self.shape[2])
    }

    /// `I(X2;Y)` in bits.
    #[must_use]
    pub fn info2_bits(&self) -> f64 {
        information_of_table(&self.pair2(), self.shape[2])
    }

    /// `I(X1,X2;Y)` in bits.
    #[must_use]
    pub fn info12_bits(&self) -> f64 {
        information_of_table(&self.p, self.shape[2])
    }
}

/// `−Σ p log2 p`.
#[must_use]
pub fn entropy_bits(p: &[f64]) -> f64 {
    -p.iter()
        .filter(|value| **value > 0.0)
        .map(|value| value * value.log2())
        .sum::<f64>()
}

/// `I(X;Y)` in bits of a table of probabilities with Y fastest, as a sum of terms that vanish one
/// by one where X and Y are independent.
#[must_use]
pub fn information_of_table(p: &[f64], ny: usize) -> f64 {
    let rows: Vec<f64> = p.chunks(ny).map(|row| row.iter().sum()).collect();
    let mut columns = vec![0.0; ny];
    for (cell, value) in p.iter().enumerate() {
        columns[cell % ny] += value;
    }
    let term = |(cell, value): (usize, &f64)| {
        if *value > 0.0 {
            value * (value / (rows[cell / ny] * columns[cell % ny])).log2()
        } else {
            0.0
        }
    };
    p.iter().enumerate().map(term).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marginals_and_informations_of_a_hand_computed_table() {
        // X1 = Y, X2 a coin of its own.
        let joint =
            Joint::new([2, 2, 2], vec![0.25, 0.0, 0.25, 0.0, 0.0, 0.25, 0.0, 0.25]).unwrap();
        assert_eq!(joint.pair1(), [0.5, 0.0, 0.0, 0.5]);
        assert_eq!(joint.pair2(), [0.25; 4]);
        assert!((joint.info1_bits() - 1.0).abs() < 1e-15);
        assert!(joint.info2_bits().abs() < 1e-15);
        assert!((joint.info12_bits() - 1.0).abs() < 1e-15);
        assert!((joint.target_entropy_bits() - 1.0).abs() < 1e-15);
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        let refused = |p: Vec<f64>| {
            let error = Joint::new([1, 1, 2], p).unwrap_err();
            assert!(matches!(error, PidError::Distribution { .. }), "{error:?}");
        };
        refused(vec![0.5]);
        refused(vec![0.5, 0.6]);
        refused(vec![1.5, -0.5]);
        refused(vec![f64::NAN, 1.0]);
        let none = Joint::of_counts([1, 1, 2], &[0, 0]).unwrap_err();
        assert!(matches!(none, PidError::TooFewItems { .. }));
        let some = Joint::of_counts([1, 1, 2], &[1, 3]).unwrap();
        assert_eq!(some.table(), [0.25, 0.75]);
    }
}
