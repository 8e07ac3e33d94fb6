//! Judges that need no language model: their calibration, and what their error does to the
//! correlations across players (claim C5, question Q2).

use eval::{Cell, Cx, Effort, Error, Result, Row, Scale};
use model::chat::block_on;
use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::{JUDGED_POPULATION, JUDGES, condition, games_rng};
use crate::judges::{Exact, Judge, Overlap, Probed, pairs, probe_judge};
use crate::paper::Config;
use crate::protocol::{N_PHRASINGS, phrase};
use crate::rules::Deck;
use crate::world::{Ability, HintRecord, Intent, Regime, World, population};

const N_PLAYERS: usize = 5;
/// Pairs of a test at scale smoke.
const SMOKE_PAIRS: usize = 60;
/// Players of a judged population at scale smoke, and games of each.
const SMOKE_PLAYERS: [usize; 2] = [30, 5];

pub fn cells(config: &Config, effort: Effort) -> Vec<Cell> {
    let is_smoke = effort.scale == Scale::Smoke;
    let n_pairs = config
        .judge_pairs
        .min(if is_smoke { SMOKE_PAIRS } else { usize::MAX });
    let [n_players, n_games] = if is_smoke {
        SMOKE_PLAYERS
    } else {
        [config.judged_population, config.population_games as usize]
    };
    let mut cells = Vec::new();
    for seed in 0..effort.n_seeds {
        for judge in ["exact", "overlap"] {
            let cell = Cell::new(JUDGES, seed).with("judge", judge);
            cells.push(cell.with("pairs", n_pairs));
        }
        let cell = Cell::new(JUDGED_POPULATION, seed).with("players", n_players);
        cells.push(cell.with("games", n_games));
    }
    cells
}

/// Tests one judge on pairs whose agreement is known.
pub fn run_judge(cx: &mut Cx, cell: &Cell) -> Result<()> {
    let n_pairs = condition(cell, "pairs")?;
    let judge: &dyn Judge = match cell.get("judge") {
        Some("exact") => &Exact,
        Some("overlap") => &Overlap,
        _ => {
            return Err(Error::internal(format!(
                "cell `{}` names no judge",
                cell.id()
            )));
        }
    };
    let pairs = pairs(n_pairs, &mut games_rng(cx, "pairs"))?;
    let probed = block_on(probe_judge(judge, &pairs, &pairs, cell.seed))??;
    for row in rows(&probed) {
        cx.row(row)?;
    }
    Ok(())
}

/// Score, expectation, and truth of everything that a judge was shown.
pub fn rows(probed: &[Probed]) -> Vec<Row> {
    let mut rows = Vec::new();
    for one in probed {
        let probe = one.probe.map_or("shuffled", |probe| probe.word());
        let item = format!("pair-{:04}", one.pair_idx);
        let row = |row: Row| row.item(&item).tag("probe", probe);
        rows.push(row(match one.judgement.score {
            Some(score) => Row::new("judge_score", f64::from(score), "points of 10"),
            None => {
                let why = one.judgement.failures.join("; ");
                Row::unparsed("judge_score", "points of 10", why)
            }
        }));
        rows.push(row(Row::new("agreement", one.agreement, "1")));
        if let Some(expected) = one.judgement.expected {
            rows.push(row(Row::new("judge_expected", expected, "points of 10")));
        }
    }
    rows
}

/// Measures players in self-play whose statements are judged by their words.
pub fn run_population(cx: &mut Cx, cell: &Cell) -> Result<()> {
    let n_players: usize = condition(cell, "players")?;
    let n_games: u32 = condition(cell, "games")?;
    let players = population(n_players, 0.0, &mut cx.rng("abilities"));
    let mut rng = games_rng(cx, "games");
    let mut words = games_rng(cx, "words");
    for (idx, ability) in players.iter().enumerate() {
        let item = format!("player-{idx:03}");
        for (metric, value, unit) in measure(*ability, n_games, &mut rng, &mut words)? {
            cx.row(Row::new(metric, value, unit).item(&item))?;
        }
        cx.progress(idx as u64 + 1, players.len() as u64);
    }
    Ok(())
}

type Measured = [(&'static str, f64, &'static str); 5];

fn measure(
    ability: Ability,
    n_games: u32,
    rng: &mut Pcg64Mcg,
    words: &mut Pcg64Mcg,
) -> Result<Measured> {
    let mut points = 0.0;
    let (mut known, mut judged, mut n_hints) = ([0.0; 2], [0.0; 2], 0.0);
    for _ in 0..n_games {
        let deck = Deck::shuffled(rng);
        let played = World::play(&[ability; N_PLAYERS], deck, Regime::STANDARD, rng)?;
        points += f64::from(played.game.score_points());
        for hint in &played.hints {
            n_hints += 1.0;
            known[0] += hint.first_order();
            known[1] += hint.second_order();
            let [first, second] = judged_by_words(hint, words);
            judged[0] += first;
            judged[1] += second;
        }
    }
    Ok([
        ("score_points", points / f64::from(n_games), "points"),
        ("first_order", known[0] / n_hints, "1"),
        ("second_order", known[1] / n_hints, "1"),
        ("judged_first_order", judged[0] / n_hints, "1"),
        ("judged_second_order", judged[1] / n_hints, "1"),
    ])
}

/// What the judge of words makes of R, S, F, each said in one of several ways.
fn judged_by_words(hint: &HintRecord, rng: &mut Pcg64Mcg) -> [f64; 2] {
    let mut say = |intent: Intent| phrase(intent, rng.random_range(0..N_PHRASINGS as u32) as usize);
    let (rationale, prediction) = (say(hint.rationale), say(hint.prediction));
    let reading = say(hint.reading);
    [
        Overlap::of(&rationale, &reading),
        Overlap::of(&prediction, &reading),
    ]
}
