//! A(N, p), the accuracy of a majority of N independent votes, as the paper writes it (T1).

/// The probabilities of 0 to n successes among n, each with probability p.
#[must_use]
pub fn binomial(n: usize, p: f64) -> Vec<f64> {
    // Adding one trial at a time keeps every value a sum of products of probabilities.
    let mut shares = vec![1.0];
    for _ in 0..n {
        let mut next = vec![0.0; shares.len() + 1];
        for (successes, share) in shares.iter().enumerate() {
            next[successes] += share * (1.0 - p);
            next[successes + 1] += share * p;
        }
        shares = next;
    }
    shares
}

/// A(N, p) = Σ_{j ≥ ⌈N/2⌉} C(N, j) p^j (1 − p)^(N − j): for even N a tie counts as a win.
#[must_use]
pub fn majority(n: usize, p: f64) -> f64 {
    binomial(n, p)[n.div_ceil(2)..].iter().sum()
}

/// The p in (0, 1) above which A(N, p) exceeds p, by bisection; 0 for N = 2, where it always does,
/// and none for N = 1, where it never does.
#[must_use]
pub fn majority_threshold(n: usize) -> Option<f64> {
    const STEPS: usize = 200;
    if n < 2 {
        return None;
    }
    let gains = |p: f64| majority(n, p) > p;
    // Close to 0 and to 1 the sign is that of the open interval's end.
    let (mut low, mut high) = (1e-9, 1.0 - 1e-9);
    if gains(low) {
        return Some(0.0);
    }
    for _ in 0..STEPS {
        let middle = 0.5 * (low + high);
        if gains(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(0.5 * (low + high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_majorities_help_above_one_half_and_even_ones_earlier() {
        for n in [3, 5, 7, 9] {
            assert!((majority_threshold(n).unwrap() - 0.5).abs() < 1e-12, "{n}");
        }
        assert_eq!(majority_threshold(2), Some(0.0));
        let four = 1.0 - (1.0 + 13f64.sqrt()) / 6.0;
        assert!((majority_threshold(4).unwrap() - four).abs() < 1e-12);
        for p in [0.1, 0.5, 0.9] {
            assert!((majority(2, p) - (2.0 * p - p * p)).abs() < 1e-15);
        }
    }

    #[test]
    fn binomial_shares_are_those_of_the_formula() {
        let shares = binomial(5, 0.3);
        let choose = [1.0, 5.0, 10.0, 10.0, 5.0, 1.0];
        for (j, share) in shares.iter().enumerate() {
            let expected = choose[j] * 0.3f64.powi(j as i32) * 0.7f64.powi(5 - j as i32);
            assert!((share - expected).abs() < 1e-15);
        }
    }
}
