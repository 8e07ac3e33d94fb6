//! What is measured: cells and their rows.

use eval::{Cell, Cx, Effort, Error, Result, Scale};

mod constructed;
mod live;
mod live_endpoints;
mod live_protocols;
mod live_setup;
mod live_table;
mod pass_rates;
mod phase;
mod pool;
mod recorded;
mod recordings;
mod searching;
mod theory;

use crate::paper::Config;

pub(crate) use constructed::CONSTRUCTED;
pub(crate) use pass_rates::PASS_RATES;
pub(crate) use phase::PHASE;
pub(crate) use recordings::Recordings;
pub(crate) use searching::SEARCHING;

/// Every cell, in canonical order. At smoke none needs an input: claims that rest on recorded
/// outputs or on language models are then not attempted, and say so. A replay has the cells that
/// rest on recorded samples and no others.
pub fn cells(config: &Config, effort: Effort) -> Vec<Cell> {
    if Recordings::of(config).is_some() {
        let mut cells = pool::cells(config, effort);
        cells.extend(live::cells(config, effort));
        return cells;
    }
    let mut cells = theory::cells(config, effort);
    if effort.scale != Scale::Smoke {
        cells.extend(recorded::cells());
        cells.extend(pass_rates::cells(effort));
    }
    cells.extend(phase::cells(effort));
    cells.extend(constructed::cells(config, effort));
    cells.extend(searching::cells(effort));
    cells.extend(pool::cells(config, effort));
    cells.extend(live::cells(config, effort));
    cells.extend(live_endpoints::cells(config, effort));
    cells
}

/// Measures one cell.
///
/// # Errors
/// An input is missing or damaged, or the disk is full.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    if let Some(done) = live::run(cx, config, cell) {
        return done;
    }
    if let Some(done) = live_endpoints::run(cx, config, cell) {
        return done;
    }
    if let Some(done) = pool::run(cx, config, cell) {
        return done;
    }
    match cell.experiment.as_str() {
        theory::MAJORITIES => theory::run_majorities(cx),
        theory::EXACT => theory::run_exact(cx, condition(cell, "worlds")?),
        theory::COUNTEREXAMPLES => theory::run_counterexamples(cx),
        recorded::RECORDED => recorded::run(cx),
        PASS_RATES => pass_rates::run(cx),
        PHASE => phase::run(cx, config),
        CONSTRUCTED => constructed::run(cx, config, cell),
        SEARCHING => searching::run(cx, config, cell),
        other => Err(Error::internal(format!("there is no experiment `{other}`"))),
    }
}

/// A condition of the cell as a number or a word.
fn condition<T: std::str::FromStr>(cell: &Cell, key: &str) -> Result<T> {
    let text = cell.get(key).unwrap_or_default();
    text.parse()
        .map_err(|_| Error::internal(format!("cell `{}` has `{text}` for `{key}`", cell.id())))
}

/// A fast generator seeded from a named stream of the cell.
fn generator(cx: &Cx, purpose: &str) -> rand_pcg::Pcg64Mcg {
    use rand::SeedableRng;
    rand_pcg::Pcg64Mcg::from_rng(&mut cx.rng(purpose))
}
