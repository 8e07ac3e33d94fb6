//! The paper as the engine sees it: knobs, cells, and where each cell is measured.

use eval::{Cell, Claim, Cx, Effort, Error, Estimate, Figure, MeasuredRow, Paper, Result};
use serde::{Deserialize, Serialize};

use crate::thin_pid::ThinPidConfig;
use crate::{experiments, figures, published, selection};

/// Partial information decomposition via normalizing flows, first half: Thin-PID.
#[derive(Clone, Copy, Debug)]
pub struct FlowPid;

/// The knobs of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Constants of Algorithm 1 for everything called `published`. Paper: the defaults.
    pub thin: ThinPidConfig,
    /// Ridge and tolerance of everything called `tight`. Paper: no such thing; ours `1e-12`.
    pub tight_reg: f64,
    /// Values of `reg` on the two-dimensional channels. Paper: `1e-7` (`1e-8` in its timings).
    pub planar_regs: Vec<f64>,
    /// Runs of the same problem per timing. Paper: not said; ours 3.
    pub timing_repeats: usize,
    /// Iterations at most in timings. Paper: the official code's 20,000; ours 1,000, since single
    /// channels would otherwise take minutes each.
    pub timing_iterations_max: u64,
    /// Principal components kept of each real view. Paper: full features through an auto-encoder,
    /// which is not part of this half; ours 10, so that 2,000 items fill every covariance.
    pub components: usize,
    /// Folds of the discriminant analysis that tells which view classifies better. Ours 5.
    pub folds: usize,
    /// Share of the items held out while flows are trained, for their likelihood only. Official
    /// code: 0; ours 0.2.
    pub held_out: f64,
    /// Clusters of each real source for the discrete baseline. Ours 8.
    pub clusters: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            thin: ThinPidConfig::default(),
            tight_reg: ThinPidConfig::tight().ridge,
            planar_regs: vec![1e-7, 1e-8, 1e-10, 1e-12],
            timing_repeats: 3,
            timing_iterations_max: 1000,
            components: 10,
            folds: 5,
            held_out: 0.2,
            clusters: 8,
        }
    }
}

impl Config {
    /// The published constants with another `reg`.
    #[must_use]
    pub fn thin_with_reg(&self, reg: f64) -> ThinPidConfig {
        ThinPidConfig {
            ridge: reg,
            tolerance_bits: reg,
            ..self.thin
        }
    }

    /// The constants called `tight`.
    #[must_use]
    pub fn tight(&self) -> ThinPidConfig {
        self.thin_with_reg(self.tight_reg)
    }

    fn check(&self) -> Result<()> {
        self.thin.check()?;
        self.tight().check()?;
        if self.timing_iterations_max == 0 {
            return Err(Error::usage("`timing_iterations_max` must be at least 1"));
        }
        for reg in &self.planar_regs {
            self.thin_with_reg(*reg).check()?;
        }
        let least = |value: usize, least: usize, knob: &str| {
            if value >= least {
                return Ok(());
            }
            Err(Error::usage(format!(
                "`{knob}` is {value} and must be at least {least}"
            )))
        };
        least(self.timing_repeats, 1, "timing_repeats")?;
        least(self.components, 1, "components")?;
        least(self.folds, 2, "folds")?;
        least(self.clusters, 2, "clusters")?;
        if (0.0..=0.5).contains(&self.held_out) {
            return Ok(());
        }
        Err(Error::usage("`held_out` must be from 0 to 0.5"))
    }
}

impl Paper for FlowPid {
    type Config = Config;

    const MANIFEST: &'static str = include_str!("../paper.toml");

    fn cells(config: &Config, effort: Effort) -> Result<Vec<Cell>> {
        config.check()?;
        Ok(experiments::cells(effort))
    }

    fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
        experiments::run(cx, config, cell)
    }

    fn estimate(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
        match claim.id.as_str() {
            "C9" | "C9-chance" => selection::estimate(claim, rows),
            _ => published::share_of_printed_digits(claim, rows),
        }
    }

    fn figures(rows: &[MeasuredRow], timings: &[MeasuredRow]) -> Vec<Figure> {
        figures::all(rows, timings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eval::{PaperManifest, Scale};
    use std::collections::BTreeSet;

    fn manifest() -> PaperManifest {
        PaperManifest::parse(FlowPid::MANIFEST, "paper.toml").unwrap()
    }

    fn cells(scale: Scale) -> Vec<Cell> {
        FlowPid::cells(&Config::default(), Effort { scale, n_seeds: 3 }).unwrap()
    }

    #[test]
    fn cells_are_unique_at_every_scale() {
        for scale in Scale::ALL {
            let cells = cells(scale);
            let ids: BTreeSet<String> = cells.iter().map(|cell| cell.id().to_string()).collect();
            assert_eq!(ids.len(), cells.len(), "{scale}");
        }
    }

    #[test]
    fn every_claim_rests_on_cells_that_exist_at_smoke() {
        let cells = cells(Scale::Smoke);
        for claim in manifest().claims {
            // What is beyond every scale here has no cells, and says which command would do it.
            if claim.beyond.is_some() {
                continue;
            }
            for experiment in &claim.experiments {
                let found = cells.iter().any(|cell| cell.experiment == *experiment);
                assert!(found, "{}: no cell of `{experiment}`", claim.id);
            }
        }
    }

    #[test]
    fn only_cells_that_measure_time_claim_the_machine() {
        for cell in cells(Scale::Quick) {
            let times = ["growth", "solver-times"].contains(&cell.experiment.as_str());
            assert_eq!(cell.exclusive, times, "{}", cell.id());
        }
    }

    #[test]
    fn knobs_that_make_no_sense_are_refused_by_name() {
        let effort = Effort {
            scale: Scale::Smoke,
            n_seeds: 1,
        };
        let refuse = |config: Config, knob: &str| {
            let error = FlowPid::cells(&config, effort).unwrap_err();
            assert!(error.to_string().contains(knob), "{error}");
        };
        refuse(
            Config {
                timing_repeats: 0,
                ..Config::default()
            },
            "timing_repeats",
        );
        refuse(
            Config {
                tight_reg: 0.0,
                ..Config::default()
            },
            "ridge",
        );
        refuse(
            Config {
                planar_regs: vec![1e-7, -1.0],
                ..Config::default()
            },
            "ridge",
        );
        refuse(
            Config {
                folds: 1,
                ..Config::default()
            },
            "folds",
        );
    }
}
