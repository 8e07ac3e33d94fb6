//! Time of the search for a subset of models, 500 questions, one thread.
//!
//! * `triples/<form>/<n>`: all triples of n models; the time per subset is the time of the
//!   benchmark divided by the number of triples, which criterion prints as elements per second.
//! * `bounded/<n>`: five of n models by branch and bound with a limit of nodes.
//! * `heuristics/<name>`: five of 1000 models.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use slm_mux::search::{
    Objective, Pool, beam, branch_and_bound, exhaustive, greedy_swap, n_subsets,
};
use slm_mux::worlds::{Models, WorldSpec};

fn pool(n: usize) -> Pool {
    let spec = WorldSpec {
        models: Models::Drawn(n, -0.5, 0.7),
        spread: 2.0,
        correlation: 0.8,
        n_wrong: 4,
        temptation: 0.4,
    };
    let mut random = Pcg64Mcg::seed_from_u64(1);
    let world = spec.draw(500, &mut random);
    let table = world
        .samples(3, &mut random)
        .expect("the world has models and samples");
    Pool::of_table(&table, 2).expect("two of three samples are possible")
}

fn triples(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("triples");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(8));
    for n in [100, 1000] {
        let pool = pool(n);
        group.throughput(Throughput::Elements(n_subsets(n, 3)));
        for (form, objective) in [
            ("printed", Objective::PRINTED),
            ("conditional", Objective::PLOTTED),
        ] {
            group.bench_function(format!("{form}/{n}"), |bencher| {
                bencher.iter(|| exhaustive(black_box(&pool), &objective, 3));
            });
        }
    }
    group.finish();
}

fn bounded(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bounded");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(5));
    for n in [32, 100, 1000] {
        let pool = pool(n);
        group.bench_function(format!("{n}"), |bencher| {
            bencher.iter(|| branch_and_bound(black_box(&pool), &Objective::PRINTED, 5, 2_000));
        });
    }
    group.finish();
}

fn heuristics(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("heuristics");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(3));
    let pool = pool(1000);
    group.bench_function("greedy-swap", |bencher| {
        bencher.iter(|| greedy_swap(black_box(&pool), &Objective::PRINTED, 5));
    });
    group.bench_function("beam-16", |bencher| {
        bencher.iter(|| beam(black_box(&pool), &Objective::PRINTED, 5, 16));
    });
    group.finish();
}

criterion_group!(benches, triples, bounded, heuristics);
criterion_main!(benches);
