//! Simple: every hint means "play these".

use rand_pcg::Pcg64Mcg;

use crate::rules::{Action, ActionId, Colour, Event, Hint, N_RANKS, View};

use super::Player;
use super::convention::{Notes, is_stall, next_rank, promised, slots};

/// The policy Simple of §2.5.
#[derive(Clone, Debug)]
pub struct Simple {
    notes: Notes,
}

impl Simple {
    /// A player for a table of `n_players`.
    #[must_use]
    pub fn new(n_players: usize) -> Self {
        Self {
            notes: Notes::new(n_players),
        }
    }

    /// The first hint with the most newly promised cards, if it has any.
    fn best_hint(&self, view: &View<'_>) -> Option<Action> {
        let mut best = (0, None);
        for offset in 1..view.n_players() {
            let seat = (view.seat() + offset) % view.n_players();
            for hint in hints() {
                if let Some(gain) = self.gain(view, seat, hint)
                    && gain > best.0
                {
                    let offset = offset as u8;
                    best = (gain, Some(Action::Hint { offset, hint }));
                }
            }
        }
        best.1
    }

    /// Newly promised cards, or `None` if the hint would promise a card that cannot be played.
    fn gain(&self, view: &View<'_>, seat: usize, hint: Hint) -> Option<usize> {
        let cards = view.hand(seat)?;
        let mut gain = 0;
        for (slot, card) in cards
            .iter()
            .enumerate()
            .filter(|(_, card)| hint.touches(**card))
        {
            if !view.is_playable(*card) {
                return None;
            }
            gain += usize::from(!self.notes.of(seat)[slot].playable);
        }
        Some(gain)
    }
}

/// Colours, then ranks.
pub(super) fn hints() -> impl Iterator<Item = Hint> {
    let colours = Colour::ALL.into_iter().map(Hint::Colour);
    colours.chain((1..=N_RANKS as u8).map(Hint::Rank))
}

/// The hint that only passes time: the rank of the oldest card of the seat before.
pub(super) fn stall(view: &View<'_>) -> Option<Action> {
    let offset = view.n_players() - 1;
    let card = view.other(offset).first()?;
    Some(Action::Hint {
        offset: offset as u8,
        hint: Hint::Rank(card.rank()),
    })
}

impl Player for Simple {
    fn act(&mut self, view: &View<'_>, _: &mut Pcg64Mcg) -> ActionId {
        let own = &self.notes.of(view.seat())[..view.n_cards(view.seat())];
        let action = promised(own)
            .map(|slot| Action::Play(slot as u8))
            .or_else(|| (view.tokens() > 0).then(|| self.best_hint(view)).flatten())
            .or_else(|| {
                (view.tokens() == view.tokens_max())
                    .then(|| stall(view))
                    .flatten()
            })
            .unwrap_or(Action::Discard(0));
        view.id_of(action)
    }

    fn observe(&mut self, view: &View<'_>, event: &Event) {
        match *event {
            Event::Hinted {
                to, hint, touched, ..
            } => {
                if is_stall(event, view) {
                    return;
                }
                for slot in slots(touched) {
                    let note = self.notes.slot_mut(usize::from(to), slot);
                    match hint {
                        Hint::Colour(colour) => {
                            note.colour = Some(colour);
                            note.rank = Some(next_rank(view, colour));
                        }
                        Hint::Rank(rank) => note.rank = Some(rank),
                    }
                    note.playable = true;
                }
            }
            Event::Discarded { seat, slot, .. } => {
                self.notes.shift(usize::from(seat), usize::from(slot));
            }
            Event::Played {
                seat, slot, card, ..
            } => {
                self.notes.shift(usize::from(seat), usize::from(slot));
                self.notes.clear_promises(card);
            }
        }
    }
}
