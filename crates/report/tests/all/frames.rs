//! Rows become frames and tables, held against values computed by hand.

use eval::run::{Plan, RunFolder};
use eval::{Cell, Row, RowSource};
use polars::prelude::{ParquetReader, SerReader};
use report::frame::{self, Rows};
use report::store::Finish;
use report::tables::Line;
use report::{render, tables};

use crate::support::write_cell;

fn folder_of(cells: &[(Cell, Vec<Row>)]) -> (tempfile::TempDir, RunFolder, Plan) {
    let temporary = tempfile::tempdir().unwrap();
    let folder = RunFolder::new(temporary.path().join("run"));
    for (cell, rows) in cells {
        write_cell(&folder, cell, rows);
    }
    let cells = cells.iter().map(|(cell, _)| cell.clone()).collect();
    let plan = Plan {
        format: eval::run::FORMAT,
        claims: Vec::new(),
        cells,
    };
    (temporary, folder, plan)
}

fn read(folder: &RunFolder, plan: &Plan, source: RowSource) -> eval::Result<Rows> {
    frame::read(folder, &Finish::of(folder, plan).finished, source)
}

#[test]
fn statistics_equal_those_worked_out_by_hand() {
    // Values 2, 4, 4, 4, 5, 5, 7, 9: mean 5, sum of squares 32, so sd = sqrt(32 / 7); median 4.5.
    let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
    let mut rows: Vec<Row> = values.map(|v| Row::new("m", v, "s").tag("arm", "a")).into();
    rows.push(Row::failed("m", "s", "why").tag("arm", "a"));
    rows.push(Row::unparsed("m", "s", "why").tag("arm", "a"));
    rows.push(Row::new("m", 1.0, "s").tag("arm", "b"));
    let (_keep, folder, plan) = folder_of(&[(Cell::new("e", 0), rows)]);
    let rows = read(&folder, &plan, RowSource::Rows).unwrap();
    let table = tables::summarize(&rows).unwrap().remove(0);
    assert_eq!(table.keys, ["metric", "tag.arm"]);
    let keys = |arm: &str| vec![Some("m".to_owned()), Some(arm.to_owned())];
    let a = Line {
        keys: keys("a"),
        unit: "s".into(),
        n: 8,
        failed: 1,
        unparsed: 1,
        mean: Some(5.0),
        sd: table.lines[0].sd,
        min: Some(2.0),
        median: Some(4.5),
        max: Some(9.0),
    };
    assert!((table.lines[0].sd.unwrap() - (32.0_f64 / 7.0).sqrt()).abs() < 1e-15);
    assert_eq!(table.lines[0], a);
    assert_eq!(
        (table.lines[1].n, table.lines[1].sd),
        (1, None),
        "one value has no spread"
    );
}

#[test]
fn lines_are_sorted_by_numbers_and_the_plan_order_does_not_matter() {
    let cell = |d: u32| {
        (
            Cell::new("e", 0).with("d", d),
            vec![Row::new("m", f64::from(d), "1")],
        )
    };
    let sorted = [cell(4), cell(16), cell(128)];
    let shuffled = [cell(128), cell(4), cell(16)];
    let tables = [sorted, shuffled].map(|cells| {
        let (_keep, folder, plan) = folder_of(&cells);
        let rows = read(&folder, &plan, RowSource::Rows).unwrap();
        (
            rows.frame.clone(),
            tables::summarize(&rows).unwrap().remove(0).lines,
        )
    });
    let sizes: Vec<_> = tables[0]
        .1
        .iter()
        .map(|line| line.keys[1].clone().unwrap())
        .collect();
    assert_eq!(sizes, ["4", "16", "128"]);
    assert_eq!(tables[0].1, tables[1].1);
    assert!(tables[0].0.equals_missing(&tables[1].0));
}

#[test]
fn cells_with_other_keys_share_one_frame() {
    let one = (
        Cell::new("a", 0).with("x", 1),
        vec![Row::new("m", 1.0, "1").tag("t", "u")],
    );
    let two = (
        Cell::new("b", 3).with("y", 2),
        vec![Row::new("m", 2.0, "1").item("i")],
    );
    let (_keep, folder, plan) = folder_of(&[two, one]);
    let mut rows = read(&folder, &plan, RowSource::Rows).unwrap();
    let names: Vec<&str> = rows
        .frame
        .get_column_names()
        .iter()
        .map(|name| name.as_str())
        .collect();
    let want = [
        "experiment",
        "cell",
        "seed",
        "source",
        "condition.x",
        "condition.y",
        "metric",
        "item",
        "value",
        "unit",
        "outcome",
        "reason",
        "tag.t",
        "tags",
    ];
    assert_eq!(names, want);
    assert_eq!(
        rows.experiments,
        [("a".to_owned(), 0, 1), ("b".to_owned(), 1, 1)]
    );
    let path = folder.file("rows.parquet");
    render::write_parquet(&path, &mut rows.frame).unwrap();
    let back = ParquetReader::new(std::fs::File::open(&path).unwrap())
        .finish()
        .unwrap();
    assert!(back.equals_missing(&rows.frame));
}

#[test]
fn a_hundred_thousand_tag_keys_do_not_make_as_many_columns() {
    let rows: Vec<Row> = (0..2000)
        .map(|k| Row::new("m", 1.0, "1").tag(format!("t{k}"), k))
        .collect();
    let (_keep, folder, plan) = folder_of(&[(Cell::new("e", 0), rows)]);
    let rows = read(&folder, &plan, RowSource::Rows).unwrap();
    assert_eq!(rows.frame.width(), 12 - 1 + frame::TAG_COLUMNS_MAX);
    let more = rows.frame.column("tags").unwrap().str().unwrap();
    assert_eq!(
        more.get(1999),
        Some("{\"t1999\":\"1999\"}"),
        "nothing is lost"
    );
}

#[test]
fn cells_without_a_true_marker_do_not_count_and_damage_is_named() {
    let cell = |seed| (Cell::new("e", seed), vec![Row::new("m", 1.0, "1")]);
    let (_keep, folder, plan) = folder_of(&[cell(0), cell(1)]);
    let path = folder.cell(&plan.cells[0].id()).join("rows.jsonl");
    std::fs::write(&path, "{\"metric\":\"m\",\"value\":2.0,\"unit\":\"1\"}\n").unwrap();
    let rows = read(&folder, &plan, RowSource::Rows).unwrap();
    assert_eq!(
        rows.frame.height(),
        1,
        "the marker's digest is not that of the altered file"
    );
    let timing = folder.cell(&plan.cells[1].id()).join("timing.jsonl");
    std::fs::write(
        &timing,
        "{\"metric\":\"t\",\"value\":1.0,\"unit\":\"s\"}\nnonsense\n",
    )
    .unwrap();
    let error = read(&folder, &plan, RowSource::Timing).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("timing.jsonl` is damaged at line 2"),
        "{error}"
    );
}
