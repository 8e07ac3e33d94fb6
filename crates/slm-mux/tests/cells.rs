//! Every cell of part D and of the constructed worlds at scale smoke, measured in this process: it
//! ends, its rows have numbers, and the claims that need no input have rows to rest on.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;

use eval::{Cell, Cx, Effort, Inputs, MeasuredRow, Outcome, Paper, PaperManifest, Row, Scale};
use slm_mux::{Config, SlmMux};

fn cells(scale: Scale) -> Vec<Cell> {
    SlmMux::cells(&Config::default(), Effort { scale, n_seeds: 2 }).unwrap()
}

fn is_mine(experiment: &str) -> bool {
    [
        "majorities",
        "exact-accuracy",
        "counterexamples",
        "phase-diagram",
        "constructed-pools",
        "search",
    ]
    .contains(&experiment)
}

fn measure(cell: &Cell) -> Vec<MeasuredRow> {
    let folder = tempfile::tempdir().unwrap();
    let mut cx = Cx::in_process("slm-mux", cell, folder.path(), Inputs::none()).unwrap();
    SlmMux::run(&mut cx, &Config::default(), cell).unwrap();
    cx.finish().unwrap();
    let text = std::fs::read_to_string(folder.path().join("rows.jsonl")).unwrap();
    let shared = std::sync::Arc::new(cell.clone());
    let measured = |row: Row| MeasuredRow {
        cell: shared.clone(),
        row,
    };
    text.lines()
        .map(|line| measured(serde_json::from_str(line).unwrap()))
        .collect()
}

#[test]
fn cells_are_unique_and_smoke_needs_no_input() {
    for scale in Scale::ALL {
        let cells = cells(scale);
        let ids: BTreeSet<String> = cells.iter().map(|cell| cell.id().to_string()).collect();
        assert_eq!(ids.len(), cells.len(), "{scale}");
    }
    assert!(cells(Scale::Smoke).iter().all(|cell| cell.needs.is_empty()));
}

#[test]
fn smoke_cells_end_with_numbers_and_claims_find_their_rows() {
    let mut rows = Vec::new();
    for cell in cells(Scale::Smoke) {
        if is_mine(&cell.experiment) && cell.seed == 0 {
            let measured = measure(&cell);
            assert!(!measured.is_empty(), "{}", cell.id());
            let n_failed = measured.iter().filter(|m| m.row.outcome == Outcome::Failed);
            assert!(n_failed.count() * 10 < measured.len(), "{}", cell.id());
            assert!(measured.len() < 20_000, "{}: {}", cell.id(), measured.len());
            rows.extend(measured);
        }
    }
    let manifest = PaperManifest::parse(SlmMux::MANIFEST, "paper.toml").unwrap();
    for claim in &manifest.claims {
        let mine = claim.experiments.iter().all(|name| is_mine(name));
        if !mine || claim.scale_min.is_some() {
            continue;
        }
        let recipe = &claim.estimate;
        let found = rows.iter().filter(|row| {
            claim.experiments.contains(&row.cell.experiment)
                && row.row.metric == recipe.metric
                && row.matches(&recipe.tags)
        });
        let found: Vec<&MeasuredRow> = found.collect();
        assert!(!found.is_empty(), "claim {} has no rows", claim.id);
        for arm in [&recipe.a, &recipe.b].into_iter().flatten() {
            let key = recipe.arm.as_deref().unwrap();
            let has = found.iter().any(|row| row.get(key) == Some(arm));
            assert!(has, "claim {}: no rows of arm {arm}", claim.id);
        }
    }
    let figures = SlmMux::figures(&rows, &[]);
    assert!(figures.len() >= 5, "{}", figures.len());
}

#[test]
fn a_cell_measures_the_same_bytes_again() {
    let all = cells(Scale::Smoke);
    for name in ["exact-accuracy", "constructed-pools"] {
        let cell = all.iter().find(|cell| cell.experiment == name).unwrap();
        assert_eq!(measure(cell), measure(cell), "{name}");
    }
}

#[test]
fn knobs_that_measure_nothing_are_refused_by_name() {
    let effort = Effort {
        scale: Scale::Smoke,
        n_seeds: 1,
    };
    let config = Config {
        n_questions: 0,
        ..Config::default()
    };
    let error = SlmMux::cells(&config, effort).unwrap_err();
    assert!(error.to_string().contains("n_questions"), "{error}");
}
