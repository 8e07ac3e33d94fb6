//! What Simple and Value share: public notes on every slot and the clearing of promises.

use crate::rules::{Card, Colour, Event, HAND_SIZE_MAX, PLAYERS_MAX, View};

/// What everybody believes about one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) colour: Option<Colour>,
    pub(super) rank: Option<u8>,
    pub(super) playable: bool,
    pub(super) valuable: bool,
    pub(super) worthless: bool,
}

/// Notes on all slots of all seats; every seat computes the same.
#[derive(Clone, Debug)]
pub(super) struct Notes {
    n_players: usize,
    slots: [[Note; HAND_SIZE_MAX]; PLAYERS_MAX],
}

impl Notes {
    pub(super) fn new(n_players: usize) -> Self {
        Self {
            n_players,
            slots: [[Note::default(); HAND_SIZE_MAX]; PLAYERS_MAX],
        }
    }

    pub(super) fn of(&self, seat: usize) -> &[Note; HAND_SIZE_MAX] {
        &self.slots[seat]
    }

    pub(super) fn slot_mut(&mut self, seat: usize, slot: usize) -> &mut Note {
        &mut self.slots[seat][slot]
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Note> {
        self.slots[..self.n_players].iter_mut().flatten()
    }

    /// A card left `slot`: higher slots move down, the new card is unknown.
    pub(super) fn shift(&mut self, seat: usize, slot: usize) {
        let notes = &mut self.slots[seat];
        notes.copy_within(slot + 1.., slot);
        notes[HAND_SIZE_MAX - 1] = Note::default();
    }

    /// After `card` was played, promises that may have meant it are withdrawn.
    pub(super) fn clear_promises(&mut self, card: Card) {
        for note in self.all_mut().filter(|note| note.playable) {
            let another = note.rank == Some(5)
                || note.colour.is_some_and(|colour| colour != card.colour())
                || note.rank.is_some_and(|rank| rank != card.rank());
            note.playable = another;
        }
    }
}

/// The first of the promised slots with the lowest noted rank.
pub(super) fn promised(notes: &[Note]) -> Option<usize> {
    (0..notes.len())
        .filter(|slot| notes[*slot].playable)
        .min_by_key(|slot| notes[*slot].rank.unwrap_or(u8::MAX))
}

/// A hint by rank to the seat before, on its oldest card, while all tokens are there: it only
/// passes
/// time and promises nothing.
pub(super) fn is_stall(event: &Event, view: &View<'_>) -> bool {
    let Event::Hinted {
        from,
        to,
        hint: crate::rules::Hint::Rank(_),
        touched,
        tokens_before,
    } = event
    else {
        return false;
    };
    let before = (usize::from(*from) + view.n_players() - 1) % view.n_players();
    *tokens_before == view.tokens_max() && usize::from(*to) == before && touched & 1 == 1
}

/// Slots set in `touched`.
pub(super) fn slots(touched: u8) -> impl Iterator<Item = usize> {
    (0..HAND_SIZE_MAX).filter(move |slot| touched >> slot & 1 == 1)
}

/// The rank that `colour` needs next; 6 when it is complete.
pub(super) fn next_rank(view: &View<'_>, colour: Colour) -> u8 {
    view.fireworks()[colour.index()] + 1
}
