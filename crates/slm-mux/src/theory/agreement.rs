//! T9: how much wrong answers agree with each other, where only the probability of being right is
//! known.

use super::majority::binomial;
use super::modal::Modal;

/// How the wrong samples of one model relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongAnswers {
    /// All the same: the worst case for the rule.
    Coherent,
    /// Each equally likely one of so many.
    Equal(usize),
    /// All different: the best case for the rule.
    Scattered,
}

impl WrongAnswers {
    /// The two ends and the steps between, with their names in rows.
    pub const NAMED: [(&'static str, Self); 5] = [
        ("1", Self::Coherent),
        ("2", Self::Equal(2)),
        ("4", Self::Equal(4)),
        ("8", Self::Equal(8)),
        ("inf", Self::Scattered),
    ];
}

/// Given that c of k samples are right, the chance of each modal count and of a right mode: all
/// that does not depend on p.
#[derive(Clone, Debug)]
pub struct Agreement {
    k: usize,
    /// `[c]`: the modal given c right samples.
    given: Vec<Modal>,
}

impl Agreement {
    /// Prepares k samples. `Equal(m)` needs m ≥ 1; 0 is taken as 1.
    #[must_use]
    pub fn new(k: usize, wrong: WrongAnswers) -> Self {
        let given = (0..=k).map(|n_right| match wrong {
            WrongAnswers::Coherent => equal(k, n_right, 1),
            WrongAnswers::Equal(m) => equal(k, n_right, m.max(1)),
            WrongAnswers::Scattered => scattered(k, n_right),
        });
        Self {
            k,
            given: given.collect(),
        }
    }

    /// The modal of k samples that are right with probability p each.
    #[must_use]
    pub fn modal(&self, p: f64) -> Modal {
        let mut modal = Modal {
            right: vec![0.0; self.k + 1],
            wrong: vec![0.0; self.k + 1],
        };
        for (share, given) in binomial(self.k, p).into_iter().zip(&self.given) {
            for s in 0..=self.k {
                modal.right[s] += share * given.right[s];
                modal.wrong[s] += share * given.wrong[s];
            }
        }
        modal
    }
}

/// Wrong samples that never agree: the count is max(c, 1), right for c ≥ 2, one of k for c = 1.
fn scattered(k: usize, n_right: usize) -> Modal {
    let mut modal = Modal {
        right: vec![0.0; k + 1],
        wrong: vec![0.0; k + 1],
    };
    match n_right {
        0 => modal.wrong[k.min(1)] = 1.0,
        1 => {
            modal.right[1] = 1.0 / k as f64;
            modal.wrong[1] = 1.0 - modal.right[1];
        }
        _ => modal.right[n_right] = 1.0,
    }
    modal
}

/// Wrong samples spread evenly over m answers.
///
/// The number of sequences of w wrong samples in which t answers occur exactly s times and the
/// others less often is `w! C(m, t) / s!^t` times a coefficient of the power of the truncated
/// exponential series.
fn equal(k: usize, n_right: usize, m: usize) -> Modal {
    let mut modal = Modal {
        right: vec![0.0; k + 1],
        wrong: vec![0.0; k + 1],
    };
    let n_wrong = k - n_right;
    // P(the largest block of wrong samples is s, reached by t answers).
    for s in 0..=n_wrong {
        for t in 1..=m {
            let share = share_of_blocks(n_wrong, m, s, t);
            if share == 0.0 {
                continue;
            }
            let count = s.max(n_right);
            let right = match n_right.cmp(&s) {
                _ if count == 0 => 0.0,
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 1.0 / (t + 1) as f64,
                std::cmp::Ordering::Less => 0.0,
            };
            modal.right[count] += share * right;
            modal.wrong[count] += share * (1.0 - right);
        }
    }
    modal
}

/// The probability that w samples over m equally likely answers have a largest block of s, reached
/// by exactly t answers.
fn share_of_blocks(w: usize, m: usize, s: usize, t: usize) -> f64 {
    if s == 0 {
        // Without wrong samples every answer has none; that is one outcome.
        return if w == 0 && t == m { 1.0 } else { 0.0 };
    }
    if t * s > w {
        return 0.0;
    }
    // Coefficients of (Σ_{j<s} x^j / j!)^(m − t), up to w − t·s.
    let rest = w - t * s;
    let mut series = vec![0.0; rest + 1];
    series[0] = 1.0;
    for _ in 0..m - t {
        let mut next = vec![0.0; rest + 1];
        for (at, value) in series.iter().enumerate() {
            for j in 0..s.min(rest - at + 1) {
                next[at + j] += value / factorial(j);
            }
        }
        series = next;
    }
    let ways = factorial(w) * choose(m, t) / factorial(s).powi(t as i32) * series[rest];
    ways / (m as f64).powi(w as i32)
}

fn factorial(n: usize) -> f64 {
    (1..=n).map(|j| j as f64).product()
}

fn choose(n: usize, k: usize) -> f64 {
    (0..k).map(|j| (n - j) as f64 / (j + 1) as f64).product()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: &Modal, b: &Modal) -> bool {
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-13);
        near(&a.right, &b.right) && near(&a.wrong, &b.wrong)
    }

    #[test]
    fn equally_likely_wrong_answers_are_those_of_the_enumeration() {
        for k in 1..=6 {
            for m in 1..=4 {
                for p in [0.0, 0.1, 0.35, 0.8, 1.0] {
                    let mut answers = vec![(1.0 - p) / m as f64; m + 1];
                    answers[0] = p;
                    let expected = Modal::of_distribution(&answers, k);
                    let found = Agreement::new(k, WrongAnswers::Equal(m)).modal(p);
                    assert!(close(&found, &expected), "k = {k}, m = {m}, p = {p}");
                }
            }
        }
    }

    #[test]
    fn many_wrong_answers_tend_to_scattered_ones() {
        let scattered = Agreement::new(4, WrongAnswers::Scattered).modal(0.4);
        let many = Agreement::new(4, WrongAnswers::Equal(100_000)).modal(0.4);
        for s in 0..=4 {
            assert!((scattered.right[s] - many.right[s]).abs() < 1e-4);
        }
    }

    #[test]
    fn coherent_wrong_answers_are_a_majority_vote() {
        for (k, p) in [(3, 0.6), (5, 0.3), (9, 0.5)] {
            let modal = Agreement::new(k, WrongAnswers::Coherent).modal(p);
            assert!((modal.accuracy() - super::super::majority(k, p)).abs() < 1e-14);
        }
    }
}
