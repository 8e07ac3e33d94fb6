//! Rendering every derived file of a run with a million rows; the bar is 5 s.
//!
//! Sketch: 1e6 lines of about 110 bytes are 110 MB to hash, parse, and group, and about 15 columns
//! to encode; at 200 MB/s of parsing that is well below 2 s.

#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first failure")]

#[path = "../tests/all/support.rs"]
#[expect(dead_code, reason = "the bench needs a part of what the tests need")]
mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use eval::run::{Plan, RunFolder};
use eval::{Cell, Row, Scale};
use report::{render, store::StoredRun};

const N_CELLS: u64 = 20;
const ROWS_PER_CELL: u64 = 50_000;

fn render_1e6_rows(criterion: &mut Criterion) {
    let workspace = support::Workspace::new();
    let path = workspace.run("20261122T180000Z-abcdef12", Scale::Quick, support::claims());
    let folder = RunFolder::new(&path);
    let cells: Vec<Cell> = (0..N_CELLS)
        .map(|k| {
            Cell::new("answers", k / 4)
                .with("samples", 1 << (k % 4))
                .with("model", "small")
        })
        .collect();
    for cell in &cells {
        let rows: Vec<Row> = (0..ROWS_PER_CELL).map(|k| row(cell.seed, k)).collect();
        support::write_cell(&folder, cell, &rows);
    }
    let plan = Plan {
        format: eval::run::FORMAT,
        claims: Vec::new(),
        cells,
    };
    eval::fs::write_json(&folder.file("plan.json"), &plan).unwrap();
    let run = StoredRun::open(workspace.root(), &path).unwrap();
    let mut group = criterion.benchmark_group("report");
    group.sample_size(10);
    group.bench_function("render_1e6_rows", |bencher| {
        bencher.iter(|| render::render(&run).unwrap());
    });
    group.finish();
}

fn row(seed: u64, k: u64) -> Row {
    let value = ((k * 7919 + seed * 104_729) % 10_007) as f64 / 10_007.0;
    match k % 97 {
        0 => Row::unparsed("correct_share", "1", "no number in the answer").item(k),
        1 => Row::failed("correct_share", "1", "the endpoint closed the connection").item(k),
        _ => Row::new("correct_share", value, "1").item(k),
    }
    .tag(
        "subject",
        ["algebra", "geometry", "logic"][(k % 3) as usize],
    )
}

criterion_group!(benches, render_1e6_rows);
criterion_main!(benches);
