//! Time of the offline simulator: nine recorded samples, sub-samples of k, 500 questions.
//!
//! * `trial/<models>x<k>`: one trial of all questions; criterion prints (question, trial) pairs per
//!   second.
//! * `tabulate/<k>`: the preparation for three models.
//! * `expected/<k>`: the exact expectation over all sub-samples, three models.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use slm_mux::samples::SampleTable;
use slm_mux::scaling::Simulator;
use slm_mux::worlds::{Models, WorldSpec};

const N_QUESTIONS: usize = 500;

fn table(n_models: usize) -> SampleTable {
    let spec = WorldSpec {
        models: Models::Drawn(n_models, 0.4, 0.6),
        spread: 1.5,
        correlation: 0.5,
        n_wrong: 4,
        temptation: 0.4,
    };
    let mut random = Pcg64Mcg::seed_from_u64(2);
    let world = spec.draw(N_QUESTIONS, &mut random);
    world
        .samples(9, &mut random)
        .expect("the world has models and samples")
}

fn simulator(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("simulator");
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    for (n_models, k) in [(2, 5), (3, 5), (5, 5), (3, 9)] {
        let simulator = Simulator::new(&table(n_models), k).expect("k of nine can be drawn");
        let models: Vec<usize> = (0..n_models).collect();
        let mut random = Pcg64Mcg::seed_from_u64(3);
        group.throughput(Throughput::Elements(N_QUESTIONS as u64));
        group.bench_function(format!("trial/{n_models}x{k}"), |bencher| {
            bencher.iter(|| black_box(&simulator).trial(&models, &mut random));
        });
    }
    let three = table(3);
    group.bench_function("tabulate/5", |bencher| {
        bencher.iter(|| Simulator::new(black_box(&three), 5));
    });
    let simulator = Simulator::new(&three, 5).expect("five of nine can be drawn");
    group.bench_function("expected/5", |bencher| {
        bencher.iter(|| {
            (0..N_QUESTIONS)
                .map(|question| simulator.expected(question, &[0, 1, 2]).accuracy)
                .sum::<f64>()
        });
    });
    group.finish();
}

criterion_group!(benches, simulator);
criterion_main!(benches);
