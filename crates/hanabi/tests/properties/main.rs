//! What must hold for every game, every file, and every population.
//!
//! * `rules`: the engine against a slow game written from the text of the rules.
//! * `views`: what a seat must not learn.
//! * `formats`: recorded games are read back as they were written.
//! * `hostile`: input that is no game.
//! * `threads`: results do not depend on how many threads measure.
//! * `estimates`: the claims fall when the data that carry them are disturbed.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod estimates;
mod formats;
mod hostile;
mod rules;
mod slow_game;
mod threads;
mod views;

use hanabi::rules::{Deck, Game, Trace};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

/// A game in terms that shrink: every number picks one of the legal actions.
#[derive(Clone, Debug)]
struct Recipe {
    n_players: usize,
    deck_seed: u64,
    /// Whether plays that cost a life are passed over where something else is legal: such games
    /// last to the end of the deck.
    careful: bool,
    picks: Vec<u16>,
}

impl Recipe {
    fn deck(&self) -> Deck {
        Deck::shuffled(&mut Pcg64Mcg::seed_from_u64(self.deck_seed))
    }

    /// The next action; a recipe whose picks are used up goes on with the first legal one.
    fn choose(&self, game: &Game, turn: usize) -> u8 {
        let legal: Vec<u8> = (0..64).filter(|id| game.legal() >> id & 1 == 1).collect();
        let hand_size = game.hand_size() as u8;
        let costs_a_life = |id: &u8| {
            (hand_size..2 * hand_size).contains(id) && {
                let card = game.hand(game.seat())[usize::from(id - hand_size)];
                !game.is_playable(card)
            }
        };
        let calm: Vec<u8> = legal
            .iter()
            .copied()
            .filter(|id| !costs_a_life(id))
            .collect();
        let pool = if self.careful && !calm.is_empty() {
            &calm
        } else {
            &legal
        };
        let pick = self.picks.get(turn).copied().unwrap_or(0);
        pool[usize::from(pick) % pool.len()]
    }

    /// Plays at most `n_turns` turns; `step` hears of the state before each and its action.
    fn play(&self, n_turns: usize, mut step: impl FnMut(&Game, u8)) -> Game {
        let mut game = Game::new(self.n_players, self.deck()).unwrap();
        for turn in 0..n_turns {
            if game.end().is_some() {
                break;
            }
            let id = self.choose(&game, turn);
            step(&game, id);
            game.apply(id).unwrap();
        }
        game
    }

    fn trace(&self) -> Trace {
        let mut actions = Vec::new();
        let game = self.play(usize::MAX, |_, id| actions.push(id));
        Trace {
            n_players: self.n_players,
            deck: self.deck(),
            actions,
            score: Some(game.score_strict()),
        }
    }
}

fn recipes() -> impl Strategy<Value = Recipe> {
    let picks = proptest::collection::vec(any::<u16>(), 0..90);
    let parts = (
        2..=5_usize,
        any::<u64>(),
        proptest::bool::weighted(0.7),
        picks,
    );
    parts.prop_map(|(n_players, deck_seed, careful, picks)| Recipe {
        n_players,
        deck_seed,
        careful,
        picks,
    })
}
