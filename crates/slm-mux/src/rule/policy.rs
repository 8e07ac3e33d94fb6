//! The points that Algorithm 1 leaves open, each as a named option.

use crate::samples::WithinTie;

/// What happens when two models are equally confident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BetweenTie {
    /// The one with the higher validation accuracy, then list order; paper and second official
    /// code. Without validation data it is list order.
    Accuracy,
    /// The earliest in the list; first official code.
    ListOrder,
}

/// What a text without an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedParse {
    /// It never votes; our default, and the second official code.
    NeverVotes,
    /// It counts as an answer that nobody else gives; first official code on MATH, which puts a
    /// random integer in its place. A model whose samples all fail is then as confident as one
    /// whose answers all differ.
    Distinct,
    /// It never votes, unless all samples of the model fail: then they agree on the empty answer;
    /// first official code on GSM8K.
    EmptyIfAll,
    /// The whole question is given up and counts as wrong; first official code on GPQA, which
    /// raises an error.
    GiveUp,
}

/// What the confidence divides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denominator {
    /// All k samples; our default.
    Samples,
    /// Those with an answer; second official code. One readable answer of five has confidence 1
    /// there.
    Parsed,
}

/// How Algorithm 1 is carried out where the paper leaves it open (§2.1 of the specification).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Ties between answers of one model.
    pub within: WithinTie,
    /// Ties between models.
    pub between: BetweenTie,
    /// Texts without an answer.
    pub failed: FailedParse,
    /// What the confidence divides by.
    pub denominator: Denominator,
    /// Whether all models agreeing on their first sample ends the question there.
    pub early_exit: bool,
}

impl Policy {
    /// The defaults of this reproduction.
    #[must_use]
    pub fn reproduction() -> Self {
        Self {
            within: WithinTie::FirstSeen,
            between: BetweenTie::Accuracy,
            failed: FailedParse::NeverVotes,
            denominator: Denominator::Samples,
            early_exit: false,
        }
    }

    /// The first official code on MATH.
    #[must_use]
    pub fn first_code_math() -> Self {
        Self {
            between: BetweenTie::ListOrder,
            failed: FailedParse::Distinct,
            ..Self::reproduction()
        }
    }

    /// The first official code on GSM8K.
    #[must_use]
    pub fn first_code_gsm8k() -> Self {
        Self {
            between: BetweenTie::ListOrder,
            failed: FailedParse::EmptyIfAll,
            ..Self::reproduction()
        }
    }

    /// The first official code on GPQA.
    #[must_use]
    pub fn first_code_gpqa() -> Self {
        Self {
            between: BetweenTie::ListOrder,
            failed: FailedParse::GiveUp,
            early_exit: true,
            ..Self::reproduction()
        }
    }

    /// The second official code's live engine.
    #[must_use]
    pub fn second_code() -> Self {
        Self {
            within: WithinTie::Random,
            denominator: Denominator::Parsed,
            ..Self::reproduction()
        }
    }

    /// Every policy with its name in rows and on the command line.
    #[must_use]
    pub fn named() -> [(&'static str, Self); 7] {
        [
            ("reproduction", Self::reproduction()),
            (
                "parsed-denominator",
                Self {
                    denominator: Denominator::Parsed,
                    ..Self::reproduction()
                },
            ),
            (
                "early-exit",
                Self {
                    early_exit: true,
                    ..Self::reproduction()
                },
            ),
            ("first-code-math", Self::first_code_math()),
            ("first-code-gsm8k", Self::first_code_gsm8k()),
            ("first-code-gpqa", Self::first_code_gpqa()),
            ("second-code", Self::second_code()),
        ]
    }
}

/// Who wins a tie between models: an order without ties, from validation accuracy or the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranking {
    /// Models from first to last choice.
    order: Vec<usize>,
    /// Place of each model in `order`.
    places: Vec<usize>,
}

impl Ranking {
    /// List order of `n` models.
    #[must_use]
    pub fn list_order(n: usize) -> Self {
        Self::of_order((0..n).collect())
    }

    /// By validation accuracy, highest first; equal ones, and any that is no number, by list
    /// order. Each model needs an accuracy.
    #[must_use]
    pub fn by_accuracy(accuracies: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..accuracies.len()).collect();
        let key = |model: &usize| {
            let accuracy = accuracies[*model];
            if accuracy.is_nan() { -1.0 } else { accuracy }
        };
        order.sort_by(|a, b| key(b).total_cmp(&key(a)));
        Self::of_order(order)
    }

    /// As the policy says for `n` models; an empty validation split (no accuracies) leaves list
    /// order.
    #[must_use]
    pub fn of_policy(policy: &Policy, accuracies: &[f64], n: usize) -> Self {
        match policy.between {
            BetweenTie::Accuracy if accuracies.len() == n => Self::by_accuracy(accuracies),
            BetweenTie::Accuracy | BetweenTie::ListOrder => Self::list_order(n),
        }
    }

    /// Models from first to last choice.
    #[must_use]
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The place of a model, 0 for the first choice.
    #[must_use]
    pub fn place(&self, model: usize) -> usize {
        self.places[model]
    }

    /// The ranking among some of the models, which keep their order.
    #[must_use]
    pub fn of_models(&self, models: &[usize]) -> Self {
        let mut order: Vec<usize> = (0..models.len()).collect();
        order.sort_by_key(|idx| self.places[models[*idx]]);
        Self::of_order(order)
    }

    fn of_order(order: Vec<usize>) -> Self {
        let mut places = vec![0; order.len()];
        for (place, model) in order.iter().enumerate() {
            places[*model] = place;
        }
        Self { order, places }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_accuracies_keep_the_list_order() {
        let ranking = Ranking::by_accuracy(&[0.5, 0.7, 0.5, f64::NAN, 0.7]);
        assert_eq!(ranking.order(), [1, 4, 0, 2, 3]);
        assert_eq!(ranking.place(0), 2);
        assert_eq!(ranking.of_models(&[0, 1, 2]).order(), [1, 0, 2]);
    }

    #[test]
    fn without_validation_data_the_list_decides() {
        let policy = Policy::reproduction();
        assert_eq!(Ranking::of_policy(&policy, &[], 3), Ranking::list_order(3));
        let first = Policy::first_code_math();
        let ranking = Ranking::of_policy(&first, &[0.1, 0.9], 2);
        assert_eq!(ranking, Ranking::list_order(2));
    }
}
