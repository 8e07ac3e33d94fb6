//! A small workspace with one paper and its runs, written from the vocabulary types.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use eval::digest::Digest;
use eval::inputs::{Input, InputFile, InputState, Inputs};
use eval::run::{CellDone, CellFailed, Machine, Plan, RunFolder, RunRecord, RunStatus};
use eval::summary::ControlSummary;
use eval::{
    Cell, ClaimSummary, Counts, Effort, Estimate, Figure, Mark, Panel, Row, Scale, Scaling, Series,
    Summary, Tier, Verdict,
};

/// The name of the paper.
pub const PAPER: &str = "demo";

/// A workspace in a temporary folder.
pub struct Workspace {
    folder: tempfile::TempDir,
}

impl Workspace {
    /// A workspace with the paper and no run.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let files = [
            ("Cargo.toml", "[workspace]\n"),
            (
                "Cargo.lock",
                "version = 4\n\n[[package]]\nname = \"demo\"\nversion = \"0.1.0\"\n",
            ),
            ("crates/demo/Cargo.toml", "[package]\nname = \"demo\"\n"),
            ("crates/demo/src/main.rs", "fn main() {}\n"),
            ("crates/demo/paper.toml", MANIFEST),
        ];
        for (path, text) in files {
            std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            std::fs::write(root.join(path), text).unwrap();
        }
        Self { folder }
    }

    /// Its root.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Changes the code that measures, so that every run becomes stale.
    pub fn change_code(&self) {
        let path = self.root().join("crates/demo/src/main.rs");
        std::fs::write(path, "fn main() { changed() }\n").unwrap();
    }

    /// Writes a finished run with small tables, figures, a failed cell, and a transcript.
    pub fn run(&self, name: &str, scale: Scale, claims: Vec<ClaimSummary>) -> PathBuf {
        let folder = RunFolder::new(self.root().join("results").join(PAPER).join(name));
        let plan = Plan {
            format: eval::run::FORMAT,
            claims: claims.iter().map(|claim| claim.id.clone()).collect(),
            cells: cells(),
        };
        std::fs::create_dir_all(folder.path()).unwrap();
        eval::fs::write_json(&folder.file("plan.json"), &plan).unwrap();
        for cell in &plan.cells {
            write_cell(&folder, cell, &rows(cell));
        }
        let timing: Vec<Row> = vec![Row::new("cell_cpu_s", 61.5, "s")];
        write_lines(
            &folder.cell(&plan.cells[0].id()).join("timing.jsonl"),
            &timing,
        );
        let transcript = "{\"role\":\"assistant\",\"text\":\"<b>4</b> \\u001b[31m & \\u202e\"}\n";
        std::fs::write(
            folder.cell(&plan.cells[0].id()).join("transcript.jsonl"),
            transcript,
        )
        .unwrap();
        eval::fs::write_json(&folder.file("run.json"), &record(scale)).unwrap();
        eval::fs::write_json(&folder.file("inputs.json"), &inputs()).unwrap();
        eval::fs::write_json(&folder.file("figures.json"), &figures()).unwrap();
        let summary = self.summary(name, scale, claims);
        eval::fs::write_json(&folder.file("summary.json"), &summary).unwrap();
        folder.path().to_owned()
    }

    /// A summary with the workspace's present source digest.
    pub fn summary(&self, name: &str, scale: Scale, claims: Vec<ClaimSummary>) -> Summary {
        let source = eval::source::source_digest(self.root(), PAPER).unwrap();
        Summary {
            format: eval::summary::FORMAT,
            paper: PAPER.into(),
            run: name.into(),
            scale,
            source: source.as_hex().into(),
            rows: Digest::of(name.as_bytes()).as_hex().into(),
            claims,
        }
    }

    /// Adds a cell that failed to a run's plan.
    pub fn fail_a_cell(&self, run: &Path, stderr: &str) {
        let folder = RunFolder::new(run);
        let mut plan = folder.plan().unwrap();
        let cell = Cell::new("growth", 99).with("d", 128);
        let failed = CellFailed {
            format: 1,
            ended: "killed by signal 9".into(),
            stderr: stderr.into(),
        };
        std::fs::create_dir_all(folder.cell(&cell.id())).unwrap();
        eval::fs::write_json(&folder.cell(&cell.id()).join("failed.json"), &failed).unwrap();
        plan.cells.push(cell);
        eval::fs::write_json(&folder.file("plan.json"), &plan).unwrap();
    }
}

/// Writes the rows of a finished cell.
pub fn write_cell(folder: &RunFolder, cell: &Cell, rows: &[Row]) {
    let path = folder.cell(&cell.id());
    std::fs::create_dir_all(&path).unwrap();
    write_lines(&path.join("rows.jsonl"), rows);
    let done = CellDone {
        format: eval::run::FORMAT,
        n_rows: rows.len() as u64,
        rows: Digest::of_file(&path.join("rows.jsonl")).unwrap(),
    };
    eval::fs::write_json(&path.join("done.json"), &done).unwrap();
}

fn write_lines(path: &Path, rows: &[Row]) {
    let mut writer = eval::fs::LineWriter::create(path).unwrap();
    for row in rows {
        writer.push(row).unwrap();
    }
    writer.finish().unwrap();
}

fn cells() -> Vec<Cell> {
    let sizes = [4, 8, 16, 32, 64];
    let growth = sizes
        .iter()
        .flat_map(|d| (0..2).map(move |s| Cell::new("growth", s).with("d", d)));
    growth.chain([Cell::new("examples", 0)]).collect()
}

/// A value between 0 and 1 that looks random and is not.
fn wobble(k: u64) -> f64 {
    (k as f64 * 0.618_033_988_749_895).fract()
}

fn rows(cell: &Cell) -> Vec<Row> {
    let Some(d) = cell.get("d").and_then(|d| d.parse::<f64>().ok()) else {
        let atoms = ["redundant", "unique 1", "unique 2", "synergistic"];
        let mut rows: Vec<Row> = (0..8)
            .map(|k| {
                Row::new("atom_bits", 0.1 + 0.2 * wobble(k), "bits")
                    .tag("atom", atoms[k as usize % 4])
            })
            .collect();
        rows.push(
            Row::failed("atom_bits", "bits", "the solver did not converge").tag("atom", atoms[0]),
        );
        rows.push(Row::unparsed("answer", "1", "no number in the text").item("q1"));
        return rows;
    };
    (0..6)
        .map(|k| {
            Row::new(
                "error_bits",
                1e-13 * d * (1.0 + wobble(k + cell.seed)),
                "bits",
            )
            .item(k)
        })
        .collect()
}

fn record(scale: Scale) -> RunRecord {
    RunRecord {
        format: eval::run::FORMAT,
        paper: PAPER.into(),
        status: RunStatus::Complete,
        argv: ["demo", "run", "--scale", "quick", "--set", "note=two words"]
            .map(Into::into)
            .into(),
        effort: Effort { scale, n_seeds: 5 },
        config: serde_json::json!({ "dimensions": [4, 8, 16, 32, 64], "tolerance": 1e-10 }),
        key: Digest::of(b"key"),
        source: Digest::of(b"source"),
        commit: Some("0123456789abcdef0123456789abcdef01234567".into()),
        dirty: Some(true),
        toolchain: "rustc 1.95.0".into(),
        target: "release, x86_64-linux".into(),
        lock: None,
        machine: Machine {
            cpu: "Example CPU @ 2.5 GHz".into(),
            n_cores: 2,
            ram_bytes: 24 << 30,
            os: "Linux 6.1".into(),
        },
        n_jobs: 2,
        started: "2026-11-22T18:00:00Z".into(),
        ended: Some("2026-11-22T18:07:31Z".into()),
    }
}

fn inputs() -> Inputs {
    let file = InputFile {
        path: "/data/digits.parquet".into(),
        bytes: 1_234_567,
        sha256: Digest::of(b"digits"),
    };
    let digits = Input {
        version: "1998".into(),
        licence: "CC-BY-4.0".into(),
        state: InputState::Present,
        files: BTreeMap::from([("digits.parquet".to_owned(), file)]),
    };
    let missing = Input {
        version: "2".into(),
        licence: "Apache-2.0".into(),
        state: InputState::Missing {
            reason: "model.gguf is in no cache folder".into(),
            fetch: "cargo xtask data fetch models/small".into(),
        },
        files: BTreeMap::new(),
    };
    let inputs = BTreeMap::from([
        ("digits".to_owned(), digits),
        ("models/small".to_owned(), missing),
    ]);
    Inputs {
        format: eval::inputs::FORMAT,
        inputs,
    }
}

/// An estimate with an interval over seeds.
pub fn estimate(value: f64, half: f64) -> Estimate {
    Estimate {
        value,
        low: value - half,
        high: value + half,
        n: 5,
        attempted: 30,
        failed: 0,
        unparsed: 0,
        n_seeds: 5,
        deterministic: false,
        method: "mean, t interval over 5 seeds, 95 %".into(),
        p_value: Some(0.0021),
    }
}

/// A claim with a verdict.
pub fn claim(id: &str, says: &str, tier: Tier, verdict: Verdict, reason: &str) -> ClaimSummary {
    ClaimSummary {
        id: id.into(),
        says: says.into(),
        place: "Table 2, row 3".into(),
        tier,
        published: Some(0.79),
        test: "equal to 0.79 bits, margin 0.05".into(),
        unit: "bits".into(),
        measures: "the mean over seeds of the recovered redundancy".into(),
        estimate: Some(estimate(0.7931, 0.0121)),
        p_holm: Some(0.0126),
        control: Some(ControlSummary {
            says: "independent sources give no redundancy".into(),
            estimate: Some(estimate(0.0004, 0.0011)),
            passed: true,
        }),
        verdict,
        reason: reason.into(),
        gate: true,
    }
}

/// Claims with one verdict of each sort.
pub fn claims() -> Vec<ClaimSummary> {
    let example = claim(
        "C2",
        "Redundancy of the canonical example is recovered.",
        Tier::Exact,
        Verdict::Reproduced,
        "equal to 0.79 bits, margin 0.05: holds",
    );
    let mechanism = claim(
        "C4",
        "The mechanism is at work in a constructed world.",
        Tier::Analog,
        Verdict::Supported,
        "at least 0.5 bits: holds",
    );
    vec![theory(), example, ratio(), mechanism, open(), absent()]
}

fn theory() -> ClaimSummary {
    let exact = Counts {
        attempted: 120,
        failed: 0,
        unparsed: 0,
    };
    ClaimSummary {
        published: None,
        test: "at most 1e-10 bits".into(),
        estimate: Some(Estimate::deterministic(
            3.41e-13,
            120,
            exact,
            "largest of 120 problems",
        )),
        measures: "the largest distance to the closed form over random problems".into(),
        place: "Theorem 3.3".into(),
        p_holm: None,
        ..claim(
            "C1",
            "The method returns the optimum of the convex problem.",
            Tier::Theory,
            Verdict::Reproduced,
            "at most 1e-10 bits: holds",
        )
    }
}

fn ratio() -> ClaimSummary {
    ClaimSummary {
        unit: "1".into(),
        published: Some(10.0),
        test: "at least 10, margin 2".into(),
        estimate: Some(estimate(9.12, 0.31)),
        place: "Figure 4, right".into(),
        measures: "the ratio of median times of the two solvers at 64 dimensions".into(),
        ..claim(
            "C3",
            "At 64 dimensions it is an order of magnitude faster than the solver before it.",
            Tier::Exact,
            Verdict::Approximate,
            "at least 10, margin 2: missed by less than the margin",
        )
    }
}

fn open() -> ClaimSummary {
    ClaimSummary {
        estimate: Some(Estimate {
            failed: 2,
            unparsed: 3,
            ..estimate(0.021, 0.034)
        }),
        test: "at least 0 bits".into(),
        published: Some(0.05),
        control: None,
        place: "Section 5.2".into(),
        measures: "the paired difference in accuracy between both encoders".into(),
        ..claim(
            "C5",
            "The latent encoder loses no information about the label.",
            Tier::Scaled,
            Verdict::Inconclusive,
            "the interval contains both; about n = 14 would decide (now 5)",
        )
    }
}

fn absent() -> ClaimSummary {
    ClaimSummary {
        estimate: None,
        published: Some(0.93),
        p_holm: None,
        control: None,
        place: "Table 4".into(),
        ..claim(
            "C6",
            "The estimate agrees with human annotation on six multimodal data sets.",
            Tier::Recorded,
            Verdict::NotAttempted,
            "`models/small` is missing; cargo xtask data fetch models/small",
        )
    }
}

fn figures() -> Vec<Figure> {
    let figure = |id: &str, title: &str, caption: &str, panels| Figure {
        id: id.into(),
        title: title.into(),
        caption: caption.into(),
        panels,
    };
    let empty = Panel {
        series: Vec::new(),
        title: "Nothing".into(),
        ..atoms()
    };
    vec![
        figure(
            "growth",
            "How time and error grow with dimension",
            "Lines are medians over 5 seeds with 95 % bands. The dashed lines are references.",
            vec![growth(), errors()],
        ),
        figure(
            "atoms",
            "Atoms of the canonical example",
            "Bars are means over 5 seeds, whiskers 95 % intervals.",
            vec![atoms()],
        ),
        figure(
            "empty",
            "A figure without data",
            "It has nothing to show.",
            vec![empty],
        ),
    ]
}

/// `factor · d^power` with an interval of a constant ratio.
fn power_law(name: &str, mark: Mark, factor: f64, power: f64, spread: f64) -> Series {
    let sizes = [4.0, 8.0, 16.0, 32.0, 64.0, 128.0_f64];
    let points: Vec<[f64; 2]> = sizes.iter().map(|d| [*d, factor * d.powf(power)]).collect();
    let intervals = points
        .iter()
        .map(|[_, y]| [y / spread, y * spread])
        .collect();
    let intervals = if mark == Mark::Reference {
        Vec::new()
    } else {
        intervals
    };
    Series {
        name: name.into(),
        mark,
        points,
        intervals,
        values: Vec::new(),
    }
}

fn growth() -> Panel {
    Panel {
        title: "Time per problem".into(),
        x_label: "dimension d".into(),
        y_label: "time [s]".into(),
        x_scaling: Scaling::Log,
        y_scaling: Scaling::Log,
        categories: Vec::new(),
        series: vec![
            power_law("thin solver", Mark::Line, 2e-6, 2.1, 1.4),
            power_law("earlier solver", Mark::Line, 4e-6, 2.9, 1.25),
            power_law("cubic growth", Mark::Reference, 1e-6, 3.0, 1.0),
        ],
    }
}

/// One point of this panel has no place on its log axis.
fn errors() -> Panel {
    let mut errors = power_law("thin solver", Mark::Points, 1e-13, 0.8, 2.5);
    errors.points.push([2.0, 0.0]);
    errors.intervals.push([0.0, 0.0]);
    let bar = Series {
        name: "bar of the claim".into(),
        mark: Mark::Reference,
        points: vec![[4.0, 1e-10]],
        intervals: Vec::new(),
        values: Vec::new(),
    };
    Panel {
        title: "Distance to the closed form".into(),
        y_label: "largest error [bits]".into(),
        series: vec![errors, bar],
        ..growth()
    }
}

fn atoms() -> Panel {
    let bars = |name: &str, values: [f64; 4]| Series {
        name: name.into(),
        mark: Mark::Bars,
        points: values
            .iter()
            .enumerate()
            .map(|(k, v)| [k as f64, *v])
            .collect(),
        intervals: values.iter().map(|v| [v - 0.03, v + 0.03]).collect(),
        values: Vec::new(),
    };
    Panel {
        title: String::new(),
        x_label: "atom".into(),
        y_label: "information [bits]".into(),
        x_scaling: Scaling::Category,
        y_scaling: Scaling::Linear,
        categories: ["redundant", "unique 1", "unique 2", "synergistic"]
            .map(Into::into)
            .into(),
        series: vec![
            bars("Gaussian", [0.79, 0.21, 0.05, 0.36]),
            bars("after the flow", [0.77, 0.24, 0.08, 0.33]),
            bars("raw covariance", [0.31, 0.52, 0.29, 0.11]),
        ],
    }
}

/// The paper's own file.
const MANIFEST: &str = r#"
format = 1

[paper]
id = "demo"
title = "Partial Information Decomposition via Flows: a Demonstration"
authors = ["A. Author", "B. Author"]
arxiv = "2510.04417"
version = "v1"
idea = """A thin solver finds the optimum of the Gaussian problem by projected gradient steps \
on the block of cross noise alone."""
limits = """Only Gaussian inputs of up to 128 dimensions are used; nothing here shows how \
flows behave on images."""

[seeds]
smoke = 1
quick = 5
full = 20
paper = 20

[[claim]]
id = "C2"
says = "Redundancy of the canonical example is recovered."
where = "Table 2, row 3"
tier = "exact"
published = 0.79
resolution = 0.01
unit = "bits"
measures = "the mean over seeds of the recovered redundancy"
experiments = ["examples"]
estimate = { recipe = "mean", metric = "atom_bits" }
test = { kind = "matches", margin = 0.05 }
"#;
