//! E5: the exact channels behind the `Truth` rows of Table 2 and Table C.1, and behind one recorded
//! output of the official code.
//!
//! The recipe was recovered from those outputs: numpy's legacy generator with seed 0 fills `H1` row
//! by row, then `H2`; noises are independent.

use eval::{Cell, Cx, Error, Result, Row};

use super::{condition, emit_atoms, emit_run, emit_solution, measured};
use crate::atoms::Atoms;
use crate::channel::Channel;
use crate::closed_form::Optimum;
use crate::gpid::solver::Solver;
use crate::gpid::tilde_pid::TildePidConfig;
use crate::legacy_gaussian::LegacyGaussian;
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
    let dims = condition(cell, "dims")?;
    let sizes: Vec<usize> = dims
        .split('x')
        .filter_map(|size| size.parse().ok())
        .collect();
    let [d1, d2, dy] = sizes[..] else {
        return Err(Error::internal(format!("`{dims}` are no dimensions")));
    };
    let mut stream = LegacyGaussian::seeded(0);
    let h1 = stream.matrix(d1, dy);
    let h2 = stream.matrix(d2, dy);
    let channel = Channel::with_independent_noise(h1, h2)?;
    let optimum = Optimum::of(&channel)?;
    let closed = Atoms::of_optimum(&channel, &optimum);
    let tag = |solver: &'static str| move |row: Row| row.tag("solver", solver);
    emit_atoms(cx, "atom_bits", &closed, tag("closed-form"))?;
    let thin = ThinPid::run(&channel, &config.thin)?;
    emit_atoms(cx, "atom_bits", &thin.atoms(&channel), tag("published"))?;
    emit_run(cx, &thin, tag("published"))?;
    if d1.max(d2) <= TILDE_MAX {
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
