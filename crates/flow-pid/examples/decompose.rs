//! The library call behind `flow-pid estimate`: two noisy readings of one number, one of them bent.
//!
//! Run with `cargo run -p flow-pid --example decompose`. The second source sees the target through
//! a cube, which Gaussian PID of the raw numbers misreads and the copula does not.

use std::io::Write;

use eval::engine::Stream;
use flow_pid::tool::{Column, Method, Options, Table, Values, estimate, render};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

fn table(name: &str, values: Vec<f64>) -> eval::Result<Table> {
    let values = Values::Numbers(values.into_iter().map(Some).collect());
    let name = name.to_owned();
    Table::new(name.clone(), vec![Column { name, values }])
}

fn main() -> eval::Result<()> {
    let mut rng = Stream::seed_from_u64(1);
    let mut normal =
        |n: usize| -> Vec<f64> { (0..n).map(|_| StandardNormal.sample(&mut rng)).collect() };
    let (truth, noise1, noise2) = (normal(2000), normal(2000), normal(2000));
    let x1 = truth.iter().zip(noise1).map(|(y, n)| y + n).collect();
    let x2 = truth.iter().zip(noise2).map(|(y, n)| (y + 0.5 * n).powi(3));
    let (x1, x2, y) = (
        table("x1", x1)?,
        table("x2", x2.collect())?,
        table("y", truth)?,
    );
    for method in [Method::Gaussian, Method::Copula] {
        let options = Options {
            method,
            ..Options::default()
        };
        let report = estimate(&y, &x1, &x2, &options)?;
        // A reader that closes the pipe early is no failure.
        let _ = writeln!(std::io::stdout(), "{}", render::text(&report));
    }
    Ok(())
}
