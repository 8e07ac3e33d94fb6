//! A game of graded players (§2.6).

use eval::Result;
use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::counts::Counts;
use super::intent::{HintRecord, Intent, Kind};
use super::team::Ability;
use crate::policies::pick;
use crate::rules::{
    Action, ActionId, Card, Colour, Deck, Event, Game, HAND_SIZE_MAX, Hint, LIVES_MAX, N_RANKS,
    PLAYERS_MAX, TOKENS_MAX, colour_mask,
};

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
/// The least probability at which a card noted as Play is played, and the same with one life left.
const TRUST: [f64; 2] = [0.05, 0.35];

/// Limits of a game (question Q4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Regime {
    /// Tokens at the start and at most.
    pub tokens: u8,
    /// Lives at the start.
    pub lives: u8,
}

impl Regime {
    /// The box rules.
    pub const STANDARD: Self = Self {
        tokens: TOKENS_MAX,
        lives: LIVES_MAX,
    };
}

/// A finished game and its hints.
#[derive(Clone, Debug)]
pub struct WorldGame {
    /// How it ended.
    pub game: Game,
    /// Its hints in order.
    pub hints: Vec<HintRecord>,
    /// The actions in order.
    pub actions: Vec<ActionId>,
}

type Notes = [[Option<Kind>; HAND_SIZE_MAX]; PLAYERS_MAX];

/// A table of graded players.
pub struct World<'a> {
    team: &'a [Ability],
    game: Game,
    /// What the ideal reading of past hints says of every slot.
    public: Notes,
    /// What each seat itself read.
    own: Notes,
    /// Copies not yet discarded or played.
    unseen: Counts,
    playable: u32,
    useless: u32,
    critical: u32,
}

/// A move and, if it is a hint, what was meant by it.
struct Move {
    id: ActionId,
    rationale: Intent,
    blunder: bool,
}

impl Move {
    const fn plain(id: ActionId) -> Self {
        Self {
            id,
            rationale: Intent::INFO,
            blunder: false,
        }
    }
}

impl<'a> World<'a> {
    /// Plays a game of `team` with the cards of `deck`.
    ///
    /// # Errors
    /// The team is not of two to five, or the regime makes no sense.
    pub fn play(
        team: &'a [Ability],
        deck: Deck,
        regime: Regime,
        rng: &mut Pcg64Mcg,
    ) -> Result<WorldGame> {
        let game = Game::with_limits(team.len(), deck, regime.tokens, regime.lives)?;
        let mut world = Self {
            team,
            unseen: Counts::public(&game),
            game,
            public: [[None; HAND_SIZE_MAX]; PLAYERS_MAX],
            own: [[None; HAND_SIZE_MAX]; PLAYERS_MAX],
            playable: 0,
            useless: 0,
            critical: 0,
        };
        Colour::ALL.iter().for_each(|colour| world.count(*colour));
        // Longer than nearly every game, so that they seldom grow.
        let mut hints = Vec::with_capacity(64);
        let mut actions = Vec::with_capacity(128);
        while world.game.end().is_none() {
            let chosen = world.choose(rng);
            actions.push(chosen.id);
            if let Some(Action::Hint { offset, hint }) = world.game.action(chosen.id) {
                hints.push(world.give(&chosen, offset, hint, rng));
            } else {
                world.leave(chosen.id);
            }
        }
        Ok(WorldGame {
            game: world.game,
            hints,
            actions,
        })
    }

    /// Recounts what everybody knows of a colour after a card of it came to light.
    fn count(&mut self, colour: Colour) {
        for set in [&mut self.playable, &mut self.useless, &mut self.critical] {
            *set &= !colour_mask(colour);
        }
        let height = self.game.fireworks()[colour.index()];
        let mut reachable = true;
        for rank in 1..=N_RANKS as u8 {
            let card = Card::new(colour, rank);
            let left = card.copies() - self.game.discarded()[card.index()];
            if rank <= height || !reachable || left == 0 {
                self.useless |= card.bit();
            } else {
                if rank == height + 1 {
                    self.playable |= card.bit();
                }
                if left == 1 {
                    self.critical |= card.bit();
                }
            }
            reachable &= rank <= height || left > 0;
        }
    }

    /// A card leaves the hand of the one to move.
    fn leave(&mut self, id: ActionId) {
        let seat = self.game.seat();
        let hand_size = self.game.hand_size();
        let slot = usize::from(id) % hand_size;
        for notes in [&mut self.public[seat], &mut self.own[seat]] {
            notes.copy_within(slot + 1.., slot);
            notes[HAND_SIZE_MAX - 1] = None;
        }
        if let Event::Played { card, .. } | Event::Discarded { card, .. } =
            self.game.apply_legal(id)
        {
            self.unseen.remove(card);
            self.count(card.colour());
        }
    }

    /// Gives a hint: statements first, then what it changes.
    fn give(&mut self, chosen: &Move, offset: u8, hint: Hint, rng: &mut Pcg64Mcg) -> HintRecord {
        let from = self.game.seat();
        let to = (from + usize::from(offset)) % self.game.n_players();
        let ideal = self.ideal(to, hint, self.chop(to));
        let foresees = rng.random_bool(self.team[from].second_order);
        let prediction = if foresees { ideal } else { chosen.rationale };
        let reading = self.read(to, hint, ideal, rng);
        self.game.apply_legal(chosen.id);
        for (notes, intent) in [(&mut self.public, ideal), (&mut self.own, reading)] {
            if intent.kind != Kind::Info {
                notes[to][usize::from(intent.slot)] = Some(intent.kind);
            }
        }
        HintRecord {
            from: from as u8,
            to: to as u8,
            rationale: chosen.rationale,
            prediction,
            reading,
            ideal,
            blunder: chosen.blunder,
        }
    }

    /// F: the recipient's reading, with one of three defects where it is not the ideal one.
    fn read(&self, to: usize, hint: Hint, ideal: Intent, rng: &mut Pcg64Mcg) -> Intent {
        if rng.random_bool(self.team[to].first_order) {
            return ideal;
        }
        let hand = self.game.hand(to);
        let touched = (0..hand.len()).filter(|slot| hint.touches(hand[*slot]));
        let touched = touched.fold(0_u64, |mask, slot| mask | 1 << slot);
        match rng.random_range(0..3_u32) {
            0 => Intent::INFO,
            1 if ideal.kind == Kind::Info => Intent::INFO,
            1 => Intent::about(ideal.kind, usize::from(pick(touched, rng))),
            _ => {
                let kind = if ideal.kind == Kind::Play {
                    Kind::Save
                } else {
                    Kind::Play
                };
                let lowest = touched.trailing_zeros() as usize;
                let slot = if ideal.kind == Kind::Info {
                    lowest
                } else {
                    usize::from(ideal.slot)
                };
                Intent::about(kind, slot)
            }
        }
    }

    /// I(h): the reading that everybody can compute before the hint is applied.
    /// `chop` is the recipient's.
    fn ideal(&self, to: usize, hint: Hint, chop: Option<usize>) -> Intent {
        let hand = self.game.hand(to);
        let knowledge = self.game.knowledge(to);
        let mut best = (WEIGHT_MIN, Intent::INFO);
        let mut offer = |weight: f64, kind: Kind, slot: usize| {
            if weight > best.0 {
                best = (weight, Intent::about(kind, slot));
            }
        };
        for slot in (0..hand.len()).filter(|slot| hint.touches(hand[*slot])) {
            let after = knowledge[slot].after(hint, true);
            if after == knowledge[slot] {
                continue;
            }
            let probability = self.unseen.within(after.mask());
            if self.public[to][slot] != Some(Kind::Play) {
                let newer = 1.0 + NEWER_SLOT * slot as f64;
                offer(probability(self.playable) * newer, Kind::Play, slot);
            }
            if chop == Some(slot) {
                let set = self.critical & !self.playable;
                offer(SAVE_WEIGHT * probability(set), Kind::Save, slot);
            }
            if probability(self.useless) >= CERTAIN {
                offer(DISPOSE_WEIGHT, Kind::Dispose, slot);
            }
        }
        best.1
    }

    /// The oldest slot without positive information and public note.
    fn chop(&self, seat: usize) -> Option<usize> {
        let knowledge = self.game.knowledge(seat);
        (0..knowledge.len())
            .find(|slot| knowledge[*slot].is_unmarked() && self.public[seat][*slot].is_none())
    }

    fn choose(&self, rng: &mut Pcg64Mcg) -> Move {
        let seat = self.game.seat();
        if !rng.random_bool(self.team[seat].skill) {
            let id = pick(self.game.legal(), rng);
            return Move {
                blunder: true,
                ..Move::plain(id)
            };
        }
        let own_view = self.unseen.seen_by(&self.game, seat);
        if let Some(slot) = self.slot_to_play(own_view) {
            return Move::plain(self.game.id_of(Action::Play(slot as u8)));
        }
        if self.game.tokens() > 0
            && let Some(hint) = self.useful_hint(rng)
        {
            return hint;
        }
        if self.game.tokens() < self.game.tokens_max() {
            let slot = self.slot_to_discard(own_view);
            return Move::plain(self.game.id_of(Action::Discard(slot as u8)));
        }
        self.stall(rng)
    }

    /// The slot most likely to be playable, noted ones preferred, if any is likely enough.
    fn slot_to_play(&self, own_view: Counts) -> Option<usize> {
        let seat = self.game.seat();
        let trust = TRUST[usize::from(self.game.lives() == 1)];
        let mut best = (f64::NEG_INFINITY, None);
        for (slot, known) in self.game.knowledge(seat).iter().enumerate() {
            let p = own_view.probability(self.playable, known.mask());
            let noted = self.own[seat][slot] == Some(Kind::Play);
            let worth = p + if noted { 0.5 } else { 0.0 };
            if (p >= CERTAIN || (noted && p >= trust)) && worth > best.0 {
                best = (worth, Some(slot));
            }
        }
        best.1
    }

    /// A hint that gets a card played or saved.
    fn useful_hint(&self, rng: &mut Pcg64Mcg) -> Option<Move> {
        let n_players = self.game.n_players();
        for offset in 1..n_players {
            let to = (self.game.seat() + offset) % n_players;
            let hand = self.game.hand(to);
            let mut chop = None;
            for slot in (0..hand.len()).rev() {
                let wanted = self.playable & hand[slot].bit() != 0
                    && self.public[to][slot] != Some(Kind::Play)
                    && !self.is_promised(hand[slot], (to, slot));
                if wanted {
                    let intent = Intent::about(Kind::Play, slot);
                    let chop = *chop.get_or_insert_with(|| self.chop(to));
                    if let Some(hint) = self.express(intent, offset, chop, rng) {
                        return Some(hint);
                    }
                }
            }
        }
        let next = (self.game.seat() + 1) % n_players;
        let chop = self.chop(next)?;
        let card = self.game.hand(next)[chop];
        let critical = self.critical & card.bit() != 0;
        critical
            .then(|| self.express(Intent::about(Kind::Save, chop), 1, Some(chop), rng))
            .flatten()
    }

    /// Whether another copy that the mover sees is publicly noted as Play.
    fn is_promised(&self, card: Card, but: (usize, usize)) -> bool {
        let seats = (0..self.game.n_players()).filter(|seat| *seat != self.game.seat());
        seats.into_iter().any(|seat| {
            let hand = self.game.hand(seat).iter().enumerate();
            hand.into_iter().any(|(slot, one)| {
                *one == card && (seat, slot) != but && self.public[seat][slot] == Some(Kind::Play)
            })
        })
    }

    /// A hint for an intent: by a competent hinter one that is read as it is meant, by another any
    /// of the two that touch the card.
    /// `chop` is the recipient's.
    fn express(
        &self,
        intent: Intent,
        offset: usize,
        chop: Option<usize>,
        rng: &mut Pcg64Mcg,
    ) -> Option<Move> {
        let from = self.game.seat();
        let to = (from + offset) % self.game.n_players();
        let hand = self.game.hand(to);
        let card = hand[usize::from(intent.slot)];
        let hints = [Hint::Colour(card.colour()), Hint::Rank(card.rank())];
        let hint = if rng.random_bool(self.team[from].second_order) {
            let touches = |hint: Hint| hand.iter().filter(|card| hint.touches(**card)).count();
            let understood = hints
                .into_iter()
                .filter(|hint| self.ideal(to, *hint, chop) == intent);
            // The first of those that touch the most cards.
            understood.rev().max_by_key(|hint| touches(*hint))?
        } else {
            hints[usize::from(rng.random_bool(0.5))]
        };
        let id = self.game.id_of(Action::Hint {
            offset: offset as u8,
            hint,
        });
        Some(Move {
            rationale: intent,
            ..Move::plain(id)
        })
    }

    fn slot_to_discard(&self, own_view: Counts) -> usize {
        let seat = self.game.seat();
        let knowledge = self.game.knowledge(seat);
        let own = &self.own[seat];
        let slots = || 0..knowledge.len();
        let useless = |slot: &usize| {
            own[*slot] == Some(Kind::Dispose)
                || own_view.probability(self.useless, knowledge[*slot].mask()) >= CERTAIN
        };
        let kept = |slot: &usize| matches!(own[*slot], Some(Kind::Save | Kind::Play));
        slots()
            .find(useless)
            .or_else(|| slots().find(|slot| knowledge[*slot].is_unmarked() && own[*slot].is_none()))
            .or_else(|| slots().find(|slot| !kept(slot)))
            .unwrap_or(0)
    }

    /// All tokens are there and nothing is to be said: a hint that promises nothing.
    fn stall(&self, rng: &mut Pcg64Mcg) -> Move {
        let first_hint = 2 * self.game.hand_size();
        let hints = self.game.legal() >> first_hint << first_hint;
        let mut chops = [None; PLAYERS_MAX];
        let mut rest = hints;
        while rest != 0 {
            let id = rest.trailing_zeros() as ActionId;
            rest &= rest - 1;
            if let Some(Action::Hint { offset, hint }) = self.game.action(id) {
                let to = (self.game.seat() + usize::from(offset)) % self.game.n_players();
                let chop = *chops[to].get_or_insert_with(|| self.chop(to));
                let ideal = self.ideal(to, hint, chop);
                if matches!(ideal.kind, Kind::Info | Kind::Dispose) {
                    return Move {
                        rationale: ideal,
                        ..Move::plain(id)
                    };
                }
            }
        }
        Move::plain(pick(hints, rng))
    }
}
