//! What each format looks like.

use eval::Scale;
use report::compare::{compare, resolve, show};
use report::store::StoredRun;
use report::{markdown, render, results};

use crate::support::{Workspace, claims};

const RUN: &str = "20261122T180000Z-abcdef12";

fn two_claims() -> (Workspace, StoredRun) {
    let workspace = Workspace::new();
    let mut claims = claims();
    claims.truncate(2);
    let path = workspace.run(RUN, Scale::Quick, claims);
    let run = StoredRun::open(workspace.root(), &path).unwrap();
    (workspace, run)
}

#[test]
fn the_results_table_fits_a_terminal() {
    let (_workspace, run) = two_claims();
    insta::assert_snapshot!(results::sheet(&run.summary).terminal(100));
}

#[test]
fn the_results_table_in_markdown() {
    let (_workspace, run) = two_claims();
    insta::assert_snapshot!(results::sheet(&run.summary).markdown());
}

#[test]
fn the_results_table_in_latex() {
    let (_workspace, run) = two_claims();
    insta::assert_snapshot!(results::sheet(&run.summary).latex());
}

#[test]
fn the_results_table_in_csv_has_numbers_in_full() {
    let (_workspace, run) = two_claims();
    insta::assert_snapshot!(results::full_sheet(&run.summary).csv().unwrap());
}

#[test]
fn the_short_report() {
    let (_workspace, run) = two_claims();
    let report = markdown::report(&run, &render::Derived::default());
    let below = report.split("## What would").nth(1).unwrap();
    insta::assert_snapshot!(below.replace(&run.summary.source, "[source]"));
}

#[test]
fn a_comparison_with_the_published_numbers() {
    let (workspace, _run) = two_claims();
    let words = ["demo", "published"].map(str::to_owned);
    let comparison = compare(&resolve(workspace.root(), &words).unwrap());
    insta::assert_snapshot!(show::sheet(&comparison).markdown());
}

#[test]
fn rendering_writes_every_derived_file_and_twice_the_same() {
    let (_workspace, run) = two_claims();
    let page = render::render(&run).unwrap();
    let first = std::fs::read(&page).unwrap();
    assert_eq!(std::fs::read(render::render(&run).unwrap()).unwrap(), first);
    let mut files: Vec<String> = std::fs::read_dir(run.folder.file("tables"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    insta::assert_snapshot!(files.join(" "));
    for file in ["report.html", "report.md", "rows.parquet"] {
        assert!(run.folder.file(file).is_file(), "{file}");
    }
}
