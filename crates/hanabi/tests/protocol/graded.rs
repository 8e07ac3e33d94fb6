//! The graded player of a seat and the one of Intent world are two programs of one description.

use hanabi::protocol::{GameRecord, Games, Graded, Player};
use hanabi::world::{Ability, HintRecord, Intent, Regime, World, WorldGame};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use super::support::{played, table};

fn ability(first_order: f64, second_order: f64, skill: f64) -> Ability {
    Ability {
        first_order,
        second_order,
        skill,
    }
}

fn at_table(ability: Ability, n_seats: usize, seed: u64) -> GameRecord {
    let player = |seat| Graded::new(ability, seed * 31 + seat as u64);
    played(table(n_seats, player), seed)
}

/// Where two games part, if they do; the only chance in a game of perfect players is a hint that is
/// given to pass the time when every hint would promise something.
fn parting(record: &GameRecord, world: &WorldGame) -> Option<usize> {
    let pairs = record.end.actions.iter().zip(&world.actions);
    let place = pairs.into_iter().position(|(ours, theirs)| ours != theirs);
    if let Some(place) = place {
        let turn = &record.turns[place];
        let said = turn.hint.as_ref().and_then(|hint| hint.rationale.as_ref());
        assert_eq!(said.map(|said| said.intent), Some(Intent::INFO), "{turn:?}");
        assert_eq!(turn.tokens, 7, "all tokens were there");
    }
    place
}

#[test]
fn perfect_players_make_the_same_moves_and_statements() {
    let perfect = ability(1.0, 1.0, 1.0);
    let mut n_parted = 0;
    for seed in 0..200 {
        let n_seats = 2 + (seed % 4) as usize;
        let deck = Games::new(1, seed).deck(0);
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let world = World::play(&vec![perfect; n_seats], deck, Regime::STANDARD, &mut rng).unwrap();
        let here = at_table(perfect, n_seats, seed);
        if parting(&here, &world).is_some() {
            n_parted += 1;
            continue;
        }
        assert_eq!(here.end.actions, world.actions, "game {seed}");
        for (ours, theirs) in here.hints().zip(&world.hints) {
            let Some([rationale, prediction, reading]) = ours.statements() else {
                continue;
            };
            assert_eq!(rationale.intent, theirs.rationale);
            assert_eq!(prediction.intent, theirs.prediction);
            assert_eq!(reading.intent, theirs.reading);
        }
    }
    assert!(n_parted < 10, "{n_parted} of 200 games");
}

/// Mean and its standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

#[test]
fn imperfect_players_err_as_often() {
    let mixed = ability(0.6, 0.4, 0.95);
    let (mut here, mut there) = ([vec![], vec![], vec![]], [vec![], vec![], vec![]]);
    for seed in 0..300 {
        let record = at_table(mixed, 5, seed);
        here[0].push(f64::from(record.end.score_points));
        here[1].extend(record.end.first_order);
        here[2].extend(record.end.second_order);
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let deck = Games::new(1, seed).deck(0);
        let world = World::play(&[mixed; 5], deck, Regime::STANDARD, &mut rng).unwrap();
        let per_hint = |get: fn(&HintRecord) -> f64| {
            world.hints.iter().map(get).sum::<f64>() / world.hints.len() as f64
        };
        there[0].push(f64::from(world.game.score_points()));
        there[1].push(per_hint(HintRecord::first_order));
        there[2].push(per_hint(HintRecord::second_order));
    }
    for (ours, theirs) in here.iter().zip(&there) {
        let ((a, error_a), (b, error_b)) = (mean(ours), mean(theirs));
        let error = (error_a * error_a + error_b * error_b).sqrt();
        assert!((a - b).abs() < 4.0 * error, "{a} {b} ({error})");
    }
}

#[test]
fn the_name_says_what_the_player_can_do() {
    let player = Graded::new(ability(1.0, 0.25, 0.0), 1);
    assert_eq!(player.name(), "intent:1,0.25,0");
}
