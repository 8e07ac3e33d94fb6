//! Time of the closed form, of Tilde-PID beside Thin-PID, and of the exact discrete decomposition.
//!
//! * `atoms/<d1>x<d2>x<dy>`: all four atoms by the closed form, given the channels.
//! * `covariance/<n>`: the same from a covariance of n dimensions, target of two.
//! * `against/<solver>-<variant>/<d1>x<d2>`: whole runs with the published constants, dy = 2 (1
//!   where the sources' ratio is 0.6); `published` projects in every iteration, `lean` does not.
//! * `discrete/<name>`: the exact decomposition to a certified gap of 1e-10 bits.
//!
//! Inputs are numpy's legacy stream with seed 0, which the peers draw as well.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use faer::Mat;
use flow_pid::discrete::{Broja, BrojaConfig, Gate, Joint};
use flow_pid::legacy_gaussian::LegacyGaussian;
use flow_pid::{Atoms, Channel, Dims, ThinPid, ThinPidConfig, TildePid, TildePidConfig};

fn channel(d1: usize, d2: usize, dy: usize) -> Channel {
    let mut stream = LegacyGaussian::seeded(0);
    let h1 = stream.matrix(d1, dy);
    let h2 = stream.matrix(d2, dy);
    Channel::with_independent_noise(h1, h2).expect("normal entries are finite")
}

fn atoms(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("atoms");
    for (d1, d2, dy) in [
        (2, 2, 2),
        (16, 16, 2),
        (100, 60, 2),
        (16, 16, 16),
        (64, 64, 64),
    ] {
        let channel = channel(d1, d2, dy);
        let name = format!("{d1}x{d2}x{dy}");
        group.bench_with_input(
            BenchmarkId::from_parameter(name),
            &channel,
            |bencher, channel| {
                bencher.iter(|| Atoms::of_channel(black_box(channel)));
            },
        );
    }
    group.finish();
}

fn covariance(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("covariance");
    for d in [100, 1000] {
        let dims = Dims { y: 2, x1: d, x2: d };
        let covariance: Mat<f64> = channel(d, d, 2).covariance();
        let name = dims.total();
        group.bench_with_input(
            BenchmarkId::from_parameter(name),
            &covariance,
            |bencher, c| {
                bencher.iter(|| Atoms::of_covariance(black_box(c.as_ref()), dims));
            },
        );
    }
    group.finish();
}

fn against(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("against");
    let thin = ThinPidConfig::default();
    let always = ThinPidConfig {
        always_project: true,
        ..thin
    };
    for (d1, d2, dy) in [(64, 64, 2), (128, 128, 2), (200, 100, 2), (200, 120, 1)] {
        let channel = channel(d1, d2, dy);
        let shape = format!("{d1}x{d2}");
        for (variant, constants) in [("lean", thin), ("published", always)] {
            let id = BenchmarkId::new(format!("thin-{variant}"), &shape);
            group.bench_with_input(id, &channel, |bencher, channel| {
                bencher.iter(|| ThinPid::run(black_box(channel), &constants));
            });
        }
        for (variant, constants) in [
            ("lean", TildePidConfig::lean()),
            ("published", TildePidConfig::published()),
        ] {
            let id = BenchmarkId::new(format!("tilde-{variant}"), &shape);
            group.bench_with_input(id, &channel, |bencher, channel| {
                bencher.iter(|| TildePid::run(black_box(channel), &constants));
            });
        }
    }
    group.finish();
}

/// A table of standard exponential variates' stand-ins: squares of normal numbers, normalised.
fn table(shape: [usize; 3]) -> Joint {
    let mut stream = LegacyGaussian::seeded(0);
    let n = shape.iter().product();
    let raw: Vec<f64> = (0..n).map(|_| stream.next_normal().powi(2)).collect();
    let sum: f64 = raw.iter().sum();
    let p = raw.into_iter().map(|value| value / sum).collect();
    Joint::new(shape, p).expect("squares are not negative")
}

fn discrete(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("discrete");
    let gate = |gate: Gate| gate.joint().expect("a gate is a distribution");
    for (name, joint) in [
        ("AND", gate(Gate::And)),
        ("RDNXOR", gate(Gate::RdnXor)),
        ("2x2x2", table([2, 2, 2])),
        ("4x4x2", table([4, 4, 2])),
        ("8x8x4", table([8, 8, 4])),
    ] {
        group.bench_with_input(
            BenchmarkId::from_parameter(name),
            &joint,
            |bencher, joint| {
                bencher.iter(|| Broja::of(black_box(joint), &BrojaConfig::default()));
            },
        );
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = atoms, covariance, against, discrete
}
criterion_main!(benches);
