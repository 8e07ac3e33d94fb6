//! Training through the engine's cache: a kill costs the steps since the last checkpoint.

use std::path::{Path, PathBuf};

use eval::{Cx, Error, Result, Row};
use serde::Serialize;

use crate::flow::{FlowData, FlowFit, FlowSettings, Trainer};

/// Steps between two checkpoints.
const STEPS_PER_CHECKPOINT: u64 = 2500;

/// Points of a learning curve.
const POINTS: u64 = 10;

/// The file of a checkpoint that holds the processor time of its steps in seconds, so that a run
/// which finds the checkpoint knows what it took.
const SECONDS: &str = "cpu_s";

/// Trained flows and what they took.
pub struct Trained {
    /// The flows.
    pub fit: FlowFit,
    /// Processor time of all steps in seconds, those of earlier runs included.
    pub cpu_s: f64,
}

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
) -> Result<Trained> {
    settings.check()?;
    let mut cpu_s = 0.0;
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
        let watch = cx.stopwatch();
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
            trainer.save(folder)?;
            let path = folder.join(SECONDS);
            let text = watch.elapsed().cpu_s.to_string();
            std::fs::write(&path, text).map_err(|e| Error::io("write", &path, e))
        })?;
        cpu_s += seconds(&folder)?;
        last = Some(folder);
    }
    let folder = last.ok_or_else(|| Error::internal("no step was trained"))?;
    let fit = Trainer::load(&folder, data, settings, seed)?.finish()?;
    Ok(Trained { fit, cpu_s })
}

fn seconds(folder: &Path) -> Result<f64> {
    let path = folder.join(SECONDS);
    let text = std::fs::read_to_string(&path).map_err(|e| Error::io("read", &path, e))?;
    text.parse()
        .map_err(|_| Error::internal(format!("`{}` holds no number", path.display())))
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
