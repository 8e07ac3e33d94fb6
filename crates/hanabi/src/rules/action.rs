//! What a player can do, and the numbers by which recorded games name it.

use eval::{Error, Result};
use serde::{Deserialize, Serialize};

use super::card::{Card, Colour, N_COLOURS, N_RANKS};
use super::game::PLAYERS_MAX;
use super::knowledge::{colour_mask, rank_mask};

/// Number of an action: the ids of DeepMind's Hanabi Learning Environment (§2.1).
pub type ActionId = u8;

/// What a hint names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hint {
    /// All cards of a colour.
    Colour(Colour),
    /// All cards of a rank, 1–5.
    Rank(u8),
}

impl Hint {
    /// Whether it touches `card`.
    #[must_use]
    pub const fn touches(self, card: Card) -> bool {
        match self {
            Self::Colour(colour) => card.colour() as u8 == colour as u8,
            Self::Rank(rank) => card.rank() == rank,
        }
    }

    /// The identities that it touches, as a mask.
    #[must_use]
    pub const fn mask(self) -> u32 {
        match self {
            Self::Colour(colour) => colour_mask(colour),
            Self::Rank(rank) => rank_mask(rank),
        }
    }
}

/// One turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Discard the card in a slot (0 is the oldest).
    Discard(u8),
    /// Play the card in a slot.
    Play(u8),
    /// Tell the player `offset` seats further (1 is the next) about a colour or rank.
    Hint {
        /// Seats from the one who hints to the one who is told.
        offset: u8,
        /// What is told.
        hint: Hint,
    },
}

impl Action {
    /// How many ids there are for `n_players` with hands of `hand_size`.
    #[must_use]
    pub const fn n_ids(n_players: usize, hand_size: usize) -> usize {
        2 * hand_size + (n_players - 1) * (N_COLOURS + N_RANKS)
    }

    /// Its id: discards, plays, colour hints by offset, rank hints by offset.
    #[must_use]
    pub const fn id(self, n_players: usize, hand_size: usize) -> ActionId {
        let base = 2 * hand_size;
        let id = match self {
            Self::Discard(slot) => slot as usize,
            Self::Play(slot) => hand_size + slot as usize,
            Self::Hint { offset, hint } => {
                let before = (offset as usize - 1) * N_COLOURS;
                match hint {
                    Hint::Colour(colour) => base + before + colour as usize,
                    Hint::Rank(rank) => {
                        base + (n_players - 1) * N_COLOURS + before + rank as usize - 1
                    }
                }
            }
        };
        id as ActionId
    }

    /// The action with that id, or `None`.
    #[must_use]
    pub const fn from_id(id: ActionId, n_players: usize, hand_size: usize) -> Option<Self> {
        let id = id as usize;
        let base = 2 * hand_size;
        if id < hand_size {
            return Some(Self::Discard(id as u8));
        }
        if id < base {
            return Some(Self::Play((id - hand_size) as u8));
        }
        let n_colour_hints = (n_players - 1) * N_COLOURS;
        let place = id - base;
        if place < n_colour_hints {
            return Some(Self::Hint {
                offset: (place / N_COLOURS + 1) as u8,
                hint: Hint::Colour(Colour::from_index(place % N_COLOURS)),
            });
        }
        let place = place - n_colour_hints;
        if place < (n_players - 1) * N_RANKS {
            return Some(Self::Hint {
                offset: (place / N_RANKS + 1) as u8,
                hint: Hint::Rank((place % N_RANKS + 1) as u8),
            });
        }
        None
    }
}

/// Cards in a hand for a number of players.
///
/// # Errors
/// The game is for two to five.
pub fn hand_size(n_players: usize) -> Result<usize> {
    match n_players {
        2 | 3 => Ok(5),
        4..=PLAYERS_MAX => Ok(4),
        other => {
            Err(Error::inputs(format!("a game of {other} players"))
                .hint("Hanabi is for two to five"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_learning_environment() {
        for (n_players, n_ids) in [(2, 20), (3, 30), (4, 38), (5, 48)] {
            let hand_size = hand_size(n_players).unwrap();
            assert_eq!(Action::n_ids(n_players, hand_size), n_ids);
            for id in 0..n_ids {
                let action = Action::from_id(id as u8, n_players, hand_size).unwrap();
                assert_eq!(
                    usize::from(action.id(n_players, hand_size)),
                    id,
                    "{action:?}"
                );
            }
            assert_eq!(Action::from_id(n_ids as u8, n_players, hand_size), None);
        }
        let hint = Action::from_id(18, 2, 5).unwrap();
        assert_eq!(
            hint,
            Action::Hint {
                offset: 1,
                hint: Hint::Rank(4)
            }
        );
    }
}
