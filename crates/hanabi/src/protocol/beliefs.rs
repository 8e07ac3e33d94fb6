//! What everybody at the table can know and what an ideal reader makes of hints (§2.6), from views
//! and events alone.

use crate::rules::{
    ALL_IDENTITIES, Card, Colour, Event, HAND_SIZE_MAX, Hint, Knowledge, N_IDENTITIES, N_RANKS,
    PLAYERS_MAX, View,
};
use crate::world::{Intent, Kind};

/// A probability from here on counts as certain.
const CERTAIN: f64 = 0.999;
/// The smallest weight that makes an intent.
const WEIGHT_MIN: f64 = 0.02;
/// What a newer slot adds to the weight of Play.
const NEWER_SLOT: f64 = 0.05;
/// Weight of Save relative to Play.
const SAVE_WEIGHT: f64 = 1.44;
/// Weight of Dispose.
const DISPOSE_WEIGHT: f64 = 0.5;

/// Copies of every identity that may still be somewhere.
#[derive(Clone, Copy, Debug)]
pub struct Unseen([u8; N_IDENTITIES]);

impl Unseen {
    /// Probability that a card known to be in `mask` is in `set`; 0 if nothing of `mask` is left.
    pub fn probability(&self, set: u32, mask: u32) -> f64 {
        let over = |mask: u32| -> u32 {
            let identities = (0..N_IDENTITIES).filter(|identity| mask >> identity & 1 == 1);
            identities.map(|identity| u32::from(self.0[identity])).sum()
        };
        match over(mask & ALL_IDENTITIES) {
            0 => 0.0,
            all => f64::from(over(set & mask)) / f64::from(all),
        }
    }
}

/// What a state says about identities.
pub struct Masks {
    /// Copies neither discarded nor played.
    pub public: Unseen,
    /// Of these, without the other hands that the seat sees.
    pub own: Unseen,
    /// The next card of each colour, unless no copy is left.
    pub playable: u32,
    /// Played already, or out of reach.
    pub useless: u32,
    /// Still wanted, one copy left.
    pub critical: u32,
}

impl Masks {
    /// As the seat of `view` can compute them.
    pub fn of(view: &View<'_>) -> Self {
        let mut unseen = [0; N_IDENTITIES];
        let (mut playable, mut useless, mut critical) = (0, 0, 0);
        for colour in Colour::ALL {
            let height = view.fireworks()[colour.index()];
            let mut reachable = true;
            for rank in 1..=N_RANKS as u8 {
                let card = Card::new(colour, rank);
                let left = card.copies() - view.discarded()[card.index()];
                unseen[card.index()] = left - u8::from(rank <= height);
                if rank <= height || !reachable || left == 0 {
                    useless |= card.bit();
                } else {
                    playable |= if rank == height + 1 { card.bit() } else { 0 };
                    critical |= if left == 1 { card.bit() } else { 0 };
                }
                reachable &= rank <= height || left > 0;
            }
        }
        let mut own = unseen;
        for offset in 1..view.n_players() {
            for card in view.other(offset) {
                own[card.index()] -= 1;
            }
        }
        Self {
            public: Unseen(unseen),
            own: Unseen(own),
            playable,
            useless,
            critical,
        }
    }
}

/// Public notes on every slot, and what hints had told before the one just given.
#[derive(Clone, Debug)]
pub struct Beliefs {
    notes: [[Option<Kind>; HAND_SIZE_MAX]; PLAYERS_MAX],
    known: [[Knowledge; HAND_SIZE_MAX]; PLAYERS_MAX],
}

impl Default for Beliefs {
    fn default() -> Self {
        Self {
            notes: [[None; HAND_SIZE_MAX]; PLAYERS_MAX],
            known: [[Knowledge::NOTHING; HAND_SIZE_MAX]; PLAYERS_MAX],
        }
    }
}

impl Beliefs {
    /// What the ideal reading of past hints says of a slot.
    pub fn note(&self, seat: usize, slot: usize) -> Option<Kind> {
        self.notes[seat][slot]
    }

    /// The oldest slot without positive information and note.
    pub fn chop(&self, seat: usize, view: &View<'_>) -> Option<usize> {
        self.chop_of(seat, view.n_cards(seat))
    }

    fn chop_of(&self, seat: usize, n_cards: usize) -> Option<usize> {
        (0..n_cards)
            .find(|slot| is_unmarked(self.known[seat][*slot]) && self.note(seat, *slot).is_none())
    }

    /// I(h): the reading of a hint to seat `to` that everybody can compute before it is applied.
    pub fn ideal(&self, masks: &Masks, to: usize, hint: Hint, touched: u8) -> Intent {
        let chop = self.chop_of(to, HAND_SIZE_MAX);
        let mut best = (WEIGHT_MIN, Intent::INFO);
        let mut offer = |weight: f64, kind: Kind, slot: usize| {
            if weight > best.0 {
                best = (weight, Intent::about(kind, slot));
            }
        };
        for slot in (0..HAND_SIZE_MAX).filter(|slot| touched >> slot & 1 == 1) {
            let before = self.known[to][slot];
            let after = before.after(hint, true);
            if after == before {
                continue;
            }
            let probability = |set: u32| masks.public.probability(set, after.mask());
            if self.note(to, slot) != Some(Kind::Play) {
                let newer = 1.0 + NEWER_SLOT * slot as f64;
                offer(probability(masks.playable) * newer, Kind::Play, slot);
            }
            if chop == Some(slot) {
                let set = masks.critical & !masks.playable;
                offer(SAVE_WEIGHT * probability(set), Kind::Save, slot);
            }
            if probability(masks.useless) >= CERTAIN {
                offer(DISPOSE_WEIGHT, Kind::Dispose, slot);
            }
        }
        best.1
    }

    /// Hears what happened; `view` is the one after it.
    pub fn observe(&mut self, view: &View<'_>, event: &Event) {
        match *event {
            Event::Hinted {
                to, hint, touched, ..
            } => {
                let ideal = self.ideal(&Masks::of(view), usize::from(to), hint, touched);
                if ideal.kind != Kind::Info {
                    self.notes[usize::from(to)][usize::from(ideal.slot)] = Some(ideal.kind);
                }
            }
            Event::Discarded { seat, slot, .. } | Event::Played { seat, slot, .. } => {
                let notes = &mut self.notes[usize::from(seat)];
                notes.copy_within(usize::from(slot) + 1.., usize::from(slot));
                notes[HAND_SIZE_MAX - 1] = None;
            }
        }
        for seat in 0..view.n_players() {
            self.known[seat] = [Knowledge::NOTHING; HAND_SIZE_MAX];
            let known = view.knowledge(seat);
            self.known[seat][..known.len()].copy_from_slice(known);
        }
    }
}

/// Whether no hint has touched the slot: at least two colours and two ranks are possible.
pub fn is_unmarked(known: Knowledge) -> bool {
    known.n_colours() >= 2 && known.n_ranks() >= 2
}
