//! The matrix on the README's first screen says what the committed baselines say: every claim for
//! which the paper gives a number, and how many others there are.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use eval::manifest::discover;
use eval::{ClaimSummary, Summary};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The cells of each line of the matrix, without its two header lines.
fn matrix() -> Vec<Vec<String>> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let start = readme.find("<!-- matrix").unwrap();
    let end = readme.find("<!-- /matrix -->").unwrap();
    let lines = readme[start..end]
        .lines()
        .filter(|line| line.starts_with('|'));
    let cells = |line: &str| {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    lines.skip(2).map(cells).collect()
}

/// Whether a number as printed stands for the value: equal to within half a unit of its last digit.
fn stands_for(printed: &str, value: f64) -> bool {
    let number = printed.split(' ').next().unwrap();
    let (mantissa, exponent) = number.split_once('e').unwrap_or((number, "0"));
    let n_decimals = mantissa
        .split_once('.')
        .map_or(0, |(_, decimals)| decimals.len());
    let power = exponent.parse::<i32>().unwrap() - i32::try_from(n_decimals).unwrap();
    (number.parse::<f64>().unwrap() - value).abs() <= 0.500_001 * 10_f64.powi(power)
}

fn check(paper: &str, claim: &ClaimSummary, line: &[String]) {
    assert_eq!(line[0], paper);
    assert_eq!(line[1].split(' ').next().unwrap(), claim.id);
    let value = claim.estimate.as_ref().unwrap().value;
    assert!(
        stands_for(&line[3], value),
        "{}: `{}` for {value}",
        claim.id,
        line[3]
    );
    assert_eq!(line[4], claim.verdict.as_str(), "{}", claim.id);
}

/// The line after a paper's claims: how many claims have no number of the paper's, and their
/// verdicts.
fn check_rest(paper: &str, rest: &[ClaimSummary], line: &[String]) {
    let mut counts = BTreeMap::new();
    for claim in rest {
        *counts.entry(claim.verdict.as_str()).or_insert(0) += 1;
    }
    let verdicts: Vec<String> = counts
        .into_iter()
        .map(|(verdict, n)| format!("{n} {verdict}"))
        .collect();
    assert_eq!(line[0], paper);
    assert_eq!(
        line[1],
        format!("{} claims without such a number", rest.len())
    );
    assert_eq!(line[4], verdicts.join(", "));
}

#[test]
fn the_matrix_agrees_with_the_committed_baselines() {
    let lines = matrix();
    let mut lines = lines.iter();
    for paper in discover(&root()).unwrap() {
        let path = root().join("results").join(&paper).join("baseline.json");
        if !path.is_file() {
            continue;
        }
        let claims = Summary::read(&path).unwrap().claims;
        let (shown, rest): (Vec<_>, Vec<_>) = claims
            .into_iter()
            .partition(|claim| claim.published.is_some());
        for claim in &shown {
            let line = lines.next();
            let line = line.unwrap_or_else(|| panic!("no line for {paper} {}", claim.id));
            check(&paper, claim, line);
        }
        if !rest.is_empty() {
            check_rest(&paper, &rest, lines.next().unwrap());
        }
    }
    assert_eq!(
        lines.next(),
        None,
        "the README shows a claim that no baseline has"
    );
}

#[test]
fn a_printed_number_stands_for_values_that_round_to_it() {
    assert!(stands_for("1.53e-9 bits", 1.529e-9));
    assert!(!stands_for("1.53e-9 bits", 1.54e-9));
    assert!(stands_for("0", 0.0));
    assert!(stands_for("2.8 [2.5, 3.1]", 2.84));
    assert!(!stands_for("2.8 [2.5, 3.1]", 2.9));
}
