//! What is measured: cells and their rows.

mod grid;
mod ladder;
mod population;
mod recorded;
mod unknown;

use eval::{Cell, Cx, Effort, Error, Result};

use crate::paper::Config;

/// Name of the experiment that replays recorded games.
pub const RECORDED: &str = "recorded-games";
/// Name of the experiment that plays the reference policies.
pub const LADDER: &str = "ladder";
/// Name of the experiment that varies both abilities of whole teams.
pub const GRID: &str = "ability-grid";
/// Name of the experiment that measures players of varied abilities.
pub const POPULATION: &str = "population";
/// Name of the experiment that lists what the unknown correlation may be.
pub const UNKNOWN: &str = "unknown-correlation";

/// Every cell, in canonical order.
pub fn cells(config: &Config, effort: Effort) -> Vec<Cell> {
    let mut cells = vec![
        Cell::new(RECORDED, 0).needs(recorded::DATA),
        Cell::new(UNKNOWN, 0),
    ];
    cells.extend(ladder::cells(config, effort));
    cells.extend(grid::cells(config, effort));
    cells.extend(population::cells(config, effort));
    cells
}

/// Measures one cell.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    match cell.experiment.as_str() {
        RECORDED => recorded::run(cx),
        UNKNOWN => unknown::run(cx),
        LADDER => ladder::run(cx, config, cell),
        GRID => grid::run(cx, config, cell),
        POPULATION => population::run(cx, config, cell),
        other => Err(Error::internal(format!("there is no experiment `{other}`"))),
    }
}

/// A condition of the cell as a number.
fn condition<T: std::str::FromStr>(cell: &Cell, key: &str) -> Result<T> {
    let text = cell.get(key).unwrap_or_default();
    text.parse()
        .map_err(|_| Error::internal(format!("cell `{}` has `{text}` for `{key}`", cell.id())))
}

/// The generator of a cell's games, seeded from its named stream: games need millions of draws.
fn games_rng(cx: &Cx, purpose: &str) -> rand_pcg::Pcg64Mcg {
    use rand::SeedableRng;
    rand_pcg::Pcg64Mcg::from_rng(&mut cx.rng(purpose))
}
