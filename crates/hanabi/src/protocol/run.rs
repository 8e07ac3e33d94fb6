//! Many games at the same time, records in order.

use std::ops::ControlFlow;

use eval::Result;
use futures_util::{StreamExt, stream};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use super::player::Player;
use super::record::GameRecord;
use super::table::{Setup, play_game};
use crate::judges::{Judge, judge_game};
use crate::rules::Deck;

/// What is played.
#[derive(Clone, Copy, Debug)]
pub struct Games {
    /// How many.
    pub n_games: u64,
    /// Decks, used in turn: with fewer decks than games, different tables get equal cards.
    pub n_decks: u64,
    /// Games under way at the same time.
    pub n_concurrent: usize,
    /// Seed of decks and of players' chances.
    pub seed: u64,
}

impl Games {
    /// `n_games` games with a deck each, one at a time.
    #[must_use]
    pub const fn new(n_games: u64, seed: u64) -> Self {
        Self {
            n_games,
            n_decks: n_games,
            n_concurrent: 1,
            seed,
        }
    }

    /// The deck of game `game`: it depends on the seed and the game alone, not on who plays.
    #[must_use]
    pub fn deck(&self, game: u64) -> Deck {
        let deck = game % self.n_decks.max(1);
        Deck::shuffled(&mut Pcg64Mcg::seed_from_u64(mix(self.seed, deck, 0)))
    }

    /// The seed of the player in `seat` of game `game`.
    #[must_use]
    pub fn player_seed(&self, game: u64, seat: usize) -> u64 {
        mix(self.seed, game, seat as u64 + 1)
    }
}

/// One number from three, well spread (the finaliser of SplitMix64, Steele et al. 2014).
fn mix(seed: u64, game: u64, purpose: u64) -> u64 {
    let mut state = seed;
    for word in [game, purpose] {
        state = state.wrapping_add(word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^= state >> 31;
    }
    state
}

/// Fresh players for the seats of a game.
pub type Seating<'a> = dyn Fn(u64) -> Result<Vec<Box<dyn Player>>> + Sync + 'a;

/// Plays games, has every judge score their hints, and hands each record to `done` in the order of
/// the games; it breaks to end the run.
///
/// One game that fails takes nothing from the others: its error comes in its place.
pub async fn play_games(
    games: Games,
    seating: &Seating<'_>,
    judges: &[&dyn Judge],
    done: &mut (dyn FnMut(u64, Result<GameRecord>) -> ControlFlow<()> + Send),
) {
    let played = stream::iter(0..games.n_games)
        .map(|game| async move { (game, play_one(games, game, seating, judges).await) })
        .buffered(games.n_concurrent.max(1));
    let mut played = std::pin::pin!(played);
    while let Some((game, record)) = played.next().await {
        if done(game, record).is_break() {
            return;
        }
    }
}

async fn play_one(
    games: Games,
    game: u64,
    seating: &Seating<'_>,
    judges: &[&dyn Judge],
) -> Result<GameRecord> {
    let mut seats = seating(game)?;
    let setup = Setup {
        game,
        seed: games.seed,
        deck: games.deck(game),
    };
    let mut record = play_game(&mut seats, setup).await?;
    for judge in judges {
        judge_game(&mut record, *judge).await?;
    }
    Ok(record)
}
