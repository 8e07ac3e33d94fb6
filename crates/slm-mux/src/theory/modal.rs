//! The modal count of one model and whether its mode is right: what T3 needs of a model.

/// P(s, 1) and P(s, 0): the modal count is s, and the (fair-tie) mode is right or wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Modal {
    /// P(s, 1), s from 0 to k.
    pub right: Vec<f64>,
    /// P(s, 0), s from 0 to k; s = 0 means that no sample has an answer.
    pub wrong: Vec<f64>,
}

impl Modal {
    /// The modal of k independent samples from probabilities of answers, the right one first. What
    /// is missing to 1 is the probability of no answer.
    #[must_use]
    pub fn of_distribution(answers: &[f64], k: usize) -> Self {
        let mut modal = Self {
            right: vec![0.0; k + 1],
            wrong: vec![0.0; k + 1],
        };
        let none = (1.0 - answers.iter().sum::<f64>()).max(0.0);
        let all: Vec<f64> = answers.iter().copied().chain([none]).collect();
        for (counts, share) in compositions(&all, k) {
            let answered = &counts[..answers.len()];
            modal.add(answered, share);
        }
        modal
    }

    /// Adds an outcome: how often each answer occurs, the right one first.
    pub fn add(&mut self, counts: &[usize], share: f64) {
        let most = counts.iter().copied().max().unwrap_or(0);
        if most == 0 {
            self.wrong[0] += share;
            return;
        }
        let n_tied = counts.iter().filter(|count| **count == most).count();
        let right = f64::from(u8::from(counts[0] == most)) / n_tied as f64;
        self.right[most] += share * right;
        self.wrong[most] += share * (1.0 - right);
    }

    /// k.
    #[must_use]
    pub fn k(&self) -> usize {
        self.right.len() - 1
    }

    /// The probability that the mode is right: the accuracy of self-consistency.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        self.right.iter().sum()
    }

    /// F(s) = P(modal count ≤ s); 0 below 0.
    #[must_use]
    pub fn cumulative(&self) -> Vec<f64> {
        let both = self.right.iter().zip(&self.wrong);
        running(both.map(|(right, wrong)| right + wrong))
    }

    /// P(modal count ≤ s and the mode is wrong).
    #[must_use]
    pub fn cumulative_wrong(&self) -> Vec<f64> {
        running(self.wrong.iter().copied())
    }
}

fn running(values: impl Iterator<Item = f64>) -> Vec<f64> {
    values
        .scan(0.0, |sum, value| {
            *sum += value;
            Some(*sum)
        })
        .collect()
}

/// Every way to distribute k samples over the answers, with its multinomial probability.
#[must_use]
pub fn compositions(probabilities: &[f64], k: usize) -> Vec<(Vec<usize>, f64)> {
    let mut found = Vec::new();
    let mut counts = vec![0; probabilities.len()];
    place(probabilities, k, 1.0, &mut counts, 0, &mut found);
    found
}

fn place(
    probabilities: &[f64],
    n_left: usize,
    share: f64,
    counts: &mut [usize],
    answer: usize,
    found: &mut Vec<(Vec<usize>, f64)>,
) {
    if answer + 1 == probabilities.len() {
        let share = share * probabilities[answer].powi(n_left as i32);
        if share > 0.0 {
            counts[answer] = n_left;
            found.push((counts.to_vec(), share));
        }
        return;
    }
    // C(n_left, count) p^count, built up factor by factor.
    let mut factor = share;
    for count in 0..=n_left {
        if factor > 0.0 {
            counts[answer] = count;
            place(
                probabilities,
                n_left - count,
                factor,
                counts,
                answer + 1,
                found,
            );
        }
        factor *= probabilities[answer] * (n_left - count) as f64 / (count + 1) as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_add_up_to_one() {
        let total: f64 = compositions(&[0.2, 0.3, 0.1, 0.4], 5)
            .iter()
            .map(|(_, share)| share)
            .sum();
        assert!((total - 1.0).abs() < 1e-14);
        let modal = Modal::of_distribution(&[0.2, 0.3, 0.1], 4);
        assert!((modal.cumulative()[4] - 1.0).abs() < 1e-14);
        assert!((modal.wrong[0] - 0.4f64.powi(4)).abs() < 1e-15);
    }

    #[test]
    fn two_samples_with_fair_ties_change_nothing() {
        for answers in [
            vec![0.3, 0.7],
            vec![0.4, 0.35, 0.25],
            vec![0.1, 0.2, 0.3, 0.4],
        ] {
            let accuracy = Modal::of_distribution(&answers, 2).accuracy();
            assert!((accuracy - answers[0]).abs() < 1e-15);
        }
    }
}
