//! The smallest useful paper: the area of the quarter disc by throwing darts.
//!
//! It shows every part a paper has, and is what the engine's own tests run, kill, and resume.

use std::process::ExitCode;

use eval::{Cell, Cx, Effort, Error, Figure, Mark, MeasuredRow, Panel, Paper, Result, Row, Series};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Knobs; the paper has none of its own, so each only says what it does here.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Darts per cell.
    n_darts: u64,
    /// Cells per seed.
    n_cells: u64,
    /// Milliseconds each cell rests, to be killed meanwhile.
    rest_ms: u64,
    /// The index of a cell that fails; none if it is no index.
    fails: i64,
    /// The index of a cell that never ends by itself; none if it is no index.
    hangs: i64,
    /// Name of a data set that every cell needs; empty for none.
    needs: String,
}

impl Default for Config {
    fn default() -> Self {
        let needs = String::new();
        Self {
            n_darts: 1000,
            n_cells: 4,
            rest_ms: 0,
            fails: -1,
            hangs: -1,
            needs,
        }
    }
}

struct Toy;

impl Paper for Toy {
    type Config = Config;
    const MANIFEST: &'static str = include_str!("toy.toml");

    fn cells(config: &Config, effort: Effort) -> Result<Vec<Cell>> {
        let indices = effort
            .seeds()
            .flat_map(|seed| (0..config.n_cells).map(move |i| (seed, i)));
        let cell = |(seed, i)| {
            let cell = Cell::new("darts", seed).with("part", i);
            if config.needs.is_empty() {
                cell
            } else {
                cell.needs(&config.needs)
            }
        };
        Ok(indices.map(cell).collect())
    }

    fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
        let is = |index: i64| cell.get("part") == Some(index.to_string().as_str());
        if is(config.fails) {
            return Err(Error::internal("this part was told to fail"));
        }
        let mut stream = cx.rng("darts");
        let mut n_hits = 0;
        for dart in 0..config.n_darts {
            let (x, y): (f64, f64) = (stream.random(), stream.random());
            let hit = x * x + y * y < 1.0;
            n_hits += u64::from(hit);
            cx.row(Row::new("hit", f64::from(u8::from(hit)), "1").item(dart))?;
            cx.progress(dart, config.n_darts);
        }
        let mut rested_ms = 0;
        while is(config.hangs) || rested_ms < config.rest_ms {
            std::thread::sleep(std::time::Duration::from_millis(1));
            rested_ms += 1;
            if cx.cancelled() {
                break;
            }
        }
        cx.transcript(&format!("{n_hits} hits"))?;
        cx.row(Row::new(
            "share",
            n_hits as f64 / config.n_darts as f64,
            "1",
        ))
    }

    fn figures(rows: &[MeasuredRow], _timings: &[MeasuredRow]) -> Vec<Figure> {
        let shares = rows.iter().filter(|row| row.row.metric == "share");
        let points = shares
            .filter_map(|row| Some([row.cell.seed as f64, row.row.value?]))
            .collect();
        let name = "share".to_owned();
        let series = Series {
            name,
            mark: Mark::Points,
            points,
            intervals: Vec::new(),
            values: Vec::new(),
        };
        vec![Figure {
            id: "shares".to_owned(),
            title: "Hits".to_owned(),
            caption: "The share of darts inside the quarter disc, by seed.".to_owned(),
            panels: vec![Panel {
                x_label: "seed".to_owned(),
                y_label: "share of hits [1]".to_owned(),
                series: vec![series],
                ..Panel::default()
            }],
        }]
    }
}

fn main() -> ExitCode {
    eval::main::<Toy>()
}
