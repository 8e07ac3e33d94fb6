//! From the rows of a run to `summary.json` and `figures.json`: estimates, controls, Holm's
//! correction, verdicts.

use std::collections::BTreeSet;

use super::open::OpenRun;
use super::plan::is_in_reach;
use super::streams::StreamKey;
use super::{Paper, Stream};
use crate::claim::RowSource;
use crate::error::Result;
use crate::fs::write_json;
use crate::manifest::PaperManifest;
use crate::recipe::{self, Estimated};
use crate::stats::holm;
use crate::summary::{ClaimSummary, ControlSummary, FORMAT, Summary};
use crate::verdict::{Circumstances, ControlOutcome, Finding, describe, find, judge};
use crate::{Cell, Claim, Estimate, InputState, MeasuredRow, Recipe, RecipeKind, Test};

/// The level below which a corrected p-value still decides: intervals are at 95 %.
const ALPHA: f64 = 0.05;

/// Everything measured so far.
struct Measured {
    rows: Vec<MeasuredRow>,
    timings: Vec<MeasuredRow>,
}

/// A claim on its way to a verdict.
struct Draft<'a> {
    claim: &'a Claim,
    absent: Option<String>,
    cells_missing: u64,
    estimate: Option<Estimate>,
    no_estimate: Option<String>,
    control: Option<ControlSummary>,
}

/// Computes and writes the summary and the figures of a run.
///
/// # Errors
/// Stored rows are damaged, the paper's own estimate failed, or the folder cannot be written.
pub fn summarize<P: Paper>(run: &OpenRun, manifest: &PaperManifest) -> Result<Summary> {
    let measured = Measured {
        rows: run.folder.rows(&run.plan, RowSource::Rows)?,
        timings: run.folder.rows(&run.plan, RowSource::Timing)?,
    };
    let claims = manifest.select(&run.plan.claims)?;
    let mut drafts = Vec::new();
    for claim in claims {
        drafts.push(draft::<P>(run, claim, &measured)?);
    }
    let corrected = correct(&drafts);
    let claims = drafts
        .into_iter()
        .zip(corrected)
        .map(|(draft, p)| finish(run, draft, p))
        .collect();
    let digest = run.folder.rows_digest(&run.plan);
    let summary = Summary {
        format: FORMAT,
        paper: run.record.paper.clone(),
        run: run.folder.name(),
        scale: run.record.effort.scale,
        source: run.record.source.as_hex().to_owned(),
        rows: digest
            .map(|digest| digest.as_hex().to_owned())
            .unwrap_or_default(),
        claims,
    };
    let figures = P::figures(&measured.rows, &measured.timings);
    write_json(&run.folder.file("figures.json"), &figures)?;
    write_json(&run.folder.file("summary.json"), &summary)?;
    Ok(summary)
}

fn draft<'a, P: Paper>(run: &OpenRun, claim: &'a Claim, measured: &Measured) -> Result<Draft<'a>> {
    let cells: Vec<&Cell> = run
        .plan
        .cells
        .iter()
        .filter(|cell| claim.experiments.contains(&cell.experiment))
        .collect();
    let mut draft = Draft {
        claim,
        absent: absent(run, claim, &cells),
        cells_missing: 0,
        estimate: None,
        no_estimate: None,
        control: None,
    };
    if draft.absent.is_some() {
        return Ok(draft);
    }
    let missing = cells
        .iter()
        .filter(|cell| run.folder.done(&cell.id()).is_none());
    draft.cells_missing = missing.count() as u64;
    let paper = &run.record.paper;
    if claim.estimate.recipe == RecipeKind::Custom {
        draft.estimate = P::estimate(claim, &rows_of(claim, &claim.estimate, measured))?;
    } else {
        let stream = stream(paper, &format!("estimate {}", claim.id));
        let bound = claim.test.bound.or(claim.published);
        let found = measure(claim, &claim.estimate, &claim.test, bound, measured, stream)?;
        draft.no_estimate = found.reason();
        draft.estimate = found.value().cloned();
    }
    draft.control = control(paper, claim, measured)?;
    Ok(draft)
}

/// Why a claim is not attempted: the scale is too small, no cell, or an input is absent.
fn absent(run: &OpenRun, claim: &Claim, cells: &[&Cell]) -> Option<String> {
    let effort = run.record.effort;
    if !is_in_reach(claim, effort) || cells.is_empty() {
        let why = claim.beyond.clone();
        return Some(why.unwrap_or_else(|| {
            let scale = claim.scale_min.map_or("full", |scale| scale.as_str());
            let paper = &run.record.paper;
            format!("`cargo xtask reproduce {paper} --scale {scale}` attempts it")
        }));
    }
    let needs: BTreeSet<&String> = cells.iter().flat_map(|cell| &cell.needs).collect();
    needs.into_iter().find_map(
        |name| match run.inputs.inputs.get(name).map(|input| &input.state) {
            Some(InputState::Present) => None,
            Some(
                InputState::Missing { reason, fetch } | InputState::Mismatch { reason, fetch },
            ) => Some(format!("input `{name}`: {reason}; `{fetch}` brings it")),
            None => Some(format!(
                "input `{name}` is unknown; `cargo xtask data list` shows all"
            )),
        },
    )
}

fn rows_of(claim: &Claim, recipe: &Recipe, measured: &Measured) -> Vec<MeasuredRow> {
    let rows = match recipe.source {
        RowSource::Rows => &measured.rows,
        RowSource::Timing => &measured.timings,
    };
    rows.iter()
        .filter(|row| claim.experiments.contains(&row.cell.experiment))
        .cloned()
        .collect()
}

fn measure(
    claim: &Claim,
    recipe: &Recipe,
    test: &Test,
    bound: Option<f64>,
    measured: &Measured,
    mut stream: Stream,
) -> Result<Estimated> {
    recipe::estimate(
        recipe,
        test,
        bound,
        &rows_of(claim, recipe, measured),
        &mut stream,
    )
}

fn control(paper: &str, claim: &Claim, measured: &Measured) -> Result<Option<ControlSummary>> {
    let Some(control) = &claim.control else {
        return Ok(None);
    };
    let stream = stream(paper, &format!("control {}", claim.id));
    let (recipe, test) = (&control.estimate, &control.test);
    let found = measure(claim, recipe, test, test.bound, measured, stream)?;
    let estimate = found.value().cloned();
    let holds = |(estimate, bound): (&Estimate, f64)| {
        matches!(
            find(test, bound, 0.0, estimate),
            Finding::Holds | Finding::WithinMargin { .. }
        )
    };
    let passed = estimate.as_ref().zip(test.bound).is_some_and(holds);
    Ok(Some(ControlSummary {
        says: control.says.clone(),
        estimate,
        passed,
    }))
}

/// A stream for resampling, named after the paper and what it is for.
fn stream(paper: &str, purpose: &str) -> Stream {
    StreamKey {
        paper,
        cell: &Cell::new("summary", 0),
        purpose,
    }
    .stream()
}

/// Holm's correction over the claims of the run that have a p-value.
fn correct(drafts: &[Draft]) -> Vec<Option<f64>> {
    let p_values: Vec<Option<f64>> = drafts
        .iter()
        .map(|draft| draft.estimate.as_ref()?.p_value)
        .collect();
    let present: Vec<f64> = p_values.iter().flatten().copied().collect();
    let mut corrected = holm(&present).unwrap_or(present).into_iter();
    p_values
        .into_iter()
        .map(|p| p.and_then(|_| corrected.next()))
        .collect()
}

fn finish(run: &OpenRun, draft: Draft, p_holm: Option<f64>) -> ClaimSummary {
    let claim = draft.claim;
    let control = match &draft.control {
        None => ControlOutcome::None,
        Some(control) if control.passed => ControlOutcome::Passed,
        Some(_) => ControlOutcome::Failed,
    };
    let raw = draft
        .estimate
        .as_ref()
        .and_then(|estimate| estimate.p_value);
    let lost = raw
        .zip(p_holm)
        .is_some_and(|(raw, holm)| raw <= ALPHA && holm > ALPHA);
    let now = Circumstances {
        absent: draft.absent.as_deref(),
        stale: false,
        cells_missing: draft.cells_missing,
        no_estimate: draft.no_estimate.as_deref(),
        control,
        issues_verdicts: run.record.effort.scale.issues_verdicts(),
        lost_to_holm: lost,
    };
    let judgement = judge(claim, draft.estimate.as_ref(), &now);
    let bound = claim.test.bound.or(claim.published);
    ClaimSummary {
        id: claim.id.clone(),
        says: claim.says.clone(),
        place: claim.place.clone(),
        tier: claim.tier,
        published: claim.published,
        test: bound
            .map(|bound| describe(&claim.test, bound, &claim.unit))
            .unwrap_or_default(),
        unit: claim.unit.clone(),
        measures: claim.measures.clone(),
        estimate: draft.estimate,
        p_holm,
        control: draft.control,
        verdict: judgement.verdict,
        reason: judgement.reason,
        gate: claim.gate,
    }
}
