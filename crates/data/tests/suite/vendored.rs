//! The data sets of the workspace itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use data::manifest::{ColumnKind, Table};
use data::{Catalog, Manifest};
use eval::digest::Digest;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

fn catalog() -> Catalog {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets");
    Catalog::open(&folder).unwrap()
}

#[test]
fn every_manifest_of_the_workspace_is_sound_and_its_vendored_bytes_are_the_pinned_ones() {
    let catalog = catalog();
    assert!(catalog.has("uci-multiple-features"));
    for name in catalog.names() {
        let manifest = catalog
            .load(name)
            .unwrap_or_else(|error| panic!("{}", error.report()));
        for file in &manifest.files {
            let path = manifest.folder.join(&file.name);
            if path.is_file() {
                let found = Digest::of_file(&path).unwrap();
                assert_eq!(found, file.sha256, "{}", path.display());
                assert_eq!(
                    path.metadata().unwrap().len(),
                    file.bytes,
                    "{}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn the_views_of_multiple_features_hold_what_their_manifest_says() {
    let manifest = catalog().load("uci-multiple-features").unwrap();
    let mut n_columns = Vec::new();
    for file in &manifest.files {
        let table = file.table.as_ref().unwrap();
        let columns = read(&manifest, &file.name);
        compare(&file.name, table, &columns);
        n_columns.push(columns.len());
        assert!(file.bytes < 1 << 20, "{} is below 1 MiB", file.name);
    }
    assert_eq!(n_columns, [76, 216, 64, 240, 47, 6, 1]);
}

/// Values picked by eye from the CSV files, so that a shuffled column would be seen.
#[test]
fn values_of_multiple_features_are_those_of_the_csv_files() {
    let manifest = catalog().load("uci-multiple-features").unwrap();
    let value = |view: &str, column: usize, row: usize| {
        read(&manifest, &format!("{view}.parquet"))[column].2[row]
    };
    assert_eq!(value("fou", 0, 0), 0.065882);
    assert_eq!(value("fou", 1, 0), 0.19731);
    assert_eq!(value("kar", 0, 0), -10.297);
    assert_eq!(value("kar", 10, 0), -0.064074);
    assert_eq!(value("zer", 0, 0), 0.011033);
    assert_eq!(value("zer", 2, 0), 15.352);
    assert_eq!(value("mor", 5, 0), 1620.2);
    assert_eq!(value("mor", 5, 1999), 3808.0);
    assert_eq!(value("pix", 1, 0), 3.0);
    assert_eq!(value("labels", 0, 199), 0.0);
    assert_eq!(value("labels", 0, 200), 1.0);
}

type Column = (String, ColumnKind, Vec<f64>);

fn read(manifest: &Manifest, file: &str) -> Vec<Column> {
    let file = File::open(manifest.folder.join(file)).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let mut columns: Vec<Column> = Vec::new();
    for row in reader.get_row_iter(None).unwrap() {
        for (idx, (name, field)) in row.unwrap().get_column_iter().enumerate() {
            let (kind, value) = match field {
                Field::Int(value) => (ColumnKind::Integer, f64::from(*value)),
                Field::Double(value) => (ColumnKind::Float, *value),
                other => panic!("{name} holds {other}"),
            };
            if columns.len() == idx {
                columns.push((name.clone(), kind, Vec::new()));
            }
            columns[idx].2.push(value);
        }
    }
    columns
}

fn compare(file: &str, table: &Table, columns: &[Column]) {
    let mut rest = columns;
    for group in &table.columns {
        let (these, others) = rest.split_at(group.names().len());
        rest = others;
        let names: Vec<&String> = these.iter().map(|(name, ..)| name).collect();
        assert_eq!(names, group.names().iter().collect::<Vec<_>>(), "{file}");
        assert!(
            these.iter().all(|(_, kind, _)| *kind == group.kind),
            "{file}"
        );
        assert!(
            these
                .iter()
                .all(|(.., values)| values.len() as u64 == table.rows),
            "{file}"
        );
        let values = || these.iter().flat_map(|(.., values)| values.iter().copied());
        assert_eq!(values().fold(f64::INFINITY, f64::min), group.low, "{file}");
        assert_eq!(
            values().fold(f64::NEG_INFINITY, f64::max),
            group.high,
            "{file}"
        );
    }
    assert!(rest.is_empty(), "{file} has no further columns");
    if !table.counts.is_empty() {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for value in &columns[0].2 {
            *counts.entry(value.to_string()).or_default() += 1;
        }
        assert_eq!(counts, table.counts, "{file}");
    }
}
