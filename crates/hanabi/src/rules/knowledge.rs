//! What hints on a slot have left possible for it.

use super::action::Hint;
use super::card::{Colour, N_COLOURS, N_IDENTITIES, N_RANKS};

/// All 25 identities.
pub const ALL_IDENTITIES: u32 = (1 << N_IDENTITIES) - 1;

/// The identities of a colour.
#[must_use]
pub const fn colour_mask(colour: Colour) -> u32 {
    ((1 << N_RANKS) - 1) << (colour as usize * N_RANKS)
}

/// The identities of a rank, 1–5.
#[must_use]
pub const fn rank_mask(rank: u8) -> u32 {
    let mut mask = 0;
    let mut colour = 0;
    while colour < N_COLOURS {
        mask |= 1 << (colour * N_RANKS + rank as usize - 1);
        colour += 1;
    }
    mask
}

/// The identities that hints on this slot do not exclude. Counting (visible cards, discards) is
/// deliberately not part of it: see §2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knowledge(u32);

impl Knowledge {
    /// Nothing is known.
    pub const NOTHING: Self = Self(ALL_IDENTITIES);

    /// After a hint that touched the slot, or did not.
    #[must_use]
    pub const fn after(self, hint: Hint, touched: bool) -> Self {
        let mask = hint.mask();
        Self(self.0 & if touched { mask } else { !mask })
    }

    /// The identities still possible, one bit each.
    #[must_use]
    pub const fn mask(self) -> u32 {
        self.0
    }

    /// Whether `colour` is possible.
    #[must_use]
    pub const fn allows_colour(self, colour: Colour) -> bool {
        self.0 & colour_mask(colour) != 0
    }

    /// Whether `rank` is possible.
    #[must_use]
    pub const fn allows_rank(self, rank: u8) -> bool {
        self.0 & rank_mask(rank) != 0
    }

    /// How many colours are possible.
    #[must_use]
    pub fn n_colours(self) -> usize {
        let possible = Colour::ALL.into_iter();
        possible
            .filter(|colour| self.allows_colour(*colour))
            .count()
    }

    /// How many ranks are possible.
    #[must_use]
    pub fn n_ranks(self) -> usize {
        (1..=N_RANKS as u8)
            .filter(|rank| self.allows_rank(*rank))
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Card;

    #[test]
    fn knowledge_is_exactly_what_all_hints_allow() {
        let hints = Colour::ALL.map(Hint::Colour);
        let hints = hints.into_iter().chain((1..=5).map(Hint::Rank));
        for hint in hints {
            for identity in 0..N_IDENTITIES {
                let card = Card::from_index(identity);
                let touched = Knowledge::NOTHING.after(hint, true).mask() & card.bit() != 0;
                let missed = Knowledge::NOTHING.after(hint, false).mask() & card.bit() != 0;
                assert_eq!(touched, hint.touches(card));
                assert_eq!(missed, !hint.touches(card));
            }
        }
        let red_not_one = Knowledge::NOTHING
            .after(Hint::Colour(Colour::Red), true)
            .after(Hint::Rank(1), false);
        assert_eq!((red_not_one.n_colours(), red_not_one.n_ranks()), (1, 4));
    }
}
