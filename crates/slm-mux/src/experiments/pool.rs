//! Part C: a pool of small transformers trained here, sampled, and put to every method.

use std::path::{Path, PathBuf};

use eval::{Cell, Cx, Effort, Error, Result, Row, Scale};
use serde::{Deserialize, Serialize};

use super::Recordings;
use super::live::condition;
use super::live_table::{compare_searched, correlations, modes, sizes};
use crate::live::Drawing;
use crate::paper::Config;
use crate::pool::{
    CurvePoint, Exercise, Member, PoolQuestion, Skill, Solver, Training, questions, train,
};
use crate::replay::{Halves, emit};
use crate::samples::{RecordedSample, SampleTable, read_records, write_records};

/// Training and sampling of one member.
pub const MEMBER: &str = "pool-member";
/// Everything that the members' samples tell.
pub const METHODS: &str = "pool";
/// Samples per question. Paper: up to 9.
const K_RECORDED: usize = 9;
/// Sampling temperature; the paper's for search and scaling.
const TEMPERATURE: f32 = 0.5;

/// Training loss by step.
const LOSS: &str = "training_loss_nats";
/// Whether a wrong hint replaced a right answer.
const ADOPTED: &str = "adopted_wrong_hint";

/// The size of part C.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PoolSetup {
    n_members: usize,
    training: Training,
    n_validation: usize,
    n_test: usize,
}

impl PoolSetup {
    fn new(config: &Config, scale: Scale) -> Self {
        let smoke = scale == Scale::Smoke;
        Self {
            n_members: if smoke { 3 } else { config.pool_members },
            training: Training {
                n_steps: if smoke { 20 } else { config.pool_steps },
                n_batch: if smoke { 16 } else { 64 },
                rate: 4e-3,
                n_hidden: if smoke { 32 } else { 64 },
                concentration: 0.3,
                hinted_share: 0.5,
                hint_accuracy: 0.7,
            },
            n_validation: if smoke { 4 } else { config.pool_validation },
            n_test: if smoke { 4 } else { config.pool_test },
        }
    }

    fn of_cell(cell: &Cell, config: &Config) -> Result<Self> {
        let scale = match cell.get("size") {
            Some("smoke") => Scale::Smoke,
            Some("whole") => Scale::Quick,
            _ => {
                let message = format!("cell `{}` has no usable `size`", cell.id());
                return Err(Error::internal(message));
            }
        };
        Ok(Self::new(config, scale))
    }
}

/// Cells of part C: all members of a pool before what needs them.
pub fn cells(config: &Config, effort: Effort) -> Vec<Cell> {
    let is_smoke = effort.scale == Scale::Smoke;
    let size = if is_smoke { "smoke" } else { "whole" };
    let n_pools = match effort.scale {
        Scale::Smoke | Scale::Quick => 1,
        Scale::Full | Scale::Paper => effort.n_seeds,
    };
    let setup = PoolSetup::new(config, effort.scale);
    let mut cells = Vec::new();
    for seed in 0..n_pools {
        for number in 0..setup.n_members {
            let who = Member {
                pool_seed: seed,
                number,
            };
            cells.push(member_cell(who, size));
        }
        let cell = Cell::new(METHODS, seed).with("size", size);
        cells.push(cell.with("trials", config.n_trials));
    }
    cells
}

fn member_cell(who: Member, size: &str) -> Cell {
    let cell = Cell::new(MEMBER, who.pool_seed);
    cell.with("size", size).with("number", who.number)
}

/// Measures a cell of part C, if it is one.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Option<Result<()>> {
    match cell.experiment.as_str() {
        MEMBER => Some(member(cx, config, cell)),
        METHODS => Some(methods(cx, config, cell)),
        _ => None,
    }
}

/// A trained member with its samples, from the cache where they are there.
struct Trained {
    folder: PathBuf,
    curve: Vec<CurvePoint>,
    samples: Vec<RecordedSample>,
}

fn trained(cx: &mut Cx, setup: &PoolSetup, who: Member) -> Result<Trained> {
    let n_threads = cx.threads();
    let (training, seed) = (setup.training, who.pool_seed);
    let key = (who, setup.training);
    let folder = cx.stage("pool-member", &key, |folder| {
        let curve = train(who, &training, folder, &mut |_| Ok(()))?;
        eval::fs::write_json(&folder.join("curve.json"), &curve)
    })?;
    let curve = read_json(&folder.join("curve.json"))?;
    let weights = folder.clone();
    let asked: Vec<PoolQuestion> = [("validation", setup.n_validation), ("test", setup.n_test)]
        .into_iter()
        .flat_map(|(split, n)| questions(seed, split, n))
        .collect();
    let key = (who, setup, K_RECORDED, TEMPERATURE.to_string());
    let sampled = cx.stage("pool-samples", &key, |folder| {
        let drawing = Drawing {
            k: K_RECORDED,
            temperature: TEMPERATURE,
            seed,
        };
        let records = Solver::open(&weights, who, n_threads)?.record(&asked, drawing)?;
        write_records(&folder.join("samples.jsonl"), &records)
    })?;
    Ok(Trained {
        folder,
        curve,
        samples: read_records(&sampled.join("samples.jsonl"))?,
    })
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    serde_json::from_str(&text)
        .map_err(|e| Error::incomplete(format!("`{}` is damaged", path.display())).caused_by(e))
}

fn member(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let setup = PoolSetup::of_cell(cell, config)?;
    let who = Member {
        pool_seed: cell.seed,
        number: condition(cell, "number")?,
    };
    if let Some(recordings) = Recordings::of(config) {
        let samples = recordings.transcript(cell)?;
        let taken_over = |metric| recordings.rows(cell, &[metric]);
        let curve = taken_over(LOSS)?;
        report(cx, &setup, who, &samples, curve)?;
        return taken_over(ADOPTED)?
            .into_iter()
            .try_for_each(|row| cx.row(row));
    }
    let watch = cx.stopwatch();
    let found = trained(cx, &setup, who)?;
    cx.timing(Row::new("training_wall_s", watch.elapsed().wall_s, "s"))?;
    let point = |point: &CurvePoint| {
        let row = Row::new(LOSS, point.loss_nats, "nats");
        row.tag("member", who.name()).tag("step", point.step)
    };
    let curve = found.curve.iter().map(point).collect();
    report(cx, &setup, who, &found.samples, curve)?;
    if who.reads_hints() {
        conformity(cx, &setup, who, &found.folder)?;
    }
    Ok(())
}

/// The learning curve of a member and what its samples say about each skill.
fn report(
    cx: &mut Cx,
    setup: &PoolSetup,
    who: Member,
    samples: &[RecordedSample],
    curve: Vec<Row>,
) -> Result<()> {
    for record in samples {
        cx.transcript(record)?;
    }
    curve.into_iter().try_for_each(|row| cx.row(row))?;
    let mixture = who.mixture(setup.training.concentration)?;
    for (skill, share) in Skill::ALL.into_iter().zip(mixture) {
        let of_skill =
            |record: &&RecordedSample| record.task == skill.word() && record.split == "test";
        let samples: Vec<&RecordedSample> = samples.iter().filter(of_skill).collect();
        let n_right = samples
            .iter()
            .filter(|s| s.answer.as_deref() == Some(&s.reference))
            .count();
        let accuracy = n_right as f64 / samples.len().max(1) as f64;
        for (metric, value) in [("skill_share", share), ("skill_accuracy", accuracy)] {
            let row = Row::new(metric, value, "1").item(skill.word());
            cx.row(row.tag("member", who.name()))?;
        }
    }
    Ok(())
}

/// What hints do to a member that was trained on them: questions that it answers rightly alone,
/// asked again with two right hints, or two hints with one and the same wrong answer.
fn conformity(cx: &mut Cx, setup: &PoolSetup, who: Member, folder: &Path) -> Result<()> {
    let solver = Solver::open(folder, who, cx.threads())?;
    let asked = questions(who.pool_seed, "test", setup.n_test);
    let plain: Vec<String> = asked.iter().map(|q| q.exercise.question.clone()).collect();
    let alone = solver.greedy(&plain)?;
    let is_right = |answer: &Option<String>, question: &PoolQuestion| {
        answer.as_deref() == Some(&question.exercise.answer)
    };
    let mut random = cx.rng("wrong hints");
    let wrong: Vec<String> = asked
        .iter()
        .map(|question| {
            let mut hint = question.skill.draw(&mut random).answer;
            // Skills with two or three answers need a few draws.
            while hint == question.exercise.answer {
                hint = question.skill.draw(&mut random).answer;
            }
            hint
        })
        .collect();
    let hinted: Vec<String> = asked
        .iter()
        .zip(&wrong)
        .map(|(question, hint)| Exercise::hinted(&question.exercise.question, &[hint, hint]))
        .collect();
    let misled = solver.greedy(&hinted)?;
    for (((question, alone), misled), hint) in asked.iter().zip(&alone).zip(&misled).zip(&wrong) {
        if !is_right(alone, question) {
            continue;
        }
        let adopted = misled.as_deref() == Some(hint);
        let row = Row::new(ADOPTED, f64::from(adopted), "1").item(&question.id);
        cx.row(
            row.tag("member", who.name())
                .tag("task", question.skill.word()),
        )?;
    }
    Ok(())
}

fn methods(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let setup = PoolSetup::of_cell(cell, config)?;
    let n_trials = condition(cell, "trials")?;
    let replay = Recordings::of(config);
    let mut records: Vec<RecordedSample> = Vec::new();
    for number in 0..setup.n_members {
        let who = Member {
            pool_seed: cell.seed,
            number,
        };
        records.extend(match &replay {
            Some(recordings) => {
                let size = cell.get("size").unwrap_or_default();
                recordings.transcript(&member_cell(who, size))?
            }
            None => trained(cx, &setup, who)?.samples,
        });
    }
    let table =
        |split: &str| SampleTable::from_records(records.iter().filter(|r| r.split == split));
    let (validation, test) = (table("validation")?, table("test")?);
    let halves = Halves {
        validation: &validation,
        test: &test,
        n_trials,
    };
    correlations(cx, &test, "trained")?;
    modes(cx, &test, "trained")?;
    compare_searched(cx, &halves)?;
    sizes(cx, &halves)?;
    emit(cx, &halves)
}

#[cfg(test)]
mod tests {
    use eval::{Inputs, MeasuredRow, RunFolder};

    use super::*;

    /// The rows of a cell, measured in this process.
    fn rows(cell: &Cell, config: &Config, folder: &Path) -> Vec<Row> {
        let mut cx = Cx::in_process("slm-mux", cell, folder, Inputs::none()).unwrap();
        run(&mut cx, config, cell).unwrap().unwrap();
        cx.finish().unwrap();
        eval::fs::read_json_lines(&folder.join("rows.jsonl")).unwrap()
    }

    #[test]
    fn a_smoke_pool_is_trained_sampled_and_replayed_with_the_same_rows() {
        let effort = Effort {
            scale: Scale::Smoke,
            n_seeds: 1,
        };
        let mut config = Config::default();
        let cells = cells(&config, effort);
        assert_eq!(cells.len(), 4);
        let folder = tempfile::tempdir().unwrap();
        let recorded = RunFolder::new(folder.path().join("run"));
        let of_recorded = |cell: &Cell| rows(cell, &config, &recorded.cell(&cell.id()));
        let mut all: Vec<Vec<Row>> = cells.iter().map(of_recorded).collect();
        // After so few steps nobody answers anything rightly, and a hint has nothing to replace.
        let hint = Row::new(ADOPTED, 1.0, "1").item("add/test/000");
        all[1].push(hint.tag("member", "member-1").tag("task", "add"));
        let place = recorded.cell(&cells[1].id());
        let kept: Vec<RecordedSample> =
            eval::fs::read_json_lines(&place.join("transcript.jsonl")).unwrap();
        let mut cx = Cx::in_process("slm-mux", &cells[1], &place, Inputs::none()).unwrap();
        kept.iter()
            .for_each(|record| cx.transcript(record).unwrap());
        all[1].iter().for_each(|row| cx.row(row.clone()).unwrap());
        cx.finish().unwrap();
        let share: f64 = all[1]
            .iter()
            .filter(|row| row.metric == "skill_share")
            .filter_map(|row| row.value)
            .sum();
        assert!((share - 1.0).abs() < 1e-9);
        let (methods, rows_of_methods) = (&cells[3], &all[3]);
        let right = rows_of_methods
            .iter()
            .filter(|row| row.metric == "right_at_size")
            .count();
        // Three sizes, two ways to choose, forty questions.
        assert_eq!(right, 3 * 2 * 40);
        let row = MeasuredRow {
            cell: std::sync::Arc::new(methods.clone()),
            row: rows_of_methods[0].clone(),
        };
        assert_eq!(row.get("size"), Some("smoke"));
        // Replayed, every cell has the same rows, and none trains or samples anything.
        config.replay = recorded.path().display().to_string();
        for (cell, expected) in cells.iter().zip(&all) {
            let place = folder.path().join(format!("replay-{}", cell.id()));
            assert_eq!(&rows(cell, &config, &place), expected, "{}", cell.id());
            assert!(!place.join("cache").exists(), "{} used a model", cell.id());
        }
    }
}
