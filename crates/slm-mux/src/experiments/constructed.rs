//! The whole replay on constructed worlds: three groups of tasks that differ in how wrong answers
//! agree, eight models each.

use eval::{Cell, Cx, Effort, Error, Result, Scale};

use super::{condition, generator};
use crate::paper::Config;
use crate::replay::{Halves, emit};
use crate::worlds::{Models, WorldSpec};

/// Name of the experiment.
pub const CONSTRUCTED: &str = "constructed-pools";

/// How wrong answers agree, from not at all to nearly always.
const NOISES: [(&str, usize, f64); 3] = [
    ("scattered", 8, 0.1),
    ("mixed", 4, 0.4),
    ("coherent", 2, 0.8),
];

pub fn cells(config: &Config, effort: Effort) -> Vec<Cell> {
    let n_questions = match effort.scale {
        Scale::Smoke => config.n_questions.min(60),
        Scale::Quick | Scale::Full | Scale::Paper => config.n_questions,
    };
    let cell = |noise, seed| {
        let cell = Cell::new(CONSTRUCTED, seed).with("noise", noise);
        cell.with("questions", n_questions)
    };
    effort
        .seeds()
        .flat_map(|seed| NOISES.iter().map(move |(noise, _, _)| cell(*noise, seed)))
        .collect()
}

pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let name: String = condition(cell, "noise")?;
    let noise = NOISES.iter().find(|(known, _, _)| *known == name);
    let Some((_, n_wrong, temptation)) = noise else {
        return Err(Error::internal(format!("there is no noise `{name}`")));
    };
    let spec = WorldSpec {
        models: Models::Drawn(8, 0.4, 0.6),
        spread: 1.5,
        correlation: 0.5,
        n_wrong: *n_wrong,
        temptation: *temptation,
    };
    let n_questions = condition(cell, "questions")?;
    let mut random = generator(cx, "world");
    let [validation, test] = spec.draw_halves(n_questions, &mut random);
    let validation = validation.samples(config.n_samples, &mut random)?;
    let test = test.samples(config.n_samples, &mut random)?;
    emit(
        cx,
        &Halves {
            validation: &validation,
            test: &test,
            n_trials: config.n_trials,
        },
    )
}
