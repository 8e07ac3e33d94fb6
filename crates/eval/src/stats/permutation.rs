//! Permutation tests: how often a relabelling of the data alone does as much.
//!
//! Small problems are enumerated completely, so their p-value is exact. Otherwise labels are drawn
//! at random and the p-value is `(k + 1) / (n + 1)` (Phipson and Smyth 2010): the labelling seen
//! is one of those that could have been drawn, so p is never 0.

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use super::order::quantile_of_sorted;
use super::student::differences;
use super::sum::{mean, sum};
use super::undefined::{Undefined, finite, require, require_same_length};

/// At most so many relabellings are enumerated: 2^16, a fraction of a second.
const ENUMERATED_MAX: u64 = 1 << 16;

/// Statistics closer than this, relative to the largest term, differ by rounding alone.
const TIE_TOLERANCE: f64 = 1e-12;

/// The outcome of a permutation test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PermutationTest {
    /// The statistic on the data as they are.
    pub value: f64,
    /// Two-sided p-value.
    pub p_value: f64,
    /// Whether all relabellings were enumerated.
    pub exact: bool,
    /// Relabellings looked at.
    pub n_relabellings: u64,
}

/// The sign-flip test on paired values: under the null hypothesis every difference `b − a` is as
/// likely with the other sign. The statistic is the mean difference; p is the share of sign
/// patterns whose mean is at least as far from 0.
///
/// Up to 16 pairs all patterns are enumerated; beyond that `n_random` are drawn.
///
/// # Errors
/// There are no pairs, lists differ in length, a value is not finite, or `n_random` is 0 where
/// patterns must be drawn.
pub fn sign_flip_test(
    a: &[f64],
    b: &[f64],
    n_random: u64,
    stream: &mut impl Rng,
) -> Result<PermutationTest, Undefined> {
    require_same_length(a.len(), b.len())?;
    let changes = differences(a, b);
    let value = mean(&changes)?;
    let total = sum(&changes).abs();
    let reach = total - TIE_TOLERANCE * sum(&changes.iter().map(|x| x.abs()).collect::<Vec<_>>());
    let flipped = |sign: &mut dyn FnMut(usize) -> bool| {
        let signed: Vec<f64> = changes
            .iter()
            .enumerate()
            .map(|(idx, x)| if sign(idx) { -x } else { *x })
            .collect();
        sum(&signed).abs() >= reach
    };
    let n_patterns = u32::try_from(changes.len())
        .ok()
        .and_then(|n| 1_u64.checked_shl(n));
    if let Some(n_patterns) = n_patterns.filter(|n| *n <= ENUMERATED_MAX) {
        let as_far = (0..n_patterns)
            .filter(|pattern| flipped(&mut |idx| pattern >> idx & 1 == 1))
            .count();
        return Ok(PermutationTest::exact(value, as_far as u64, n_patterns));
    }
    let as_far = (0..n_random)
        .filter(|_| flipped(&mut |_| stream.random::<bool>()))
        .count();
    PermutationTest::random(value, as_far as u64, n_random)
}

/// The permutation test of two independent samples. The statistic is `mean(b) − mean(a)`; p is the
/// share of ways to divide all values into samples of these sizes whose difference is at least as
/// far from 0.
///
/// Up to 2^16 divisions are enumerated; beyond that `n_random` are drawn.
///
/// # Errors
/// A sample is empty, a value is not finite, or `n_random` is 0 where divisions must be drawn.
pub fn two_sample_test(
    a: &[f64],
    b: &[f64],
    n_random: u64,
    stream: &mut impl Rng,
) -> Result<PermutationTest, Undefined> {
    let value = mean(b)? - mean(a)?;
    let mut pooled: Vec<f64> = a.iter().chain(b).copied().collect();
    // mean(b) − mean(a) is an increasing linear function of the sum of b alone, and moves away
    // from 0 as that sum moves away from its expectation.
    let expected = mean(&pooled)? * b.len() as f64;
    let scale = sum(&pooled.iter().map(|x| x.abs()).collect::<Vec<_>>());
    let reach = (sum(b) - expected).abs() - TIE_TOLERANCE * scale;
    finite(reach)?;
    let as_far = |chosen: &[f64]| (sum(chosen) - expected).abs() >= reach;
    if let Some(n_divisions) = n_combinations(pooled.len(), b.len()) {
        let mut found = 0;
        for_each_combination(&pooled, b.len(), &mut |chosen| {
            found += u64::from(as_far(chosen))
        });
        return Ok(PermutationTest::exact(value, found, n_divisions));
    }
    let mut found = 0;
    for _ in 0..n_random {
        let (chosen, _) = pooled.partial_shuffle(stream, b.len());
        found += u64::from(as_far(chosen));
    }
    PermutationTest::random(value, found, n_random)
}

impl PermutationTest {
    fn exact(value: f64, as_far: u64, n_relabellings: u64) -> Self {
        let p_value = as_far as f64 / n_relabellings as f64;
        Self {
            value,
            p_value,
            exact: true,
            n_relabellings,
        }
    }

    fn random(value: f64, as_far: u64, n_relabellings: u64) -> Result<Self, Undefined> {
        if n_relabellings == 0 {
            return Err(Undefined::TooFew { have: 0, need: 1 });
        }
        let p_value = (as_far + 1) as f64 / (n_relabellings + 1) as f64;
        Ok(Self {
            value,
            p_value,
            exact: false,
            n_relabellings,
        })
    }
}

/// The number of ways to choose `k` of `n`, where it is at most [`ENUMERATED_MAX`].
fn n_combinations(n: usize, k: usize) -> Option<u64> {
    let mut ways = 1_u64;
    for step in 0..k.min(n - k) as u64 {
        ways = ways.checked_mul(n as u64 - step)? / (step + 1);
        if ways > ENUMERATED_MAX {
            return None;
        }
    }
    Some(ways)
}

/// Calls `visit` with every choice of `k` values, in lexicographic order of their places.
fn for_each_combination(values: &[f64], k: usize, visit: &mut impl FnMut(&[f64])) {
    let mut places: Vec<usize> = (0..k).collect();
    let mut chosen: Vec<f64> = values[..k].to_vec();
    loop {
        visit(&chosen);
        // The last place that can still move to the right.
        let Some(moved) = (0..k).rev().find(|at| places[*at] < values.len() - k + at) else {
            return;
        };
        let start = places[moved] + 1;
        for at in moved..k {
            places[at] = start + at - moved;
            chosen[at] = values[places[at]];
        }
    }
}

/// A statistic and its distribution when labels carry no information.
#[derive(Clone, Debug, PartialEq)]
pub struct PermutationNull {
    observed: f64,
    /// Sorted, finite, at least one.
    null: Vec<f64>,
}

/// The distribution of any statistic under random permutations of `labels`.
///
/// # Errors
/// There are fewer than two labels, `n_random` is 0, or the statistic is not finite, on the data
/// or on a permutation.
pub fn permutation_null<L: Clone>(
    labels: &[L],
    n_random: usize,
    stream: &mut impl Rng,
    mut statistic: impl FnMut(&[L]) -> f64,
) -> Result<PermutationNull, Undefined> {
    if labels.len() < 2 {
        return Err(Undefined::TooFew {
            have: labels.len(),
            need: 2,
        });
    }
    let observed = finite(statistic(labels))?;
    let mut shuffled = labels.to_vec();
    let mut null = Vec::with_capacity(n_random);
    for _ in 0..n_random {
        shuffled.shuffle(stream);
        null.push(statistic(&shuffled));
    }
    require(&null, 1)?;
    null.sort_by(f64::total_cmp);
    Ok(PermutationNull { observed, null })
}

impl PermutationNull {
    /// The statistic on the labels as they are.
    #[must_use]
    pub fn observed(&self) -> f64 {
        self.observed
    }

    /// The statistic on every permutation, ascending.
    #[must_use]
    pub fn null(&self) -> &[f64] {
        &self.null
    }

    /// Probability of a statistic at least as large, `(k + 1) / (n + 1)`.
    #[must_use]
    pub fn p_greater(&self) -> f64 {
        let below = self
            .null
            .partition_point(|x| *x < self.observed - self.tolerance());
        (self.null.len() - below + 1) as f64 / (self.null.len() + 1) as f64
    }

    /// Probability of a statistic at least as small, `(k + 1) / (n + 1)`.
    #[must_use]
    pub fn p_less(&self) -> f64 {
        let up_to = self
            .null
            .partition_point(|x| *x <= self.observed + self.tolerance());
        (up_to + 1) as f64 / (self.null.len() + 1) as f64
    }

    /// Twice the smaller of the one-sided probabilities, at most 1.
    #[must_use]
    pub fn p_two_sided(&self) -> f64 {
        (2.0 * self.p_greater().min(self.p_less())).min(1.0)
    }

    /// A quantile of the null distribution, type 7.
    ///
    /// # Errors
    /// `p` lies outside [0, 1].
    pub fn quantile(&self, p: f64) -> Result<f64, Undefined> {
        if (0.0..=1.0).contains(&p) {
            Ok(quantile_of_sorted(&self.null, p))
        } else {
            Err(Undefined::OutOfRange {
                what: "a quantile's probability lies in [0, 1]",
            })
        }
    }

    fn tolerance(&self) -> f64 {
        TIE_TOLERANCE * self.observed.abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn stream() -> rand_chacha::ChaCha20Rng {
        rand_chacha::ChaCha20Rng::seed_from_u64(1)
    }

    #[test]
    fn all_combinations_are_visited_once() {
        let values: Vec<f64> = (0..6).map(f64::from).collect();
        for k in 0..=6 {
            let mut seen = Vec::new();
            for_each_combination(&values, k, &mut |chosen| seen.push(format!("{chosen:?}")));
            assert_eq!(seen.len() as u64, n_combinations(6, k).unwrap());
            seen.dedup();
            assert_eq!(seen.len() as u64, n_combinations(6, k).unwrap());
        }
        assert_eq!(n_combinations(18, 8), Some(43_758));
        assert_eq!(n_combinations(19, 9), None);
        assert_eq!(n_combinations(5000, 2500), None);
    }

    #[test]
    fn nothing_to_relabel_is_refused() {
        let rng = &mut stream();
        assert!(sign_flip_test(&[], &[], 9, rng).is_err());
        assert!(sign_flip_test(&[1.0; 17], &[2.0; 17], 0, rng).is_err());
        assert!(two_sample_test(&[], &[1.0], 9, rng).is_err());
        assert!(two_sample_test(&[f64::NAN], &[1.0], 9, rng).is_err());
        assert!(permutation_null(&[1], 9, rng, |_| 0.0).is_err());
        assert!(permutation_null(&[1, 2], 0, rng, |_| 0.0).is_err());
        assert!(permutation_null(&[1, 2], 9, rng, |_| f64::NAN).is_err());
    }

    #[test]
    fn equal_values_give_p_of_one() {
        let rng = &mut stream();
        assert_eq!(
            sign_flip_test(&[0.1; 3], &[0.1; 3], 9, rng)
                .unwrap()
                .p_value,
            1.0
        );
        assert_eq!(
            two_sample_test(&[0.1; 3], &[0.1; 4], 9, rng)
                .unwrap()
                .p_value,
            1.0
        );
        let null = permutation_null(&[1, 2, 3], 9, rng, |_| 0.5).unwrap();
        assert_eq!((null.p_two_sided(), null.quantile(0.5)), (1.0, Ok(0.5)));
    }

    #[test]
    fn one_pair_decides_nothing() {
        assert_eq!(
            sign_flip_test(&[0.0], &[1.0], 9, &mut stream())
                .unwrap()
                .p_value,
            1.0
        );
    }
}
