//! The paper as the engine sees it: knobs, cells, and where each cell is measured.

use eval::{Cell, Claim, Cx, Effort, Error, Estimate, Figure, MeasuredRow, Paper, Result};
use serde::{Deserialize, Serialize};

use crate::{estimates, experiments, figures};

/// Bias–variance optimised preference optimisation, with the gradient measured exactly.
#[derive(Clone, Copy, Debug)]
pub struct Bvpo;

/// The knobs of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// DPO temperature β. Paper: not found; ours 0.1, as in earlier code of its first author.
    pub beta: f64,
    /// Weight α of the trace gradient in every plain BVPO run. Paper: 0.5.
    pub alpha: f64,
    /// SimPO temperature. Paper: not found; ours 2, where SimPO's authors begin.
    pub simpo_beta: f64,
    /// SimPO target margin γ. Paper: not found; ours half of β, where SimPO's authors begin.
    pub simpo_gamma: f64,
    /// IPO regularisation τ. Paper: not used; ours 0.1.
    pub ipo_tau: f64,
    /// Tokens to choose from at each place of a trace of the real model. Paper: no such experiment.
    pub tree_k: usize,
    /// Tokens of the longest trace of the real model; one more at scale full.
    pub tree_depth: usize,
    /// Real questions of a tree cell.
    pub tree_questions: usize,
    /// Steps along the ideal gradient before the real model is measured again.
    pub tree_steps: usize,
    /// Length of such a step, as a part of the norm of the trained gains.
    pub tree_step: f64,
    /// Questions with recorded traces at scale quick; at full all 440.
    pub recorded_questions: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            beta: 0.1,
            alpha: 0.5,
            simpo_beta: 2.0,
            simpo_gamma: 1.0,
            ipo_tau: 0.1,
            tree_k: 4,
            tree_depth: 3,
            tree_questions: 6,
            tree_steps: 2,
            tree_step: 0.01,
            recorded_questions: 60,
        }
    }
}

impl Config {
    fn check(&self) -> Result<()> {
        for (name, value) in [
            ("beta", self.beta),
            ("simpo_beta", self.simpo_beta),
            ("ipo_tau", self.ipo_tau),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::usage(format!(
                    "`{name}` is {value} and must be above 0"
                )));
            }
        }
        let no_tree = self.tree_k < 2 || self.tree_depth == 0 || self.tree_questions == 0;
        if no_tree || self.recorded_questions == 0 {
            return Err(Error::usage(
                "`tree_k` must be at least 2; `tree_depth`, `tree_questions`, and \
                 `recorded_questions` at least 1",
            ));
        }
        if !(self.tree_step.is_finite() && self.tree_step >= 0.0) {
            let step = self.tree_step;
            return Err(Error::usage(format!(
                "`tree_step` is {step} and must not be negative"
            )));
        }
        if !self.simpo_gamma.is_finite() {
            return Err(Error::usage("`simpo_gamma` must be finite"));
        }
        if !(0.0..=1.0).contains(&self.alpha) {
            let alpha = self.alpha;
            return Err(Error::usage(format!(
                "`alpha` is {alpha} and must be from 0 to 1"
            )));
        }
        Ok(())
    }
}

impl Paper for Bvpo {
    type Config = Config;

    const MANIFEST: &'static str = include_str!("../paper.toml");

    fn cells(config: &Config, effort: Effort) -> Result<Vec<Cell>> {
        config.check()?;
        Ok(experiments::cells(config, effort))
    }

    fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
        experiments::run(cx, config, cell)
    }

    fn estimate(claim: &Claim, rows: &[MeasuredRow]) -> Result<Option<Estimate>> {
        estimates::estimate(claim, rows)
    }

    fn figures(rows: &[MeasuredRow], _: &[MeasuredRow]) -> Vec<Figure> {
        figures::all(rows)
    }
}
