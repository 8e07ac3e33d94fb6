//! `list` and `show` read what is on disk and start nothing.

use std::time::{Duration, Instant};

use crate::fake::Fake;

#[test]
fn a_paper_without_runs_is_listed() {
    let fake = Fake::new();
    let answer = fake.xtask("list");
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let expected = "paper  claims  last run  scale  verdicts\n\
                    -----  ------  --------  -----  --------\n\
                    alpha  2       none\n";
    assert_eq!(answer.stdout, expected);
    assert_eq!(fake.started(), "");
}

#[test]
fn the_last_run_is_counted_and_told_stale_after_a_change() {
    let fake = Fake::new();
    let source = String::from(eval::source::source_digest(fake.root(), "alpha").unwrap());
    for run in ["R0", "R1"] {
        fake.write(&format!("results/alpha/{run}/run.json"), "{}");
        fake.summary(&format!("results/alpha/{run}/summary.json"), &source);
    }
    let answer = fake.xtask("list");
    let line = answer.stdout.lines().nth(2).unwrap();
    assert!(line.contains("R1"), "{line}");
    assert!(line.contains("1 reproduced, 1 inconclusive"), "{line}");
    assert!(!line.contains("stale"), "{line}");
    let last = &fake.xtask("list --format json").json()["papers"][0]["last"];
    assert_eq!(last["verdicts"]["reproduced"], 1);
    assert_eq!(last["scale"], "quick");
    assert_eq!(last["stale"], false);

    fake.write("crates/alpha/src/main.rs", "//! A changed paper.\n");
    assert!(fake.xtask("list").stdout.contains("stale"));
    assert_eq!(
        fake.xtask("list --format json").json()["papers"][0]["last"]["stale"],
        true
    );
}

#[test]
fn an_unfinished_run_is_listed_without_verdicts() {
    let fake = Fake::new();
    fake.write("results/alpha/R1/run.json", "{}");
    let last = &fake.xtask("list --format json").json()["papers"][0]["last"];
    assert_eq!(last["run"], "R1");
    assert_eq!(last["verdicts"], serde_json::json!({}));
}

#[test]
fn the_baseline_speaks_where_nothing_was_run_yet() {
    let fake = Fake::new();
    fake.summary("results/alpha/baseline.json", "0");
    let line = fake.xtask("list").stdout.lines().nth(2).unwrap().to_owned();
    assert!(line.contains("none; baseline"), "{line}");
    assert!(line.contains("1 reproduced"), "{line}");
}

#[test]
fn a_paper_that_cannot_be_read_does_not_hide_the_others() {
    let fake = Fake::new();
    fake.paper("beta");
    fake.write("crates/alpha/paper.toml", "format = 1\n");
    let answer = fake.xtask("list");
    assert_eq!(answer.code, 2);
    assert!(answer.stdout.contains("beta   2"), "{}", answer.stdout);
    assert!(
        answer.stderr.contains("crates/alpha/paper.toml"),
        "{}",
        answer.stderr
    );
    let papers = &fake.xtask("list --format json").json()["papers"];
    assert!(papers[0]["error"].is_string() && papers[1]["error"].is_null());
}

#[test]
fn show_tells_claims_places_numbers_tests_and_limits() {
    let fake = Fake::new();
    let answer = fake.xtask("show alpha");
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    for part in [
        "alpha: A title",
        "arXiv    2510.00000v1",
        "authors  A. Author, B. Author",
        "idea     The idea.",
        "limits   The limits.",
        "C1 (Table 7; theory)",
        "  says         The sentence of the first claim.",
        "  published    0.625 bits, last digit 0.001",
        "  test         equal to 0.625 bits, margin 0.1",
        "C2 (Theorem 3; scaled)",
        "  published    no number",
        "  test         at most 1e-8",
        "  gate         not watched by `--gate`",
    ] {
        assert!(
            answer.stdout.contains(part),
            "`{part}` in:\n{}",
            answer.stdout
        );
    }
    let json = fake.xtask("show alpha --format json").json();
    assert_eq!(json["paper"]["id"], "alpha");
    assert_eq!(json["claim"][0]["published"], 0.625);
    assert_eq!(fake.started(), "");
}

#[test]
fn reading_takes_less_than_a_second() {
    let fake = Fake::new();
    for words in ["--help", "list", "show alpha"] {
        let start = Instant::now();
        assert_eq!(fake.xtask(words).code, 0, "{words}");
        assert!(
            start.elapsed() < Duration::from_secs(1),
            "{words}: {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn the_help_of_every_command_has_an_example() {
    let fake = Fake::new();
    let top = fake.xtask("--help").stdout;
    let commands: Vec<&str> = top
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(commands.len(), 12, "{commands:?}");
    for command in commands {
        let help = fake.xtask(&format!("{command} --help"));
        assert_eq!(help.code, 0, "{command}");
        assert!(
            help.stdout.contains(&format!("cargo xtask {command}")),
            "{}",
            help.stdout
        );
    }
}
