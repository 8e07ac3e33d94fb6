//! Games of each kind that the page shows.

use futures_util::FutureExt;
use hanabi::protocol::{GameRecord, Graded, Judged, Player, Setup, play_game};
use hanabi::rules::{Deck, Game, HanabLive, Trace};
use hanabi::world::{Ability, Regime, World, WorldGame};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

/// A name that would be markup if it were not kept as text.
pub const EVIL: &str = "<img src=x onerror=\"document.title='evil'\"></script>";

pub fn ability() -> Ability {
    Ability {
        first_order: 0.6,
        second_order: 0.5,
        skill: 0.95,
    }
}

/// A game of graded players in the protocol, judged by one that always says the same.
pub fn record() -> GameRecord {
    let seat = |seed: u64| Box::new(Graded::new(ability(), seed)) as Box<dyn Player>;
    let mut seats: Vec<Box<dyn Player>> = (0..4).map(seat).collect();
    let setup = Setup {
        game: 0,
        seed: 5,
        deck: Deck::shuffled(&mut Pcg64Mcg::seed_from_u64(5)),
    };
    let mut record = play_game(&mut seats, setup)
        .now_or_never()
        .unwrap()
        .unwrap();
    for turn in &mut record.turns {
        if let Some(hint) = &mut turn.hint {
            hint.judged.push(Judged {
                judge: "a judge".to_owned(),
                first: Some(7),
                second: None,
                failures: Vec::new(),
            });
        }
    }
    record
}

pub fn world() -> WorldGame {
    let mut rng = Pcg64Mcg::seed_from_u64(9);
    let deck = Deck::shuffled(&mut rng);
    World::play(&[ability(); 3], deck, Regime::STANDARD, &mut rng).unwrap()
}

/// A game with the first legal action in every turn, by players with hostile names.
pub fn live() -> HanabLive {
    let deck = Deck::shuffled(&mut Pcg64Mcg::seed_from_u64(2));
    let mut game = Game::new(2, deck).unwrap();
    let mut actions = Vec::new();
    while game.end().is_none() {
        let last = 63 - game.legal().leading_zeros() as u8;
        actions.push(last);
        game.apply(last).unwrap();
    }
    let trace = Trace {
        n_players: 2,
        deck,
        actions,
        score: None,
    };
    HanabLive::from_trace(&trace, &[EVIL.to_owned(), "B".to_owned()]).unwrap()
}
