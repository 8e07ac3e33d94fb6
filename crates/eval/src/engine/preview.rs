//! `--plan`: which cells would run, which are there and why, and the estimated time with its basis.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::open::{Choice, Work, unfinished};
use super::progress::{Costs, seconds};
use crate::cell::CellId;
use crate::claim::RowSource;
use crate::error::{Error, Result};
use crate::run::runs_of;
use crate::{Cell, InputState, RunFolder};

/// The format version of the JSON form.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Preview {
    format: u32,
    paper: String,
    run: Option<String>,
    n_would_run: u64,
    n_there: u64,
    n_out_of_reach: u64,
    expected_s: f64,
    basis: String,
    cells: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    cell: String,
    state: State,
    why: String,
    expected_s: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    WouldRun,
    There,
    OutOfReach,
}

/// The preview as a text table or as JSON.
///
/// # Errors
/// Earlier runs cannot be read.
pub fn preview(
    results: &Path,
    work: &Work,
    choice: &Choice,
    costs: &Costs,
    n_jobs: u64,
    json: bool,
) -> Result<String> {
    let run = match choice {
        Choice::Fresh => None,
        Choice::Resume(folder) => Some(folder.clone()),
        Choice::Auto => unfinished(results, &work.paper, &work.key())?,
    };
    let cells: Vec<Line> = work
        .plan
        .cells
        .iter()
        .map(|cell| line(cell, work, run.as_ref(), costs))
        .collect();
    let count = |state| cells.iter().filter(|line| line.state == state).count() as u64;
    let to_run = work.plan.cells.iter().zip(&cells);
    let to_run = to_run
        .filter(|(_, line)| line.state == State::WouldRun)
        .map(|(cell, _)| cell);
    let (expected_s, n_unknown) = costs.expect_all(to_run, n_jobs);
    let preview = Preview {
        format: FORMAT,
        paper: work.paper.clone(),
        run: run.map(|run| run.name()),
        n_would_run: count(State::WouldRun),
        n_there: count(State::There),
        n_out_of_reach: count(State::OutOfReach),
        expected_s,
        basis: basis(n_unknown, count(State::WouldRun), n_jobs),
        cells,
    };
    if json {
        return serde_json::to_string_pretty(&preview)
            .map_err(|e| Error::internal("cannot encode the plan").caused_by(e));
    }
    Ok(table(&preview))
}

fn line(cell: &Cell, work: &Work, run: Option<&RunFolder>, costs: &Costs) -> Line {
    let id = cell.id();
    let absent = cell
        .needs
        .iter()
        .find_map(|need| match work.inputs.inputs.get(need) {
            Some(input) if input.state == InputState::Present => None,
            _ => Some(format!(
                "input `{need}` is absent here; a run would try to fetch it"
            )),
        });
    let done = run.filter(|run| run.done(&id).is_some());
    let (state, why) = match (done, absent, run) {
        (Some(run), _, _) => (State::There, format!("finished in run `{}`", run.name())),
        (None, Some(absent), _) => (State::OutOfReach, absent),
        (None, None, Some(run)) => (
            State::WouldRun,
            format!("not finished in run `{}`", run.name()),
        ),
        (None, None, None) => (State::WouldRun, "a new run measures every cell".to_owned()),
    };
    Line {
        cell: id.to_string(),
        state,
        why,
        expected_s: costs.expect(cell),
    }
}

fn basis(n_unknown: u64, n_would_run: u64, n_jobs: u64) -> String {
    match n_unknown {
        0 => format!("what the same cells took in the latest run that has them, {n_jobs} jobs"),
        n if n == n_would_run => "nothing is known yet about these cells".to_owned(),
        n => format!("earlier runs, {n_jobs} jobs; nothing is known about {n} of the cells"),
    }
}

fn table(preview: &Preview) -> String {
    let mut text = String::new();
    for line in &preview.cells {
        let state = match line.state {
            State::WouldRun => "would run",
            State::There => "there",
            State::OutOfReach => "out of reach",
        };
        let expected = line.expected_s.map_or_else(|| "?".to_owned(), seconds);
        text.push_str(&format!(
            "{state:12}  {expected:>8}  {}  ({})\n",
            line.cell, line.why
        ));
    }
    text.push_str(&format!(
        "{} would run, {} there, {} out of reach; about {} (basis: {})",
        preview.n_would_run,
        preview.n_there,
        preview.n_out_of_reach,
        seconds(preview.expected_s),
        preview.basis
    ));
    text
}

/// What cells took in earlier runs of the paper, the latest first to be believed.
///
/// # Errors
/// The folder of runs cannot be read.
pub fn earlier_costs(results: &Path, paper: &str) -> Result<BTreeMap<CellId, f64>> {
    const RUNS_MAX: usize = 5;
    let mut costs = BTreeMap::new();
    for run in runs_of(results, paper)?.into_iter().rev().take(RUNS_MAX) {
        // A damaged earlier run only makes the estimate poorer.
        let Ok(plan) = run.plan() else { continue };
        let Ok(timings) = run.rows(&plan, RowSource::Timing) else {
            continue;
        };
        for timing in timings
            .iter()
            .filter(|timing| timing.row.metric == "cell_wall_s")
        {
            if let Some(wall_s) = timing.row.value {
                costs.entry(timing.cell.id()).or_insert(wall_s);
            }
        }
    }
    Ok(costs)
}
