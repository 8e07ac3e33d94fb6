//! E3: a two-dimensional system beside copies of itself; every atom must double with it.
//!
//! The copies are hidden by a random rotation of target and of each source, so that no solver sees
//! blocks. The system is that of E2 part i with `g = 3` and `α = 2`, where all four atoms differ
//! from zero (the paper does not print which one it doubles). Sources and target grow alike here,
//! so that reduced Thin-PID would have nothing to reduce and is left out.

use eval::{Cell, Cx, Effort, Result, Row, Scale};
use faer::{Mat, mat};

use super::{condition, emit_run, emit_solution, measured, number, orthogonal};
use crate::atoms::Atoms;
use crate::channel::Channel;
use crate::gpid::solver::Solver;
use crate::gpid::tilde_pid::TildePidConfig;
use crate::paper::Config;
use crate::thin_pid::{ThinPid, ThinPidConfig};

/// The experiment's name.
pub const NAME: &str = "doubling";

/// One cell per solver and dimension.
pub fn cells(effort: Effort) -> Vec<Cell> {
    let (closed_max, thin_max) = match effort.scale {
        Scale::Smoke => (64, 8),
        Scale::Quick => (1024, 128),
        Scale::Full => (1024, 256),
        Scale::Paper => (1024, 1024),
    };
    let mut cells = Vec::new();
    for (solver, largest) in [
        ("closed-form", closed_max),
        ("published", thin_max),
        ("tight", thin_max),
        ("tilde", thin_max),
    ] {
        let sizes = std::iter::successors(Some(2_usize), |d| Some(2 * d));
        for d in sizes.take_while(|d| *d <= largest) {
            cells.push(Cell::new(NAME, 0).with("solver", solver).with("d", d));
        }
    }
    cells
}

/// Measures one solver at one dimension.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let d: usize = number(cell, "d")?;
    let single = Channel::with_independent_noise(block_h1(), block_h2())?;
    let expected = times(&Atoms::of_channel(&single)?, d as f64 / 2.0);
    let channel = rotated_copies(cx, d)?;
    let error = |atoms: Atoms| atoms.distance_max(&expected);
    let constants: ThinPidConfig = match condition(cell, "solver")? {
        "closed-form" => {
            let atoms = Atoms::of_channel(&channel);
            return cx.row(measured("error_bits", atoms.map(error), "bits"));
        }
        "tilde" => {
            let found = Solver::TildePid(TildePidConfig::lean()).solve(&channel)?;
            let error = found.atoms().map(error);
            cx.row(measured("error_bits", error, "bits"))?;
            return emit_solution(cx, &found, |row: Row| row);
        }
        "published" => config.thin,
        _ => config.tight(),
    };
    let thin = ThinPid::run(&channel, &constants)?;
    cx.row(measured(
        "error_bits",
        thin.atoms(&channel).map(error),
        "bits",
    ))?;
    emit_run(cx, &thin, |row: Row| row)
}

fn block_h1() -> Mat<f64> {
    mat![[2.0, 0.0], [0.0, 1.0]]
}

fn block_h2() -> Mat<f64> {
    mat![[1.0, 0.0], [0.0, 3.0]]
}

fn times(atoms: &Atoms, copies: f64) -> Atoms {
    let scaled = [atoms.info1, atoms.info2, atoms.info12, atoms.union].map(|v| copies * v);
    Atoms::of_union(scaled[0], scaled[1], scaled[2], scaled[3])
}

/// `d/2` copies of the block, target and sources each rotated at random.
fn rotated_copies(cx: &Cx, d: usize) -> Result<Channel> {
    let copies = |block: Mat<f64>| {
        Mat::from_fn(d, d, |i, j| {
            if i / 2 == j / 2 {
                block[(i % 2, j % 2)]
            } else {
                0.0
            }
        })
    };
    let turn = |purpose: &str| orthogonal(d, &mut cx.rng(purpose));
    let (target, one, two) = (turn("target"), turn("source 1"), turn("source 2"));
    let h1 = one * copies(block_h1()) * &target;
    let h2 = two * copies(block_h2()) * &target;
    Ok(Channel::with_independent_noise(h1, h2)?)
}
