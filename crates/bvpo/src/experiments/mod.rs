//! What is measured: cells and their rows.

mod real_recorded;
mod real_tree;
mod tabular;
mod tiny;
mod tiny_base;
mod tiny_baselines;
mod tiny_curves;
mod tiny_moments;
mod tiny_rates;
mod tiny_training;
mod tiny_weights;

use eval::{Cell, Cx, Effort, Error, Result};

use crate::paper::Config;

/// Every cell, in canonical order.
pub fn cells(config: &Config, effort: Effort) -> Vec<Cell> {
    // The longest cells first, so that none is left over at the end.
    [
        real_recorded::cells(config, effort),
        real_tree::cells(config, effort),
        tiny_base::cells(effort),
        tiny_moments::cells(effort),
        tiny_training::cells(effort),
        tabular::cells(effort),
    ]
    .concat()
}

/// Measures one cell.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    match cell.experiment.as_str() {
        tabular::IDENTITIES | tabular::DESCENT | tabular::PHASE => tabular::run(cx, config, cell),
        tiny_base::BASE => tiny_base::run(cx, config, cell),
        tiny_moments::MOMENTS => tiny_moments::run(cx, config, cell),
        tiny_training::TRAINING => tiny_training::run(cx, config, cell),
        real_tree::REAL_TREE => real_tree::run(cx, config, cell),
        real_recorded::REAL_RECORDED => real_recorded::run(cx, config, cell),
        other => Err(Error::internal(format!("there is no experiment `{other}`"))),
    }
}

/// A condition of the cell as a number.
fn condition<T: std::str::FromStr>(cell: &Cell, key: &str) -> Result<T> {
    let text = cell.get(key).unwrap_or_default();
    text.parse()
        .map_err(|_| Error::internal(format!("cell `{}` has `{text}` for `{key}`", cell.id())))
}
