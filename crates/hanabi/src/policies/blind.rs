//! Blind: plays a random slot until the third failure.

use std::collections::BTreeMap;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use crate::rules::{ActionId, Event, LIVES_MAX, N_COLOURS, N_RANKS, View, copies};

use super::Player;

/// Plays a uniformly random slot; never hints or discards.
#[derive(Clone, Copy, Debug)]
pub struct Blind;

impl Player for Blind {
    fn act(&mut self, view: &View<'_>, rng: &mut Pcg64Mcg) -> ActionId {
        let slot = rng.random_range(0..view.n_cards(view.seat()) as u8);
        view.hand_size() as ActionId + slot
    }

    fn observe(&mut self, _: &View<'_>, _: &Event) {}
}

/// Exact expectation of the points of [`Blind`] (§3.6), the same for every number of players: cards
/// come in random order, and those that fit count until the third that does not.
///
/// The state is the multiset of colours by (height, failed copies by rank). Probabilities are
/// rationals summed in f64; the recursion has no subtraction, so the error stays at rounding level.
#[must_use]
pub fn expected_points() -> f64 {
    let mut memo = BTreeMap::new();
    expected([ColourState::default(); N_COLOURS], 0, &mut memo)
}

/// One colour: height of its firework and copies of each rank that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct ColourState {
    height: u8,
    failed: [u8; N_RANKS],
}

impl ColourState {
    /// Copies of `rank` not yet drawn.
    fn left(&self, rank: u8) -> u8 {
        let played = u8::from(rank <= self.height);
        copies(rank) - self.failed[usize::from(rank) - 1] - played
    }
}

type Memo = BTreeMap<([ColourState; N_COLOURS], u8), f64>;

fn expected(mut state: [ColourState; N_COLOURS], n_failed: u8, memo: &mut Memo) -> f64 {
    if n_failed == LIVES_MAX {
        return 0.0;
    }
    // Colours are interchangeable.
    state.sort_unstable();
    if let Some(known) = memo.get(&(state, n_failed)) {
        return *known;
    }
    let ranks = || 1..=N_RANKS as u8;
    let n_left: u32 = state
        .iter()
        .flat_map(|colour| ranks().map(|rank| u32::from(colour.left(rank))))
        .sum();
    let mut total = 0.0;
    for colour_idx in 0..N_COLOURS {
        for rank in ranks() {
            let n_copies = state[colour_idx].left(rank);
            if n_copies == 0 {
                continue;
            }
            let mut next = state;
            let fits = rank == next[colour_idx].height + 1;
            let gain = if fits {
                next[colour_idx].height += 1;
                1.0 + expected(next, n_failed, memo)
            } else {
                next[colour_idx].failed[usize::from(rank) - 1] += 1;
                expected(next, n_failed + 1, memo)
            };
            total += f64::from(n_copies) / f64::from(n_left) * gain;
        }
    }
    memo.insert((state, n_failed), total);
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expectation_is_the_exact_rational() {
        // Derived once in exact rational arithmetic from the same law (§3.6).
        let exact = 240_260_754_891_271_223_117_377_f64 / 191_411_572_321_076_267_160_000_f64;
        assert!((expected_points() - exact).abs() < 1e-12);
    }
}
