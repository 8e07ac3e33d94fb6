//! T3: the exact accuracy of Algorithm 1 for independent models, and T10: what it loses.

use super::modal::Modal;
use crate::rule::Ranking;

/// T3: `Σ_i Σ_s P_i(s,1) Π_{j above i} F_j(s−1) Π_{j below i} F_j(s)`, models above and below in
/// the ranking. All models must have the same k; a shorter one counts as never reaching more.
#[must_use]
pub fn rule_accuracy(models: &[Modal], ranking: &Ranking) -> f64 {
    let share = |model: usize, s: usize| models[model].right[s];
    let below: Vec<Vec<f64>> = models.iter().map(Modal::cumulative).collect();
    chosen(models, ranking, &share, &below, &below)
}

/// The probability that some model's mode is right: the limit of every selector, U*.
#[must_use]
pub fn oracle(models: &[Modal]) -> f64 {
    1.0 - models
        .iter()
        .map(|model| 1.0 - model.accuracy())
        .product::<f64>()
}

/// T10: what the rule loses against the best possible choice.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Regret {
    /// Accuracy of the rule.
    pub accuracy: f64,
    /// P(some mode is right): U*.
    pub oracle: f64,
    /// P(some mode is right, and a wrong one is strictly more confident than every right one).
    pub confidently_wrong: f64,
    /// P(a right mode is as confident as the wrong one that is chosen).
    pub tie_lost: f64,
}

/// The decomposition `U* − Acc = confidently wrong + tie lost`, each part by its own sum.
#[must_use]
pub fn regret(models: &[Modal], ranking: &Ranking) -> Regret {
    let share = |model: usize, s: usize| models[model].wrong[s];
    let all: Vec<Vec<f64>> = models.iter().map(Modal::cumulative).collect();
    // Nobody is right at exactly the winning count: F minus the right mass at s itself.
    let not_right_at: Vec<Vec<f64>> = models
        .iter()
        .zip(&all)
        .map(|(model, all)| all.iter().zip(&model.right).map(|(f, r)| f - r).collect())
        .collect();
    let only_wrong: Vec<Vec<f64>> = models.iter().map(Modal::cumulative_wrong).collect();
    let wrong = chosen(models, ranking, &share, &all, &all);
    let wrong_alone = chosen(models, ranking, &share, &all, &not_right_at);
    let nobody_right = chosen(models, ranking, &share, &only_wrong, &only_wrong);
    Regret {
        accuracy: rule_accuracy(models, ranking),
        oracle: oracle(models),
        confidently_wrong: wrong_alone - nobody_right,
        tie_lost: wrong - wrong_alone,
    }
}

/// `Σ_i Σ_s share(i, s) Π_{j above} above_j(s−1) Π_{j below} below_j(s)`.
fn chosen(
    models: &[Modal],
    ranking: &Ranking,
    share: &dyn Fn(usize, usize) -> f64,
    above: &[Vec<f64>],
    below: &[Vec<f64>],
) -> f64 {
    let k = models.iter().map(Modal::k).max().unwrap_or(0);
    let at = |values: &[f64], s: usize| values[s.min(values.len() - 1)];
    let mut sum = 0.0;
    for (place, model) in ranking.order().iter().enumerate() {
        for s in 0..=k.min(models[*model].k()) {
            let own = share(*model, s);
            if own == 0.0 {
                continue;
            }
            let mut product = own;
            for other in &ranking.order()[..place] {
                product *= if s == 0 {
                    0.0
                } else {
                    at(&above[*other], s - 1)
                };
            }
            for other in &ranking.order()[place + 1..] {
                product *= at(&below[*other], s);
            }
            sum += product;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_the_regret_add_up() {
        let worlds = [
            vec![
                vec![0.5, 0.3, 0.1],
                vec![0.2, 0.8],
                vec![0.4, 0.2, 0.2, 0.2],
            ],
            vec![vec![0.9, 0.1], vec![0.0, 1.0]],
        ];
        for world in worlds {
            let modals: Vec<Modal> = world
                .iter()
                .map(|answers| Modal::of_distribution(answers, 5))
                .collect();
            let found = regret(&modals, &Ranking::list_order(modals.len()));
            let sum = found.confidently_wrong + found.tie_lost;
            assert!((found.oracle - found.accuracy - sum).abs() < 1e-13);
            assert!(found.confidently_wrong >= 0.0 && found.tie_lost >= 0.0);
        }
    }

    #[test]
    fn a_tie_is_lost_only_to_a_higher_rank() {
        let right = Modal::of_distribution(&[1.0, 0.0], 3);
        let wrong = Modal::of_distribution(&[0.0, 1.0], 3);
        let models = [right, wrong];
        let first = regret(&models, &Ranking::list_order(2));
        assert_eq!((first.accuracy, first.tie_lost), (1.0, 0.0));
        let second = regret(&models, &Ranking::by_accuracy(&[0.0, 1.0]));
        assert_eq!((second.accuracy, second.tie_lost), (0.0, 1.0));
        assert_eq!(second.confidently_wrong, 0.0);
    }
}
