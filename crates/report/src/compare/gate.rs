//! The gate: no watched claim may fall below its committed baseline.

use std::path::Path;

use eval::{Error, Result, Scale, Summary, exit};

use super::{Column, Kind, Side};
use crate::baseline;
use crate::store;

/// Holds every run of the first column that has runs against its paper's baseline, and returns
/// sentences on what could not be held against one.
///
/// # Errors
/// A claim fell (exit code 3, all of them named); a run is of scale smoke; no paper has a baseline.
pub fn gate(root: &Path, columns: &[Column]) -> Result<Vec<String>> {
    let has_runs = |column: &&Column| column.sides.values().any(|side| side.kind == Kind::Run);
    let column = columns.iter().find(has_runs).ok_or_else(|| {
        Error::usage("the gate needs a run").hint("name a paper or a run beside the baseline")
    })?;
    let (mut fallen, mut notes) = (Vec::new(), Vec::new());
    let mut n_held = 0;
    for (paper, side) in &column.sides {
        let path = baseline::path(root, paper);
        if !path.is_file() {
            notes.push(format!(
                "`{paper}` has no baseline; nothing to hold it against"
            ));
            continue;
        }
        if side.summary.scale == Scale::Smoke {
            let message = format!(
                "run `{}` is of scale smoke, which issues no verdicts",
                side.summary.run
            );
            return Err(Error::usage(message).hint(format!(
                "cargo xtask reproduce {paper} --scale quick --gate"
            )));
        }
        n_held += 1;
        let dropped = dropped(root, paper);
        falls(
            side,
            &Summary::read(&path)?,
            &dropped,
            &mut fallen,
            &mut notes,
        );
    }
    if !fallen.is_empty() {
        let message = format!("below the baseline: {}", fallen.join("; "));
        return Err(Error::new(exit::GATE, message).hint(
            "mend the code, or make the run the new baseline: report baseline <run-folder>",
        ));
    }
    if n_held == 0 {
        return Err(
            Error::usage("no paper has a baseline to hold a run against")
                .hint("report baseline <run-folder>"),
        );
    }
    Ok(notes)
}

/// Whether `paper.toml` no longer has a claim. An unreadable file drops nothing.
fn dropped(root: &Path, paper: &str) -> impl Fn(&str) -> bool + use<> {
    let manifest = store::manifest(root, paper);
    move |id| {
        manifest
            .as_ref()
            .is_some_and(|m| m.claims.iter().all(|claim| claim.id != id))
    }
}

fn falls(
    side: &Side,
    baseline: &Summary,
    dropped: &dyn Fn(&str) -> bool,
    fallen: &mut Vec<String>,
    notes: &mut Vec<String>,
) {
    let paper = &side.summary.paper;
    for then in baseline.claims.iter() {
        let Some(now) = side.summary.claims.iter().find(|claim| claim.id == then.id) else {
            if then.gate && dropped(&then.id) {
                let (id, was) = (&then.id, then.verdict);
                fallen.push(format!(
                    "{paper} {id}: was {was}, is no longer in paper.toml"
                ));
            } else if then.gate {
                notes.push(format!(
                    "{paper} {}: not part of run `{}`",
                    then.id, side.summary.run
                ));
            }
            continue;
        };
        if now.gate && now.verdict.rank() < then.verdict.rank() {
            let (id, was, is) = (&then.id, then.verdict, now.verdict);
            fallen.push(format!("{paper} {id}: was {was}, is {is}"));
        }
    }
}
