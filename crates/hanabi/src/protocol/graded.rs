//! A graded player of Intent world (§2.6) in a seat of any table.
//!
//! [`crate::world::World`] plays tables of graded players only, and fast; here the same player sees
//! the game through [`View`] alone, so that it can sit beside bots and language models. A test
//! compares the two move by move.

use eval::Result;
use model::chat::BoxFuture;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::beliefs::{Beliefs, Masks, is_unmarked};
use super::player::{HintHeard, Player, Reading, Replies, Turn};
use super::statement::Statement;
use crate::policies::pick;
use crate::rules::{Action, ActionId, Card, Event, HAND_SIZE_MAX, Hint, View};
use crate::world::{Ability, Intent, Kind};

/// A probability from here on counts as certain.
const CERTAIN: f64 = 0.999;
/// The least probability at which a card noted as Play is played, and the same with one life left.
const TRUST: [f64; 2] = [0.05, 0.35];

/// A player with set abilities whose intents are known.
pub struct Graded {
    name: String,
    ability: Ability,
    /// What everybody can know.
    public: Beliefs,
    /// What this seat itself read into the hints it got.
    own: [Option<Kind>; HAND_SIZE_MAX],
    reading: Option<Intent>,
    rng: Pcg64Mcg,
}

impl Graded {
    /// A player with abilities `ability`; `seed` moves its chances.
    #[must_use]
    pub fn new(ability: Ability, seed: u64) -> Self {
        let Ability {
            first_order,
            second_order,
            skill,
        } = ability;
        Self {
            name: format!("intent:{first_order},{second_order},{skill}"),
            ability,
            public: Beliefs::default(),
            own: [None; HAND_SIZE_MAX],
            reading: None,
            rng: Pcg64Mcg::seed_from_u64(seed),
        }
    }

    fn choose(&mut self, view: &View<'_>) -> (ActionId, Intent) {
        if !self.rng.random_bool(self.ability.skill) {
            return (pick(view.legal(), &mut self.rng), Intent::INFO);
        }
        let masks = Masks::of(view);
        if let Some(slot) = self.slot_to_play(view, &masks) {
            return (view.id_of(Action::Play(slot as u8)), Intent::INFO);
        }
        if view.tokens() > 0
            && let Some(hint) = self.useful_hint(view, &masks)
        {
            return hint;
        }
        if view.tokens() < view.tokens_max() {
            let slot = self.slot_to_discard(view, &masks);
            return (view.id_of(Action::Discard(slot as u8)), Intent::INFO);
        }
        self.stall(view, &masks)
    }

    fn slot_to_play(&self, view: &View<'_>, masks: &Masks) -> Option<usize> {
        let trust = TRUST[usize::from(view.lives() == 1)];
        let mut best = (f64::NEG_INFINITY, None);
        for (slot, known) in view.knowledge(view.seat()).iter().enumerate() {
            let p = masks.own.probability(masks.playable, known.mask());
            let noted = self.own[slot] == Some(Kind::Play);
            let worth = p + if noted { 0.5 } else { 0.0 };
            if (p >= CERTAIN || (noted && p >= trust)) && worth > best.0 {
                best = (worth, Some(slot));
            }
        }
        best.1
    }

    fn useful_hint(&mut self, view: &View<'_>, masks: &Masks) -> Option<(ActionId, Intent)> {
        let n_players = view.n_players();
        for offset in 1..n_players {
            let to = (view.seat() + offset) % n_players;
            let hand = view.other(offset);
            for slot in (0..hand.len()).rev() {
                let wanted = masks.playable & hand[slot].bit() != 0
                    && self.public.note(to, slot) != Some(Kind::Play)
                    && !self.is_promised(view, hand[slot], (to, slot));
                let intent = Intent::about(Kind::Play, slot);
                if wanted && let Some(id) = self.express(view, masks, intent, offset) {
                    return Some((id, intent));
                }
            }
        }
        let chop = self.public.chop((view.seat() + 1) % n_players, view)?;
        let intent = Intent::about(Kind::Save, chop);
        let critical = masks.critical & view.other(1)[chop].bit() != 0;
        let id = critical.then(|| self.express(view, masks, intent, 1));
        Some((id.flatten()?, intent))
    }

    /// Whether another copy that the player sees is publicly noted as Play.
    fn is_promised(&self, view: &View<'_>, card: Card, but: (usize, usize)) -> bool {
        (1..view.n_players()).any(|offset| {
            let seat = (view.seat() + offset) % view.n_players();
            let mut hand = view.other(offset).iter().enumerate();
            hand.any(|(slot, one)| {
                let noted = self.public.note(seat, slot) == Some(Kind::Play);
                *one == card && (seat, slot) != but && noted
            })
        })
    }

    /// A hint for an intent: with the second ability one that is read as it is meant.
    fn express(
        &mut self,
        view: &View<'_>,
        masks: &Masks,
        intent: Intent,
        offset: usize,
    ) -> Option<ActionId> {
        let to = (view.seat() + offset) % view.n_players();
        let hand = view.other(offset);
        let card = hand[usize::from(intent.slot)];
        let hints = [Hint::Colour(card.colour()), Hint::Rank(card.rank())];
        let hint = if self.rng.random_bool(self.ability.second_order) {
            let understood = hints
                .into_iter()
                .filter(|hint| self.public.ideal(masks, to, *hint, touched(hand, *hint)) == intent);
            // The first of those that touch the most cards.
            understood
                .rev()
                .max_by_key(|hint| touched(hand, *hint).count_ones())?
        } else {
            hints[usize::from(self.rng.random_bool(0.5))]
        };
        Some(view.id_of(Action::Hint {
            offset: offset as u8,
            hint,
        }))
    }

    fn slot_to_discard(&self, view: &View<'_>, masks: &Masks) -> usize {
        let knowledge = view.knowledge(view.seat());
        let slots = || 0..knowledge.len();
        let useless = |slot: &usize| {
            self.own[*slot] == Some(Kind::Dispose)
                || masks
                    .own
                    .probability(masks.useless, knowledge[*slot].mask())
                    >= CERTAIN
        };
        let kept = |slot: &usize| matches!(self.own[*slot], Some(Kind::Save | Kind::Play));
        let unmarked = |slot: &usize| is_unmarked(knowledge[*slot]) && self.own[*slot].is_none();
        slots()
            .find(useless)
            .or_else(|| slots().find(unmarked))
            .or_else(|| slots().find(|slot| !kept(slot)))
            .unwrap_or(0)
    }

    /// All tokens are there and nothing is to be said: a hint that promises nothing.
    fn stall(&mut self, view: &View<'_>, masks: &Masks) -> (ActionId, Intent) {
        let first_hint = 2 * view.hand_size();
        let hints = view.legal() >> first_hint << first_hint;
        for id in (0..64).filter(|id| hints >> id & 1 == 1) {
            let ideal = self.ideal_of(view, masks, id);
            if matches!(ideal.kind, Kind::Info | Kind::Dispose) {
                return (id, ideal);
            }
        }
        (pick(hints, &mut self.rng), Intent::INFO)
    }

    /// I(h) of a hint that this seat could give; Info for other moves.
    fn ideal_of(&self, view: &View<'_>, masks: &Masks, id: ActionId) -> Intent {
        let Some(Action::Hint { offset, hint }) = view.action(id) else {
            return Intent::INFO;
        };
        let to = (view.seat() + usize::from(offset)) % view.n_players();
        let touched = touched(view.other(usize::from(offset)), hint);
        self.public.ideal(masks, to, hint, touched)
    }

    /// F: the ideal reading, or one of three defects.
    fn read(&mut self, ideal: Intent, touched: u8) -> Intent {
        if self.rng.random_bool(self.ability.first_order) {
            return ideal;
        }
        match self.rng.random_range(0..3_u32) {
            0 => Intent::INFO,
            1 if ideal.kind == Kind::Info => Intent::INFO,
            1 => {
                let slot = pick(u64::from(touched), &mut self.rng);
                Intent::about(ideal.kind, usize::from(slot))
            }
            _ if ideal.kind == Kind::Play => Intent::about(Kind::Save, usize::from(ideal.slot)),
            _ if ideal.kind == Kind::Info => {
                Intent::about(Kind::Play, touched.trailing_zeros() as usize)
            }
            _ => Intent::about(Kind::Play, usize::from(ideal.slot)),
        }
    }

    fn turn(&mut self, view: &View<'_>) -> Turn {
        let (action, meant) = self.choose(view);
        if !matches!(view.action(action), Some(Action::Hint { .. })) {
            return Turn::silent(action);
        }
        let foresees = self.rng.random_bool(self.ability.second_order);
        let ideal = self.ideal_of(view, &Masks::of(view), action);
        let predicted = if foresees { ideal } else { meant };
        let phrasing = view.n_turns();
        Turn {
            action,
            rationale: Some(Statement::templated(meant, phrasing)),
            prediction: Some(Statement::templated(predicted, phrasing + 1)),
            replies: Replies::default(),
        }
    }
}

/// The slots of a hand that a hint touches, one bit each.
fn touched(hand: &[Card], hint: Hint) -> u8 {
    let bits = hand.iter().enumerate();
    bits.fold(0, |bits, (slot, card)| {
        bits | u8::from(hint.touches(*card)) << slot
    })
}

impl Player for Graded {
    fn name(&self) -> &str {
        &self.name
    }

    fn act<'a>(&'a mut self, view: View<'a>) -> BoxFuture<'a, Result<Turn>> {
        let turn = self.turn(&view);
        Box::pin(async move { Ok(turn) })
    }

    fn interpret<'a>(
        &'a mut self,
        view: View<'a>,
        heard: HintHeard,
    ) -> BoxFuture<'a, Result<Reading>> {
        let masks = Masks::of(&view);
        let ideal = self
            .public
            .ideal(&masks, view.seat(), heard.hint, heard.touched);
        let reading = self.read(ideal, heard.touched);
        self.reading = Some(reading);
        let phrasing = view.n_turns() + 2;
        Box::pin(async move {
            Ok(Reading {
                statement: Some(Statement::templated(reading, phrasing)),
                ..Reading::silent()
            })
        })
    }

    fn observe(&mut self, view: &View<'_>, event: &Event) {
        self.public.observe(view, event);
        match event {
            Event::Hinted { to, .. } if usize::from(*to) == view.seat() => {
                if let Some(reading) = self.reading.take()
                    && reading.kind != Kind::Info
                {
                    self.own[usize::from(reading.slot)] = Some(reading.kind);
                }
            }
            Event::Hinted { .. } => {}
            Event::Discarded { seat, slot, .. } | Event::Played { seat, slot, .. } => {
                if usize::from(*seat) == view.seat() {
                    self.own
                        .copy_within(usize::from(*slot) + 1.., usize::from(*slot));
                    self.own[HAND_SIZE_MAX - 1] = None;
                }
            }
        }
    }
}
