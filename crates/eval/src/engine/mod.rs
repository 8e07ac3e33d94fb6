//! The engine: plan, run cells as processes, store, resume, judge; and a paper's command line.
//!
//! A cell is a process: `<paper> cell <run> <cell-id>` measures one cell and exits. Locally the
//! engine keeps as many such processes as the machine carries, so a crash, a kill for memory, or a
//! hostile input costs one cell. Everything a run knows lies in its folder; after a kill at any
//! instant the same command goes on there.

mod cell_progress;
mod child;
mod command;
mod config;
mod context;
mod execute;
mod interrupt;
mod journal;
mod lock;
mod open;
mod plan;
mod preview;
mod progress;
mod provenance;
mod resolve;
mod stage;
mod streams;
mod summarize;

pub use command::{main, main_with};
pub use context::{Cx, DataFiles, Elapsed, Stopwatch};
pub use resolve::resolve as resolve_inputs;
pub use streams::{Stream, StreamKey};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Cell, Claim, Effort, Error, Estimate, Figure, MeasuredRow, Result};

/// A paper in code: it measures, and never judges or formats its own result.
pub trait Paper {
    /// Documented knobs; unknown keys are refused (`#[serde(deny_unknown_fields)]`).
    type Config: Serialize + DeserializeOwned + Default;

    /// The paper's `paper.toml`, usually `include_str!("../paper.toml")`.
    const MANIFEST: &'static str;

    /// Every cell of a run, in canonical order; pure and instant.
    ///
    /// # Errors
    /// The configuration makes no sense; the message names the knob.
    fn cells(config: &Self::Config, effort: Effort) -> Result<Vec<Cell>>;

    /// Measures one cell: emits rows through `cx`.
    ///
    /// # Errors
    /// The cell could not be measured; the run goes on with the others.
    fn run(cx: &mut Cx, config: &Self::Config, cell: &Cell) -> Result<()>;

    /// The estimate of a claim whose recipe is `custom`, from the rows of its experiments.
    ///
    /// # Errors
    /// Rows are there and cannot be understood.
    fn estimate(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
        let _ = rows;
        Err(Error::internal(format!(
            "claim `{}` has recipe `custom` and the paper defines no estimate for it",
            claim.id
        )))
    }

    /// Data for the report's plots, from all rows and timings of a run.
    fn figures(rows: &[MeasuredRow], timings: &[MeasuredRow]) -> Vec<Figure> {
        let _ = (rows, timings);
        Vec::new()
    }
}
