//! Players of varied abilities, each in self-play: what the paper correlates across models.

use eval::{Cell, Cx, Effort, Result, Row, Scale};
use rand_pcg::Pcg64Mcg;

use super::{POPULATION, REGIMES, condition, games_rng};
use crate::paper::Config;
use crate::rules::Deck;
use crate::world::{Ability, HintRecord, Regime, World, population};

/// Loadings of the shared general ability.
const LOADINGS: [f64; 3] = [0.0, 0.5, 0.9];
const N_PLAYERS: usize = 5;
/// Other numbers of players, and other limits, than the paper's (question Q4 iv).
const OTHERS: [(&str, usize, Regime); 5] = [
    ("2-players", 2, Regime::STANDARD),
    ("3-players", 3, Regime::STANDARD),
    ("4-players", 4, Regime::STANDARD),
    (
        "4-tokens",
        N_PLAYERS,
        Regime {
            tokens: 4,
            ..Regime::STANDARD
        },
    ),
    (
        "1-life",
        N_PLAYERS,
        Regime {
            lives: 1,
            ..Regime::STANDARD
        },
    ),
];

pub fn cells(config: &Config, effort: Effort) -> Vec<Cell> {
    let n_players = n_players(config.population, effort);
    let seeds = 0..effort.n_seeds;
    let loadings = LOADINGS.into_iter();
    loadings
        .flat_map(|loading| seeds.clone().map(move |seed| (loading, seed)))
        .map(|(loading, seed)| Cell::new(POPULATION, seed).with("loading", loading))
        .map(|cell| cell.with("players", n_players))
        .collect()
}

/// Populations of independent abilities under other rules.
pub fn cells_of_other_regimes(config: &Config, effort: Effort) -> Vec<Cell> {
    let n_players = n_players(config.regime_population, effort);
    let seeds = 0..effort.n_seeds;
    OTHERS
        .into_iter()
        .flat_map(|(regime, ..)| seeds.clone().map(move |seed| (regime, seed)))
        .map(|(regime, seed)| Cell::new(REGIMES, seed).with("regime", regime))
        .map(|cell| cell.with("players", n_players))
        .collect()
}

fn n_players(wanted: usize, effort: Effort) -> usize {
    match effort.scale {
        Scale::Smoke => wanted.min(40),
        Scale::Quick | Scale::Full | Scale::Paper => wanted,
    }
}

pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let loading: f64 = condition(cell, "loading")?;
    let players = population(
        condition(cell, "players")?,
        loading,
        &mut cx.rng("abilities"),
    );
    let mut rng = games_rng(cx, "games");
    for (idx, ability) in players.iter().enumerate() {
        let team = [*ability; N_PLAYERS];
        let measured = measure(&team, Regime::STANDARD, config.population_games, &mut rng)?;
        let item = format!("player-{idx:03}");
        emit(cx, &item, &measured, *ability)?;
        // Other ways to score and to average are compared where abilities are independent.
        if loading == 0.0 {
            emit_other_scales(cx, &item, &measured)?;
        }
        cx.progress(idx as u64 + 1, players.len() as u64);
    }
    Ok(())
}

pub fn run_other_regime(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let name = cell.get("regime").unwrap_or_default();
    let found = OTHERS.into_iter().find(|(regime, ..)| *regime == name);
    let (_, n_seats, regime) =
        found.ok_or_else(|| eval::Error::internal(format!("there is no regime `{name}`")))?;
    let players = population(condition(cell, "players")?, 0.0, &mut cx.rng("abilities"));
    let mut rng = games_rng(cx, "games");
    for (idx, ability) in players.iter().enumerate() {
        let team = vec![*ability; n_seats];
        let measured = measure(&team, regime, config.population_games, &mut rng)?;
        emit(cx, &format!("player-{idx:03}"), &measured, *ability)?;
        cx.progress(idx as u64 + 1, players.len() as u64);
    }
    Ok(())
}

fn emit(cx: &mut Cx, item: &str, measured: &Measured, ability: Ability) -> Result<()> {
    let exact = measured.mean(Scoring::Exact);
    let rows = [
        ("score_points", measured.points, "points"),
        ("score_strict", measured.strict, "points"),
        ("first_order", exact[0], "1"),
        ("second_order", exact[1], "1"),
        ("first_order_by_game", measured.by_game[0].mean(), "1"),
        ("second_order_by_game", measured.by_game[1].mean(), "1"),
        ("ability_first_order", ability.first_order, "1"),
        ("ability_second_order", ability.second_order, "1"),
        ("ability_skill", ability.skill, "1"),
    ];
    for (metric, value, unit) in rows {
        cx.row(Row::new(metric, value, unit).item(item))?;
    }
    let orders = ["first", "second"].into_iter().zip(exact);
    orders
        .map(|(order, value)| Row::new("theory_of_mind", value, "1").tag("order", order))
        .try_for_each(|row| cx.row(row.item(item)))
}

/// The same hints by judges of other habits, and what tells how exact a player's mean is.
fn emit_other_scales(cx: &mut Cx, item: &str, measured: &Measured) -> Result<()> {
    let [lenient, severe] = [Scoring::Lenient, Scoring::Severe].map(|way| measured.mean(way));
    let integers = measured.mean(Scoring::Integers);
    let variance = |order: usize| measured.by_game[order].variance_of_mean();
    let rows = [
        ("first_order_lenient", lenient[0]),
        ("second_order_lenient", lenient[1]),
        ("first_order_severe", severe[0]),
        ("second_order_severe", severe[1]),
        ("first_order_integers", integers[0]),
        ("second_order_integers", integers[1]),
        ("first_order_variance", variance(0)),
        ("second_order_variance", variance(1)),
        ("hint_blunder", measured.n_blunders / measured.n_hints),
    ];
    for (metric, value) in rows {
        cx.row(Row::new(metric, value, "1").item(item))?;
    }
    // On the paper's scales, 0–10 and 0–5, as if they could be compared.
    let [points_first, points_second] = Scoring::POINTS_MAX;
    let raw = [
        (
            "first",
            integers[0] * points_first,
            measured.by_game[0].mean(),
        ),
        (
            "second",
            integers[1] * points_second,
            measured.by_game[1].mean(),
        ),
    ];
    for (order, raw, by_game) in raw {
        let row = |metric: &str, value: f64, unit: &str| {
            Row::new(metric, value, unit).tag("order", order).item(item)
        };
        cx.row(row("theory_of_mind_raw", raw, "points"))?;
        cx.row(row("theory_of_mind_by_game", by_game, "1"))?;
    }
    Ok(())
}

/// How a judge turns an agreement of 0, ½, or 1 into a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scoring {
    /// As it is.
    Exact,
    /// Half an agreement is a whole one.
    Lenient,
    /// Half an agreement is none.
    Severe,
    /// In whole points, 0–10 and 0–5, a half point rounded up.
    Integers,
}

impl Scoring {
    const ALL: [Self; 4] = [Self::Exact, Self::Lenient, Self::Severe, Self::Integers];
    /// The most points of each order on the judges' scales (§2.2).
    const POINTS_MAX: [f64; 2] = [10.0, 5.0];

    fn score(self, agreement: f64, order: usize) -> f64 {
        match self {
            Self::Exact => agreement,
            Self::Lenient => agreement.ceil(),
            Self::Severe => agreement.floor(),
            Self::Integers => {
                let most = Self::POINTS_MAX[order];
                (agreement * most).round() / most
            }
        }
    }
}

/// Mean and spread of a series.
#[derive(Clone, Copy, Debug, Default)]
struct Series {
    n: f64,
    sum: f64,
    squares: f64,
}

impl Series {
    fn add(&mut self, value: f64) {
        self.n += 1.0;
        self.sum += value;
        self.squares += value * value;
    }

    fn mean(&self) -> f64 {
        self.sum / self.n
    }

    /// s² / n with the sample variance s².
    fn variance_of_mean(&self) -> f64 {
        let squares = self.squares - self.sum * self.sum / self.n;
        squares.max(0.0) / (self.n - 1.0) / self.n
    }
}

/// Over the games of a player or a team.
#[derive(Default)]
pub struct Measured {
    /// Mean points.
    pub points: f64,
    /// Mean points, 0 for games in which all lives are lost.
    pub strict: f64,
    n_hints: f64,
    n_blunders: f64,
    /// Sums over hints by way of scoring and order.
    sums: [[f64; 2]; Scoring::ALL.len()],
    /// Means of games, by order.
    by_game: [Series; 2],
}

impl Measured {
    fn mean(&self, scoring: Scoring) -> [f64; 2] {
        self.sums[scoring as usize].map(|sum| sum / self.n_hints)
    }

    /// Mean agreement over hints of both orders.
    pub fn orders(&self) -> [f64; 2] {
        self.mean(Scoring::Exact)
    }

    fn hear(&mut self, hints: &[HintRecord]) {
        let n_hints = hints.len() as f64;
        for (order, series) in self.by_game.iter_mut().enumerate() {
            let scores = hints.iter().map(|hint| agreements(hint)[order]);
            if n_hints > 0.0 {
                series.add(scores.sum::<f64>() / n_hints);
            }
        }
        for hint in hints {
            self.n_blunders += f64::from(hint.blunder);
            for (order, agreement) in agreements(hint).into_iter().enumerate() {
                for scoring in Scoring::ALL {
                    self.sums[scoring as usize][order] += scoring.score(agreement, order);
                }
            }
        }
        self.n_hints += n_hints;
    }
}

fn agreements(hint: &HintRecord) -> [f64; 2] {
    [hint.first_order(), hint.second_order()]
}

/// Plays `n_games` games of a team.
pub fn measure(
    team: &[Ability],
    regime: Regime,
    n_games: u32,
    rng: &mut Pcg64Mcg,
) -> Result<Measured> {
    let mut measured = Measured::default();
    for _ in 0..n_games {
        let deck = Deck::shuffled(rng);
        let played = World::play(team, deck, regime, rng)?;
        measured.points += f64::from(played.game.score_points());
        measured.strict += f64::from(played.game.score_strict());
        measured.hear(&played.hints);
    }
    measured.points /= f64::from(n_games);
    measured.strict /= f64::from(n_games);
    Ok(measured)
}
