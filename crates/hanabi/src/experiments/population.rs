//! Players of varied abilities, each in self-play: what the paper correlates across models.

use eval::{Cell, Cx, Effort, Result, Row, Scale};

use super::{POPULATION, condition, games_rng};
use crate::paper::Config;
use crate::rules::Deck;
use crate::world::{Ability, Regime, World, population};

/// Loadings of the shared general ability.
const LOADINGS: [f64; 3] = [0.0, 0.5, 0.9];
const N_PLAYERS: usize = 5;

pub fn cells(config: &Config, effort: Effort) -> Vec<Cell> {
    let n_players = match effort.scale {
        Scale::Smoke => config.population.min(40),
        Scale::Quick | Scale::Full | Scale::Paper => config.population,
    };
    let seeds = 0..effort.n_seeds;
    let loadings = LOADINGS.into_iter();
    loadings
        .flat_map(|loading| seeds.clone().map(move |seed| (loading, seed)))
        .map(|(loading, seed)| Cell::new(POPULATION, seed).with("loading", loading))
        .map(|cell| cell.with("players", n_players))
        .collect()
}

pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let loading: f64 = condition(cell, "loading")?;
    let n_players = condition(cell, "players")?;
    let players = population(n_players, loading, &mut cx.rng("abilities"));
    let mut rng = games_rng(cx, "games");
    for (idx, ability) in players.iter().enumerate() {
        let measured = measure(*ability, config.population_games, &mut rng)?;
        let item = format!("player-{idx:03}");
        let mut emit = |metric: &str, value: f64, unit: &str| {
            cx.row(Row::new(metric, value, unit).item(&item))
        };
        emit("score_points", measured.points, "points")?;
        emit("score_strict", measured.strict, "points")?;
        emit("first_order", measured.first, "1")?;
        emit("second_order", measured.second, "1")?;
        emit("first_order_by_game", measured.first_by_game, "1")?;
        emit("second_order_by_game", measured.second_by_game, "1")?;
        emit("ability_first_order", ability.first_order, "1")?;
        emit("ability_second_order", ability.second_order, "1")?;
        emit("ability_skill", ability.skill, "1")?;
        for (order, value) in [("first", measured.first), ("second", measured.second)] {
            cx.row(
                Row::new("theory_of_mind", value, "1")
                    .item(&item)
                    .tag("order", order),
            )?;
        }
        cx.progress(idx as u64 + 1, players.len() as u64);
    }
    Ok(())
}

/// Means over the games of a player.
struct Measured {
    points: f64,
    strict: f64,
    /// Over all hints.
    first: f64,
    second: f64,
    /// Mean of the means of games.
    first_by_game: f64,
    second_by_game: f64,
}

fn measure(ability: Ability, n_games: u32, rng: &mut rand_pcg::Pcg64Mcg) -> Result<Measured> {
    let team = [ability; N_PLAYERS];
    let (mut points, mut strict) = (0.0, 0.0);
    let (mut hints, mut games) = ([0.0; 2], [0.0; 2]);
    let (mut n_hints, mut n_games_with_hints) = (0.0, 0.0);
    for _ in 0..n_games {
        let deck = Deck::shuffled(rng);
        let played = World::play(&team, deck, Regime::STANDARD, rng)?;
        points += f64::from(played.game.score_points());
        strict += f64::from(played.game.score_strict());
        let first: f64 = played.hints.iter().map(|hint| hint.first_order()).sum();
        let second: f64 = played.hints.iter().map(|hint| hint.second_order()).sum();
        let n = played.hints.len() as f64;
        n_hints += n;
        for (idx, sum) in [first, second].into_iter().enumerate() {
            hints[idx] += sum;
            games[idx] += if n > 0.0 { sum / n } else { 0.0 };
        }
        n_games_with_hints += f64::from(n > 0.0);
    }
    let n_games = f64::from(n_games);
    Ok(Measured {
        points: points / n_games,
        strict: strict / n_games,
        first: hints[0] / n_hints,
        second: hints[1] / n_hints,
        first_by_game: games[0] / n_games_with_hints,
        second_by_game: games[1] / n_games_with_hints,
    })
}
