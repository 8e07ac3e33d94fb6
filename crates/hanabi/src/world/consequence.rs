//! What became of hints to play a card: was the card played next, and for the right reason?

use eval::Result;

use super::intent::Kind;
use super::play::{Regime, WorldGame};
use crate::rules::{Action, Game};

/// What the one who was told to play a card did at the next own move (question Q3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consequence {
    /// Whether the hint was read as it was meant: F = R.
    pub understood: bool,
    /// Whether the card that was meant was played.
    pub played: bool,
}

/// A hint that waits for its recipient's move.
struct Waiting {
    to: usize,
    /// Place in the deck of the card that was meant.
    order: u8,
    understood: bool,
}

impl WorldGame {
    /// The consequences of the hints by which the hinter meant that a card be played, but for those
    /// whose recipient had no further move.
    ///
    /// # Errors
    /// The game was played in another regime.
    pub fn consequences(&self, regime: Regime) -> Result<Vec<Consequence>> {
        let Regime { tokens, lives } = regime;
        let deck = *self.game.deck();
        let mut game = Game::with_limits(self.game.n_players(), deck, tokens, lives)?;
        let mut hints = self.hints.iter();
        let (mut waiting, mut found) = (Vec::<Waiting>::new(), Vec::new());
        for id in &self.actions {
            let seat = game.seat();
            let played = match game.action(*id) {
                Some(Action::Play(slot)) => Some(game.orders(seat)[usize::from(slot)]),
                _ => None,
            };
            waiting.retain(|hint| {
                if hint.to == seat {
                    found.push(Consequence {
                        understood: hint.understood,
                        played: played == Some(hint.order),
                    });
                }
                hint.to != seat
            });
            if matches!(game.action(*id), Some(Action::Hint { .. }))
                && let Some(hint) = hints.next()
                && hint.rationale.kind == Kind::Play
            {
                let to = usize::from(hint.to);
                waiting.push(Waiting {
                    to,
                    order: game.orders(to)[usize::from(hint.rationale.slot)],
                    understood: hint.reading == hint.rationale,
                });
            }
            game.apply(*id)?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Deck;
    use crate::world::{HintRecord, Intent};

    fn hint(rationale: Intent, reading: Intent) -> HintRecord {
        HintRecord {
            from: 0,
            to: 1,
            rationale,
            prediction: rationale,
            reading,
            ideal: rationale,
            blunder: false,
        }
    }

    /// Seat 0 tells seat 1 red or threes; seat 1 then makes the second move.
    fn after(reply: u8, reading: Intent) -> Vec<Consequence> {
        let regime = Regime::STANDARD;
        let mut game = Game::new(2, Deck::sorted()).unwrap();
        let actions = vec![10, reply];
        for id in &actions {
            game.apply(*id).unwrap();
        }
        let meant = Intent::about(Kind::Play, 2);
        let hints = vec![hint(meant, reading)];
        WorldGame {
            game,
            hints,
            actions,
        }
        .consequences(regime)
        .unwrap()
    }

    #[test]
    fn a_card_is_played_or_not_and_for_its_reason_or_another() {
        let meant = Intent::about(Kind::Play, 2);
        let other = Intent::about(Kind::Play, 1);
        for (reply, reading, understood, played) in [
            (7, meant, true, true),
            (6, meant, true, false),
            (7, other, false, true),
            (6, other, false, false),
            // Not a play at all: the same slot is discarded.
            (2, meant, true, false),
        ] {
            let wanted = Consequence { understood, played };
            assert_eq!(after(reply, reading), [wanted], "{reply} {reading:?}");
        }
    }
}
