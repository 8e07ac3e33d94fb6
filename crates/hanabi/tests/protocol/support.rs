//! Tables, games, and players for tests.

use hanabi::protocol::{GameRecord, Games, Player, Setup, play_game};
use model::chat::block_on;

/// Plays one game between players.
pub fn played(mut seats: Vec<Box<dyn Player>>, seed: u64) -> GameRecord {
    let setup = Setup {
        game: 0,
        seed,
        deck: Games::new(1, seed).deck(0),
    };
    block_on(play_game(&mut seats, setup)).unwrap().unwrap()
}

/// A table of equal players.
pub fn table<P: Player + 'static>(
    n_seats: usize,
    player: impl Fn(usize) -> P,
) -> Vec<Box<dyn Player>> {
    (0..n_seats)
        .map(|seat| Box::new(player(seat)) as Box<dyn Player>)
        .collect()
}
