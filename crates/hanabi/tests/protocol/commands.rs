//! The command line, as a person or a script uses it.

use std::path::Path;
use std::process::{Command, Output};

use hanabi::protocol::GameRecord;

fn hanabi(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hanabi"))
        .current_dir(folder)
        .args(args)
        .env_remove("OPENAI_BASE_URL")
        .env_remove("OPENAI_API_KEY")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn works(folder: &Path, args: &[&str]) -> (String, String) {
    let output = hanabi(folder, args);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{args:?}: {err}");
    (out, err)
}

fn fails(args: &[&str], code: i32, words: &str) {
    let folder = tempfile::tempdir().unwrap();
    let output = hanabi(folder.path(), args);
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {err}");
    assert!(err.contains(words), "`{words}` in {err}");
    assert!(output.stdout.is_empty(), "stdout carries data only");
}

#[test]
fn games_are_played_judged_and_given_to_raters() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let seats = [
        "--player",
        "intent:1,0.5,1",
        "--player",
        "simple",
        "--seats",
        "a,a,a,a,b",
    ];
    let play = [&["play", "--games", "4", "--seed", "3"], &seats[..]].concat();
    let (games, note) = works(here, &play);
    assert!(note.contains("4 games (seed 3), 0 failed"), "{note}");
    assert_eq!(games, works(here, &play).0, "a seed gives equal bytes");
    let records = GameRecord::read_all(&games, "stdout").unwrap();
    assert_eq!(records.len(), 4);
    std::fs::write(here.join("games.jsonl"), &games).unwrap();

    let judge = [
        "judge",
        "games.jsonl",
        "--judge",
        "overlap",
        "--out",
        "judged.jsonl",
    ];
    let (told, _) = works(here, &judge);
    assert!(told.starts_with("overlap, first order: "), "{told}");
    let judged = std::fs::read_to_string(here.join("judged.jsonl")).unwrap();
    let judged = GameRecord::read_all(&judged, "judged").unwrap();
    let scored = judged
        .iter()
        .flat_map(GameRecord::hints)
        .filter(|h| h.judged.len() == 2);
    assert!(scored.count() > 10);

    let export = "raters export games.jsonl --pairs 20 --out pairs.csv --key key.csv";
    works(here, &export.split(' ').collect::<Vec<_>>());
    let key = std::fs::read_to_string(here.join("key.csv")).unwrap();
    let pairs = std::fs::read_to_string(here.join("pairs.csv")).unwrap();
    let ratings: Vec<&str> = key
        .lines()
        .map(|line| line.split(',').nth(1).unwrap())
        .collect();
    let rated = pairs
        .lines()
        .zip(ratings)
        .enumerate()
        .map(|(idx, (line, rating))| match idx {
            0 => line.to_owned(),
            _ => format!("{}{rating},{rating}", line.strip_suffix(',').unwrap()),
        });
    std::fs::write(here.join("rated.csv"), rated.collect::<Vec<_>>().join("\n")).unwrap();
    let import = "raters import rated.csv --key key.csv --format json";
    let (found, _) = works(here, &import.split(' ').collect::<Vec<_>>());
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(
        (found["n"].as_u64(), found["kappa"].as_f64()),
        (Some(20), Some(1.0))
    );
    assert_eq!(found["kappa_with_intents"][0].as_f64(), Some(1.0));
}

#[test]
fn a_cross_play_seats_every_player_among_every_other_on_the_same_decks() {
    let folder = tempfile::tempdir().unwrap();
    let line = "play --player intent:1,1,1 --player blind --cross --games 2 --table 3";
    let (games, _) = works(folder.path(), &line.split(' ').collect::<Vec<_>>());
    let records = GameRecord::read_all(&games, "stdout").unwrap();
    assert_eq!(records.len(), 8);
    let alone = |record: &GameRecord| {
        record
            .end
            .players
            .iter()
            .filter(|name| *name == "blind")
            .count()
    };
    let counts: Vec<usize> = records.iter().map(alone).collect();
    assert_eq!(counts, [0, 0, 2, 2, 1, 1, 3, 3]);
    assert!(
        records
            .iter()
            .all(|record| record.end.deck == records[0].end.deck
                || record.end.deck == records[1].end.deck)
    );
}

#[test]
fn judges_are_put_to_the_test_without_any_input() {
    let folder = tempfile::tempdir().unwrap();
    let line = "judge --judge exact --judge overlap --pairs 40 --format json";
    let (found, _) = works(folder.path(), &line.split(' ').collect::<Vec<_>>());
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["judges"][0]["kappa_quadratic"].as_f64(), Some(1.0));
    assert!(found["judges"][1]["kappa_quadratic"].as_f64().unwrap() < 0.95);
}

#[test]
fn the_cost_of_an_endpoint_is_said_and_a_budget_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let line = "play --player endpoint:m --base-url http://127.0.0.1:9/v1 --estimate \
                --price-prompt 1 --price-generated 2";
    let (out, note) = works(folder.path(), &line.split_whitespace().collect::<Vec<_>>());
    assert!(out.is_empty() && note.contains("US dollars"), "{note}");
    let run = [
        "play",
        "--player",
        "endpoint:m",
        "--base-url",
        "http://127.0.0.1:9/v1",
    ];
    fails(&run, 2, "has no budget");
    fails(
        &["play", "--player", "endpoint:m", "--budget-requests", "1"],
        2,
        "OPENAI_BASE_URL",
    );
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_played() {
    fails(&["play", "--player", "gpt"], 2, "`gpt` names no player");
    fails(
        &["play", "--player", "intent:1,2,3"],
        2,
        "three numbers from 0 to 1",
    );
    fails(
        &["play", "--player", "simple", "--seats", "a,b"],
        2,
        "seat `b`",
    );
    fails(
        &["play", "--player", "simple", "--seats", "a"],
        6,
        "1 players",
    );
    fails(
        &["play", "--player", "simple", "--judge", "simple"],
        2,
        "names no judge",
    );
    fails(
        &["play", "--player", "local:nothing.gguf"],
        6,
        "no weight file",
    );
    fails(&["judge", "--judge", "exact", "--pairs", "1"], 2, "--pairs");
    fails(
        &["judge", "none.jsonl", "--judge", "exact"],
        70,
        "none.jsonl",
    );
}
