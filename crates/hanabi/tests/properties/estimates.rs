//! The claims fall when the data that carry them are disturbed.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use eval::engine::Stream;
use eval::recipe::{self, Estimated};
use eval::verdict::{Finding, find};
use eval::{Cell, Claim, Cx, Estimate, Inputs, MeasuredRow, Paper, PaperManifest, RecipeKind, Row};
use hanabi::{Config, Hanabi};
use rand::SeedableRng;
use rand::seq::SliceRandom;

/// Rows of one population whose abilities are independent, measured once.
fn population() -> &'static [MeasuredRow] {
    static ROWS: OnceLock<Vec<MeasuredRow>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let cell = Cell::new("population", 0)
            .with("loading", 0.0)
            .with("players", 150);
        let config = Config {
            population_games: 20,
            ..Config::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let mut cx = Cx::in_process("hanabi", &cell, folder.path(), Inputs::none()).unwrap();
        Hanabi::run(&mut cx, &config, &cell).unwrap();
        drop(cx);
        let text = std::fs::read_to_string(folder.path().join("rows.jsonl")).unwrap();
        let cell = Arc::new(cell);
        let row = |line: &str| MeasuredRow {
            cell: cell.clone(),
            row: serde_json::from_str::<Row>(line).unwrap(),
        };
        text.lines().map(row).collect()
    })
}

fn claim(id: &str) -> Claim {
    let manifest = PaperManifest::parse(Hanabi::MANIFEST, "paper.toml").unwrap();
    manifest.select(&[id.to_owned()]).unwrap()[0].clone()
}

fn estimate(claim: &Claim, rows: &[MeasuredRow]) -> Estimate {
    if claim.estimate.recipe == RecipeKind::Custom {
        return Hanabi::estimate(claim, rows).unwrap().unwrap();
    }
    let mut stream = Stream::seed_from_u64(1);
    let bound = claim.test.bound;
    match recipe::estimate(&claim.estimate, &claim.test, bound, rows, &mut stream).unwrap() {
        Estimated::Value(estimate) => estimate,
        other => panic!("{other:?}"),
    }
}

fn finding(id: &str, rows: &[MeasuredRow]) -> Finding {
    let claim = claim(id);
    find(
        &claim.test,
        claim.test.bound.unwrap(),
        0.0,
        &estimate(&claim, rows),
    )
}

/// The rows with first-order and second-order scores under each other's name.
fn swapped(rows: &[MeasuredRow]) -> Vec<MeasuredRow> {
    let swap = |row: &MeasuredRow| {
        let mut row = row.clone();
        row.row.metric = match row.row.metric.as_str() {
            "first_order" => "second_order".to_owned(),
            "second_order" => "first_order".to_owned(),
            other => other.to_owned(),
        };
        row
    };
    rows.iter().map(swap).collect()
}

/// The rows with the players' scores dealt out anew.
fn permuted(rows: &[MeasuredRow], metric: &str, seed: u64) -> Vec<MeasuredRow> {
    let scores = rows.iter().filter(|row| row.row.metric == metric);
    let mut scores: Vec<Option<f64>> = scores.map(|row| row.row.value).collect();
    scores.shuffle(&mut Stream::seed_from_u64(seed));
    let mut scores = scores.into_iter();
    let mut rows = rows.to_vec();
    for row in rows.iter_mut().filter(|row| row.row.metric == metric) {
        row.row.value = scores.next().unwrap();
    }
    rows
}

#[test]
fn swapping_the_two_orders_turns_the_claim_about_them_false() {
    for id in ["C2", "C2-strict"] {
        assert_eq!(finding(id, population()), Finding::Holds, "{id}");
        assert_eq!(
            finding(id, &swapped(population())),
            Finding::Beyond,
            "{id} swapped"
        );
    }
}

#[test]
fn permuting_the_scores_removes_the_claims_about_them() {
    let claims = [
        ("C1-first", "score_points"),
        ("C1-second", "score_points"),
        ("C1-first-strict", "score_strict"),
        ("C1-second-strict", "score_strict"),
    ];
    let mut held: BTreeMap<&str, u32> = BTreeMap::new();
    for (id, metric) in claims {
        assert_eq!(finding(id, population()), Finding::Holds, "{id}");
        for seed in 0..20 {
            let rows = permuted(population(), metric, seed);
            *held.entry(id).or_default() += u32::from(finding(id, &rows) == Finding::Holds);
        }
    }
    // One in forty by chance: a 95 % interval lies wholly above zero.
    assert!(held.values().all(|held| *held <= 3), "{held:?}");
}
