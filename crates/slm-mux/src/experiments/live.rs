//! Part B: recording two real small language models, and what their samples say.

use std::str::FromStr;

use eval::{Cell, Cx, Effort, Error, Result, Row, Scale};

use super::Recordings;
use super::live_protocols;
use super::live_setup::{
    LiveSetup, N_PARTS, SAMPLES, SLMS, TRIO, all_recorded, recorded, sharing_rows,
};
use super::live_table::{compare, compare_searched, correlations, modes, sizes};
use crate::live::Sizes;
use crate::paper::Config;
use crate::replay::{Halves, emit};
use crate::samples::{RecordedSample, SampleTable};

/// Everything that recorded samples tell.
pub const METHODS: &str = "live";
/// Methods in which models read each other, asked live.
pub const PROTOCOLS: &str = "live-protocols";
/// Test questions of a task at scale full: more than 1,000 in all.
const N_TEST_FULL: usize = 52;
const N_VALIDATION_FULL: usize = 24;

/// Cells of part B; none at smoke, which needs neither weights nor data.
pub fn cells(config: &Config, effort: Effort) -> Vec<Cell> {
    if effort.scale == Scale::Smoke || !config.live {
        return Vec::new();
    }
    let sizes = match effort.scale {
        Scale::Smoke | Scale::Quick => Sizes {
            n_validation: config.live_validation,
            n_test: config.live_test,
        },
        Scale::Full | Scale::Paper => Sizes {
            n_validation: config.live_validation.max(N_VALIDATION_FULL),
            n_test: config.live_test.max(N_TEST_FULL),
        },
    };
    let setup = LiveSetup::new(sizes, effort.scale, 0);
    let mut cells = Vec::new();
    for part in 0..N_PARTS {
        // The slower model first, so that both cores end together.
        for (slm, _) in SLMS.iter().rev() {
            cells.push(setup.samples_cell(slm, part));
        }
    }
    for part in 0..N_PARTS {
        cells.push(setup.cell(PROTOCOLS).with("part", part));
    }
    cells.push(setup.cell(METHODS).with("trials", config.n_trials));
    if Recordings::of(config).is_some() {
        // What was recorded needs neither weights nor data.
        cells.iter_mut().for_each(|cell| cell.needs.clear());
    }
    cells
}

/// Measures a cell of part B, if it is one.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Option<Result<()>> {
    let replay = Recordings::of(config);
    match cell.experiment.as_str() {
        SAMPLES => Some(samples(cx, cell, replay.as_ref())),
        PROTOCOLS => Some(live_protocols::run(cx, cell, replay.as_ref())),
        METHODS => Some(methods(cx, cell, replay.as_ref())),
        _ => None,
    }
}

/// A value of a cell's condition.
///
/// # Errors
/// The cell has none, or it cannot be read; a bug.
pub fn condition<T: FromStr>(cell: &Cell, key: &str) -> Result<T> {
    let text = cell.get(key);
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::internal(format!("cell `{}` has no usable `{key}`", cell.id())))
}

fn samples(cx: &mut Cx, cell: &Cell, replay: Option<&Recordings>) -> Result<()> {
    let setup = LiveSetup::of_cell(cell)?;
    let slm: String = condition(cell, "slm")?;
    let part = condition(cell, "part")?;
    let watch = cx.stopwatch();
    let recording = recorded(cx, &setup, &slm, part, replay)?;
    cx.timing(Row::new("recording_wall_s", watch.elapsed().wall_s, "s"))?;
    for record in recording.samples.iter().flatten() {
        cx.transcript(record)?;
    }
    for row in sharing_rows(&recording.sharing) {
        cx.row(row.tag("slm", &slm))?;
    }
    Ok(())
}

fn methods(cx: &mut Cx, cell: &Cell, replay: Option<&Recordings>) -> Result<()> {
    let setup = LiveSetup::of_cell(cell)?;
    let n_trials = condition(cell, "trials")?;
    let [low, high] = all_recorded(cx, &setup, replay)?;
    let trio = TRIO.map(str::to_owned);
    let (validation, test) = (
        table(&low, &trio, "validation")?,
        table(&low, &trio, "test")?,
    );
    let halves = Halves {
        validation: &validation,
        test: &test,
        n_trials,
    };
    compare(cx, &halves, "trio")?;
    modes(cx, &test, "trio")?;
    let names = setup.names();
    let (validation, test) = (
        table(&high, &names, "validation")?,
        table(&high, &names, "test")?,
    );
    let halves = Halves {
        validation: &validation,
        test: &test,
        n_trials,
    };
    correlations(cx, &test, "live")?;
    modes(cx, &test, "live")?;
    compare_searched(cx, &halves)?;
    sizes(cx, &halves)?;
    emit(cx, &halves)
}

/// The samples of one half as a table with the models in the order of `names`.
fn table(records: &[RecordedSample], names: &[String], split: &str) -> Result<SampleTable> {
    let table = SampleTable::from_records(records.iter().filter(|r| r.split == split))?;
    let places = names.iter().map(|name| {
        let place = table.models().iter().position(|known| known == name);
        place.ok_or_else(|| Error::internal(format!("nothing was recorded of `{name}`")))
    });
    let places = places.collect::<Result<Vec<_>>>()?;
    Ok(table.of_models(&places))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use eval::{Inputs, RunFolder};
    use serde_json::{Value, json};

    use super::*;
    use crate::live::{Sharing, TASKS};

    const SHARING: Sharing = Sharing {
        n_separate: 900,
        n_per_question: 100,
        n_evaluated: 40,
        n_generated: 70,
    };

    /// Gemma is always right and SmolLM never, each unanimous.
    fn answer(slm: &str) -> &'static str {
        if slm == "gemma3" { "right" } else { "wrong" }
    }

    /// A cell of a run, written as by the program, with this transcript.
    fn write(run: &RunFolder, cell: &Cell, lines: &[Value], rows: Vec<Row>) {
        let folder = run.cell(&cell.id());
        let mut cx = Cx::in_process("slm-mux", cell, &folder, Inputs::none()).unwrap();
        for line in lines {
            cx.transcript(line).unwrap();
        }
        rows.into_iter().for_each(|row| cx.row(row).unwrap());
        cx.finish().unwrap();
    }

    fn questions(part: usize, sizes: Sizes) -> Vec<(&'static str, String, &'static str)> {
        let tasks = TASKS.iter().skip(part).step_by(N_PARTS);
        let halves = [
            ("validation", 0..sizes.n_validation),
            (
                "test",
                sizes.n_validation..sizes.n_validation + sizes.n_test,
            ),
        ];
        tasks
            .flat_map(|task| {
                let all = halves.clone().into_iter();
                all.flat_map(move |(split, idx)| {
                    idx.map(move |idx| (*task, format!("{task}/{idx:03}"), split))
                })
            })
            .collect()
    }

    fn samples_of(setup: &LiveSetup, slm: &str, part: usize) -> Vec<Value> {
        let mut lines = Vec::new();
        for temperature in [0.3f32, 0.5] {
            for member in setup.members(slm) {
                if temperature == 0.3 && !TRIO.contains(&member.name().as_str()) {
                    continue;
                }
                for (task, question, split) in questions(part, setup.sizes) {
                    for sample in 0..9 {
                        lines.push(json!({
                            "question": question, "task": task, "split": split,
                            "model": member.name(), "sample": sample,
                            "temperature": f64::from(temperature), "seed": 1,
                            "text": answer(slm), "answer": answer(slm), "reference": "right",
                            "n_prompt_tokens": 10, "n_generated_tokens": 2,
                        }));
                    }
                }
            }
        }
        lines
    }

    fn protocols_of(setup: &LiveSetup, part: usize) -> Vec<Value> {
        let tokens = json!({ "n_calls": 1, "n_prompt": 10, "n_generated": 2 });
        let reply = |text: &str| json!({ "text": text, "answer": text });
        let line = |(task, question, split): (&str, String, &str)| {
            let greedy = TRIO.map(|name| {
                let slm = name.split('-').next().unwrap();
                json!({ "answer": answer(slm), "tokens": tokens })
            });
            let wrong = reply("wrong");
            (split == "test").then(|| {
                json!({
                    "question": {
                        "id": question, "task": task, "text": "?", "reference": "right",
                    },
                    "greedy": greedy,
                    "debate": { "rounds": [[wrong]], "answer": "wrong", "tokens": tokens },
                    "mixture": { "layers": [[wrong]], "aggregate": wrong, "tokens": tokens },
                    "verification": {
                        "candidates": [{ "reply": wrong, "approval": 0.5 }], "n_drawn": 3,
                        "answer": "right", "tokens": tokens,
                    },
                })
            })
        };
        let asked = questions(part, setup.sizes);
        asked.into_iter().filter_map(line).collect()
    }

    /// A run that recorded everything that the live cells need.
    fn record(run: &RunFolder, setup: &LiveSetup) {
        for part in 0..N_PARTS {
            for (slm, _) in SLMS {
                let rows = sharing_rows(&SHARING);
                let lines = samples_of(setup, slm, part);
                write(run, &setup.samples_cell(slm, part), &lines, rows);
            }
            let cell = setup.cell(PROTOCOLS).with("part", part);
            write(run, &cell, &protocols_of(setup, part), Vec::new());
        }
    }

    fn rows(cell: &Cell, config: &Config, folder: &Path) -> Vec<Row> {
        // Without inputs there are no weights: whoever opens a model fails.
        let mut cx = Cx::in_process("slm-mux", cell, folder, Inputs::none()).unwrap();
        run(&mut cx, config, cell).unwrap().unwrap();
        cx.finish().unwrap();
        eval::fs::read_json_lines(&folder.join("rows.jsonl")).unwrap()
    }

    fn quick() -> Effort {
        Effort {
            scale: Scale::Quick,
            n_seeds: 1,
        }
    }

    fn config(run: &RunFolder) -> Config {
        Config {
            replay: run.path().display().to_string(),
            live_validation: 1,
            live_test: 2,
            ..Config::default()
        }
    }

    #[test]
    fn a_replay_reads_recorded_samples_and_calls_no_model() {
        let folder = tempfile::tempdir().unwrap();
        let recorded = RunFolder::new(folder.path().join("run"));
        let config = config(&recorded);
        let sizes = Sizes {
            n_validation: 1,
            n_test: 2,
        };
        record(&recorded, &LiveSetup::new(sizes, Scale::Quick, 0));
        let planned = super::super::cells(&config, quick());
        let rests_on_samples = |cell: &Cell| {
            let known = ["pool-member", "pool", SAMPLES, PROTOCOLS, METHODS];
            cell.needs.is_empty() && known.contains(&cell.experiment.as_str())
        };
        assert!(planned.iter().all(rests_on_samples), "{planned:?}");
        assert_eq!(planned.len(), 8 + 1 + 8 + 4 + 1);
        let mut all = Vec::new();
        for cell in cells(&config, quick()) {
            assert!(cell.needs.is_empty(), "{} needs inputs", cell.id());
            let place = folder.path().join(format!("replay-{}", cell.id()));
            all.extend(rows(&cell, &config, &place));
            assert!(!place.join("cache").exists(), "{} used a model", cell.id());
            // What is replayed can be replayed again.
            let lines = |folder: &Path| -> Vec<Value> {
                eval::fs::read_json_lines(&folder.join("transcript.jsonl")).unwrap()
            };
            assert_eq!(lines(&place), lines(&recorded.cell(&cell.id())));
        }
        let value = |metric: &str, tags: &[(&str, &str)]| {
            let has = |row: &&Row| {
                let has = |(key, value): &(&str, &str)| {
                    row.tags.get(*key).is_some_and(|found| found == value)
                };
                row.metric == metric && tags.iter().all(has)
            };
            let found: Vec<f64> = all.iter().filter(has).filter_map(|row| row.value).collect();
            assert!(!found.is_empty(), "no row {metric} {tags:?}");
            found
        };
        let share = |method: &str| {
            let tags = [("pool", "trio"), ("k", "3"), ("method", method)];
            value("right", &tags)
        };
        // All are equally sure, so the validation accuracy decides, here for Gemma; it also says
        // whose greedy answer stands for the best model's.
        for (method, expected) in [("mux", 1.0), ("single-greedy", 1.0), ("debate", 0.0)] {
            let found = share(method);
            assert_eq!(found.len(), 40, "{method}");
            let is_near = |x: &f64| (x - expected).abs() < 1e-12;
            assert!(found.iter().all(is_near), "{method}: {found:?}");
        }
        assert_eq!(share("mav"), vec![1.0; 40]);
        assert_eq!(value("prompt_sharing_ratio", &[]), vec![22.5; 8]);
        let within = value("prompt_sharing_ratio_within_question", &[]);
        assert_eq!(within, vec![9.0; 8]);
    }

    #[test]
    fn a_replay_of_something_else_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&RunFolder::new(folder.path()));
        let cell = cells(&config, quick()).remove(0);
        let place = folder.path().join("replay");
        let mut cx = Cx::in_process("slm-mux", &cell, &place, Inputs::none()).unwrap();
        let error = run(&mut cx, &config, &cell).unwrap().unwrap_err();
        assert!(error.report().contains("recorded no"), "{}", error.report());
        let error = Recordings::of(&config).unwrap().check().unwrap_err();
        assert!(error.report().contains("is no run"), "{}", error.report());
    }
}
