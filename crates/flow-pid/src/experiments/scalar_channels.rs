//! E1: the 32 settings of scalar target and sources, where MMI is the ground truth.
//!
//! Each setting goes the whole way from a covariance through whitening to the atoms. In twelve
//! settings both channels are equal; there the optimum lies on the boundary of the spectral ball
//! and the objective is 0/0. They carry the tag `degenerate = yes` and are never mixed with the
//! others, and each error is told three times: of the raw objective, which those settings do not
//! have; after the official code's clamp, which turns an infinite objective into the largest union
//! information that leaves no atom negative; and from the objective's limit inside the ball, ours.

use eval::{Cell, Cx, Result, Row};
use faer::{Mat, mat};

use super::{condition, emit_solution, measured};
use crate::atoms::Atoms;
use crate::channel::{Channel, Dims};
use crate::gpid::solver::Solver;
use crate::gpid::tilde_pid::TildePidConfig;
use crate::mmi;
use crate::paper::Config;

/// The experiment's name.
pub const NAME: &str = "scalar-channels";

/// (a) U+R, (b) U+S, (c) R+S.
const PARTS: [&str; 3] = ["a", "b", "c"];

/// Noise correlations of parts b and c.
const CORRELATIONS: [f64; 11] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99];

const DIMS: Dims = Dims { y: 1, x1: 1, x2: 1 };

/// One cell per part.
pub fn cells() -> Vec<Cell> {
    PARTS
        .into_iter()
        .map(|part| Cell::new(NAME, 0).with("part", part))
        .collect()
}

/// One setting: its covariance and its truth from elementary functions.
struct Setting {
    item: String,
    covariance: Mat<f64>,
    truth: Atoms,
    is_degenerate: bool,
}

/// Measures one part.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    for setting in settings(condition(cell, "part")?) {
        let channel = Channel::from_covariance(setting.covariance.as_ref(), DIMS)?;
        let degenerate = if setting.is_degenerate { "yes" } else { "no" };
        let tag = |row: Row, solver: &str| {
            row.item(&setting.item)
                .tag("degenerate", degenerate)
                .tag("solver", solver)
        };
        let closed = Atoms::of_channel(&channel);
        let error = closed.map(|atoms| atoms.distance_max(&setting.truth));
        cx.row(tag(measured("error_bits", error, "bits"), "closed-form"))?;
        for (name, solver) in [
            ("published", Solver::ThinPid(config.thin)),
            ("tight", Solver::ThinPid(config.tight())),
            ("reduced", Solver::ReducedThinPid(config.thin)),
            ("tilde", Solver::TildePid(TildePidConfig::published())),
        ] {
            let solution = solver.solve(&channel)?;
            let error = |atoms: Atoms| atoms.distance_max(&setting.truth);
            let raw = solution.atoms().map(error);
            cx.row(tag(measured("error_bits", raw, "bits"), name))?;
            let within = solution.atoms_within().map(error);
            cx.row(tag(measured("error_within_bits", within, "bits"), name))?;
            let clamped = error(solution.atoms_clamped());
            cx.row(tag(Row::new("error_clamped_bits", clamped, "bits"), name))?;
            let has_objective = f64::from(u8::from(solution.union_bits().is_ok()));
            cx.row(tag(Row::new("has_objective", has_objective, "1"), name))?;
            emit_solution(cx, &solution, |row| tag(row, name))?;
        }
    }
    Ok(())
}

fn settings(part: &str) -> Vec<Setting> {
    match part {
        "a" => copies(),
        "b" => correlated("b", 0.0),
        _ => correlated("c", 1.0),
    }
}

/// (a): `X1 = Y + n1`, `X2 = X1 + σε` with `σ² = 0` and nine values from 1 to 100.
fn copies() -> Vec<Setting> {
    let variances = std::iter::once(0.0).chain((0..9).map(|k| 10_f64.powf(f64::from(k) / 4.0)));
    variances
        .map(|variance| {
            let info = |snr: f64| 0.5 * (1.0 + snr).log2();
            // X2 is a degraded X1, so both together tell what X1 tells.
            let (info1, info2) = (info(1.0), info(1.0 / (1.0 + variance)));
            Setting {
                item: format!("a variance={variance:.4}"),
                covariance: mat![[1.0, 1.0, 1.0], [1.0, 2.0, 2.0], [1.0, 2.0, 2.0 + variance]],
                truth: mmi::scalar(info1, info2, info1),
                is_degenerate: variance == 0.0,
            }
        })
        .collect()
}

/// (b) and (c): `X1 = Y + n1`, `X2 = gain·Y + n2`, `corr(n1, n2) = ρ`.
fn correlated(part: &str, gain: f64) -> Vec<Setting> {
    CORRELATIONS
        .into_iter()
        .map(|rho| {
            let cross = gain + rho;
            Setting {
                item: format!("{part} rho={rho}"),
                covariance: mat![
                    [1.0, 1.0, gain],
                    [1.0, 2.0, cross],
                    [gain, cross, gain * gain + 1.0]
                ],
                truth: mmi::scalar_channel(1.0, gain, rho),
                is_degenerate: gain == 1.0,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_32_settings_of_which_12_are_degenerate() {
        let all: Vec<Setting> = PARTS.into_iter().flat_map(settings).collect();
        assert_eq!(all.len(), 32);
        assert_eq!(
            all.iter().filter(|setting| setting.is_degenerate).count(),
            12
        );
    }

    #[test]
    fn the_closed_form_equals_the_truth_in_every_setting() {
        for setting in PARTS.into_iter().flat_map(settings) {
            let channel = Channel::from_covariance(setting.covariance.as_ref(), DIMS).unwrap();
            let atoms = Atoms::of_channel(&channel).unwrap();
            let error = atoms.distance_max(&setting.truth);
            assert!(error < 1e-12, "{}: {error}", setting.item);
        }
    }
}
