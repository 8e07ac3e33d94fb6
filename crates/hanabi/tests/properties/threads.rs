//! Results do not depend on how many threads measure.

use std::collections::BTreeMap;

use eval::{Cell, Cx, Effort, Inputs, Paper, Scale};
use hanabi::{Config, Hanabi};

fn small() -> Config {
    Config {
        ladder_batches: 1,
        ladder_batch_games: 8,
        grid_batches: 1,
        grid_batch_games: 4,
        population: 4,
        population_games: 4,
        ..Config::default()
    }
}

/// The rows of a cell, byte by byte.
fn rows(cell: &Cell) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let mut cx = Cx::in_process("hanabi", cell, folder.path(), Inputs::none()).unwrap();
    Hanabi::run(&mut cx, &small(), cell).unwrap();
    drop(cx);
    std::fs::read(folder.path().join("rows.jsonl")).unwrap()
}

/// Cells that need no data and no language model.
fn cells() -> Vec<Cell> {
    let effort = Effort {
        scale: Scale::Smoke,
        n_seeds: 1,
    };
    let cells = Hanabi::cells(&small(), effort).unwrap();
    let free = |cell: &Cell| cell.needs.is_empty();
    cells.into_iter().filter(free).collect()
}

/// The cells measured by `n_threads` at once, each taking every n-th.
fn measured(cells: &[Cell], n_threads: usize) -> BTreeMap<String, Vec<u8>> {
    std::thread::scope(|scope| {
        let workers = (0..n_threads).map(|worker| {
            scope.spawn(move || {
                let mine = cells.iter().skip(worker).step_by(n_threads);
                mine.map(|cell| (cell.id().to_string(), rows(cell)))
                    .collect::<Vec<_>>()
            })
        });
        let workers: Vec<_> = workers.collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    })
}

#[test]
fn one_thread_and_two_measure_the_same_rows_and_trace_hashes() {
    let cells = cells();
    let (one, two) = (measured(&cells, 1), measured(&cells, 2));
    assert_eq!(one.len(), cells.len());
    assert!(one == two, "rows differ between one thread and two");
    let text = |rows: &Vec<u8>| String::from_utf8(rows.clone()).unwrap();
    let hashes: Vec<String> = one
        .iter()
        .filter(|(id, _)| id.contains("ladder"))
        .flat_map(|(_, rows)| text(rows).lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|row| row.contains("trace_hash"))
        .collect();
    // A hash that is the same everywhere would show nothing.
    let different: std::collections::BTreeSet<&String> = hashes.iter().collect();
    assert_eq!((hashes.len(), different.len()), (24, 24));
}
