//! Time of Thin-PID and of the closed form per dimension, on fixed inputs.
//!
//! `thin_pid/<shape>/<d>` is one whole run with the published constants; the number of iterations
//! is printed to stderr once, so that the time of one iteration can be told. The inputs are numpy's
//! legacy stream with seed 0, which `benches/peers/thin_pid.py` draws as well.

use std::hint::black_box;
use std::io::Write;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use flow_pid::legacy_gaussian::LegacyGaussian;
use flow_pid::{Channel, Optimum, ThinPid, ThinPidConfig};

fn channel(d1: usize, d2: usize, dy: usize) -> Channel {
    let mut stream = LegacyGaussian::seeded(0);
    let h1 = stream.matrix(d1, dy);
    let h2 = stream.matrix(d2, dy);
    Channel::with_independent_noise(h1, h2).expect("normal entries are finite")
}

fn thin_pid(criterion: &mut Criterion) {
    let config = ThinPidConfig::default();
    for (shape, square) in [("dy=2", false), ("dy=d", true)] {
        let mut group = criterion.benchmark_group(format!("thin_pid/{shape}"));
        for d in [16, 64, 100, 256] {
            let channel = channel(d, d, if square { d } else { 2 });
            let iterations = ThinPid::run(&channel, &config).map_or(0, |thin| thin.iterations);
            let note = format!("thin_pid/{shape}/{d}: {iterations} iterations\n");
            // A closed stderr must not end a benchmark.
            let _ = std::io::stderr().write_all(note.as_bytes());
            group.bench_with_input(
                BenchmarkId::from_parameter(d),
                &channel,
                |bencher, channel| {
                    bencher.iter(|| ThinPid::run(black_box(channel), &config));
                },
            );
        }
        group.finish();
    }
}

fn closed_form(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("closed_form");
    for d in [16, 64, 256] {
        let channel = channel(d, d, d);
        group.bench_with_input(
            BenchmarkId::from_parameter(d),
            &channel,
            |bencher, channel| {
                bencher.iter(|| Optimum::of(black_box(channel)));
            },
        );
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    targets = thin_pid, closed_form
}
criterion_main!(benches);
