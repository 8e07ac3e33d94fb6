//! Mutual information from counts: plug-in, and two corrections of its bias.
//!
//! The plug-in information of `n` samples over `K` occupied cells exceeds the truth by about `(K_xy
//! − K_x − K_y + 1)/(2n)` nats (Miller 1955; Panzeri and Treves 1996). The correction subtracts
//! just that with the *observed* numbers of occupied cells, which is too little while cells are
//! still empty by chance. The jackknife removes the term of order `1/n` whatever its size.

use super::joint::{entropy_bits, information_of_table};
use crate::linalg::NATS_PER_BIT;

/// Which estimate of an information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InformationEstimator {
    /// The information of the empirical distribution.
    PlugIn,
    /// Plug-in minus Miller's term.
    MillerMadow,
    /// Every entropy by the jackknife.
    Jackknife,
}

impl InformationEstimator {
    /// Every estimator.
    pub const ALL: [Self; 3] = [Self::PlugIn, Self::MillerMadow, Self::Jackknife];

    /// The name used in rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PlugIn => "plug-in",
            Self::MillerMadow => "miller-madow",
            Self::Jackknife => "jackknife",
        }
    }

    /// `I(X;Y)` in bits from a table of counts with Y fastest; a correction may make it negative.
    /// An empty table gives 0.
    #[must_use]
    pub fn information_bits(self, counts: &[u64], ny: usize) -> f64 {
        let n: u64 = counts.iter().sum();
        if n == 0 {
            return 0.0;
        }
        let plug_in = || {
            let p: Vec<f64> = counts.iter().map(|c| *c as f64 / n as f64).collect();
            information_of_table(&p, ny)
        };
        match self {
            Self::PlugIn => plug_in(),
            Self::MillerMadow => plug_in() - miller_bias_bits(counts, ny),
            Self::Jackknife => {
                let (rows, columns) = margins(counts, ny);
                jackknife_entropy_bits(&rows) + jackknife_entropy_bits(&columns)
                    - jackknife_entropy_bits(counts)
            }
        }
    }
}

/// Miller's estimate of the bias of the plug-in information, in bits.
#[must_use]
pub fn miller_bias_bits(counts: &[u64], ny: usize) -> f64 {
    let n: u64 = counts.iter().sum();
    let (rows, columns) = margins(counts, ny);
    let occupied = |counts: &[u64]| counts.iter().filter(|count| **count > 0).count() as f64;
    let cells = occupied(counts) - occupied(&rows) - occupied(&columns) + 1.0;
    cells / (2.0 * n as f64 * NATS_PER_BIT)
}

/// `n H − (n − 1) · mean of H without one item`; where there is one item only, 0.
fn jackknife_entropy_bits(counts: &[u64]) -> f64 {
    let n = counts.iter().sum::<u64>() as f64;
    if n < 2.0 {
        return 0.0;
    }
    // With T = Σ c log2 c, H = log2 n − T/n; taking an item out of a cell changes one term.
    let weight = |count: f64| {
        if count > 0.0 {
            count * count.log2()
        } else {
            0.0
        }
    };
    let total: f64 = counts.iter().map(|c| weight(*c as f64)).sum();
    let p: Vec<f64> = counts.iter().map(|c| *c as f64 / n).collect();
    let without = |count: u64| {
        let count = count as f64;
        (n - 1.0).log2() - (total - weight(count) + weight(count - 1.0)) / (n - 1.0)
    };
    let mean: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| *count as f64 / n * without(*count))
        .sum();
    n * entropy_bits(&p) - (n - 1.0) * mean
}

fn margins(counts: &[u64], ny: usize) -> (Vec<u64>, Vec<u64>) {
    let rows = counts.chunks(ny).map(|row| row.iter().sum()).collect();
    let mut columns = vec![0; ny];
    for (cell, count) in counts.iter().enumerate() {
        columns[cell % ny] += count;
    }
    (rows, columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The jackknife by its definition: every item left out once.
    fn slow_jackknife(counts: &[u64]) -> f64 {
        let n = counts.iter().sum::<u64>() as f64;
        let entropy = |counts: &[u64]| {
            let n = counts.iter().sum::<u64>() as f64;
            entropy_bits(&counts.iter().map(|c| *c as f64 / n).collect::<Vec<_>>())
        };
        let mut mean = 0.0;
        for k in 0..counts.len() {
            if counts[k] > 0 {
                let mut less = counts.to_vec();
                less[k] -= 1;
                mean += counts[k] as f64 / n * entropy(&less);
            }
        }
        n * entropy(counts) - (n - 1.0) * mean
    }

    #[test]
    fn the_jackknife_is_its_definition() {
        for counts in [vec![3, 1, 0, 7], vec![1, 1], vec![5, 5, 5]] {
            let error = jackknife_entropy_bits(&counts) - slow_jackknife(&counts);
            assert!(error.abs() < 1e-12);
        }
    }

    #[test]
    fn miller_s_term_of_a_full_two_by_two_table_is_one_over_two_n() {
        // (4 − 2 − 2 + 1)/(2n) nats.
        let bias = miller_bias_bits(&[5, 5, 5, 5], 2);
        assert!((bias * NATS_PER_BIT - 1.0 / 40.0).abs() < 1e-15);
    }

    #[test]
    fn corrections_of_independent_tables_lie_closer_to_zero() {
        let counts = [12, 9, 14, 7, 11, 10, 13, 8, 9];
        let plug_in = InformationEstimator::PlugIn.information_bits(&counts, 3);
        assert!(plug_in > 0.0);
        for estimator in [
            InformationEstimator::MillerMadow,
            InformationEstimator::Jackknife,
        ] {
            let corrected = estimator.information_bits(&counts, 3);
            assert!(
                corrected.abs() < plug_in,
                "{}: {corrected}",
                estimator.name()
            );
        }
        assert_eq!(
            InformationEstimator::Jackknife.information_bits(&[0, 0], 2),
            0.0
        );
    }
}
