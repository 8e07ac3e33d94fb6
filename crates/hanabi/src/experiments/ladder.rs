//! The reference policies, against themselves, for two to five players (§2.5).

use eval::digest::Digest;
use eval::{Cell, Cx, Effort, Result, Row, Scale};

use super::{LADDER, condition, games_rng};
use crate::paper::Config;
use crate::policies::{Ladder, expected_points, play};
use crate::rules::{Deck, PLAYERS_MAX};

pub fn cells(config: &Config, effort: Effort) -> Vec<Cell> {
    let batches = match effort.scale {
        Scale::Smoke => config.ladder_batches.min(6),
        Scale::Quick | Scale::Full | Scale::Paper => config.ladder_batches,
    };
    let tables = Ladder::ALL
        .into_iter()
        .flat_map(|rung| (2..=PLAYERS_MAX).map(move |n_players| (rung, n_players)));
    tables
        .map(move |(rung, n_players)| {
            Cell::new(LADDER, 0)
                .with("policy", rung.name())
                .with("players", n_players)
                .with("batches", batches)
        })
        .collect()
}

/// One row per batch of games: means of batches are independent, and few enough to store.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let rung = Ladder::parse(cell.get("policy").unwrap_or_default())?;
    let n_players: usize = condition(cell, "players")?;
    let batches: u32 = condition(cell, "batches")?;
    let mut rng = games_rng(cx, "games");
    let mut trace = Vec::new();
    for batch in 0..batches {
        let (mut points, mut strict) = (0.0, 0.0);
        for _ in 0..config.ladder_batch_games {
            let mut seats = vec![rung.seat(n_players); n_players];
            let deck = Deck::shuffled(&mut rng);
            let game = play(&mut seats, deck, &mut rng, |_, id| trace.push(id))?;
            points += f64::from(game.score_points());
            strict += f64::from(game.score_strict());
        }
        let n_games = f64::from(config.ladder_batch_games);
        cx.row(Row::new("score_points", points / n_games, "points").item(batch))?;
        cx.row(Row::new("score_strict", strict / n_games, "points").item(batch))?;
        cx.progress(u64::from(batch) + 1, u64::from(batches));
    }
    // The digest of all moves, as a number that a row can hold exactly.
    let digest = Digest::of(&trace);
    let hash = u64::from_str_radix(digest.as_hex().get(..12).unwrap_or("0"), 16).unwrap_or(0);
    cx.row(Row::new("trace_hash", hash as f64, "1"))?;
    if rung == Ladder::Blind {
        cx.row(Row::new("expected_points", expected_points(), "points"))?;
    }
    Ok(())
}
