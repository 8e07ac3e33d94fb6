//! Real language models of this machine (§8.1, point 5): CoordQA items, judges, whole games.
//!
//! Their answers are kept in the engine's cache: a second run of the same code on the same inputs
//! replays them. Where weights or items are absent the claims are not attempted; nothing stands in
//! for them.

use std::path::Path;
use std::sync::Arc;

use eval::engine::DataFiles;
use eval::{Cell, Cx, Effort, Error, Result, Row, Scale};
use model::chat::block_on;
use serde::Serialize;
use serde_json::Value;

use super::judged::rows as judge_rows;
use super::{COORDQA, JUDGES, LANGUAGE_GAMES, condition};
use crate::judges::{Exact, Judge, LikelihoodJudge, Overlap, pairs, probe_judge};
use crate::language::{CoordQaItem, Scorer, letter, read_coordqa};
use crate::paper::Config;
use crate::protocol::{GameRecord, Games, LikelihoodPlayer, Player, play_games};

/// The items.
const COORDQA_DATA: &str = "coordqa-hanabi";
const COORDQA_FILE: &str = "single_turn.csv";
/// Short names of the models, as experiments carry them, and their weights.
const MODELS: [(&str, &str); 2] = [
    ("smollm2", "smollm2-135m-instruct"),
    ("gemma3", "gemma-3-270m"),
];
const N_SEATS: usize = 5;
/// Games from which a mean can be told: at scale full and above.
const N_GAMES_FULL: u64 = 10;
/// Pairs that are put to every probe; all are judged plainly.
const N_PROBED: usize = 60;

/// An experiment of one model: claims about one model must not wait for the other's weights.
fn named(experiment: &str, model: &str) -> String {
    format!("{experiment}-{model}")
}

/// Cells of real models; none at smoke, which needs neither weights nor network.
pub fn cells(config: &Config, effort: Effort) -> Vec<Cell> {
    if effort.scale == Scale::Smoke || !config.language_models {
        return Vec::new();
    }
    let n_games = match effort.scale {
        Scale::Smoke | Scale::Quick => config.language_games,
        Scale::Full | Scale::Paper => config.language_games.max(N_GAMES_FULL),
    };
    let mut cells = Vec::new();
    for (model, weights) in MODELS {
        let cell = |experiment: &str, seed: u64| {
            Cell::new(named(experiment, model), seed)
                .with("weights", weights)
                .needs(format!("models/{weights}"))
        };
        cells.push(cell(COORDQA, 0).needs(COORDQA_DATA));
        cells.push(cell(JUDGES, 0).with("pairs", config.judge_pairs));
        for game in 0..n_games {
            cells.push(cell(LANGUAGE_GAMES, game));
        }
    }
    cells
}

/// Measures a cell of a real model, if it is one.
pub fn run(cx: &mut Cx, cell: &Cell) -> Option<Result<()>> {
    let is = |experiment: &str| {
        let mut models = MODELS.iter();
        models.any(|(model, _)| cell.experiment == named(experiment, model))
    };
    if is(COORDQA) {
        Some(coordqa(cx))
    } else if is(JUDGES) {
        Some(judge(cx, cell))
    } else if is(LANGUAGE_GAMES) {
        Some(game(cx, cell))
    } else {
        None
    }
}

fn weights(cx: &Cx) -> Result<&str> {
    let cell = cx.cell();
    cell.get("weights")
        .ok_or_else(|| Error::internal(format!("cell `{}` names no weights", cell.id())))
}

/// Opens the model of a cell. Every byte is compared with the pinned digest before it is believed.
fn open(files: &DataFiles, n_threads: usize) -> Result<Arc<Scorer>> {
    for name in files.names() {
        if name.ends_with(".gguf") {
            let scorer = Scorer::open(&files.file(name)?, n_threads)?;
            return Ok(Arc::new(scorer));
        }
    }
    Err(Error::inputs("the weights hold no GGUF file"))
}

/// What a model gave: rows, and the text of its answers for the transcript.
struct Given {
    rows: Vec<Row>,
    transcript: Vec<Value>,
}

/// Has `measure` ask the model unless its answers to the same questions are in the cache, then
/// emits them.
fn cached<K: Serialize>(
    cx: &mut Cx,
    name: &str,
    key: &K,
    measure: impl FnOnce(Arc<Scorer>) -> Result<Given>,
) -> Result<()> {
    let files = cx.weights(weights(cx)?)?;
    let n_threads = cx.threads();
    let watch = cx.stopwatch();
    let folder = cx.stage(name, key, |folder| {
        let given = measure(open(&files, n_threads)?)?;
        write_lines(&folder.join("rows.jsonl"), &given.rows)?;
        write_lines(&folder.join("transcript.jsonl"), &given.transcript)
    })?;
    cx.timing(Row::new(
        "language_model_wall_s",
        watch.elapsed().wall_s,
        "s",
    ))?;
    for row in read_lines::<Row>(&folder.join("rows.jsonl"))? {
        cx.row(row)?;
    }
    for line in read_lines::<Value>(&folder.join("transcript.jsonl"))? {
        cx.transcript(&line)?;
    }
    Ok(())
}

fn write_lines<T: Serialize>(path: &Path, lines: &[T]) -> Result<()> {
    let mut text = String::new();
    for line in lines {
        let line = serde_json::to_string(line)
            .map_err(|e| Error::internal("an answer cannot be written").caused_by(e))?;
        text.push_str(&line);
        text.push('\n');
    }
    std::fs::write(path, text).map_err(|e| Error::io("write", path, e))
}

fn read_lines<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    let parse = |line: &str| {
        serde_json::from_str(line).map_err(|e| {
            Error::incomplete(format!("`{}` is damaged", path.display()))
                .caused_by(e)
                .hint("remove its folder from the cache and run again")
        })
    };
    text.lines().map(parse).collect()
}

fn coordqa(cx: &mut Cx) -> Result<()> {
    let path = cx.data(COORDQA_DATA)?.file(COORDQA_FILE)?;
    let items = read_coordqa(&path)?;
    cached(
        cx,
        "coordqa",
        &"letter and text, options as given",
        |scorer| {
            let mut given = Given {
                rows: Vec::new(),
                transcript: Vec::new(),
            };
            for item in &items {
                answer(&scorer, item, &mut given)?;
            }
            Ok(given)
        },
    )
}

/// One item twice: by the letter of an option, and by its text per token.
fn answer(scorer: &Scorer, item: &CoordQaItem, given: &mut Given) -> Result<()> {
    let n_options = item.options.len();
    let letters: Vec<String> = (0..n_options).map(|o| format!(" {}", letter(o))).collect();
    let prompt = scorer.prompt(&item.messages(), "Answer:")?;
    let by_letter = scorer.choose(&prompt, &letters)?;
    let texts: Vec<String> = item.options.iter().map(|o| format!(" {o}")).collect();
    let prompt = scorer.prompt(&item.open_messages(), "Answer:")?;
    let by_text = scorer.choose(&prompt, &texts)?;
    let name = format!("item-{:02}", item.number);
    let consistent = if item.is_consistent {
        "consistent"
    } else {
        "inconsistent"
    };
    for (by, chosen) in [
        ("letter", by_letter.best()),
        ("text", by_text.best_per_token()),
    ] {
        let correct = f64::from(item.gold.contains(&chosen));
        for (metric, value) in [
            ("correct", correct),
            ("guessing_rate", item.guessing_rate()),
        ] {
            given.rows.push(
                Row::new(metric, value, "1")
                    .item(&name)
                    .tag("by", by)
                    .tag("order", item.order.word())
                    .tag("gold", consistent),
            );
        }
    }
    given.transcript.push(serde_json::json!({
        "item": item.number, "by_letter": by_letter.logprobs, "by_text": by_text.logprobs,
        "n_tokens": by_text.n_tokens, "gold": item.gold,
    }));
    Ok(())
}

fn judge(cx: &mut Cx, cell: &Cell) -> Result<()> {
    let n_pairs: usize = condition(cell, "pairs")?;
    let pairs = pairs(n_pairs, &mut super::games_rng(cx, "pairs"))?;
    let seed = cell.seed;
    let key = ("judge", n_pairs, N_PROBED, seed);
    cached(cx, "judge", &key, |scorer| {
        let judge = LikelihoodJudge::new("likelihood", scorer);
        let probed = &pairs[..pairs.len().min(N_PROBED)];
        let probed = block_on(probe_judge(&judge, &pairs, probed, seed))??;
        Ok(Given {
            rows: judge_rows(&probed),
            transcript: Vec::new(),
        })
    })
}

/// A whole game in self-play, with statements, judged exactly and by words.
fn game(cx: &mut Cx, cell: &Cell) -> Result<()> {
    let name = weights(cx)?.to_owned();
    let games = Games::new(1, cell.seed);
    cached(cx, "game", &("game", cell.seed, N_SEATS), |scorer| {
        let seating = |_| {
            let player = || LikelihoodPlayer::new(format!("local:{name}"), Arc::clone(&scorer));
            Ok((0..N_SEATS)
                .map(|_| Box::new(player()) as Box<dyn Player>)
                .collect())
        };
        let judges: [&dyn Judge; 2] = [&Exact, &Overlap];
        let mut record = None;
        let mut done = |_, played| {
            record = Some(played);
            std::ops::ControlFlow::Break(())
        };
        block_on(play_games(games, &seating, &judges, &mut done))?;
        let record = record.ok_or_else(|| Error::internal("no game was played"))??;
        let lines = record.to_lines()?;
        let lines = lines.lines().map(serde_json::from_str::<Value>);
        let transcript = lines
            .collect::<Result<Vec<Value>, _>>()
            .map_err(|e| Error::internal("a record cannot be read back").caused_by(e))?;
        Ok(Given {
            rows: game_rows(&record),
            transcript,
        })
    })
}

fn game_rows(record: &GameRecord) -> Vec<Row> {
    let end = &record.end;
    let mut rows = vec![
        Row::new("score_points", f64::from(end.score_points), "points"),
        Row::new("score_strict", f64::from(end.score_strict), "points"),
        Row::new("turns", record.turns.len() as f64, "1"),
        Row::new("hints", f64::from(end.n_hints), "1"),
        Row::new("format_failures", f64::from(end.format_failures), "1"),
    ];
    for (hint_idx, hint) in record.hints().enumerate() {
        let Some([first, second]) = hint.agreements() else {
            continue;
        };
        let item = format!("hint-{hint_idx:02}");
        rows.push(Row::new("first_order", first, "1").item(&item));
        rows.push(Row::new("second_order", second, "1").item(&item));
        for judged in &hint.judged {
            let scores = [
                ("judged_first", judged.first),
                ("judged_second", judged.second),
            ];
            for (metric, score) in scores {
                if let Some(score) = score {
                    let row = Row::new(metric, f64::from(score), "points");
                    rows.push(row.item(&item).tag("judge", &judged.judge));
                }
            }
        }
    }
    rows
}
