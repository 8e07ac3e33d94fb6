//! Games per processor second: of random moves, of the reference policies, and of Intent world.
//!
//! Every iteration plays the same games: decks and moves come from one seed. An iteration of
//! `games/random-legal/<players>` is 1000 games, of the others 100. Bars: 1.0 million games of two
//! and 0.6 million of five random players per processor second (1 ms and 1.67 ms per iteration),
//! and 20 µs per game of Intent world with five (2 ms per iteration).

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hanabi::policies::{Ladder, play};
use hanabi::rules::Deck;
use hanabi::world::{Ability, Regime, World};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

#[path = "../../model/benches/peers/cpu_time.rs"]
mod cpu_time;

use cpu_time::CpuTime;

const SEED: u64 = 7;

/// Sum of the points of `n_games` games, so that nothing can be left out.
fn tables(rung: Ladder, n_players: usize, n_games: u64) -> u64 {
    let mut rng = Pcg64Mcg::seed_from_u64(SEED);
    let fresh = vec![rung.seat(n_players); n_players];
    let mut seats = fresh.clone();
    let mut points = 0;
    for _ in 0..n_games {
        seats.clone_from(&fresh);
        let deck = Deck::shuffled(&mut rng);
        let game = play(&mut seats, deck, &mut rng, |_, _| ());
        points += game.map_or(0, |game| u64::from(game.score_points()));
    }
    points
}

fn ladder(criterion: &mut Criterion<CpuTime>) {
    let rungs = [
        (Ladder::RandomLegal, 1000),
        (Ladder::Simple, 100),
        (Ladder::Value, 100),
        (Ladder::Hat, 100),
        (Ladder::Cheat, 100),
    ];
    for (rung, n_games) in rungs {
        let mut group = criterion.benchmark_group(format!("games/{}", rung.name()));
        group.throughput(Throughput::Elements(n_games));
        for n_players in [2, 5] {
            group.bench_function(BenchmarkId::from_parameter(n_players), |bencher| {
                bencher.iter(|| tables(rung, black_box(n_players), n_games));
            });
        }
        group.finish();
    }
}

/// Number of hints in `n_games` games of a team of middling abilities.
fn world(n_players: usize, n_games: u64) -> usize {
    let ability = Ability {
        first_order: 0.7,
        second_order: 0.6,
        skill: 0.95,
    };
    let team = vec![ability; n_players];
    let mut rng = Pcg64Mcg::seed_from_u64(SEED);
    let mut n_hints = 0;
    for _ in 0..n_games {
        let deck = Deck::shuffled(&mut rng);
        let played = World::play(&team, deck, Regime::STANDARD, &mut rng);
        n_hints += played.map_or(0, |played| played.hints.len());
    }
    n_hints
}

fn intent_world(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("games/intent-world");
    group.throughput(Throughput::Elements(100));
    for n_players in [2, 5] {
        group.bench_function(BenchmarkId::from_parameter(n_players), |bencher| {
            bencher.iter(|| world(black_box(n_players), 100));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .with_measurement(CpuTime)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20);
    targets = ladder, intent_world
}
criterion_main!(benches);
