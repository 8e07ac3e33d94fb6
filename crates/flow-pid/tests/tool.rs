//! The tool for data of one's own: readers against files that other libraries wrote, every kind of
//! bad input, and the whole command.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flow_pid::tool::{
    Column, LabelCoding, Method, Missing, Options, Table, TargetKind, Values, estimate, render,
};
use serde_json::Value;

/// A file written by pandas 3.1, pyarrow 26, or numpy 2.4 (`fixtures/make_tool_files.py`).
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/tool")
        .join(name)
}

fn expected() -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixture("expected.json")).unwrap()).unwrap()
}

fn numbers(column: &Column) -> Vec<Option<f64>> {
    match &column.values {
        Values::Numbers(values) => values.clone(),
        Values::Texts(values) => panic!("texts: {values:?}"),
    }
}

fn check(column: &Column, expected: &Value) {
    let expected = expected.as_array().unwrap();
    assert_eq!(column.values.len(), expected.len(), "{}", column.name);
    match &column.values {
        Values::Numbers(values) => {
            for (value, expected) in values.iter().zip(expected) {
                assert_eq!(*value, expected.as_f64(), "{}", column.name);
            }
        }
        Values::Texts(values) => {
            for (value, expected) in values.iter().zip(expected) {
                assert_eq!(value.as_deref(), expected.as_str(), "{}", column.name);
            }
        }
    }
}

#[test]
fn parquet_of_pandas_is_read_with_gaps_texts_and_truth_values() {
    let expected = expected();
    for file in ["snappy.parquet", "gzip.parquet"] {
        let table = Table::read(&fixture(file)).unwrap();
        assert_eq!(table.columns.len(), 6, "{file}");
        for column in &table.columns {
            check(column, &expected[&column.name]);
        }
    }
}

#[test]
fn csv_of_pandas_is_read_with_its_header() {
    let (table, expected) = (Table::read(&fixture("all.csv")).unwrap(), expected());
    for column in table.columns.iter().filter(|column| column.name != "flag") {
        if column.name == "b" {
            // pandas prints a single-precision number with the digits that tell it apart.
            let wanted = expected["b"].as_array().unwrap();
            for (value, wanted) in numbers(column).into_iter().zip(wanted) {
                assert!((value.unwrap() - wanted.as_f64().unwrap()).abs() < 1e-6);
            }
            continue;
        }
        check(column, &expected[&column.name]);
    }
    let flag = table.columns.iter().find(|column| column.name == "flag");
    assert!(matches!(flag.unwrap().values, Values::Texts(_)));
}

#[test]
fn numpy_arrays_of_both_orders_and_several_types_are_read() {
    let expected = expected();
    for file in ["c_order.npy", "f_order.npy"] {
        let table = Table::read(&fixture(file)).unwrap();
        assert_eq!(table.columns[1].name, "c1");
        check(&table.columns[0], &expected["a"]);
        check(&table.columns[1], &expected["b"]);
    }
    check(
        &Table::read(&fixture("whole.npy")).unwrap().columns[0],
        &expected["count"],
    );
    check(
        &Table::read(&fixture("text.npy")).unwrap().columns[0],
        &expected["kind"],
    );
    // `b` was of single precision before.
    check(
        &Table::read(&fixture("single.npy")).unwrap().columns[1],
        &expected["b"],
    );
}

#[test]
fn what_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |path: &Path, part: &str| {
        let error = Table::read(path).unwrap_err();
        assert!(error.report().contains(part), "{}", error.report());
    };
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    refuse(&folder.path().join("absent.csv"), "cannot open");
    refuse(Path::new("notes.txt"), "of no known kind");
    refuse(&write("empty.csv", b""), "is empty");
    refuse(&write("head.csv", b"a,b\n"), "is empty");
    refuse(&write("ragged.csv", b"a,b\n1,2\n3\n"), "no readable CSV");
    refuse(&write("twice.csv", b"a,a\n1,2\n"), "two columns called `a`");
    refuse(&write("binary.csv", b"a\n\xff\xfe\n"), "no readable CSV");
    refuse(&fixture("cube.npy"), "not one or two axes");
    refuse(&fixture("objects.npy"), "of type `|O`");
    let whole = std::fs::read(fixture("c_order.npy")).unwrap();
    for cut in [0, 5, 9, 40, whole.len() - 1] {
        refuse(&write("cut.npy", &whole[..cut]), "no readable NumPy");
    }
    let whole = std::fs::read(fixture("snappy.parquet")).unwrap();
    for cut in [0, 100, whole.len() / 2] {
        refuse(&write("cut.parquet", &whole[..cut]), "no readable Parquet");
    }
    let huge = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f8', 'fortran_order': False, \
        'shape': (99999999999, 9), }";
    let mut bytes = huge.to_vec();
    bytes.resize(128, b' ');
    refuse(&write("huge.npy", &bytes), "more than");
}

/// A table of one column of numbers.
fn column(name: &str, values: impl IntoIterator<Item = f64>) -> Table {
    let values = Values::Numbers(values.into_iter().map(Some).collect());
    let name = name.to_owned();
    Table::new(format!("{name}.csv"), vec![Column { name, values }]).unwrap()
}

fn wave(turn: f64, n: usize) -> Vec<f64> {
    (0..n).map(|k| (turn * k as f64).sin()).collect()
}

fn plain() -> Options {
    Options {
        method: Method::Gaussian,
        bootstrap: 0,
        shuffles: 0,
        ..Options::default()
    }
}

/// The estimate must fail with these words.
fn refuse(y: &Table, x1: &Table, x2: &Table, options: &Options, part: &str) {
    let error = estimate(y, x1, x2, options).unwrap_err();
    assert!(error.report().contains(part), "{}", error.report());
}

/// A wave with values replaced.
fn changed(name: &str, places: &[usize], value: Option<f64>) -> Table {
    let mut table = column(name, wave(2.9, 60));
    if let Values::Numbers(values) = &mut table.columns[0].values {
        for place in places {
            values[*place] = value;
        }
    }
    table
}

#[test]
fn values_that_cannot_enter_are_refused_by_place() {
    let y = column("y", wave(0.7, 60));
    let x = column("x", wave(1.9, 60));
    let short = column("short", wave(1.9, 59));
    refuse(&y, &short, &x, &plain(), "`short.csv` (source 1) has 59");
    let flat = column("flat", [2.0; 60]);
    refuse(
        &y,
        &x,
        &flat,
        &plain(),
        "column `flat` of `flat.csv` is const",
    );
    let gaps = changed("gaps", &[7, 9], None);
    let words = "column `gaps` of `gaps.csv` at item 7 has no value, and 1 o";
    refuse(&y, &x, &gaps, &plain(), words);
    let endless = changed("endless", &[5], Some(f64::INFINITY));
    refuse(&y, &endless, &x, &plain(), "at item 5 is infinite");
    let name = "words".to_owned();
    let values = Values::Texts(vec![Some("red".to_owned()); 60]);
    let words = Table::new("words.csv".to_owned(), vec![Column { name, values }]).unwrap();
    refuse(&y, &words, &x, &plain(), "holds text: \"red\" at item 0");
    refuse(&words, &x, &x, &plain(), "has one class");
    refuse(
        &y,
        &y,
        &x,
        &plain(),
        "source 1 given the target is singular",
    );
}

#[test]
fn options_and_names_that_make_no_sense_are_refused() {
    let y = column("y", wave(0.7, 60));
    let x = column("x", wave(1.9, 60));
    let with = |options: Options, part: &str| refuse(&y, &x, &x, &options, part);
    let level = Options {
        level: 1.0,
        ..plain()
    };
    with(level, "the level is 1");
    let bootstrap = Options {
        bootstrap: 3,
        ..plain()
    };
    with(bootstrap, "`bootstrap` is 3");
    let label = Options {
        target: TargetKind::Label,
        ..plain()
    };
    with(label, "classes for 60 items");
    let unknown = y.clone().select(&["z".to_owned()]).unwrap_err();
    let report = unknown.report();
    assert!(report.contains("its columns are y"), "{report}");
}

#[test]
fn gaps_are_dropped_or_filled_only_when_asked() {
    let y = column("y", wave(0.7, 200));
    let x1 = column(
        "x1",
        wave(0.7, 200)
            .into_iter()
            .zip(wave(5.1, 200))
            .map(|(a, b)| a + b),
    );
    let mut x2 = column("x2", wave(3.1, 200));
    if let Values::Numbers(values) = &mut x2.columns[0].values {
        values[3] = None;
    }
    let with = |missing| estimate(&y, &x1, &x2, &Options { missing, ..plain() });
    assert!(with(Missing::Refuse).is_err());
    let dropped = with(Missing::Drop).unwrap();
    assert_eq!((dropped.n_items, dropped.n_items_dropped), (199, 1));
    let filled = with(Missing::Mean).unwrap();
    assert_eq!((filled.n_items, filled.n_values_imputed), (200, 1));
    assert!(dropped.atoms[1].bits > 0.2);
}

#[test]
fn the_methods_agree_with_what_is_known() {
    // Y fair binary, X1 = Y, X2 = noise: one unique bit by the discrete method.
    let bits: Vec<f64> = (0..400).map(|k| f64::from(k % 2)).collect();
    let y = column("y", bits.clone());
    let x1 = column("x1", bits);
    let x2 = column("x2", (0..400).map(|k| f64::from(k / 2 % 2)));
    let auto = Options {
        bootstrap: 50,
        shuffles: 50,
        ..Options::default()
    };
    let report = estimate(&y, &x1, &x2, &auto).unwrap();
    assert_eq!(report.method, "discrete");
    let of = |name: &str| report.atoms.iter().find(|atom| atom.name == name).unwrap();
    assert!((of("U1").bits - 1.0).abs() < 1e-6 && of("R").bits.abs() < 1e-6);
    assert!((report.target.entropy_bits.unwrap() - 1.0).abs() < 1e-12);
    let [low, high] = of("U1").interval.unwrap();
    // The basic interval reflects the bias of resampled entropies, so that it lies above 1.
    assert!(
        (low - 1.0).abs() < 0.02 && (high - 1.0).abs() < 0.02,
        "{low} {high}"
    );
    assert!(of("I12").null_bound.unwrap() < 0.1 && of("I12").null_p.unwrap() < 0.03);
    // Coding is stated and the same for two classes.
    for coding in [LabelCoding::OneHot, LabelCoding::Scalar] {
        let noisy = column(
            "n",
            wave(2.3, 400)
                .iter()
                .zip(0..400)
                .map(|(a, k)| a + f64::from(k % 2)),
        );
        let report = estimate(&y, &noisy, &x2, &Options { coding, ..plain() }).unwrap();
        assert_eq!(report.target.n_columns, 1);
        assert!(report.atoms[1].bits > 0.1);
    }
}

#[test]
fn a_total_above_the_entropy_is_said_aloud() {
    let y = column("y", (0..400).map(|k| f64::from(k % 2)));
    let near = |turn| {
        column(
            "x",
            wave(turn, 400)
                .iter()
                .zip(0..400)
                .map(|(a, k)| 0.05 * a + f64::from(k % 2))
                .collect::<Vec<_>>(),
        )
    };
    let report = estimate(&y, &near(2.3), &near(1.1), &plain()).unwrap();
    assert!(
        report
            .warnings
            .iter()
            .any(|w| w.contains("exceeds the label's entropy"))
    );
    assert!(render::text(&report).contains("warning: the joint information"));
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flow-pid"))
        .arg("estimate")
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn the_command_prints_one_json_document_and_draws() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("atoms.svg");
    let (parquet, csv, npy) = (
        fixture("snappy.parquet"),
        fixture("all.csv"),
        fixture("text.npy"),
    );
    let output = run(&[
        "--x1",
        parquet.to_str().unwrap(),
        "--x1-columns",
        "a",
        "--x2",
        csv.to_str().unwrap(),
        "--x2-columns",
        "b,count",
        "--y",
        npy.to_str().unwrap(),
        "--bootstrap",
        "40",
        "--format",
        "json",
        "--picture",
        picture.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["n_items"], 40);
    assert_eq!(report["target"]["n_classes"], 2);
    assert!(report["atoms"][1]["bits"].as_f64().unwrap() > 0.1);
    let svg = std::fs::read_to_string(&picture).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    assert!(!svg.contains("NaN"));
}

#[test]
fn the_command_ends_with_the_code_of_the_fault() {
    let csv = fixture("all.csv");
    let csv = csv.to_str().unwrap();
    let code = |arguments: &[&str]| run(arguments).status.code().unwrap();
    assert_eq!(code(&["--x1", csv]), 2);
    assert_eq!(code(&["--help"]), 0);
    let columns = |x2: &str| {
        code(&[
            "--x1",
            csv,
            "--x1-columns",
            "a",
            "--x2",
            csv,
            "--x2-columns",
            x2,
            "--y",
            csv,
            "--y-columns",
            "kind",
        ])
    };
    assert_eq!(columns("b"), 0);
    assert_eq!(columns("nowhere"), 6);
    assert_eq!(columns("kind"), 6);
    assert_eq!(columns("gaps"), 6);
}
