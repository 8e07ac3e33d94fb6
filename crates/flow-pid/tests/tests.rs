//! Whole-crate tests.
//!
//! * `oracle`: Thin-PID and the closed form against solvers that share no code with them.
//! * `certified`: the closed form against 200 certified optima of other software.
//! * `discrete`: the exact discrete decomposition against dit's.
//! * `gradient`: the exact gradient against central differences.
//! * `properties`: what must hold for every Gaussian system.
//! * `degenerate`: inputs at which a formula breaks down.
//! * `tool`: the command and the call for data of one's own.
//! * `cells`: every experiment, measured in this process.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod cells;
mod certified;
mod degenerate;
mod discrete;
mod gradient;
mod oracle;
mod properties;
mod tool;

use eval::engine::Stream;
use faer::Mat;
use flow_pid::Channel;
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

/// A reproducible stream for tests.
fn stream(seed: u64) -> Stream {
    Stream::seed_from_u64(seed)
}

/// A matrix of standard normal numbers.
fn normal(rows: usize, columns: usize, rng: &mut Stream) -> Mat<f64> {
    Mat::from_fn(rows, columns, |_, _| StandardNormal.sample(rng))
}

/// A channel with independent noises and normal entries.
fn random_channel(d1: usize, d2: usize, dy: usize, rng: &mut Stream) -> Channel {
    let h1 = normal(d1, dy, rng);
    let h2 = normal(d2, dy, rng);
    Channel::with_independent_noise(h1, h2).unwrap()
}
