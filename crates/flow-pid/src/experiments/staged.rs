//! Training through the engine's cache: a kill costs the steps since the last checkpoint.

use std::path::PathBuf;

use eval::{Cx, Error, Result, Row};
use serde::Serialize;

use crate::flow::{FlowData, FlowFit, FlowSettings, Trainer};

/// Steps between two checkpoints.
const STEPS_PER_CHECKPOINT: u64 = 2500;

/// Points of a learning curve.
const POINTS: u64 = 10;

/// What a checkpoint depends on, beside the sources of the crate.
#[derive(Serialize)]
struct Key<'a> {
    data: &'a str,
    n_items: (usize, usize),
    settings: FlowSettings,
    seed: u64,
    until: u64,
}

/// Trains from the last checkpoint on. `what` names the data: cell and draw.
///
/// # Errors
/// Training failed, the cache cannot be written, or the run was interrupted.
pub fn train(
    cx: &mut Cx,
    what: &str,
    data: &FlowData,
    settings: FlowSettings,
    seed: u64,
) -> Result<FlowFit> {
    settings.check()?;
    let mut last: Option<PathBuf> = None;
    let mut until = 0;
    while until < settings.steps {
        until = (until + STEPS_PER_CHECKPOINT).min(settings.steps);
        if cx.cancelled() {
            return Err(Error::new(
                eval::exit::INTERRUPTED,
                "the run was interrupted",
            ));
        }
        cx.progress(until, settings.steps);
        let key = Key {
            data: what,
            n_items: data.n_items(),
            settings,
            seed,
            until,
        };
        let folder = cx.stage("flow", &key, |folder| {
            let mut trainer = match &last {
                Some(before) => Trainer::load(before, data, settings, seed)?,
                None => Trainer::new(data, settings, seed)?,
            };
            for point in 1..=POINTS {
                let goal = (settings.steps * point / POINTS).min(until);
                if goal > trainer.step() {
                    trainer.train(goal, |_| true)?;
                }
            }
            trainer.save(folder)
        })?;
        last = Some(folder);
    }
    let folder = last.ok_or_else(|| Error::internal("no step was trained"))?;
    Ok(Trainer::load(&folder, data, settings, seed)?.finish()?)
}

/// The learning curve as rows.
///
/// # Errors
/// The rows cannot be written.
pub fn emit_curve(cx: &mut Cx, fit: &FlowFit, with: impl Fn(Row) -> Row) -> Result<()> {
    for point in &fit.curve {
        let tagged = |metric: &str, value: f64, unit: &str| {
            with(Row::new(metric, value, unit)).tag("step", point.step.to_string())
        };
        cx.row(tagged("loss_nats", point.loss_nats, "nats"))?;
        if let Some(nats) = point.held_out_nats {
            cx.row(tagged("curve_held_out_nats", nats, "nats"))?;
        }
        cx.row(tagged("marginal_distance", point.marginal_distance, "1"))?;
        cx.row(tagged("kurtosis_excess", point.kurtosis_excess, "1"))?;
        for (name, value) in crate::ATOM_NAMES.into_iter().zip(point.atoms_bits) {
            cx.row(tagged("curve_atom_bits", value, "bits").tag("atom", name))?;
        }
    }
    cx.row(with(Row::new("steps_skipped", fit.n_skipped as f64, "1")))
}
