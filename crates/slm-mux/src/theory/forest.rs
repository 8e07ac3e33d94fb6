//! The exact accuracy of pooled votes for a few independent models, by enumeration of counts.

use super::modal::compositions;
use crate::rule::Ranking;

/// Ties between pooled answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolTie {
    /// Each tied answer with equal chance.
    Fair,
    /// The tied answer whose best supporting model ranks first; fair among answers of that model.
    Support,
}

/// The accuracy of the plurality of all n·k answers. `worlds` holds each model's probabilities of
/// the same answers, the right one first. The work grows with the product of the models' numbers of
/// outcomes.
#[must_use]
pub fn forest_accuracy(worlds: &[Vec<f64>], k: usize, ties: PoolTie, ranking: &Ranking) -> f64 {
    let n_answers = worlds.iter().map(Vec::len).max().unwrap_or(0);
    let outcomes: Vec<Vec<(Vec<usize>, f64)>> = worlds
        .iter()
        .map(|answers| {
            let mut padded = answers.clone();
            padded.resize(n_answers, 0.0);
            // No answer is the last column; it never votes.
            padded.push((1.0 - answers.iter().sum::<f64>()).max(0.0));
            compositions(&padded, k)
        })
        .collect();
    let vote = Vote {
        outcomes: &outcomes,
        n_answers,
        ties,
        ranking,
    };
    vote.sum(&mut Vec::new(), 1.0)
}

struct Vote<'a> {
    outcomes: &'a [Vec<(Vec<usize>, f64)>],
    n_answers: usize,
    ties: PoolTie,
    ranking: &'a Ranking,
}

impl<'a> Vote<'a> {
    fn sum(&self, drawn: &mut Vec<&'a [usize]>, share: f64) -> f64 {
        let Some(outcomes) = self.outcomes.get(drawn.len()) else {
            return share * self.right(drawn);
        };
        let mut sum = 0.0;
        for (counts, probability) in outcomes {
            drawn.push(counts);
            sum += self.sum(drawn, share * probability);
            drawn.pop();
        }
        sum
    }

    /// The probability that the vote is right, given what every model has drawn.
    fn right(&self, drawn: &[&[usize]]) -> f64 {
        let total = |answer: usize| drawn.iter().map(|counts| counts[answer]).sum::<usize>();
        let totals: Vec<usize> = (0..self.n_answers).map(total).collect();
        let most = totals.iter().copied().max().unwrap_or(0);
        if most == 0 {
            return 0.0;
        }
        let mut tied: Vec<usize> = (0..self.n_answers).filter(|a| totals[*a] == most).collect();
        if self.ties == PoolTie::Support {
            let best = |answer: &usize| {
                let supports = (0..drawn.len()).filter(|model| drawn[*model][*answer] > 0);
                supports.map(|model| self.ranking.place(model)).min()
            };
            let first = tied.iter().map(best).min().flatten();
            tied.retain(|answer| best(answer) == first);
        }
        if tied.contains(&0) {
            1.0 / tied.len() as f64
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::{Modal, rule_accuracy};

    #[test]
    fn one_model_alone_is_its_own_plurality() {
        let world = vec![0.4, 0.35, 0.25];
        for k in 1..=5 {
            let pooled = forest_accuracy(
                std::slice::from_ref(&world),
                k,
                PoolTie::Fair,
                &Ranking::list_order(1),
            );
            let own = Modal::of_distribution(&world, k).accuracy();
            assert!((pooled - own).abs() < 1e-14, "{k}");
        }
    }

    #[test]
    fn with_two_samples_of_two_models_only_ties_are_decided_differently() {
        // T8: where both are unanimous and disagree, the pool is tied 2 : 2, and support decides
        // as the rule does.
        let worlds = [vec![1.0, 0.0], vec![0.0, 1.0]];
        for (accuracies, expected) in [([0.9, 0.1], 1.0), ([0.1, 0.9], 0.0)] {
            let ranking = Ranking::by_accuracy(&accuracies);
            let forest = |ties| forest_accuracy(&worlds, 2, ties, &ranking);
            let modals = worlds.clone().map(|w| Modal::of_distribution(&w, 2));
            assert_eq!(forest(PoolTie::Fair), 0.5);
            assert_eq!(forest(PoolTie::Support), expected);
            assert_eq!(rule_accuracy(&modals, &ranking), expected);
        }
    }
}
