//! What the engine costs per cell: a run of cells that measure next to nothing.
//!
//! The program is its own paper: started with `run` or `cell` it is the engine, else the benchmark.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on should stop"
)]

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use criterion::Criterion;
use eval::{Cell, Cx, Effort, Paper, Result, Row};

/// Cells of one run; enough to make its start and end small.
const N_CELLS: u64 = 50;

struct Idle;

impl Paper for Idle {
    type Config = std::collections::BTreeMap<String, u64>;
    const MANIFEST: &'static str = include_str!("../examples/toy.toml");

    fn cells(_: &Self::Config, effort: Effort) -> Result<Vec<Cell>> {
        let cell = |i| Cell::new("darts", 0).with("part", i);
        Ok((0..N_CELLS * effort.n_seeds).map(cell).collect())
    }

    fn run(cx: &mut Cx, _: &Self::Config, _: &Cell) -> Result<()> {
        cx.row(Row::new("share", 1.0, "1"))
    }
}

/// Wall time of a whole run in a new folder.
fn run(root: &Path) -> Duration {
    let start = Instant::now();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["run", "--seeds", "1", "--claims", "C1", "--fresh", "--root"])
        .arg(root)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    start.elapsed()
}

fn main() -> ExitCode {
    if std::env::args()
        .nth(1)
        .is_some_and(|word| word == "run" || word == "cell")
    {
        return eval::main::<Idle>();
    }
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("crates")).unwrap();
    std::fs::write(root.path().join("Cargo.lock"), "version = 4\n").unwrap();
    std::fs::write(root.path().join("Cargo.toml"), "[workspace]\n").unwrap();
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    criterion.bench_function("engine/overhead_per_cell", |bencher| {
        bencher.iter_custom(|n_cells| {
            let n_runs = n_cells.div_ceil(N_CELLS).max(1);
            let spent: Duration = (0..n_runs).map(|_| run(root.path())).sum();
            spent.mul_f64(n_cells as f64 / (n_runs * N_CELLS) as f64)
        });
    });
    criterion.final_summary();
    ExitCode::SUCCESS
}
