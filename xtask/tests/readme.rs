//! The matrix on the README's first screen is what the committed baselines say: every claim for
//! which a number is published, and how many others there are.
//!
//! After a new baseline the failure shows the lines; with `UPDATE_README=1` in the environment this
//! test writes them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use eval::manifest::discover;
use eval::{ClaimSummary, Summary};

const START: &str = "|---|---|---|---|---|\n";
const END: &str = "<!-- /matrix -->";
/// Fewest significant digits of what was measured.
const DIGITS: usize = 3;
/// Most significant digits of any number.
const DIGITS_MAX: usize = 8;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A number with so many significant digits, without zeros at its end.
fn printed(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap();
    let power: i32 = exponent.parse().unwrap();
    if !(-3..5).contains(&power) {
        return format!("{}e{power}", trim(mantissa));
    }
    let n_decimals = (i32::try_from(digits).unwrap() - 1 - power).max(0);
    trim(&format!("{value:.*}", usize::try_from(n_decimals).unwrap()))
}

/// The significant digits that the shortest form of a number has.
fn n_digits(value: f64) -> usize {
    let text = format!("{value:e}");
    let mantissa = text.split('e').next().unwrap();
    mantissa.chars().filter(char::is_ascii_digit).count()
}

fn line(paper: &str, claim: &ClaimSummary, published: f64) -> String {
    let digits = DIGITS.max(n_digits(published) + 1).min(DIGITS_MAX);
    let measured = claim.estimate.as_ref().map_or("–".to_owned(), |estimate| {
        let [value, low, high] =
            [estimate.value, estimate.low, estimate.high].map(|x| printed(x, digits));
        let interval = match estimate.deterministic || estimate.low == estimate.high {
            true => String::new(),
            false => format!(" [{low}, {high}]"),
        };
        format!("{value}{interval}{}", unit(claim))
    });
    format!(
        "| {paper} | {} {} | {}{} | {measured} | {} |\n",
        claim.id,
        claim.says,
        printed(published, n_digits(published).clamp(DIGITS, DIGITS_MAX)),
        unit(claim),
        claim.verdict.as_str()
    )
}

fn unit(claim: &ClaimSummary) -> String {
    match claim.unit.as_str() {
        "1" | "" => String::new(),
        unit => format!(" {unit}"),
    }
}

/// The line after a paper's claims: how many have no published number, and their verdicts.
fn line_of_rest(paper: &str, rest: &[ClaimSummary]) -> String {
    let mut counts = BTreeMap::new();
    for claim in rest {
        *counts.entry(claim.verdict.as_str()).or_insert(0) += 1;
    }
    let verdicts: Vec<String> = counts
        .into_iter()
        .map(|(verdict, n)| format!("{n} {verdict}"))
        .collect();
    let (n, verdicts) = (rest.len(), verdicts.join(", "));
    format!("| {paper} | {n} claims without such a number | – | – | {verdicts} |\n")
}

fn matrix() -> String {
    let mut lines = String::new();
    for paper in discover(&root()).unwrap() {
        let path = root().join("results").join(&paper).join("baseline.json");
        if !path.is_file() {
            continue;
        }
        let mut rest = Vec::new();
        for claim in Summary::read(&path).unwrap().claims {
            match claim.published {
                Some(published) => lines.push_str(&line(&paper, &claim, published)),
                None => rest.push(claim),
            }
        }
        if !rest.is_empty() {
            lines.push_str(&line_of_rest(&paper, &rest));
        }
    }
    lines
}

#[test]
fn the_matrix_agrees_with_the_committed_baselines() {
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let start = readme.find(START).unwrap() + START.len();
    let end = readme.find(END).unwrap();
    let want = matrix();
    if std::env::var_os("UPDATE_README").is_some() {
        let text = format!("{}{want}{}", &readme[..start], &readme[end..]);
        std::fs::write(&path, text).unwrap();
        return;
    }
    assert_eq!(
        readme[start..end],
        want,
        "`UPDATE_README=1 cargo test -p xtask --test readme` writes these lines"
    );
}

#[test]
fn numbers_are_printed_with_their_significant_digits() {
    let cases = [
        (1.529e-9, "1.53e-9"),
        (0.0, "0"),
        (2.8449, "2.84"),
        (16.9349, "16.9"),
        (-0.6895, "-0.69"),
        (1.0, "1"),
        (123_456.0, "1.23e5"),
    ];
    for (value, want) in cases {
        assert_eq!(printed(value, DIGITS), want);
    }
    assert_eq!([1e-12, 16.92, 0.547_377_92].map(n_digits), [1, 4, 8]);
}
