//! Votes over the pooled answers of all models: Agent Forest, and what the second official code
//! simulates under the name of Algorithm 1.

use rand::{Rng, RngExt};

use super::policy::Ranking;
use crate::samples::{Code, NO_ANSWER};

/// How equally frequent answers of the pool are told apart. The order in which the authors of
/// SLM-MUX listed the answers is not known, so all are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForestTie {
    /// First seen, all samples of the first model first.
    FirstConcatenated,
    /// First seen, the first sample of every model first.
    FirstInterleaved,
    /// By chance.
    Random,
    /// The answer whose best supporting model comes first in the ranking (`af_support`): the
    /// offline simulator of the second official code.
    Support,
}

impl ForestTie {
    /// Every mode with its name in rows.
    pub const NAMED: [(&'static str, Self); 4] = [
        ("af-concatenated", Self::FirstConcatenated),
        ("af-interleaved", Self::FirstInterleaved),
        ("af-random", Self::Random),
        ("af-support", Self::Support),
    ];
}

/// The plurality of all answers of all models (Agent Forest, arXiv 2402.05120); `codes` holds the
/// samples model by model, `k` of each. [`NO_ANSWER`] where no sample has an answer.
#[must_use]
pub fn agent_forest(
    codes: &[Code],
    k: usize,
    ties: ForestTie,
    ranking: &Ranking,
    random: &mut impl Rng,
) -> Code {
    let candidates = most_frequent(codes);
    let [_, _, ..] = candidates.as_slice() else {
        return candidates.first().copied().unwrap_or(NO_ANSWER);
    };
    let first_place = |code: &Code, place: &dyn Fn(usize) -> usize| {
        let places = codes.iter().enumerate().filter(|(_, other)| *other == code);
        places.map(|(at, _)| place(at)).min()
    };
    let n_models = codes.len() / k.max(1);
    let chosen = match ties {
        ForestTie::FirstConcatenated => candidates.first(),
        ForestTie::FirstInterleaved => candidates
            .iter()
            .min_by_key(|code| first_place(code, &|at| (at % k) * n_models + at / k)),
        ForestTie::Random => candidates.get(random.random_range(0..candidates.len())),
        ForestTie::Support => candidates
            .iter()
            .min_by_key(|code| first_place(code, &|at| ranking.place(at / k))),
    };
    chosen.copied().unwrap_or(NO_ANSWER)
}

/// The most frequent answers in the order of their first appearance.
fn most_frequent(codes: &[Code]) -> Vec<Code> {
    let mut best = 0;
    let mut candidates = Vec::new();
    for (place, code) in codes.iter().enumerate() {
        if *code == NO_ANSWER || codes[..place].contains(code) {
            continue;
        }
        let count = codes[place..].iter().filter(|other| *other == code).count();
        if count > best {
            best = count;
            candidates.clear();
        }
        if count == best {
            candidates.push(*code);
        }
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn vote(codes: &[Code], k: usize, ties: ForestTie, accuracies: &[f64]) -> Code {
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(3);
        let ranking = Ranking::by_accuracy(accuracies);
        agent_forest(codes, k, ties, &ranking, &mut random)
    }

    #[test]
    fn a_clear_plurality_wins_in_every_mode() {
        for (name, ties) in ForestTie::NAMED {
            let codes = [1, 1, 2, 0, 0, 0];
            assert_eq!(vote(&codes, 3, ties, &[0.9, 0.1]), 0, "{name}");
        }
    }

    #[test]
    fn every_mode_breaks_ties_its_own_way() {
        // Two models, two samples: 3 4 | 4 3, each answer twice.
        let codes = [3, 4, 5, 4, 5, 3];
        let with = |ties, accuracies: &[f64]| vote(&codes, 2, ties, accuracies);
        let accuracies = [0.1, 0.2, 0.3];
        assert_eq!(with(ForestTie::FirstConcatenated, &accuracies), 3);
        // Interleaved: 3 5 5 | 4 4 3, so 3 is still first; another list tells them apart.
        assert_eq!(with(ForestTie::FirstInterleaved, &accuracies), 3);
        let apart = [3, 4, 4, 3];
        assert_eq!(vote(&apart, 2, ForestTie::FirstInterleaved, &[0.1, 0.2]), 3);
        let later = [4, 3, 3, 5, 4, 5];
        assert_eq!(vote(&later, 3, ForestTie::FirstInterleaved, &[0.1, 0.2]), 4);
        // Support: the best model, the third, has said 5 and 3; 3 comes first among them.
        assert_eq!(with(ForestTie::Support, &accuracies), 3);
        assert_eq!(vote(&[1, 1, 0, 0], 2, ForestTie::Support, &[0.1, 0.2]), 0);
        assert_eq!(vote(&[1, 1, 0, 0], 2, ForestTie::Support, &[0.2, 0.1]), 1);
    }

    #[test]
    fn interleaving_matters_where_the_first_model_is_late() {
        // Concatenated 1 2 | 2 1 sees 1 first; interleaved 1 2 2 1 too; 2 1 | 1 1 2.. differs.
        let codes = [2, 1, 9, 1, 2, 8];
        assert_eq!(
            vote(&codes, 3, ForestTie::FirstConcatenated, &[0.5, 0.5]),
            2
        );
        let codes = [7, 2, 2, 1, 1, 7];
        // Concatenated: 7 first. Interleaved: 7 1 2 1 2 7: 7 first as well, then 1 before 2.
        assert_eq!(vote(&codes, 3, ForestTie::FirstInterleaved, &[0.5, 0.5]), 7);
        let codes = [2, 2, 6, 1, 1, 5];
        let codes = [&codes[3..], &codes[..3]].concat();
        assert_eq!(
            vote(&codes, 3, ForestTie::FirstConcatenated, &[0.5, 0.5]),
            1
        );
        let codes = [6, 2, 2, 1, 1, 5];
        assert_eq!(
            vote(&codes, 3, ForestTie::FirstConcatenated, &[0.5, 0.5]),
            2
        );
        assert_eq!(vote(&codes, 3, ForestTie::FirstInterleaved, &[0.5, 0.5]), 1);
    }

    #[test]
    fn without_answers_there_is_none() {
        for (_, ties) in ForestTie::NAMED {
            assert_eq!(vote(&[NO_ANSWER; 4], 2, ties, &[0.5, 0.5]), NO_ANSWER);
        }
    }
}
