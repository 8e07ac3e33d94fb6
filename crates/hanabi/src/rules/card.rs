//! Cards and decks.

use std::fmt;

use eval::{Error, Result};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// Colours of the game.
pub const N_COLOURS: usize = 5;
/// Ranks of every colour.
pub const N_RANKS: usize = 5;
/// Different cards.
pub const N_IDENTITIES: usize = N_COLOURS * N_RANKS;
/// Cards of a deck.
pub const DECK_SIZE: usize = 50;

/// Copies of a card by its rank (1–5) in the deck.
#[must_use]
pub const fn copies(rank: u8) -> u8 {
    match rank {
        1 => 3,
        5 => 1,
        _ => 2,
    }
}

/// A colour, in the order of this project: R Y G W B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// Index 0.
    Red,
    /// Index 1.
    Yellow,
    /// Index 2.
    Green,
    /// Index 3.
    White,
    /// Index 4.
    Blue,
}

impl Colour {
    /// All colours in order.
    pub const ALL: [Self; N_COLOURS] = [
        Self::Red,
        Self::Yellow,
        Self::Green,
        Self::White,
        Self::Blue,
    ];

    /// The colour with index `colour_idx` (taken modulo five).
    #[must_use]
    pub const fn from_index(colour_idx: usize) -> Self {
        Self::ALL[colour_idx % N_COLOURS]
    }

    /// Place in [`Colour::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The letter in traces.
    #[must_use]
    pub const fn letter(self) -> char {
        ['R', 'Y', 'G', 'W', 'B'][self as usize]
    }

    /// The word in prompts.
    #[must_use]
    pub const fn word(self) -> &'static str {
        ["red", "yellow", "green", "white", "blue"][self as usize]
    }
}

/// Colour and rank of every identity: looked up in every move, where a division would be felt.
const COLOURS: [Colour; N_IDENTITIES] = {
    let mut colours = [Colour::Red; N_IDENTITIES];
    let mut identity = 0;
    while identity < N_IDENTITIES {
        colours[identity] = Colour::ALL[identity / N_RANKS];
        identity += 1;
    }
    colours
};
const RANKS: [u8; N_IDENTITIES] = {
    let mut ranks = [0; N_IDENTITIES];
    let mut identity = 0;
    while identity < N_IDENTITIES {
        ranks[identity] = (identity % N_RANKS) as u8 + 1;
        identity += 1;
    }
    ranks
};

/// A card's identity: colour and rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Card(u8);

impl Card {
    /// The card with that colour and rank.
    ///
    /// # Panics
    /// `rank` is not 1–5: a bug of the caller.
    #[must_use]
    pub const fn new(colour: Colour, rank: u8) -> Self {
        assert!(rank >= 1 && rank as usize <= N_RANKS, "ranks are 1 to 5");
        Self(colour as u8 * N_RANKS as u8 + rank - 1)
    }

    /// The card with identity `identity` (0–24, taken modulo 25): `colour · 5 + rank − 1`.
    #[must_use]
    pub const fn from_index(identity: usize) -> Self {
        Self((identity % N_IDENTITIES) as u8)
    }

    /// Its identity, 0–24.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Its colour.
    #[must_use]
    pub const fn colour(self) -> Colour {
        COLOURS[self.0 as usize]
    }

    /// Its rank, 1–5.
    #[must_use]
    pub const fn rank(self) -> u8 {
        RANKS[self.0 as usize]
    }

    /// Copies of it in the deck.
    #[must_use]
    pub const fn copies(self) -> u8 {
        copies(self.rank())
    }

    /// The bit of its identity in a mask of identities.
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << self.0
    }

    /// The card written as letter and rank (`R1`), or `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let [letter, digit] = text.as_bytes() else {
            return None;
        };
        let colour = Colour::ALL
            .into_iter()
            .find(|colour| colour.letter() == char::from(*letter))?;
        matches!(digit, b'1'..=b'5').then(|| Self::new(colour, digit - b'0'))
    }
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.colour().letter(), self.rank())
    }
}

/// The fifty cards in the order in which they are dealt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deck([Card; DECK_SIZE]);

impl Deck {
    /// The cards sorted by colour and rank.
    #[must_use]
    pub const fn sorted() -> Self {
        let mut cards = [Card(0); DECK_SIZE];
        let (mut place, mut identity) = (0, 0);
        while identity < N_IDENTITIES {
            let card = Card(identity as u8);
            let mut copy = 0;
            while copy < card.copies() {
                cards[place] = card;
                place += 1;
                copy += 1;
            }
            identity += 1;
        }
        Self(cards)
    }

    /// A uniformly random order.
    #[must_use]
    pub fn shuffled<R: Rng + ?Sized>(rng: &mut R) -> Self {
        const SORTED: Deck = Deck::sorted();
        let mut deck = SORTED;
        for last in (1..DECK_SIZE).rev() {
            deck.0
                .swap(last, rng.random_range(0..=last as u32) as usize);
        }
        deck
    }

    /// A deck from cards in dealing order.
    ///
    /// # Errors
    /// The cards are not exactly the fifty of the game.
    pub fn new(cards: &[Card]) -> Result<Self> {
        let mut counts = [0_u8; N_IDENTITIES];
        for card in cards {
            counts[card.index()] = counts[card.index()].saturating_add(1);
        }
        for (identity, count) in counts.into_iter().enumerate() {
            let card = Card::from_index(identity);
            if count != card.copies() {
                let wanted = card.copies();
                return Err(Error::inputs(format!(
                    "the deck holds {count} of card {card}, the game has {wanted}"
                ))
                .hint("a deck is 50 cards: per colour three 1s, two each of 2 to 4, one 5"));
            }
        }
        let mut deck = [Card(0); DECK_SIZE];
        deck.copy_from_slice(cards);
        Ok(Self(deck))
    }

    /// A deck written as fifty two-character cards in a row.
    ///
    /// # Errors
    /// Some card cannot be read, or the cards are not the fifty of the game.
    pub fn parse(text: &str) -> Result<Self> {
        let card = |(place, pair): (usize, &[u8])| {
            let text = std::str::from_utf8(pair).ok();
            text.and_then(Card::parse).ok_or_else(|| {
                let shown = String::from_utf8_lossy(pair);
                Error::inputs(format!(
                    "card {} of the deck is `{}`",
                    place + 1,
                    shown.escape_debug()
                ))
                .hint("a card is a letter of RYGWB and a rank from 1 to 5, like `R1`")
            })
        };
        if text.len() > 4 * DECK_SIZE {
            let length = text.len();
            return Err(Error::inputs(format!("a deck of {length} characters"))
                .hint("a deck is 50 cards of two characters"));
        }
        let cards = text.as_bytes().chunks(2).enumerate().map(card);
        Self::new(&cards.collect::<Result<Vec<Card>>>()?)
    }

    /// The card that is dealt as number `order` (from 0).
    #[must_use]
    pub const fn card(&self, order: usize) -> Card {
        self.0[order]
    }

    /// All cards in dealing order.
    #[must_use]
    pub const fn cards(&self) -> &[Card; DECK_SIZE] {
        &self.0
    }
}

impl fmt::Display for Deck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|card| write!(f, "{card}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_and_decks_read_back_what_they_write() {
        for identity in 0..N_IDENTITIES {
            let card = Card::from_index(identity);
            assert_eq!(Card::parse(&card.to_string()), Some(card));
            assert_eq!(Card::new(card.colour(), card.rank()), card);
        }
        let deck = Deck::sorted();
        assert_eq!(Deck::parse(&deck.to_string()).unwrap(), deck);
        assert!(deck.to_string().starts_with("R1R1R1R2R2R3R3R4R4R5Y1"));
    }

    #[test]
    fn fifty_cards_that_are_no_deck_are_refused() {
        let mut cards = Deck::sorted().cards().to_vec();
        cards[0] = cards[49];
        let error = Deck::new(&cards).unwrap_err().to_string();
        assert!(error.contains("2 of card R1"), "{error}");
        assert!(Deck::new(&cards[1..]).is_err());
        let odd = Deck::parse("R1X").unwrap_err().to_string();
        assert!(odd.contains("card 2 of the deck is `X`"), "{odd}");
        assert!(Deck::parse(&"R1".repeat(1000)).is_err());
    }

    #[test]
    fn shuffling_moves_every_card_everywhere() {
        use rand::SeedableRng;
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(1);
        let mut first = [0_u32; N_IDENTITIES];
        let n_decks = 50_000;
        for _ in 0..n_decks {
            first[Deck::shuffled(&mut rng).card(0).index()] += 1;
        }
        for (identity, count) in first.into_iter().enumerate() {
            let p = f64::from(Card::from_index(identity).copies()) / DECK_SIZE as f64;
            let sd = (f64::from(n_decks) * p * (1.0 - p)).sqrt();
            assert!((f64::from(count) - f64::from(n_decks) * p).abs() < 5.0 * sd);
        }
    }
}
