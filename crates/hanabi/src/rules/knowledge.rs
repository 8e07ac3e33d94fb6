//! What hints on a slot have left possible for it.

use super::action::Hint;
use super::card::{Card, Colour, N_COLOURS, N_IDENTITIES, N_RANKS};

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
    ONES << (rank - 1)
}

/// The five 1s.
const ONES: u32 = {
    let mut mask = 0;
    let mut colour = 0;
    while colour < N_COLOURS {
        mask |= 1 << (colour * N_RANKS);
        colour += 1;
    }
    mask
};

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
        self.after_mask(hint.mask(), touched)
    }

    /// The same for a hint whose mask is at hand.
    pub(super) const fn after_mask(self, mask: u32, touched: bool) -> Self {
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

    /// Whether at least two colours and two ranks are possible: no hint has touched the slot.
    #[must_use]
    pub const fn is_unmarked(self) -> bool {
        let lowest = Card::from_index(self.0.trailing_zeros() as usize);
        self.0 & !colour_mask(lowest.colour()) != 0 && self.0 & !rank_mask(lowest.rank()) != 0
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

    #[test]
    fn unmarked_slots_may_still_be_of_two_colours_and_two_ranks() {
        // Every set of colours and ranks, and masks that are no such product.
        let products = (0..32_u32).flat_map(|colours| {
            (0..32_u32).map(move |ranks| {
                let of =
                    |mask: u32, colour: usize| (mask * (colours >> colour & 1)) << (5 * colour);
                (0..N_COLOURS).fold(0, |mask, colour| mask | of(ranks, colour))
            })
        });
        let odd = (0..20_000_u32).map(|idx| idx.wrapping_mul(2_654_435_761) & ALL_IDENTITIES);
        for mask in products.chain(odd) {
            let known = Knowledge(mask);
            let counted = known.n_colours() >= 2 && known.n_ranks() >= 2;
            assert_eq!(known.is_unmarked(), counted, "{mask:b}");
        }
    }
}
