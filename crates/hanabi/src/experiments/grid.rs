//! Teams whose two abilities are set, everything else equal (questions Q1 and Q3).

use eval::{Cell, Cx, Effort, Result, Row, Scale};

use super::{GRID, condition, games_rng};
use crate::paper::Config;
use crate::rules::{Deck, End};
use crate::world::{Ability, Consequence, HintRecord, Kind, Regime, World};

const LEVELS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
const N_PLAYERS: usize = 5;
const KINDS: [(Kind, &str); 4] = [
    (Kind::Play, "play"),
    (Kind::Save, "save"),
    (Kind::Dispose, "dispose"),
    (Kind::Info, "info"),
];

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
            let consequences = played.consequences(Regime::STANDARD)?;
            consequences.iter().for_each(|one| tally.follow(*one));
        }
        tally.emit(cx, batch, f64::from(config.grid_batch_games))?;
        cx.progress(u64::from(batch) + 1, u64::from(batches));
    }
    Ok(())
}

/// Something counted among others.
#[derive(Clone, Copy, Default)]
struct Share {
    of: f64,
    all: f64,
}

impl Share {
    fn count(&mut self, yes: bool) {
        self.add(f64::from(yes));
    }

    fn add(&mut self, value: f64) {
        self.of += value;
        self.all += 1.0;
    }
}

/// Sums over games and hints.
#[derive(Default)]
struct Tally {
    points: f64,
    strict: f64,
    struck_out: f64,
    first: Share,
    second: Share,
    /// Of the hints whose second order is missed, those read other than an ideal reader would.
    by_recipient: Share,
    /// How F differs from I(h), and R from I(h), over all hints.
    literal: Share,
    focus: Share,
    kind: Share,
    ambiguous: Share,
    /// First order by the kind of R.
    first_by_kind: [Share; KINDS.len()],
    /// Of hints to play that were understood, those followed at once; of the others as well.
    understood_played: Share,
    misread_played: Share,
}

impl Tally {
    fn hear(&mut self, hint: &HintRecord) {
        self.first.add(hint.first_order());
        self.second.add(hint.second_order());
        if hint.second_order() < 1.0 {
            self.by_recipient.count(hint.reading != hint.ideal);
        }
        let (reading, ideal) = (hint.reading, hint.ideal);
        let misread = reading != ideal;
        let literal = misread && reading.kind == Kind::Info;
        let focus = misread && reading.kind == ideal.kind;
        self.literal.count(literal);
        self.focus.count(focus);
        self.kind.count(misread && !literal && !focus);
        self.ambiguous
            .count(ideal != hint.rationale && !hint.blunder);
        for (share, (kind, _)) in self.first_by_kind.iter_mut().zip(KINDS) {
            if hint.rationale.kind == kind {
                share.add(hint.first_order());
            }
        }
    }

    fn follow(&mut self, one: Consequence) {
        let share = if one.understood {
            &mut self.understood_played
        } else {
            &mut self.misread_played
        };
        share.count(one.played);
    }

    fn emit(&self, cx: &mut Cx, batch: u32, n_games: f64) -> Result<()> {
        let means = [
            ("score_points", self.points / n_games, "points"),
            ("score_strict", self.strict / n_games, "points"),
            ("struck_out", self.struck_out / n_games, "1"),
        ];
        for (metric, value, unit) in means {
            cx.row(Row::new(metric, value, unit).item(batch))?;
        }
        let shares = [
            ("first_order", self.first),
            ("second_order", self.second),
            ("second_order_missed_by_recipient", self.by_recipient),
            ("read_literally", self.literal),
            ("read_of_another_slot", self.focus),
            ("read_as_another_kind", self.kind),
            ("hint_ambiguous", self.ambiguous),
            ("understood_and_played", self.understood_played),
            ("misread_and_played", self.misread_played),
        ];
        let mut row = |metric: &str, share: Share, kind: Option<&str>| {
            // Where nothing of the sort happened there is no share to speak of.
            if share.all == 0.0 {
                return Ok(());
            }
            let row = Row::new(metric, share.of / share.all, "1").item(batch);
            cx.row(match kind {
                Some(kind) => row.tag("kind", kind),
                None => row,
            })
        };
        shares
            .into_iter()
            .try_for_each(|(metric, share)| row(metric, share, None))?;
        self.first_by_kind
            .iter()
            .zip(KINDS)
            .try_for_each(|(share, (_, kind))| row("first_order_of_kind", *share, Some(kind)))
    }
}
