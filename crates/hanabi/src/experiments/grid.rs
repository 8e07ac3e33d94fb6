//! Teams whose two abilities are set, everything else equal (question Q1).

use eval::{Cell, Cx, Effort, Result, Row, Scale};

use super::{GRID, condition, games_rng};
use crate::paper::Config;
use crate::rules::{Deck, End};
use crate::world::{Ability, HintRecord, Regime, World};

const LEVELS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
const N_PLAYERS: usize = 5;

pub fn cells(config: &Config, effort: Effort) -> Vec<Cell> {
    let batches = match effort.scale {
        Scale::Smoke => config.grid_batches.min(2),
        Scale::Quick | Scale::Full | Scale::Paper => config.grid_batches,
    };
    LEVELS
        .into_iter()
        .flat_map(|first| LEVELS.into_iter().map(move |second| (first, second)))
        .map(|(first, second)| Cell::new(GRID, 0).with("t1", first).with("t2", second))
        .map(|cell| cell.with("batches", batches))
        .collect()
}

pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let ability = Ability {
        first_order: condition(cell, "t1")?,
        second_order: condition(cell, "t2")?,
        skill: 1.0,
    };
    let batches: u32 = condition(cell, "batches")?;
    let team = [ability; N_PLAYERS];
    let mut rng = games_rng(cx, "games");
    for batch in 0..batches {
        let mut tally = Tally::default();
        for _ in 0..config.grid_batch_games {
            let deck = Deck::shuffled(&mut rng);
            let played = World::play(&team, deck, Regime::STANDARD, &mut rng)?;
            tally.points += f64::from(played.game.score_points());
            tally.strict += f64::from(played.game.score_strict());
            tally.struck_out += f64::from(played.game.end() == Some(End::OutOfLives));
            played.hints.iter().for_each(|hint| tally.hear(hint));
        }
        tally.emit(cx, batch, f64::from(config.grid_batch_games))?;
        cx.progress(u64::from(batch) + 1, u64::from(batches));
    }
    Ok(())
}

/// Sums over games and hints.
#[derive(Default)]
struct Tally {
    points: f64,
    strict: f64,
    struck_out: f64,
    n_hints: f64,
    first: f64,
    second: f64,
    n_missed: f64,
    by_recipient: f64,
}

impl Tally {
    fn hear(&mut self, hint: &HintRecord) {
        self.n_hints += 1.0;
        self.first += hint.first_order();
        self.second += hint.second_order();
        if hint.second_order() < 1.0 {
            self.n_missed += 1.0;
            self.by_recipient += f64::from(hint.reading != hint.ideal);
        }
    }

    fn emit(&self, cx: &mut Cx, batch: u32, n_games: f64) -> Result<()> {
        let rows = [
            ("score_points", self.points / n_games, "points"),
            ("score_strict", self.strict / n_games, "points"),
            ("struck_out", self.struck_out / n_games, "1"),
            ("first_order", self.first / self.n_hints, "1"),
            ("second_order", self.second / self.n_hints, "1"),
        ];
        for (metric, value, unit) in rows {
            cx.row(Row::new(metric, value, unit).item(batch))?;
        }
        // Where both abilities are perfect nothing is missed, and there is no share to speak of.
        if self.n_missed > 0.0 {
            let share = self.by_recipient / self.n_missed;
            cx.row(Row::new("second_order_missed_by_recipient", share, "1").item(batch))?;
        }
        Ok(())
    }
}
