//! Cheat: sees all hands; marks the ceiling (§2.5).

use crate::rules::{Action, ActionId, Card, Colour, Game, Hint, N_COLOURS, N_RANKS};

/// Sees the whole table. Takes a [`Game`], which no fair player is ever handed.
#[derive(Clone, Copy, Debug)]
pub struct Cheat;

impl Cheat {
    /// The id of a legal move for the player to move.
    #[must_use]
    pub fn act(&self, game: &Game) -> ActionId {
        let action = play(game)
            .or_else(|| (game.tokens() < game.tokens_max()).then(|| discard(game)))
            .or_else(|| stall(game))
            .unwrap_or(Action::Play(0));
        game.id_of(action)
    }
}

/// A playable card, best one whose successor another seat holds, then the lowest.
fn play(game: &Game) -> Option<Action> {
    let others = || (1..game.n_players()).map(|offset| (game.seat() + offset) % game.n_players());
    let hand = game.hand(game.seat());
    let enables = |card: Card| {
        card.rank() < N_RANKS as u8 && {
            let successor = Card::new(card.colour(), card.rank() + 1);
            others().any(|seat| game.hand(seat).contains(&successor))
        }
    };
    (0..hand.len())
        .filter(|slot| game.is_playable(hand[*slot]))
        .min_by_key(|slot| (!enables(hand[*slot]), hand[*slot].rank()))
        .map(|slot| Action::Play(slot as u8))
}

/// A card to spare, while there are turns to spare; otherwise a hint passes time; last, the card
/// whose loss hurts least.
fn discard(game: &Game) -> Action {
    // Turns left beyond those that the missing points need: every discard costs one card of the
    // deck.
    let to_play = N_COLOURS as i32 * N_RANKS as i32 - i32::from(game.score_points());
    let turns_left = game.n_deck() as i32 + game.n_players() as i32;
    let others_play = (0..game.n_players()).any(|seat| {
        seat != game.seat() && game.hand(seat).iter().any(|card| game.is_playable(*card))
    });
    if (turns_left <= to_play || (others_play && game.tokens() > 1))
        && let Some(action) = stall(game)
    {
        return action;
    }
    let hand = game.hand(game.seat());
    if let Some(slot) = (0..hand.len()).find(|slot| is_spare(game, *slot)) {
        return Action::Discard(slot as u8);
    }
    if game.tokens() > 0
        && let Some(action) = stall(game)
    {
        return action;
    }
    let distance = |card: Card| {
        let height = game.fireworks()[card.colour().index()];
        (
            !is_last_copy(game, card),
            card.rank().saturating_sub(height),
        )
    };
    let slot = (0..hand.len()).max_by_key(|slot| distance(hand[*slot]));
    Action::Discard(slot.unwrap_or(0) as u8)
}

/// Whether the card is worthless, or somebody holds the same.
fn is_spare(game: &Game, slot: usize) -> bool {
    let hand = game.hand(game.seat());
    let card = hand[slot];
    if is_worthless(game, card) {
        return true;
    }
    let twin = |seat: usize| {
        let cards = game.hand(seat).iter().enumerate();
        cards
            .filter(|(place, one)| **one == card && (seat, *place) != (game.seat(), slot))
            .count()
            > 0
    };
    (0..game.n_players()).any(twin)
}

fn is_worthless(game: &Game, card: Card) -> bool {
    let height = game.fireworks()[card.colour().index()];
    card.rank() <= height
        || (height + 1..card.rank()).any(|rank| {
            let lower = Card::new(card.colour(), rank);
            game.discarded()[lower.index()] == lower.copies()
        })
}

fn is_last_copy(game: &Game, card: Card) -> bool {
    !is_worthless(game, card) && game.discarded()[card.index()] + 1 == card.copies()
}

/// Any hint.
fn stall(game: &Game) -> Option<Action> {
    if game.tokens() == 0 {
        return None;
    }
    let next = (game.seat() + 1) % game.n_players();
    let colour: Option<Colour> = game.hand(next).first().map(|card| card.colour());
    colour.map(|colour| Action::Hint {
        offset: 1,
        hint: Hint::Colour(colour),
    })
}
