//! Part B: recording two real small language models, and what their samples say.

use std::str::FromStr;

use eval::{Cell, Cx, Effort, Error, Result, Row, Scale};

use super::live_protocols;
use super::live_setup::{LiveSetup, N_PARTS, SLMS, TRIO, all_recorded, recorded};
use super::live_table::{compare, compare_searched, correlations, modes, sizes};
use crate::live::Sizes;
use crate::paper::Config;
use crate::replay::{Halves, emit};
use crate::samples::{RecordedSample, SampleTable};

/// Recording.
pub const SAMPLES: &str = "live-samples";
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
            cells.push(setup.cell(SAMPLES).with("slm", slm).with("part", part));
        }
    }
    for part in 0..N_PARTS {
        cells.push(setup.cell(PROTOCOLS).with("part", part));
    }
    cells.push(setup.cell(METHODS).with("trials", config.n_trials));
    cells
}

/// Measures a cell of part B, if it is one.
pub fn run(cx: &mut Cx, cell: &Cell) -> Option<Result<()>> {
    match cell.experiment.as_str() {
        SAMPLES => Some(samples(cx, cell)),
        PROTOCOLS => Some(live_protocols::run(cx, cell)),
        METHODS => Some(methods(cx, cell)),
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

fn samples(cx: &mut Cx, cell: &Cell) -> Result<()> {
    let setup = LiveSetup::of_cell(cell)?;
    let slm: String = condition(cell, "slm")?;
    let part = condition(cell, "part")?;
    let watch = cx.stopwatch();
    let recording = recorded(cx, &setup, &slm, part)?;
    cx.timing(Row::new("recording_wall_s", watch.elapsed().wall_s, "s"))?;
    for record in recording.samples.iter().flatten() {
        cx.transcript(record)?;
    }
    let sharing = recording.sharing;
    let separate = sharing.n_separate as f64;
    for (metric, n_evaluated) in [
        ("prompt_sharing_ratio", sharing.n_evaluated),
        (
            "prompt_sharing_ratio_within_question",
            sharing.n_per_question,
        ),
    ] {
        cx.row(Row::new(metric, separate / n_evaluated as f64, "1").tag("slm", &slm))?;
    }
    for (metric, n_tokens) in [
        ("prompt_tokens_separate", sharing.n_separate),
        ("prompt_tokens_evaluated", sharing.n_evaluated),
        ("tokens_generated", sharing.n_generated),
    ] {
        cx.row(Row::new(metric, n_tokens as f64, "1").tag("slm", &slm))?;
    }
    Ok(())
}

fn methods(cx: &mut Cx, cell: &Cell) -> Result<()> {
    let setup = LiveSetup::of_cell(cell)?;
    let n_trials = condition(cell, "trials")?;
    let [low, high] = all_recorded(cx, &setup)?;
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
