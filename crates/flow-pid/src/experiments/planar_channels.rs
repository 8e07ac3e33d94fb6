//! E2: two-dimensional channels along a gain α and an angle θ.
//!
//! (i) `H1 = diag(α, 1)`, `H2 = diag(1, g)`. (ii) `H1 = diag(g, 1)·Rot(θ)`, `H2 = diag(1, g)`.
//! The text has `g = 3`, the official scripts `g = √2`; both are run. At `θ = π/2` of part ii the
//! two channels carry the same information, so the optimum lies on the boundary; that setting has
//! the tag `degenerate = yes`.

use std::f64::consts::{FRAC_PI_2, SQRT_2};

use eval::{Cell, Cx, Result, Row};
use faer::{Mat, mat};

use super::{condition, emit_solution, measured};
use crate::atoms::Atoms;
use crate::channel::Channel;
use crate::closed_form::Optimum;
use crate::gpid::solver::Solver;
use crate::gpid::tilde_pid::TildePidConfig;
use crate::paper::Config;

/// The experiment's name.
pub const NAME: &str = "planar-channels";

/// The gain as named in conditions, and its value.
const GAINS: [(&str, f64); 2] = [("3", 3.0), ("sqrt2", SQRT_2)];

/// One cell per part and gain.
pub fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for part in ["i", "ii"] {
        for (gain, _) in GAINS {
            cells.push(Cell::new(NAME, 0).with("part", part).with("gain", gain));
        }
    }
    cells
}

/// Measures one part at one gain.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let name = condition(cell, "gain")?;
    let gain = GAINS
        .iter()
        .find(|(known, _)| *known == name)
        .map_or(f64::NAN, |(_, value)| *value);
    for (parameter, h1) in settings(condition(cell, "part")?, gain) {
        let h2 = mat![[1.0, 0.0], [0.0, gain]];
        let channel = Channel::with_independent_noise(h1, h2)?;
        let optimum = Optimum::of(&channel)?;
        let truth = Atoms::of_optimum(&channel, &optimum)?;
        let degenerate = if optimum.on_boundary(&channel)? {
            "yes"
        } else {
            "no"
        };
        let tag = |row: Row| {
            row.item(format!("{parameter:.6}"))
                .tag("parameter", parameter)
                .tag("degenerate", degenerate)
        };
        let gap = optimum.certificate()?.gap_bits().abs();
        cx.row(tag(Row::new("certificate_gap_bits", gap, "bits")))?;
        for reg in &config.planar_regs {
            // Tilde-PID's published tolerance is ten times its ridge.
            let tilde = TildePidConfig::lean().with_reg(*reg, 10.0 * reg);
            for (name, solver) in [
                ("thin", Solver::ThinPid(config.thin_with_reg(*reg))),
                (
                    "reduced",
                    Solver::ReducedThinPid(config.thin_with_reg(*reg)),
                ),
                ("tilde", Solver::TildePid(tilde)),
            ] {
                let solution = solver.solve(&channel)?;
                let reg = format!("{reg:e}");
                let with = |row: Row| tag(row).tag("reg", &reg).tag("solver", name);
                let error = solution.atoms().map(|atoms| atoms.distance_max(&truth));
                cx.row(with(measured("error_bits", error, "bits")))?;
                emit_solution(cx, &solution, with)?;
            }
        }
    }
    Ok(())
}

/// Parameter and first channel of every setting.
fn settings(part: &str, gain: f64) -> Vec<(f64, Mat<f64>)> {
    if part == "i" {
        // Ten values from 0 to 3; 1 is replaced by 0.99, as in the official script.
        let alphas = (0..10)
            .map(|k| f64::from(k) / 3.0)
            .map(|a| if a == 1.0 { 0.99 } else { a });
        return alphas
            .map(|alpha| (alpha, mat![[alpha, 0.0], [0.0, 1.0]]))
            .collect();
    }
    let last = FRAC_PI_2.log10();
    let grid = (0..9).map(|k| match k {
        // The end point itself, not its rounded power.
        8 => FRAC_PI_2,
        k => 10_f64.powf(-1.0 + (last + 1.0) * f64::from(k) / 8.0),
    });
    std::iter::once(0.0)
        .chain(grid)
        .map(|theta| {
            let (sine, cosine) = theta.sin_cos();
            (theta, mat![[gain * cosine, -gain * sine], [sine, cosine]])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_angle_of_part_two_is_degenerate() {
        for (_, gain) in GAINS {
            for (part, expected) in [("i", 0), ("ii", 1)] {
                let settings = settings(part, gain);
                assert_eq!(settings.len(), 10);
                let h2 = mat![[1.0, 0.0], [0.0, gain]];
                let degenerate = settings.into_iter().filter(|(_, h1)| {
                    let channel = Channel::with_independent_noise(h1.clone(), h2.clone()).unwrap();
                    Optimum::of(&channel)
                        .unwrap()
                        .on_boundary(&channel)
                        .unwrap()
                });
                assert_eq!(degenerate.count(), expected, "{part} {gain}");
            }
        }
    }

    #[test]
    fn part_one_is_additive_over_its_two_scalar_channels() {
        for (alpha, h1) in settings("i", 3.0) {
            let h2 = mat![[1.0, 0.0], [0.0, 3.0]];
            let channel = Channel::with_independent_noise(h1, h2).unwrap();
            let atoms = Atoms::of_channel(&channel).unwrap();
            let first = crate::mmi::scalar_channel(alpha, 1.0, 0.0);
            let second = crate::mmi::scalar_channel(1.0, 3.0, 0.0);
            for (k, part) in atoms.parts().into_iter().enumerate() {
                assert!((part - first.parts()[k] - second.parts()[k]).abs() < 1e-13);
            }
        }
    }
}
