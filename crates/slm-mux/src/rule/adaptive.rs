//! Algorithm 1 with as few samples as its answer needs (X6).
//!
//! Samples are drawn in turn, one of every model at a time, and drawing stops as soon as no further
//! sample can change the answer that all k samples would give. So the answer is that of [`mux`]
//! with the default policy, always; only the cost differs.
//!
//! [`mux`]: super::mux

use super::policy::{Policy, Ranking};
use super::select::mux_of_tallies;
use crate::samples::{Code, Tally};

/// The answer and what it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adaptive {
    /// The answer.
    pub code: Code,
    /// Samples drawn, all models together.
    pub n_samples: u32,
}

/// Draws until the answer is settled; `codes` holds the samples model by model, `k` of each.
#[must_use]
pub fn adaptive(codes: &[Code], k: usize, ranking: &Ranking) -> Adaptive {
    let policy = Policy::reproduction();
    let n_models = codes.len() / k.max(1);
    for drawn in 1..k {
        let states: Vec<State> = codes
            .chunks_exact(k)
            .map(|samples| State::of(&samples[..drawn], k - drawn))
            .collect();
        if let Some(code) = settled(&states, ranking) {
            return Adaptive {
                code,
                n_samples: (drawn * n_models) as u32,
            };
        }
    }
    let tallies: Vec<Tally> = codes.chunks_exact(k.max(1)).map(Tally::of).collect();
    Adaptive {
        code: mux_of_tallies(&tallies, &policy, ranking).code,
        n_samples: codes.len() as u32,
    }
}

/// What is known of one model after some samples.
struct State {
    /// Its mode so far.
    mode: Code,
    /// The least its modal count can be in the end.
    count_min: u32,
    /// The most.
    count_max: u32,
    /// Whether no other answer can catch up with the mode.
    is_fixed: bool,
}

impl State {
    fn of(drawn: &[Code], n_left: usize) -> Self {
        let tally = Tally::of(drawn);
        let n_left = n_left as u32;
        let of_code = |code: Code| drawn.iter().filter(|c| **c == code).count() as u32;
        let others = drawn.iter().filter(|code| **code != tally.mode);
        let second = others
            .filter(|code| **code != crate::samples::NO_ANSWER)
            .map(|code| of_code(*code))
            .max()
            .unwrap_or(0);
        Self {
            mode: tally.mode,
            count_min: tally.count,
            count_max: tally.count + n_left,
            // An answer that draws level might have been seen first, so the lead must be larger.
            is_fixed: tally.count > second + n_left,
        }
    }
}

/// The answer that every model gives which can still be chosen.
fn settled(states: &[State], ranking: &Ranking) -> Option<Code> {
    let is_beaten = |model: usize| {
        (0..states.len()).any(|other| {
            let (least, most) = (states[other].count_min, states[model].count_max);
            least > most || (least == most && ranking.place(other) < ranking.place(model))
        })
    };
    let mut answer = None;
    for model in (0..states.len()).filter(|model| !is_beaten(*model)) {
        let state = &states[model];
        if !state.is_fixed || answer.is_some_and(|code| code != state.mode) {
            return None;
        }
        answer = Some(state.mode);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::mux;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn the_answer_is_that_of_all_samples_and_costs_no_more() {
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(7);
        let mut n_saved = 0;
        for _ in 0..20_000 {
            let k = random.random_range(1..=6);
            let n_models = random.random_range(1..=4);
            let n_answers = random.random_range(1..=4);
            let codes: Vec<Code> = (0..k * n_models)
                .map(|_| match random.random_range(0..=n_answers) {
                    0 => crate::samples::NO_ANSWER,
                    answer => answer,
                })
                .collect();
            let accuracies: Vec<f64> = (0..n_models).map(|_| random.random()).collect();
            let ranking = Ranking::by_accuracy(&accuracies);
            let whole = mux(&codes, k, &Policy::reproduction(), &ranking, &mut random);
            let short = adaptive(&codes, k, &ranking);
            assert_eq!(short.code, whole.code, "{codes:?} k = {k}");
            assert!(short.n_samples <= whole.n_samples);
            n_saved += u32::from(short.n_samples < whole.n_samples);
        }
        assert!(n_saved > 1000, "{n_saved}");
    }

    #[test]
    fn agreement_is_settled_after_a_majority() {
        let ranking = Ranking::list_order(2);
        let found = adaptive(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 5, &ranking);
        assert_eq!((found.code, found.n_samples), (0, 6));
    }
}
