//! E8: accuracies of fusion models on the ten synthetic sets and on the real targets.
//!
//! A model is recommended for a target where it did well on the synthetic set whose decomposition
//! is nearest; the decompositions are those of `specialised` and `real-fusion`, by Flow-PID, and
//! [`crate::selection`] puts the three together. Labels and sources are drawn and reduced as there.

use eval::{Cell, Cx, Effort, Result, Row, Scale};
use faer::Mat;

use super::{condition, number, real_fusion, specialised};
use crate::fusion::{Fusion, FusionSettings, accuracy};
use crate::paper::Config;

/// The experiment's name.
pub const NAME: &str = "model-selection";

/// One cell per set and seed.
pub fn cells(effort: Effort) -> Vec<Cell> {
    let (n, steps, seeds) = match effort.scale {
        Scale::Smoke => (600, 20, 1),
        Scale::Quick => (2000, 600, effort.n_seeds.min(2)),
        Scale::Full | Scale::Paper => (20_000, 5000, effort.n_seeds.min(5)),
    };
    let is_small = effort.scale == Scale::Smoke;
    let mut cells = Vec::new();
    for set in specialised::sets().filter(|set| !is_small || ["R", "S"].contains(set)) {
        for seed in 0..seeds {
            let cell = Cell::new(NAME, seed).with("set", set).with("n", n);
            cells.push(cell.with("steps", steps));
        }
    }
    for (set, data) in real_fusion::sets().filter(|(set, _)| !is_small || *set == "wine") {
        for seed in 0..seeds {
            let cell = Cell::new(NAME, seed).with("set", set).with("steps", steps);
            cells.push(cell.needs(data));
        }
    }
    cells
}

/// Trains every model on one set.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let [x1, x2, classes] = sources(cx, config, cell)?;
    let classes: Vec<usize> = classes.col(0).iter().map(|class| *class as usize).collect();
    let settings = FusionSettings {
        steps: number(cell, "steps")?,
        ..FusionSettings::default()
    };
    let mut counts = vec![0_u32; 1 + classes.iter().copied().max().unwrap_or(0)];
    classes.iter().for_each(|class| counts[*class] += 1);
    let largest = counts.into_iter().max().unwrap_or(0);
    let guessing = f64::from(largest) / classes.len() as f64;
    let mut best = 0.0_f64;
    for (done, model) in Fusion::ALL.into_iter().enumerate() {
        let views = [x1.as_ref(), x2.as_ref()];
        let share = accuracy(model, views, &classes, settings, cell.seed)?;
        best = best.max(share);
        cx.row(Row::new("accuracy", share, "1").tag("model", model.as_str()))?;
        cx.progress(done as u64 + 1, Fusion::ALL.len() as u64);
        if cx.cancelled() {
            return Ok(());
        }
    }
    cx.row(Row::new("best_above_guessing", best - guessing, "1"))
}

/// Both sources, and the classes as numbers in one column.
fn sources(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<[Mat<f64>; 3]> {
    let set = condition(cell, "set")?;
    if specialised::sets().any(|known| known == set) {
        let mut rng = cx.rng("samples");
        let [y, x1, x2] = specialised::samples(set, number(cell, "n")?, &mut rng)?;
        return Ok([x1, x2, y]);
    }
    let views = real_fusion::views(cx, config, cell)?;
    let n = views.classes.len();
    let classes = Mat::from_fn(n, 1, |i, _| views.classes[i] as f64);
    Ok([views.x1, views.x2, classes])
}
