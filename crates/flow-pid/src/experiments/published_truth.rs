//! E5: the exact channels behind the `Truth` rows of Table 2 and Table C.1, and behind one recorded
//! output of the official code.

use eval::{Cell, Cx, Result, Row};

use super::seed_channels::seed_channel;
use super::{condition, emit_atoms, emit_run, emit_solution, measured};
use crate::atoms::Atoms;
use crate::closed_form::Optimum;
use crate::gpid::solver::Solver;
use crate::gpid::tilde_pid::TildePidConfig;
use crate::paper::Config;
use crate::thin_pid::ThinPid;

/// The experiment's name.
pub const NAME: &str = "published-truth";

/// Dimensions `d1 x d2 x dy`, and the tag under which rows are selected.
const SHAPES: [(&str, &str); 7] = [
    ("2x2x2", "table"),
    ("10x5x2", "table"),
    ("30x10x2", "table"),
    ("100x60x2", "table"),
    ("256x256x2", "table"),
    ("512x512x2", "table-last"),
    ("16x16x2", "recorded"),
];

/// Largest source on which Tilde-PID runs as published: it decomposes `d1 + d2` dimensions in every
/// iteration.
const TILDE_MAX: usize = 100;

/// One cell per shape.
pub fn cells() -> Vec<Cell> {
    let cell = |(dims, part)| Cell::new(NAME, 0).with("dims", dims).with("part", part);
    SHAPES.into_iter().map(cell).collect()
}

/// Measures the solvers on one channel.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let channel = seed_channel(condition(cell, "dims")?)?;
    let optimum = Optimum::of(&channel)?;
    let closed = Atoms::of_optimum(&channel, &optimum);
    let tag = |solver: &'static str| move |row: Row| row.tag("solver", solver);
    emit_atoms(cx, "atom_bits", &closed, tag("closed-form"))?;
    let thin = ThinPid::run(&channel, &config.thin)?;
    emit_atoms(cx, "atom_bits", &thin.atoms(&channel), tag("published"))?;
    emit_run(cx, &thin, tag("published"))?;
    let dims = channel.dims();
    if dims.x1.max(dims.x2) <= TILDE_MAX {
        let tilde = Solver::TildePid(TildePidConfig::published()).solve(&channel)?;
        emit_atoms(cx, "atom_bits", &tilde.atoms(), tag("tilde"))?;
        emit_solution(cx, &tilde, tag("tilde"))?;
    }
    let mmi = Solver::Mmi.solve(&channel)?;
    emit_atoms(cx, "atom_bits", &mmi.atoms(), tag("mmi"))?;
    let gap = thin
        .union_bits()
        .map(|union| (union - optimum.union_bits).abs());
    cx.row(tag("published")(measured("gap_bits", gap, "bits")))
}
