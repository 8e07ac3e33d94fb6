//! Recommendations by hat guessing (Cox et al., Mathematics Magazine 88, 2015, 323–336).
//!
//! Every hand has a recommendation: a number of what its holder should do. A hint is one of
//! `2 (n − 1)` messages (whom, colour or rank) and says the sum of the recommendations of all other
//! hands modulo that number; each listener subtracts those it sees and is left with its own. No
//! hint
//! means anything in words: near-perfect play needs no theory of mind in the paper's sense.
//!
//! Deviation from the article: with fewer than five players a hint has fewer messages than the
//! eight
//! recommendations of a four-card hand, so only the first recommendations exist.

use rand_pcg::Pcg64Mcg;

use crate::rules::{Action, ActionId, Card, Event, Hint, N_RANKS, View};

use super::Player;

/// A player of the recommendation strategy.
#[derive(Clone, Debug)]
pub struct Hat {
    /// Own recommendation, once heard, until it is followed.
    told: Option<u8>,
    /// Cards played since the last hint.
    n_played: usize,
}

impl Hat {
    /// A player for a table of `n_players`.
    #[must_use]
    pub fn new(n_players: usize) -> Self {
        let _ = n_players;
        Self {
            told: None,
            n_played: 0,
        }
    }
}

/// Messages that a hint can carry.
fn n_messages(view: &View<'_>) -> u8 {
    2 * (view.n_players() as u8 - 1)
}

/// What a hand should do: `0..k` play that slot, `k..2k` discard slot − k, where `k` is half the
/// number of messages or the hand, whichever is less.
fn recommendation(view: &View<'_>, cards: &[Card]) -> u8 {
    let n_slots = cards.len().min(usize::from(n_messages(view)) / 2);
    let cards = &cards[..n_slots];
    let by = |wanted: &dyn Fn(Card) -> bool, key: &dyn Fn(Card) -> u8| {
        (0..n_slots)
            .filter(|slot| wanted(cards[*slot]))
            .min_by_key(|slot| key(cards[*slot]))
            .map(|slot| slot as u8)
    };
    let half = n_messages(view) / 2;
    let five = by(&|card| view.is_playable(card) && card.rank() == 5, &|_| 0);
    let playable = by(&|card| view.is_playable(card), &|card| card.rank());
    if let Some(slot) = five.or(playable) {
        return slot;
    }
    let dead = by(
        &|card| card.rank() <= view.fireworks()[card.colour().index()],
        &|_| 0,
    );
    let spare = by(
        &|card| view.discarded()[card.index()] + 1 < card.copies(),
        &|card| N_RANKS as u8 - card.rank(),
    );
    half + dead.or(spare).unwrap_or(0)
}

/// Sum of the recommendations of the hands that neither `without` nor the hinter `from` holds.
fn sum_without(view: &View<'_>, from: usize, without: Option<usize>) -> u8 {
    let seats = (0..view.n_players()).filter(|seat| *seat != from && Some(*seat) != without);
    let sum: u8 = seats
        .filter_map(|seat| view.hand(seat))
        .map(|cards| recommendation(view, cards))
        .sum();
    sum % n_messages(view)
}

impl Player for Hat {
    fn act(&mut self, view: &View<'_>, _: &mut Pcg64Mcg) -> ActionId {
        let half = n_messages(view) / 2;
        let n_cards = view.n_cards(view.seat()) as u8;
        let slot = self
            .told
            .map(|told| told % half)
            .filter(|slot| *slot < n_cards);
        let plays = self.told.is_some_and(|told| told < half);
        let follow = |slot| Action::Play(slot);
        let may_play = self.n_played == 0 || (self.n_played == 1 && view.lives() > 1);
        let action = match slot {
            Some(slot) if plays && may_play => follow(slot),
            _ if view.tokens() > 0 => hint(view),
            Some(slot) if !plays => Action::Discard(slot),
            _ => Action::Discard(0),
        };
        view.id_of(action)
    }

    fn observe(&mut self, view: &View<'_>, event: &Event) {
        match *event {
            Event::Hinted { from, to, hint, .. } => {
                let (from, to) = (usize::from(from), usize::from(to));
                let n_players = view.n_players();
                self.n_played = 0;
                if from == view.seat() {
                    self.told = None;
                    return;
                }
                let offset = (to + n_players - from) % n_players;
                let by_rank = u8::from(matches!(hint, Hint::Rank(_)));
                let message = 2 * (offset as u8 - 1) + by_rank;
                let others = sum_without(view, from, Some(view.seat()));
                let n_messages = n_messages(view);
                self.told = Some((message + n_messages - others) % n_messages);
            }
            Event::Played { seat, .. } => {
                self.n_played += 1;
                if usize::from(seat) == view.seat() {
                    self.told = None;
                }
            }
            Event::Discarded { seat, .. } => {
                if usize::from(seat) == view.seat() {
                    self.told = None;
                }
            }
        }
    }
}

/// The hint that says the sum of all other hands.
fn hint(view: &View<'_>) -> Action {
    let message = sum_without(view, view.seat(), None);
    let offset = message / 2 + 1;
    let card = view.other(usize::from(offset))[0];
    let hint = if message.is_multiple_of(2) {
        Hint::Colour(card.colour())
    } else {
        Hint::Rank(card.rank())
    };
    Action::Hint { offset, hint }
}
