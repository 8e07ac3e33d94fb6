//! Teams whose seats differ: drawn at random (question Q4 i), and with one seat raised (Q4 ii).

use eval::{Cell, Cx, Effort, Result, Row, Scale};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use super::population::measure;
use super::{CROSS, ONE_SEAT, condition, games_rng};
use crate::paper::Config;
use crate::rules::Deck;
use crate::world::{Ability, Regime, World, population};

const N_PLAYERS: usize = 5;
/// Everybody's level of both abilities where one seat is raised to perfection.
const LEVEL: f64 = 0.5;

pub fn cells(config: &Config, effort: Effort) -> Vec<Cell> {
    let (n_teams, batches) = match effort.scale {
        Scale::Smoke => (config.cross_teams.min(40), config.grid_batches.min(2)),
        Scale::Quick | Scale::Full | Scale::Paper => (config.cross_teams, config.grid_batches),
    };
    let cross = move |seed| Cell::new(CROSS, seed).with("teams", n_teams);
    let one = move |seed| Cell::new(ONE_SEAT, seed).with("batches", batches);
    let seeds = 0..effort.n_seeds;
    seeds.clone().map(cross).chain(seeds.map(one)).collect()
}

/// Five seats with independent abilities each.
pub fn run_cross(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let n_teams: usize = condition(cell, "teams")?;
    let seats = population(n_teams * N_PLAYERS, 0.0, &mut cx.rng("abilities"));
    let mut rng = games_rng(cx, "games");
    for (idx, team) in seats.chunks(N_PLAYERS).enumerate() {
        let measured = measure(team, Regime::STANDARD, config.population_games, &mut rng)?;
        let mean = |ability: fn(&Ability) -> f64| team.iter().map(ability).sum::<f64>() / 5.0;
        let [first, second] = measured.orders();
        let rows = [
            ("score_points", measured.points, "points"),
            ("score_strict", measured.strict, "points"),
            ("first_order", first, "1"),
            ("second_order", second, "1"),
            ("ability_first_order", mean(|seat| seat.first_order), "1"),
            ("ability_second_order", mean(|seat| seat.second_order), "1"),
            ("ability_skill", mean(|seat| seat.skill), "1"),
        ];
        for (metric, value, unit) in rows {
            cx.row(Row::new(metric, value, unit).item(format!("team-{idx:03}")))?;
        }
        cx.progress(idx as u64 + 1, n_teams as u64);
    }
    Ok(())
}

/// The same decks and the same chances with nobody raised, and with one ability of one seat.
pub fn run_one_seat(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let batches: u32 = condition(cell, "batches")?;
    let nobody = Ability {
        first_order: LEVEL,
        second_order: LEVEL,
        skill: 1.0,
    };
    let first = Ability {
        first_order: 1.0,
        ..nobody
    };
    let second = Ability {
        second_order: 1.0,
        ..nobody
    };
    let mut rng = games_rng(cx, "games");
    for batch in 0..batches {
        let chances: Vec<Pcg64Mcg> = (0..config.grid_batch_games)
            .map(|_| Pcg64Mcg::from_rng(&mut rng))
            .collect();
        for (arm, raised) in [("nobody", nobody), ("first", first), ("second", second)] {
            let mut team = [nobody; N_PLAYERS];
            team[0] = raised;
            let (mut points, mut strict) = (0.0, 0.0);
            for chance in &chances {
                let mut chance = chance.clone();
                let deck = Deck::shuffled(&mut chance);
                let game = World::play(&team, deck, Regime::STANDARD, &mut chance)?.game;
                points += f64::from(game.score_points());
                strict += f64::from(game.score_strict());
            }
            let n_games = f64::from(config.grid_batch_games);
            for (metric, sum) in [("score_points", points), ("score_strict", strict)] {
                let row = Row::new(metric, sum / n_games, "points");
                cx.row(row.item(batch).tag("raised", arm))?;
            }
        }
        cx.progress(u64::from(batch) + 1, u64::from(batches));
    }
    Ok(())
}
