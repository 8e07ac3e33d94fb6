//! How many copies of every identity are still unseen, as two bit planes: a sum over a mask of
//! identities is two population counts.

use crate::rules::{Card, Game, N_IDENTITIES};

/// Counts from 0 to 3 of each identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    ones: u32,
    twos: u32,
}

impl Counts {
    /// Copies neither discarded nor played: what everybody knows to be in hands or deck.
    #[must_use]
    pub fn public(game: &Game) -> Self {
        let mut counts = Self { ones: 0, twos: 0 };
        for identity in 0..N_IDENTITIES {
            let card = Card::from_index(identity);
            let played = u8::from(game.fireworks()[card.colour().index()] >= card.rank());
            let left = card.copies() - game.discarded()[identity] - played;
            counts.ones |= u32::from(left & 1) << identity;
            counts.twos |= u32::from(left >> 1) << identity;
        }
        counts
    }

    /// The same without the cards that `seat` sees in other hands.
    #[must_use]
    pub fn seen_by(mut self, game: &Game, seat: usize) -> Self {
        for other in (0..game.n_players()).filter(|other| *other != seat) {
            for card in game.hand(other) {
                self.remove(*card);
            }
        }
        self
    }

    /// One copy of `card` is no longer unseen; there was one.
    pub(super) fn remove(&mut self, card: Card) {
        // Borrow from the twos where the ones are zero.
        let bit = card.bit();
        self.twos ^= bit & !self.ones;
        self.ones ^= bit;
    }

    /// Copies over the identities of `mask`.
    #[must_use]
    pub const fn over(self, mask: u32) -> u32 {
        (self.ones & mask).count_ones() + 2 * (self.twos & mask).count_ones()
    }

    /// Probability that a card known to be in `mask` is in `set`; 0 if nothing of `mask` is left.
    #[must_use]
    pub fn probability(self, set: u32, mask: u32) -> f64 {
        self.within(mask)(set)
    }

    /// The same for several sets and one mask.
    pub(super) fn within(self, mask: u32) -> impl Fn(u32) -> f64 {
        let all = f64::from(self.over(mask));
        move |set| match self.over(set & mask) {
            0 => 0.0,
            n => f64::from(n) / all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{ALL_IDENTITIES, Deck};

    #[test]
    fn counts_are_those_of_the_cards_one_by_one() {
        let game = Game::new(4, Deck::sorted()).unwrap();
        let public = Counts::public(&game);
        assert_eq!(public.over(ALL_IDENTITIES), 50);
        for seat in 0..4 {
            let own = public.seen_by(&game, seat);
            for identity in 0..N_IDENTITIES {
                let card = Card::from_index(identity);
                let seen: usize = (0..4)
                    .filter(|other| *other != seat)
                    .map(|other| game.hand(other).iter().filter(|one| **one == card).count())
                    .sum();
                assert_eq!(
                    own.over(card.bit()) as usize,
                    usize::from(card.copies()) - seen
                );
            }
        }
    }
}
