//! Reading what criterion leaves on disk: `<folder>/**/new/{benchmark,estimates}.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use eval::{Error, Result};
use serde::Deserialize;

/// One benchmark's median.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Criterion's full id: `thin_pid/16`.
    pub id: String,
    /// The median wall time of one iteration.
    pub median_s: f64,
}

/// `benchmark.json`, as far as it matters.
#[derive(Deserialize)]
struct Identity {
    full_id: String,
}

/// `estimates.json`, as far as it matters; in nanoseconds.
#[derive(Deserialize)]
struct Estimates {
    median: Point,
}

#[derive(Deserialize)]
struct Point {
    point_estimate: f64,
}

const NS_PER_S: f64 = 1e9;

/// When each file of estimates was written.
///
/// Two looks at the same file are compared with one another and never with a clock: file systems
/// round their times.
#[derive(Debug, Default)]
pub struct Seen(BTreeMap<PathBuf, SystemTime>);

/// What lies below `folder` before a benchmark runs.
///
/// # Errors
/// A folder cannot be listed.
pub fn seen(folder: &Path) -> Result<Seen> {
    let mut found = BTreeMap::new();
    for file in estimates_below(folder)? {
        let modified = std::fs::metadata(&file).and_then(|metadata| metadata.modified());
        found.insert(
            file.clone(),
            modified.map_err(|e| Error::io("look at", &file, e))?,
        );
    }
    Ok(Seen(found))
}

/// The benchmarks below `folder` that were written after `before`, by id.
///
/// The others are leftovers of another crate or another day.
///
/// # Errors
/// A folder cannot be listed, or a file is not what criterion writes.
pub fn medians(folder: &Path, before: &Seen) -> Result<Vec<Measured>> {
    let now = seen(folder)?;
    let fresh = now
        .0
        .iter()
        .filter(|(file, modified)| before.0.get(*file) != Some(*modified));
    let mut measured: Vec<Measured> = fresh.map(|(file, _)| read(file)).collect::<Result<_>>()?;
    measured.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(measured)
}

fn read(file: &Path) -> Result<Measured> {
    let identity: Identity = eval::fs::read_json(&file.with_file_name("benchmark.json"))?;
    let estimates: Estimates = eval::fs::read_json(file)?;
    Ok(Measured {
        id: identity.full_id,
        median_s: estimates.median.point_estimate / NS_PER_S,
    })
}

/// Every `new/estimates.json` below a folder.
fn estimates_below(folder: &Path) -> Result<Vec<PathBuf>> {
    // Benchmarks are named by groups and parameters; deeper nesting is none of criterion's.
    const DEPTH_MAX: usize = 6;
    let mut found = Vec::new();
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        if depth > DEPTH_MAX || !folder.is_dir() {
            continue;
        }
        let estimates = folder.join("new").join("estimates.json");
        if estimates.is_file() {
            found.push(estimates);
        }
        let entries = std::fs::read_dir(&folder).map_err(|e| Error::io("list", &folder, e))?;
        open.extend(entries.filter_map(|entry| entry.ok().map(|e| (e.path(), depth + 1))));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_read_in_seconds_and_leftovers_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("group").join("16").join("new");
        std::fs::create_dir_all(&new).unwrap();
        std::fs::write(
            new.join("benchmark.json"),
            r#"{"full_id":"group/16","title":"t"}"#,
        )
        .unwrap();
        let estimates = r#"{"mean":{"point_estimate":9.0},"median":{"point_estimate":2.5e6}}"#;
        std::fs::write(new.join("estimates.json"), estimates).unwrap();
        let expected = Measured {
            id: "group/16".to_owned(),
            median_s: 2.5e-3,
        };
        assert_eq!(
            medians(folder.path(), &Seen::default()).unwrap(),
            [expected]
        );
        let before = seen(folder.path()).unwrap();
        assert_eq!(medians(folder.path(), &before).unwrap(), []);
    }
}
