//! The paper as the engine sees it: knobs, cells, and where each cell is measured.

use eval::{Cell, Claim, Cx, Effort, Error, Estimate, Figure, MeasuredRow, Paper, Result};
use serde::{Deserialize, Serialize};

use crate::{estimates, experiments, figures};

/// LLM-Hanabi: rules, reference policies, and a world of players whose intents are known.
#[derive(Clone, Copy, Debug)]
pub struct Hanabi;

/// The knobs of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Batches of games per reference policy and number of players. Paper: no such baselines.
    pub ladder_batches: u32,
    /// Games of a batch.
    pub ladder_batch_games: u32,
    /// Batches of games per pair of abilities. Paper: no such experiment.
    pub grid_batches: u32,
    /// Games of a batch.
    pub grid_batch_games: u32,
    /// Players of a population. Paper: 14 models.
    pub population: usize,
    /// Games of a player. Paper: 30 to 50.
    pub population_games: u32,
    /// Players of a population under other rules. Paper: no such experiment.
    pub regime_population: usize,
    /// Teams whose seats differ. Paper: self-play only.
    pub cross_teams: usize,
    /// Players of a population whose statements a judge reads. Paper: 14 models.
    pub judged_population: usize,
    /// Pairs of statements on which a judge is tested. Paper: its judge is not tested.
    pub judge_pairs: usize,
    /// Whether language models are asked (never at scale smoke).
    pub language_models: bool,
    /// Games of a language model; at scale full at least ten. Paper: 30 to 50.
    pub language_games: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ladder_batches: 100,
            ladder_batch_games: 200,
            grid_batches: 20,
            grid_batch_games: 200,
            population: 400,
            population_games: 40,
            regime_population: 200,
            cross_teams: 400,
            judged_population: 200,
            judge_pairs: 200,
            language_models: true,
            language_games: 1,
        }
    }
}

impl Config {
    fn check(&self) -> Result<()> {
        let counts = [
            ("ladder_batches", self.ladder_batches),
            ("ladder_batch_games", self.ladder_batch_games),
            ("grid_batches", self.grid_batches),
            ("grid_batch_games", self.grid_batch_games),
            ("population_games", self.population_games),
            ("population", self.population as u32),
            ("regime_population", self.regime_population as u32),
            ("cross_teams", self.cross_teams as u32),
            ("judged_population", self.judged_population as u32),
            ("judge_pairs", self.judge_pairs as u32),
            ("language_games", self.language_games as u32),
        ];
        match counts.into_iter().find(|(_, count)| *count == 0) {
            Some((name, _)) => Err(Error::usage(format!("`{name}` is 0"))
                .hint(format!("`--set {name}=1` is the least"))),
            None => Ok(()),
        }
    }
}

impl Paper for Hanabi {
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
