//! `list`: papers, claims, and last verdicts, without any build.

use std::collections::BTreeMap;
use std::path::Path;

use eval::run::{RunStatus, runs_of};
use eval::{Error, Result, RunFolder, Scale, Summary, Verdict, exit};
use serde::Serialize;

use crate::cli::Format;
use crate::workspace::Workspace;
use crate::{output, text};

/// The format version of the JSON document.
const FORMAT: u32 = 1;

/// One line of the list.
#[derive(Serialize)]
struct Line {
    paper: String,
    title: Option<String>,
    arxiv: Option<String>,
    n_claims: usize,
    last: Option<Found>,
    baseline: Option<Found>,
    error: Option<String>,
}

/// What a run, or the baseline, found.
#[derive(Serialize)]
struct Found {
    run: String,
    scale: Option<Scale>,
    status: Option<RunStatus>,
    verdicts: BTreeMap<Verdict, usize>,
    stale: Option<bool>,
}

/// Prints the list. A paper that cannot be read is listed with its error; the exit code is then 2.
///
/// # Errors
/// The workspace cannot be listed.
pub fn list(workspace: &Workspace, format: Format) -> Result<u8> {
    let mut lines = Vec::new();
    let mut errors = Vec::new();
    for paper in workspace.papers()? {
        let (line, error) = line(workspace, paper);
        lines.push(line);
        errors.extend(error);
    }
    match format {
        Format::Json => output::json(&serde_json::json!({ "format": FORMAT, "papers": lines }))?,
        Format::Table => output::data(&table(&lines))?,
    }
    errors.iter().for_each(output::error);
    Ok(if errors.is_empty() {
        exit::COMPLETE
    } else {
        exit::USAGE
    })
}

fn line(workspace: &Workspace, paper: String) -> (Line, Option<Error>) {
    let manifest = workspace.manifest(&paper);
    let found = manifest.as_ref().ok().map(|manifest| {
        let source = eval::source::source_digest(workspace.root(), &paper).ok();
        let source = source.map(String::from);
        let baseline = workspace.results().join(&paper).join("baseline.json");
        (
            manifest.clone(),
            last(workspace, &paper, source.as_deref()),
            {
                baseline
                    .is_file()
                    .then(|| of_summary(&baseline, source.as_deref()))
                    .flatten()
            },
        )
    });
    let mut line = Line {
        paper,
        title: None,
        arxiv: None,
        n_claims: 0,
        last: None,
        baseline: None,
        error: None,
    };
    if let Some((manifest, last, baseline)) = found {
        line.title = Some(manifest.paper.title);
        line.arxiv = Some(format!(
            "{}{}",
            manifest.paper.arxiv, manifest.paper.version
        ));
        line.n_claims = manifest.claims.len();
        line.last = last;
        line.baseline = baseline;
    }
    let error = manifest.err();
    line.error = error.as_ref().map(ToString::to_string);
    (line, error)
}

/// The newest run, finished or not.
fn last(workspace: &Workspace, paper: &str, source: Option<&str>) -> Option<Found> {
    let run: RunFolder = runs_of(&workspace.results(), paper).ok()?.pop()?;
    let record = run.record().ok();
    let found = of_summary(&run.file("summary.json"), source);
    let mut found = found.unwrap_or_else(|| Found {
        run: String::new(),
        scale: record.as_ref().map(|record| record.effort.scale),
        status: None,
        verdicts: BTreeMap::new(),
        stale: None,
    });
    found.run = run.name();
    found.status = record.map(|record| record.status);
    Some(found)
}

fn of_summary(path: &Path, source: Option<&str>) -> Option<Found> {
    let summary = Summary::read(path).ok()?;
    let mut verdicts = BTreeMap::new();
    for claim in &summary.claims {
        *verdicts.entry(claim.verdict).or_insert(0) += 1;
    }
    Some(Found {
        run: summary.run,
        scale: Some(summary.scale),
        status: None,
        verdicts,
        stale: source.map(|source| source != summary.source),
    })
}

fn table(lines: &[Line]) -> String {
    const HEADER: [&str; 5] = ["paper", "claims", "last run", "scale", "verdicts"];
    let rows: Vec<Vec<String>> = lines.iter().map(cells).collect();
    let mut text = text::table(&HEADER, &rows);
    if lines.is_empty() {
        text.push_str("no paper yet: `cargo xtask new <id> --arxiv <n>` makes one\n");
    }
    text
}

fn cells(line: &Line) -> Vec<String> {
    let mut cells = vec![line.paper.clone(), line.n_claims.to_string()];
    if line.error.is_some() {
        cells.push("`paper.toml` cannot be understood".to_owned());
        return cells;
    }
    match (&line.last, &line.baseline) {
        (Some(found), _) => cells.extend(found_cells(found, &found.run)),
        (None, Some(found)) => cells.extend(found_cells(found, "none; baseline")),
        (None, None) => cells.push("none".to_owned()),
    }
    cells
}

fn found_cells(found: &Found, run: &str) -> [String; 3] {
    let mut words: Vec<String> = found
        .verdicts
        .iter()
        .map(|(verdict, n)| format!("{n} {verdict}"))
        .collect();
    match found.status {
        Some(RunStatus::Running) => words.push("unfinished".to_owned()),
        Some(RunStatus::Incomplete) if words.is_empty() => words.push("incomplete".to_owned()),
        _ => {}
    }
    let mut verdicts = words.join(", ");
    if found.stale == Some(true) {
        verdicts.push_str(" (stale: the code changed since)");
    }
    let scale = found
        .scale
        .map(|scale| scale.to_string())
        .unwrap_or_default();
    [run.to_owned(), scale, verdicts]
}
