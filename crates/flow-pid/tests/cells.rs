//! Every experiment, measured in this process at small size.

use std::path::{Path, PathBuf};

use eval::digest::Digest;
use eval::{Cell, Cx, Effort, Input, InputFile, InputState, Inputs, Outcome, Paper, Row, Scale};
use flow_pid::{Config, FlowPid};

fn smoke_cells() -> Vec<Cell> {
    FlowPid::cells(
        &Config::default(),
        Effort {
            scale: Scale::Smoke,
            n_seeds: 1,
        },
    )
    .unwrap()
}

/// The committed data sets as inputs of a run.
fn inputs() -> Inputs {
    let mut inputs = Inputs::none();
    for name in [
        "uci-multiple-features",
        "optical-digits",
        "wine",
        "breast-cancer",
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../datasets")
            .join(name);
        let mut files = std::collections::BTreeMap::new();
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.extension().is_none_or(|ending| ending != "parquet") {
                continue;
            }
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            let bytes = std::fs::metadata(&path).unwrap().len();
            let sha256 = Digest::of_file(&path).unwrap();
            let described = InputFile {
                path,
                bytes,
                sha256,
            };
            files.insert(file, described);
        }
        let input = Input {
            version: "1".to_owned(),
            licence: "CC-BY-4.0".to_owned(),
            state: InputState::Present,
            files,
        };
        inputs.inputs.insert(name.to_owned(), input);
    }
    inputs
}

/// Whether the cell needs tables that are not in the repository.
fn is_optional(cell: &Cell) -> bool {
    cell.experiment == "real-omics"
}

fn measure(cell: &Cell) -> Vec<Row> {
    let folder = tempfile::tempdir().unwrap();
    let mut cx = Cx::in_process("flow-pid", cell, folder.path(), inputs()).unwrap();
    FlowPid::run(&mut cx, &Config::default(), cell).unwrap();
    drop(cx);
    let text = std::fs::read_to_string(folder.path().join("rows.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn of<'a>(rows: &'a [Row], metric: &'a str) -> impl Iterator<Item = &'a Row> {
    rows.iter().filter(move |row| row.metric == metric)
}

#[test]
fn every_experiment_emits_rows_and_the_same_ones_again() {
    let mut seen = Vec::new();
    for cell in smoke_cells() {
        // One cell per experiment, the first; the timing cells are the last.
        if is_optional(&cell) {
            eprintln!("NOT CHECKED: `{}` reads tables that are fetched", cell.id());
            continue;
        }
        if seen.contains(&cell.experiment) {
            continue;
        }
        let rows = measure(&cell);
        assert!(!rows.is_empty(), "{}", cell.id());
        assert_eq!(rows, measure(&cell), "{}", cell.id());
        seen.push(cell.experiment);
    }
    let named: std::collections::BTreeSet<String> = smoke_cells()
        .into_iter()
        .map(|cell| cell.experiment)
        .collect();
    let n_optional = usize::from(named.contains("real-omics"));
    assert_eq!(seen.len() + n_optional, named.len(), "{seen:?}");
}

#[test]
fn degenerate_settings_carry_failures_with_a_reason() {
    let rows = measure(&Cell::new("scalar-channels", 0).with("part", "c"));
    let thin: Vec<&Row> = of(&rows, "error_bits")
        .filter(|row| row.tags["solver"] == "published")
        .collect();
    assert_eq!(thin.len(), 11);
    for row in thin {
        assert_eq!(row.tags["degenerate"], "yes");
        assert_eq!(row.outcome, Outcome::Failed);
        assert!(
            row.reason
                .as_ref()
                .is_some_and(|why| why.contains("no iterate")),
            "{row:?}"
        );
    }
}

#[test]
fn real_views_have_atoms_intervals_and_a_null_that_fit_together() {
    let cell = smoke_cells()
        .into_iter()
        .find(|cell| cell.experiment == "real-views" && cell.get("coding") == Some("one-hot"))
        .unwrap();
    let rows = measure(&cell);
    let value = |metric: &str, key: &str, name: &str, estimator: Option<&str>| {
        let found = of(&rows, metric).find(|row| {
            row.tags.get(key).map(String::as_str) == Some(name)
                && estimator
                    .is_none_or(|e| row.tags.get("estimator").map(String::as_str) == Some(e))
        });
        found.unwrap().value.unwrap()
    };
    let entropy = of(&rows, "label_entropy_bits")
        .next()
        .unwrap()
        .value
        .unwrap();
    assert!((entropy - 10_f64.log2()).abs() < 1e-12);
    let raw = value("info_bits", "info", "I12", Some("plug-in"));
    let fixed = value("info_bits", "info", "I12", Some("debiased"));
    assert!(0.0 < fixed && fixed < raw);
    for atom in ["R", "U1", "U2", "S", "I12"] {
        let low = value("bootstrap_low_bits", "atom", atom, None);
        let high = value("bootstrap_high_bits", "atom", atom, None);
        assert!(low < high, "{atom}");
    }
    assert!(value("bootstrap_low_bits", "atom", "I12", None) > 0.0);
    let null = value("null_bound_bits", "atom", "I12", None);
    assert!(null > 0.0 && null < 0.2 * raw, "{null} {raw}");
    let above = value("above_null_bits", "atom", "I12", None);
    assert!((above - (raw - null)).abs() < 1e-12);
    let least = 1.0 / 51.0;
    assert!((value("null_p", "atom", "I12", None) - least).abs() < 1e-12);
    for row in of(&rows, "accuracy") {
        assert!(row.value.unwrap() > 0.5, "{row:?}");
    }
}

#[test]
fn a_cell_without_its_condition_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["growth", "doubling", "scalar-channels", "unheard-of"] {
        let cell = Cell::new(name, 0);
        let mut cx = Cx::in_process("flow-pid", &cell, folder.path(), Inputs::none()).unwrap();
        assert!(
            FlowPid::run(&mut cx, &Config::default(), &cell).is_err(),
            "{name}"
        );
    }
}

#[test]
fn fusion_models_are_trained_on_real_and_on_synthetic_sets() {
    let mut n_sets = 0;
    for cell in smoke_cells() {
        if cell.experiment != "model-selection" {
            continue;
        }
        let rows = measure(&cell);
        let models: std::collections::BTreeSet<&str> = of(&rows, "accuracy")
            .map(|row| row.tags["model"].as_str())
            .collect();
        assert_eq!(models.len(), 5, "{}", cell.id());
        let shares = of(&rows, "accuracy").map(|row| row.value.unwrap());
        let best = shares.fold(0.0, f64::max);
        let above = of(&rows, "best_above_guessing").next().unwrap();
        // Twenty steps are enough to see that labels and sources belong together.
        assert!(above.value.unwrap() > 0.1 && best < 1.01, "{}", cell.id());
        n_sets += 1;
    }
    assert_eq!(n_sets, 3);
}
