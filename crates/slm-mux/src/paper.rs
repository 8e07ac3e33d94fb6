//! The paper as the engine sees it: knobs, cells, and where each cell is measured.

use eval::{Cell, Claim, Cx, Effort, Error, Estimate, Figure, MeasuredRow, Paper, Result};
use serde::{Deserialize, Serialize};

use crate::experiments::Recordings;
use crate::{estimates, experiments, figures};

/// SLM-MUX: the selection rule, the search, and test-time scaling.
#[derive(Clone, Copy, Debug)]
pub struct SlmMux;

/// The knobs of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Samples per question and model in the constructed worlds. Paper: up to 9.
    pub n_samples: usize,
    /// Questions of each half of a constructed world. Paper: 500.
    pub n_questions: usize,
    /// Trials of sub-sampling per number of samples. Second official code: 10.
    pub n_trials: usize,
    /// Random worlds on which the exact accuracy is compared with brute force. Ours.
    pub n_exact_worlds: usize,
    /// Nodes times models at most of a branch-and-bound search. Ours.
    pub nodes_max: u64,
    /// Folder of a finished run whose recorded samples are read again instead of asking and
    /// training models; empty: none. It must have had the same scale and sizes. Claims that rest on
    /// no recorded sample are not attempted then. Ours.
    pub replay: String,
    /// Whether small language models are asked live (never at scale smoke).
    pub live: bool,
    /// Validation questions of each of the twenty word tasks; at scale full at least 24.
    pub live_validation: usize,
    /// Test questions of each word task; at scale full at least 52. Paper: 198 to 500 in all.
    pub live_test: usize,
    /// Members of the pool that is trained here. Paper: 5 models, none trained.
    pub pool_members: usize,
    /// Updates of each member. Ours.
    pub pool_steps: u64,
    /// Validation questions of each of the ten skills. Ours.
    pub pool_validation: usize,
    /// Test questions of each skill. Ours.
    pub pool_test: usize,
    /// Small models behind endpoints at scale paper, best first: `endpoint:a,endpoint:b`. Paper:
    /// three models of 8 to 27 billion parameters, among others.
    pub endpoint_agents: String,
    /// Strong models that debate among themselves. Paper: DeepSeek V3, Gemini 2.0 Flash, GPT-4o.
    pub endpoint_frontier: String,
    /// The large model that small ones are compared with. Paper: Qwen2.5-72B.
    pub endpoint_reference: String,
    /// Test questions put to endpoints. Paper: 500.
    pub endpoint_questions: usize,
    /// Settings of endpoints by name: addresses, budgets, caches.
    pub chat: model::chat::ChatRoles,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            n_samples: 9,
            n_questions: 500,
            n_trials: 10,
            n_exact_worlds: 200,
            nodes_max: 10_000_000,
            replay: String::new(),
            live: true,
            live_validation: 4,
            live_test: 8,
            pool_members: 8,
            pool_steps: 1000,
            pool_validation: 30,
            pool_test: 40,
            endpoint_agents: String::new(),
            endpoint_frontier: String::new(),
            endpoint_reference: String::new(),
            endpoint_questions: 500,
            chat: model::chat::ChatRoles::default(),
        }
    }
}

impl Config {
    fn check(&self) -> Result<()> {
        if let Some(recordings) = Recordings::of(self) {
            recordings.check()?;
        }
        let counts = [
            ("n_samples", self.n_samples as u64),
            ("n_questions", self.n_questions as u64),
            ("n_trials", self.n_trials as u64),
            ("n_exact_worlds", self.n_exact_worlds as u64),
            ("nodes_max", self.nodes_max),
            ("live_validation", self.live_validation as u64),
            ("live_test", self.live_test as u64),
            ("pool_members", self.pool_members as u64),
            ("pool_steps", self.pool_steps),
            ("pool_validation", self.pool_validation as u64),
            ("pool_test", self.pool_test as u64),
        ];
        match counts.into_iter().find(|(_, count)| *count == 0) {
            Some((name, _)) => Err(Error::usage(format!("`{name}` is 0"))
                .hint(format!("`--set {name}=1` is the least"))),
            None => Ok(()),
        }
    }
}

impl Paper for SlmMux {
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

    fn figures(rows: &[MeasuredRow], timings: &[MeasuredRow]) -> Vec<Figure> {
        figures::all(rows, timings)
    }
}
