//! Algorithm 1: the answer of the model that agrees most with itself.

use rand::Rng;

use super::policy::{Denominator, FailedParse, Policy, Ranking};
use crate::samples::{Code, NO_ANSWER, REFERENCE, Tally, WithinTie};

/// What the rule decided on one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The model whose answer is taken; none where the question was given up or the pool is empty.
    pub model: Option<usize>,
    /// The answer; [`NO_ANSWER`] where nothing could be read.
    pub code: Code,
    /// Samples of that model that gave it.
    pub count: u32,
    /// How many models are equally confident.
    pub n_tied: u32,
    /// Whether the question ended after the first sample of each model.
    pub exited_early: bool,
    /// Samples drawn for the decision, all models together.
    pub n_samples: u32,
}

impl Choice {
    /// Whether the answer is the reference.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.code == REFERENCE
    }

    fn nothing(n_samples: u32) -> Self {
        Self {
            model: None,
            code: NO_ANSWER,
            count: 0,
            n_tied: 0,
            exited_early: false,
            n_samples,
        }
    }
}

/// Algorithm 1 on one question: `codes` holds the samples model by model, `k` of each.
///
/// Confidences are compared as counts, or as products of counts where denominators differ, never
/// as rounded fractions. `random` is drawn from only where the policy decides ties by chance.
///
/// Where no model has any answer, the first of the ranking is chosen with [`NO_ANSWER`]; with
/// k = 1 every readable answer has confidence 1, so the first of the ranking that has one is taken.
#[must_use]
pub fn mux(
    codes: &[Code],
    k: usize,
    policy: &Policy,
    ranking: &Ranking,
    random: &mut impl Rng,
) -> Choice {
    let n_samples = codes.len() as u32;
    if k == 0 || codes.is_empty() {
        return Choice::nothing(n_samples);
    }
    if policy.early_exit
        && let Some(code) = agreed_at_once(codes, k)
    {
        let n_models = (codes.len() / k) as u32;
        return Choice {
            model: ranking.order().first().copied(),
            code,
            count: 1,
            n_tied: n_models,
            exited_early: true,
            n_samples: n_models,
        };
    }
    if policy.failed == FailedParse::GiveUp && codes.contains(&NO_ANSWER) {
        return Choice::nothing(n_samples);
    }
    let tally = |samples: &[Code]| match policy.within {
        WithinTie::FirstSeen => Tally::of(samples),
        WithinTie::Random => Tally::with_random_tie(samples, random),
    };
    let tallies: Vec<Tally> = codes.chunks_exact(k).map(tally).collect();
    mux_of_tallies(&tallies, policy, ranking)
}

/// The last lines of Algorithm 1: the choice between models whose samples are counted.
#[must_use]
pub fn mux_of_tallies(tallies: &[Tally], policy: &Policy, ranking: &Ranking) -> Choice {
    let n_samples = tallies.iter().map(|tally| tally.n_samples).sum();
    let mut best: Option<(usize, Confidence)> = None;
    let mut n_tied = 0;
    for model in ranking.order() {
        let confidence = Confidence::of(&tallies[*model], policy);
        // Models come in the order of the ranking, so the first of equals stays.
        match best.map(|(_, best)| confidence.compare(best)) {
            None | Some(std::cmp::Ordering::Greater) => {
                best = Some((*model, confidence));
                n_tied = 1;
            }
            Some(std::cmp::Ordering::Equal) => n_tied += 1,
            Some(std::cmp::Ordering::Less) => {}
        }
    }
    let Some((model, _)) = best else {
        return Choice::nothing(n_samples);
    };
    Choice {
        model: Some(model),
        code: tallies[model].mode,
        count: tallies[model].count,
        n_tied,
        exited_early: false,
        n_samples,
    }
}

/// A confidence as a fraction of integers.
#[derive(Clone, Copy)]
struct Confidence {
    count: u32,
    of: u32,
}

impl Confidence {
    fn of(tally: &Tally, policy: &Policy) -> Self {
        let count = match policy.failed {
            FailedParse::NeverVotes | FailedParse::GiveUp => tally.count,
            // A failure stands alone with one vote, which matters only where no answer has one.
            FailedParse::Distinct => tally.count.max(u32::from(tally.n_samples > 0)),
            FailedParse::EmptyIfAll if tally.n_parsed == 0 => tally.n_samples,
            FailedParse::EmptyIfAll => tally.count,
        };
        let of = match policy.denominator {
            Denominator::Samples => tally.n_samples,
            Denominator::Parsed => tally.n_parsed,
        };
        Self {
            count,
            of: of.max(1),
        }
    }

    fn compare(self, other: Self) -> std::cmp::Ordering {
        let product = |a: u32, b: u32| u64::from(a) * u64::from(b);
        product(self.count, other.of).cmp(&product(other.count, self.of))
    }
}

/// The answer on which the first samples of all models agree.
fn agreed_at_once(codes: &[Code], k: usize) -> Option<Code> {
    let first = *codes.first()?;
    let agree = codes.iter().step_by(k).all(|code| *code == first);
    (agree && first != NO_ANSWER).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    const X: Code = NO_ANSWER;

    fn choose(codes: &[Code], k: usize, policy: &Policy, accuracies: &[f64]) -> Choice {
        let ranking = Ranking::of_policy(policy, accuracies, codes.len() / k);
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(0);
        mux(codes, k, policy, &ranking, &mut random)
    }

    fn default(codes: &[Code], k: usize, accuracies: &[f64]) -> (Option<usize>, Code) {
        let choice = choose(codes, k, &Policy::reproduction(), accuracies);
        (choice.model, choice.code)
    }

    #[test]
    fn the_most_confident_model_is_chosen() {
        assert_eq!(default(&[1, 2, 3, 0, 0, 4], 3, &[0.9, 0.1]), (Some(1), 0));
        assert_eq!(default(&[1, 1, 1, 0, 0, 4], 3, &[0.1, 0.9]), (Some(0), 1));
    }

    #[test]
    fn ties_go_to_the_higher_accuracy_then_to_the_list() {
        let codes = [1, 1, 2, 0, 0, 3];
        assert_eq!(default(&codes, 3, &[0.4, 0.6]), (Some(1), 0));
        assert_eq!(default(&codes, 3, &[0.6, 0.4]), (Some(0), 1));
        assert_eq!(default(&codes, 3, &[0.5, 0.5]), (Some(0), 1));
        // An empty validation split: list order.
        assert_eq!(default(&codes, 3, &[]), (Some(0), 1));
        let first = choose(&codes, 3, &Policy::first_code_math(), &[0.4, 0.6]);
        assert_eq!((first.model, first.n_tied), (Some(0), 2));
    }

    #[test]
    fn duplicate_models_tie_and_change_no_answer() {
        let one = [0, 0, 2];
        let codes = [one, one].concat();
        let choice = choose(&codes, 3, &Policy::reproduction(), &[0.5, 0.5]);
        assert_eq!((choice.code, choice.n_tied, choice.count), (0, 2, 2));
    }

    #[test]
    fn one_model_is_its_own_plurality() {
        assert_eq!(default(&[2, 0, 0], 3, &[0.1]), (Some(0), 0));
    }

    #[test]
    fn one_sample_means_the_best_model_that_has_an_answer() {
        assert_eq!(default(&[1, 0, 2], 1, &[0.1, 0.5, 0.4]), (Some(1), 0));
        assert_eq!(default(&[1, X, 2], 1, &[0.1, 0.5, 0.4]), (Some(2), 2));
    }

    #[test]
    fn without_any_answer_the_choice_is_empty_and_named() {
        let choice = choose(&[X; 6], 3, &Policy::reproduction(), &[0.1, 0.2]);
        assert_eq!((choice.model, choice.code), (Some(1), NO_ANSWER));
        assert_eq!((choice.count, choice.n_tied), (0, 2));
        assert!(!choice.is_right());
    }

    #[test]
    fn the_denominator_decides_whether_one_readable_answer_beats_four_of_five() {
        let codes = [0, 0, 0, 0, 7, X, X, 1, X, X];
        assert_eq!(default(&codes, 5, &[]), (Some(0), 0));
        let parsed = Policy {
            denominator: Denominator::Parsed,
            ..Policy::reproduction()
        };
        assert_eq!(choose(&codes, 5, &parsed, &[]).code, 1);
    }

    #[test]
    fn each_reading_of_failed_parses_decides_as_its_code_does() {
        let all_fail = [X, X, X, 0, 0, 2];
        let code = |policy: Policy| choose(&all_fail, 3, &policy, &[]).code;
        assert_eq!(code(Policy::reproduction()), 0);
        assert_eq!(code(Policy::first_code_math()), 0);
        // The empty answer has all three votes.
        assert_eq!(code(Policy::first_code_gsm8k()), NO_ANSWER);
        assert_eq!(
            choose(&all_fail, 3, &Policy::first_code_gpqa(), &[]).model,
            None
        );
        // A failure is one more answer that differs: three of three differ on both sides.
        let apart = [X, X, X, 0, 1, 2];
        let choice = choose(&apart, 3, &Policy::first_code_math(), &[]);
        assert_eq!((choice.code, choice.n_tied), (NO_ANSWER, 2));
    }

    #[test]
    fn agreement_at_once_costs_one_sample_a_model() {
        let policy = Policy {
            early_exit: true,
            ..Policy::reproduction()
        };
        let choice = choose(&[1, 0, 0, 1, 2, 2], 3, &policy, &[]);
        assert!(choice.exited_early);
        assert_eq!((choice.code, choice.n_samples), (1, 2));
        // No answer is no agreement.
        assert!(!choose(&[X, 0, 0, X, 2, 2], 3, &policy, &[]).exited_early);
        assert_eq!(choose(&[0, 0, 0, 1, 2, 2], 3, &policy, &[]).n_samples, 6);
    }

    #[test]
    fn an_empty_pool_chooses_nothing() {
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(0);
        let ranking = Ranking::list_order(0);
        let choice = mux(&[], 3, &Policy::reproduction(), &ranking, &mut random);
        assert_eq!((choice.model, choice.code), (None, NO_ANSWER));
    }

    #[test]
    fn a_pool_larger_than_sixty_four_is_like_any_other() {
        let mut codes: Vec<Code> = (0..100).flat_map(|model| [model, model + 200]).collect();
        codes[99 * 2..].copy_from_slice(&[0, 0]);
        assert_eq!(default(&codes, 2, &[]), (Some(99), 0));
    }
}
