//! Objective gap of every solver to the certified optimum on random channels of growing dimension.

use eval::{Cell, Cx, Effort, Result, Row, Scale};

use super::{emit_solution, measured, normal_matrix, number};
use crate::channel::Channel;
use crate::closed_form::Optimum;
use crate::gpid::solver::Solver;
use crate::gpid::tilde_pid::TildePidConfig;
use crate::paper::Config;

/// The experiment's name.
pub const NAME: &str = "random-channels";

/// One cell per dimension and seed.
pub fn cells(effort: Effort) -> Vec<Cell> {
    let sizes: &[usize] = match effort.scale {
        Scale::Smoke => &[1, 2, 4, 8, 16],
        Scale::Quick => &[1, 2, 4, 8, 16, 32, 64],
        Scale::Full | Scale::Paper => &[1, 2, 4, 8, 16, 32, 64, 128],
    };
    let cell = |d: &usize, seed| Cell::new(NAME, seed).with("d", d);
    sizes
        .iter()
        .flat_map(|d| effort.seeds().map(move |seed| cell(d, seed)))
        .collect()
}

/// Measures the three shapes of one size with one seed.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let d: usize = number(cell, "d")?;
    let shapes = [
        ("full", d, d),
        ("planar target", d, 2),
        ("half", d.div_ceil(2), d),
    ];
    for (done, (shape, d2, dy)) in shapes.into_iter().enumerate() {
        let mut rng = cx.rng(&format!("channel {shape}"));
        let h1 = normal_matrix(d, dy, &mut rng);
        let h2 = normal_matrix(d2, dy, &mut rng);
        let channel = Channel::with_independent_noise(h1, h2)?;
        let optimum = Optimum::of(&channel)?;
        let certificate = optimum.certificate()?;
        let tag = |row: Row| row.item(shape).tag("shape", shape);
        // An enclosure narrower than rounding may come out inside out.
        let width = certificate.gap_bits().abs();
        cx.row(tag(Row::new("certificate_gap_bits", width, "bits")))?;
        for (name, solver) in [
            ("closed-form", Solver::ClosedForm),
            ("published", Solver::ThinPid(config.thin)),
            ("tight", Solver::ThinPid(config.tight())),
            ("reduced", Solver::ReducedThinPid(config.tight())),
            ("tilde", Solver::TildePid(TildePidConfig::lean())),
            ("mmi", Solver::Mmi),
        ] {
            let solution = solver.solve(&channel)?;
            let gap = solution.gap_bits().map(f64::abs);
            let with = |row: Row| tag(row).tag("solver", name);
            cx.row(with(measured("gap_bits", gap, "bits")))?;
            emit_solution(cx, &solution, with)?;
        }
        cx.progress(done as u64 + 1, shapes.len() as u64);
    }
    Ok(())
}
