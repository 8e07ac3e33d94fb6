//! Value: Simple, and last copies are protected.

use rand_pcg::Pcg64Mcg;

use crate::rules::{
    Action, ActionId, Card, Colour, Event, Hint, N_IDENTITIES, N_RANKS, View, copies,
};

use super::Player;
use super::convention::{Notes, is_stall, next_rank, promised, slots};
use super::simple::{hints, stall};

/// The policy Value of §2.5.
#[derive(Clone, Debug)]
pub struct Value {
    notes: Notes,
    /// Discarded copies of each identity; `None` once it was played.
    gone: [Option<u8>; N_IDENTITIES],
}

impl Value {
    /// A player for a table of `n_players`.
    #[must_use]
    pub fn new(n_players: usize) -> Self {
        Self {
            notes: Notes::new(n_players),
            gone: [Some(0); N_IDENTITIES],
        }
    }

    fn is_last_copy(&self, card: Card) -> bool {
        self.gone[card.index()] == Some(card.copies() - 1)
    }

    /// Whether some colour's last copy of `rank` may be touched.
    fn could_be_valuable(&self, rank: u8) -> bool {
        Colour::ALL
            .into_iter()
            .any(|colour| self.is_last_copy(Card::new(colour, rank)))
    }

    /// The smallest rank that some colour has not played.
    fn lowest_missing(&self) -> u8 {
        let missing = |rank: &u8| {
            Colour::ALL
                .into_iter()
                .any(|colour| self.gone[Card::new(colour, *rank).index()].is_some())
        };
        (1..=N_RANKS as u8)
            .find(missing)
            .unwrap_or(N_RANKS as u8 + 1)
    }

    /// The slot that `seat` is expected to discard from next.
    fn next_discard(&self, view: &View<'_>, seat: usize) -> Option<usize> {
        let notes = &self.notes.of(seat)[..view.n_cards(seat)];
        if notes.iter().any(|note| note.playable || note.worthless) {
            return None;
        }
        notes.iter().position(|note| !note.valuable)
    }

    /// The best hint for the seat `offset` further, with the number of cards it newly promises.
    fn best_hint(&self, view: &View<'_>, offset: usize) -> (i32, Option<Action>) {
        let seat = (view.seat() + offset) % view.n_players();
        let cards = view.other(offset);
        let discard_rank = self
            .next_discard(view, seat)
            .map(|slot| cards[slot].rank())
            .filter(|rank| self.could_be_valuable(*rank));
        let mut best = (-1, None);
        for hint in hints() {
            // It would be read as a warning.
            if matches!(hint, Hint::Rank(rank) if Some(rank) == discard_rank) {
                continue;
            }
            if let Some(gain) = self.gain(view, seat, hint)
                && gain > best.0
            {
                let offset = offset as u8;
                best = (gain, Some(Action::Hint { offset, hint }));
            }
        }
        best
    }

    fn gain(&self, view: &View<'_>, seat: usize, hint: Hint) -> Option<i32> {
        let cards = view.hand(seat)?;
        let mut gain = 0;
        let mut touches = false;
        for (slot, card) in cards
            .iter()
            .enumerate()
            .filter(|(_, card)| hint.touches(**card))
        {
            touches = true;
            let note = self.notes.of(seat)[slot];
            if view.is_playable(*card) {
                gain += i32::from(!note.playable);
            } else if matches!(hint, Hint::Rank(_)) || note.rank.is_none() {
                return None;
            }
        }
        touches.then_some(gain)
    }

    /// A warning to the next seat, if it is about to discard a last copy.
    fn warning(&self, view: &View<'_>) -> Option<Action> {
        let next = (view.seat() + 1) % view.n_players();
        let card = view.other(1)[self.next_discard(view, next)?];
        if !self.is_last_copy(card) {
            return None;
        }
        let (gain, action) = self.best_hint(view, 1);
        let rank = Hint::Rank(card.rank());
        let plain = Action::Hint {
            offset: 1,
            hint: rank,
        };
        action.filter(|_| gain > 0).or(Some(plain))
    }

    fn best_hint_of_all(&self, view: &View<'_>) -> Option<Action> {
        let mut best = (0, None);
        for offset in 1..view.n_players() {
            let found = self.best_hint(view, offset);
            if found.0 > best.0 {
                best = found;
            }
        }
        best.1
    }

    fn discard(&self, view: &View<'_>) -> Action {
        let notes = &self.notes.of(view.seat())[..view.n_cards(view.seat())];
        let slot = notes
            .iter()
            .position(|note| note.worthless)
            .or_else(|| notes.iter().position(|note| !note.valuable))
            .or_else(|| {
                // The first of the highest noted ranks.
                let slots = (0..notes.len()).rev();
                slots.max_by_key(|slot| notes[*slot].rank.unwrap_or(0))
            });
        Action::Discard(slot.unwrap_or(0) as u8)
    }

    fn hear_colour(&mut self, view: &View<'_>, seat: usize, slot: usize, colour: Colour) {
        let next = next_rank(view, colour);
        let note = self.notes.slot_mut(seat, slot);
        note.colour = Some(colour);
        let rank = *note.rank.get_or_insert(next);
        // A complete colour has no next card: whatever is touched is worth nothing.
        let gone = (rank <= N_RANKS as u8)
            .then(|| self.gone[Card::new(colour, rank).index()])
            .flatten();
        match gone {
            None => note.worthless = true,
            Some(n_gone) => {
                note.playable |= rank == next;
                note.valuable |= n_gone == copies(rank) - 1;
            }
        }
    }

    fn hear_rank(&mut self, view: &View<'_>, seat: usize, touched: u8, rank: u8) {
        let low = self.lowest_missing();
        let discard = self.next_discard(view, seat);
        let warned =
            discard.filter(|slot| self.could_be_valuable(rank) && touched >> slot & 1 == 1);
        if let Some(slot) = warned {
            let note = self.notes.slot_mut(seat, slot);
            note.valuable = true;
            note.playable |= rank == low;
        }
        for slot in slots(touched) {
            let note = self.notes.slot_mut(seat, slot);
            note.rank = Some(rank);
            note.playable |= warned.is_none() && rank >= low;
        }
    }

    fn hear_success(&mut self, card: Card) {
        if !self.is_last_copy(card) {
            self.notes.clear_promises(card);
        }
        self.gone[card.index()] = None;
        if self.lowest_missing() > card.rank() {
            let done = Some(card.rank());
            let noted = self.notes.all_mut().filter(|note| note.rank == done);
            noted.for_each(|note| note.worthless = true);
        }
    }
}

impl Player for Value {
    fn act(&mut self, view: &View<'_>, _: &mut Pcg64Mcg) -> ActionId {
        let own = &self.notes.of(view.seat())[..view.n_cards(view.seat())];
        let tokens = view.tokens() > 0;
        let action = tokens
            .then(|| self.warning(view))
            .flatten()
            .or_else(|| promised(own).map(|slot| Action::Play(slot as u8)))
            .or_else(|| tokens.then(|| self.best_hint_of_all(view)).flatten())
            .or_else(|| {
                (view.tokens() == view.tokens_max())
                    .then(|| stall(view))
                    .flatten()
            })
            .unwrap_or_else(|| self.discard(view));
        view.id_of(action)
    }

    fn observe(&mut self, view: &View<'_>, event: &Event) {
        match *event {
            Event::Hinted {
                to, hint, touched, ..
            } => {
                let seat = usize::from(to);
                match hint {
                    Hint::Colour(colour) => {
                        slots(touched).for_each(|slot| self.hear_colour(view, seat, slot, colour));
                    }
                    Hint::Rank(_) if is_stall(event, view) => {}
                    Hint::Rank(rank) => self.hear_rank(view, seat, touched, rank),
                }
            }
            Event::Played {
                seat,
                slot,
                card,
                success: true,
                ..
            } => {
                self.notes.shift(usize::from(seat), usize::from(slot));
                self.hear_success(card);
            }
            Event::Played {
                seat, slot, card, ..
            }
            | Event::Discarded {
                seat, slot, card, ..
            } => {
                self.notes.shift(usize::from(seat), usize::from(slot));
                if let Some(n_gone) = &mut self.gone[card.index()] {
                    *n_gone += 1;
                }
            }
        }
    }
}
