//! The mode of one model's samples: Algorithm 1, the lines inside its loop.

use rand::{Rng, RngExt};

use super::table::{Code, NO_ANSWER, REFERENCE};

/// What happens when two answers of one model are equally frequent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithinTie {
    /// The one that was seen first; first official code. Samples are exchangeable, so on average
    /// this is the same as chance.
    FirstSeen,
    /// One by chance; second official code.
    Random,
}

/// The samples of one model on one question, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The most frequent answer, [`NO_ANSWER`] where no sample has one.
    pub mode: Code,
    /// How many samples gave it.
    pub count: u32,
    /// How many samples gave any answer.
    pub n_parsed: u32,
    /// How many samples there are.
    pub n_samples: u32,
    /// How many answers are as frequent as the mode, itself included; 0 without an answer.
    pub n_tied: u32,
    /// Whether the reference is among them.
    pub reference_tied: bool,
}

impl Tally {
    /// Counts samples; of equally frequent answers the one seen first is the mode. Texts without
    /// an answer never vote.
    #[must_use]
    pub fn of(codes: &[Code]) -> Self {
        Self::with_choice(codes, |_| 0)
    }

    /// The same with ties decided by chance.
    #[must_use]
    pub fn with_random_tie(codes: &[Code], random: &mut impl Rng) -> Self {
        Self::with_choice(codes, |n| random.random_range(0..n))
    }

    /// `choose` says which of n tied answers, in the order of their first appearance, is the mode.
    fn with_choice(codes: &[Code], choose: impl FnOnce(usize) -> usize) -> Self {
        let mut tally = Self {
            mode: NO_ANSWER,
            count: 0,
            n_parsed: 0,
            n_samples: codes.len() as u32,
            n_tied: 0,
            reference_tied: false,
        };
        // There are a few samples, so comparing all pairs beats any table.
        for (place, code) in codes.iter().enumerate() {
            if *code == NO_ANSWER {
                continue;
            }
            tally.n_parsed += 1;
            if codes[..place].contains(code) {
                continue;
            }
            let count = 1 + codes[place + 1..].iter().filter(|c| *c == code).count() as u32;
            if count > tally.count {
                (tally.mode, tally.count, tally.n_tied) = (*code, count, 1);
                tally.reference_tied = *code == REFERENCE;
            } else if count == tally.count {
                tally.n_tied += 1;
                tally.reference_tied |= *code == REFERENCE;
            }
        }
        if tally.n_tied > 1 {
            let chosen = choose(tally.n_tied as usize);
            tally.mode = nth_tied(codes, tally.count, chosen);
        }
        tally
    }

    /// Whether the mode is the reference.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.mode == REFERENCE
    }

    /// Whether all samples gave one and the same answer.
    #[must_use]
    pub fn is_unanimous(&self) -> bool {
        self.count == self.n_samples && self.count > 0
    }
}

/// The `nth` answer, in the order of first appearance, that occurs `count` times.
fn nth_tied(codes: &[Code], count: u32, nth: usize) -> Code {
    let first_seen = codes
        .iter()
        .enumerate()
        .filter(|(place, code)| **code != NO_ANSWER && !codes[..*place].contains(code))
        .map(|(_, code)| *code);
    let mut tied =
        first_seen.filter(|code| codes.iter().filter(|c| *c == code).count() as u32 == count);
    tied.nth(nth).unwrap_or(NO_ANSWER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn the_mode_is_the_most_frequent_answer_and_failures_never_vote() {
        let tally = Tally::of(&[3, NO_ANSWER, 1, 1, NO_ANSWER, NO_ANSWER]);
        assert_eq!((tally.mode, tally.count, tally.n_parsed), (1, 2, 3));
        assert!(!tally.is_right() && !tally.is_unanimous());
        assert_eq!(tally.n_tied, 1);
    }

    #[test]
    fn without_any_answer_nothing_has_a_vote() {
        let tally = Tally::of(&[NO_ANSWER; 4]);
        assert_eq!((tally.mode, tally.count, tally.n_tied), (NO_ANSWER, 0, 0));
        assert!(!tally.is_right() && !tally.is_unanimous());
    }

    #[test]
    fn ties_go_to_the_first_seen_or_to_each_with_equal_chance() {
        let codes = [2, 0, 0, 2, 5];
        assert_eq!(Tally::of(&codes).mode, 2);
        assert!(Tally::of(&codes).reference_tied);
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(1);
        let n_right = (0..1000)
            .filter(|_| Tally::with_random_tie(&codes, &mut random).is_right())
            .count();
        // Six standard deviations around one half.
        assert!(n_right.abs_diff(500) < 95, "{n_right}");
    }

    #[test]
    fn one_sample_is_unanimous() {
        assert!(Tally::of(&[0]).is_unanimous());
    }
}
