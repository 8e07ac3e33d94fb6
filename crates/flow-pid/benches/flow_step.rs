//! Time of one training step of Flow-PID on fixed sizes.
//!
//! `flow_step/<d1>x<d2>x<dy>` is forward, backward, and Adam of three RealNVP flows with 6 blocks
//! each and two GaussianPCA bases on a batch of 128; `benches/peers/flow_step.py` does the same.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use flow_pid::flow::{FlowData, FlowSettings, Trainer};
use flow_pid::legacy_gaussian::LegacyGaussian;

fn flow_step(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("flow_step");
    for (d1, d2, dy) in [(2, 2, 2), (16, 16, 2), (100, 60, 2)] {
        let mut stream = LegacyGaussian::seeded(0);
        let [y, x1, x2] = [dy, d1, d2].map(|d| stream.matrix(1280, d));
        let data = FlowData::new(y.as_ref(), x1.as_ref(), x2.as_ref(), 0.0, 0)
            .expect("normal entries are finite and vary");
        let settings = FlowSettings {
            steps: u64::MAX,
            ..FlowSettings::default()
        };
        let mut trainer = Trainer::new(&data, settings, 0).expect("the settings are the presets");
        let name = BenchmarkId::from_parameter(format!("{d1}x{d2}x{dy}"));
        group.bench_function(name, |bencher| bencher.iter(|| trainer.step_once()));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    targets = flow_step
}
criterion_main!(benches);
