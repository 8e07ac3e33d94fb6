//! `bench`: a crate's benchmarks by criterion, with `--peers` beside other people's programs.

use std::path::{Path, PathBuf};

use eval::{Error, Result, exit};
use serde::{Deserialize, Serialize};

use crate::cli::{BenchArgs, Format};
use crate::criterion::{self, Measured};
use crate::launcher::{Launcher, cargo};
use crate::peers::{self, Declaration, Row, Surroundings, Unit};
use crate::weights::{self, Permission};
use crate::workspace::{Workspace, unknown};
use crate::{output, programs, text};

/// The format version of the JSON document.
const FORMAT: u32 = 1;

/// A row with the crate it belongs to.
#[derive(Serialize)]
struct Line {
    #[serde(rename = "crate")]
    package: String,
    name: String,
    ours: Option<f64>,
    peer: Option<f64>,
    unit: Unit,
    speedup: Option<f64>,
    note: String,
}

/// Runs benchmarks and prints their medians.
///
/// # Errors
/// The crate does not exist or has no benchmark, the build failed, or a peer's declaration cannot
/// be understood.
pub fn bench(launcher: &Launcher, args: &BenchArgs) -> Result<u8> {
    let workspace = launcher.workspace();
    let packages = packages(workspace, args.package.as_deref())?;
    // Read before anything is built: a slip in a declaration should cost no minutes.
    let mut declared = Vec::new();
    for package in &packages {
        declared.push(peers::declared(&workspace.crate_folder(package))?);
    }
    let wanted = wanted_peers(args.peers.as_deref(), &declared)?;
    let target = target_folder(launcher)?;
    let weights = weights(
        launcher,
        &declared,
        wanted.is_some(),
        &target.join("weights"),
    )?;
    let home = args
        .peers_folder
        .clone()
        .unwrap_or_else(|| target.join("peers"));
    let mut lines = Vec::new();
    for (package, declared) in packages.iter().zip(&declared) {
        let measured = measure(
            launcher,
            package,
            &target.join("criterion"),
            weights.as_deref(),
        )?;
        let mut rows: Vec<Row> = measured.iter().map(alone).collect();
        if let Some(wanted) = &wanted {
            let around = Surroundings {
                launcher,
                home: &home.join(package),
                weights: weights.as_deref(),
            };
            rows.extend(beside(&around, package, declared, wanted, &measured)?);
        }
        lines.extend(rows.into_iter().map(|row| line(package, row)));
    }
    match args.format {
        Format::Json => output::json(&serde_json::json!({ "format": FORMAT, "rows": lines }))?,
        Format::Table => output::data(&table(&lines))?,
    }
    Ok(exit::COMPLETE)
}

/// The crates asked for that have benchmarks.
fn packages(workspace: &Workspace, wanted: Option<&str>) -> Result<Vec<String>> {
    let known = workspace.crates()?;
    let has_benches = |name: &&String| !benches(&workspace.crate_folder(name)).is_empty();
    let Some(wanted) = wanted else {
        return Ok(known.iter().filter(has_benches).cloned().collect());
    };
    match known.iter().find(|name| *name == wanted) {
        None => Err(unknown("crate", wanted, known.iter().map(String::as_str))),
        Some(name) if has_benches(&name) => Ok(vec![name.clone()]),
        Some(name) => Err(Error::usage(format!("the crate `{name}` has no benchmark"))
            .hint(format!("benchmarks lie in `crates/{name}/benches/`"))),
    }
}

/// The names of a crate's benchmarks.
fn benches(crate_folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(crate_folder.join("benches"));
    let mut names: Vec<String> = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| {
            path.file_stem()
                .map(|name| name.to_string_lossy().into_owned())
        })
        .collect();
    names.sort();
    names
}

/// `cargo metadata`, as far as it matters.
#[derive(Deserialize)]
struct Metadata {
    target_directory: PathBuf,
}

fn target_folder(launcher: &Launcher) -> Result<PathBuf> {
    let mut command = cargo(launcher.workspace());
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let (code, text) = launcher.capture(&mut command)?;
    let failed = || Error::internal("`cargo metadata` does not say where the target folder is");
    if code != exit::COMPLETE {
        return Err(failed());
    }
    let metadata: Metadata = serde_json::from_str(&text).map_err(|e| failed().caused_by(e))?;
    Ok(metadata.target_directory)
}

/// Runs one crate's benchmarks and reads their medians.
fn measure(
    launcher: &Launcher,
    package: &str,
    folder: &Path,
    weights: Option<&Path>,
) -> Result<Vec<Measured>> {
    let before = criterion::seen(folder)?;
    let mut command = cargo(launcher.workspace());
    // The whole workspace, as every other build: a package alone would unite features differently
    // and compile half of its dependencies again.
    command
        .args(["bench", "--workspace"])
        .env("CRITERION_HOME", folder);
    if let Some(weights) = weights {
        command.env(peers::MODEL_WEIGHTS, weights);
    }
    for bench in benches(&launcher.workspace().crate_folder(package)) {
        command.args(["--bench", &bench]);
    }
    match launcher.run_aside(&mut command)? {
        exit::COMPLETE => criterion::medians(folder, &before),
        exit::INTERRUPTED => Err(Error::new(exit::INTERRUPTED, "interrupted")),
        _ => Err(
            Error::new(exit::BUILD, format!("the benchmarks of `{package}` failed"))
                .hint("the messages are above"),
        ),
    }
}

/// Our benchmark without a peer.
fn alone(measured: &Measured) -> Row {
    let unit = Unit::fitting(&measured.id, measured.median_s);
    Row {
        name: measured.id.clone(),
        ours: Some(unit.of(measured.median_s)),
        peer: None,
        unit,
        speedup: None,
        note: "median".to_owned(),
    }
}

/// The peers asked for: none, all (an empty list), or those of a comma-separated list.
fn wanted_peers(
    list: Option<&str>,
    declared: &[Vec<(PathBuf, Declaration)>],
) -> Result<Option<Vec<String>>> {
    let Some(list) = list else {
        return Ok(None);
    };
    let words = list
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    let wanted: Vec<String> = words.map(str::to_owned).collect();
    let known: Vec<String> = declared
        .iter()
        .flatten()
        .map(|(path, _)| peers::name(path))
        .collect();
    match wanted.iter().find(|word| !known.contains(word)) {
        Some(word) => Err(unknown("peer", word, known.iter().map(String::as_str))),
        None => Ok(Some(wanted)),
    }
}

/// The folder with the weights that declarations name, where the environment names none. What
/// cannot be had is said; the benchmarks that need it say so too.
fn weights(
    launcher: &Launcher,
    declared: &[Vec<(PathBuf, Declaration)>],
    may_fetch: bool,
    folder: &Path,
) -> Result<Option<PathBuf>> {
    let all = declared.iter().flatten().flat_map(|(_, d)| &d.weights);
    let names: std::collections::BTreeSet<&String> = all.collect();
    if names.is_empty() || std::env::var_os(peers::MODEL_WEIGHTS).is_some() {
        return Ok(None);
    }
    let programs = programs::build(launcher, &["data"])?;
    let permission = Permission {
        offline: !may_fetch,
        accept: Vec::new(),
    };
    for name in names {
        let linked = weights::resolve(launcher, &programs, &permission, name)
            .and_then(|input| weights::link(&input, folder));
        match linked {
            Ok(()) => {}
            Err(error) if launcher.interrupted() => return Err(error),
            Err(error) => {
                output::error(&error);
                output::note(&format!(
                    "WEIGHTS ABSENT: nothing is measured with `{name}`"
                ));
            }
        }
    }
    Ok(Some(folder.to_owned()))
}

fn beside(
    around: &Surroundings<'_>,
    package: &str,
    declared: &[(PathBuf, Declaration)],
    wanted: &[String],
    measured: &[Measured],
) -> Result<Vec<Row>> {
    if declared.is_empty() {
        output::note(&format!(
            "`{package}` declares no peer in `crates/{package}/benches/peers/`"
        ));
    }
    let ours = |id: &str| measured.iter().find(|m| m.id == id).map(|m| m.median_s);
    let mut rows = Vec::new();
    for peer in declared {
        let name = peers::name(&peer.0);
        if wanted.is_empty() || wanted.contains(&name) {
            rows.extend(peers::compare(around, peer, ours)?);
        } else {
            output::note(&format!("peer `{name}` was not asked for"));
        }
    }
    Ok(rows)
}

fn line(package: &str, row: Row) -> Line {
    Line {
        package: package.to_owned(),
        name: row.name,
        ours: row.ours,
        peer: row.peer,
        unit: row.unit,
        speedup: row.speedup,
        note: row.note,
    }
}

fn table(lines: &[Line]) -> String {
    const HEADER: [&str; 7] = ["crate", "name", "ours", "peer", "unit", "speedup", "note"];
    let number =
        |value: Option<f64>| value.map_or("none".to_owned(), |value| format!("{value:.3}"));
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let speedup = line
                .speedup
                .map_or(String::new(), |speedup| format!("{speedup:.2}"));
            let (package, name) = (line.package.clone(), line.name.clone());
            let unit = line.unit.as_str().to_owned();
            let (ours, peer) = (number(line.ours), number(line.peer));
            vec![package, name, ours, peer, unit, speedup, line.note.clone()]
        })
        .collect();
    text::table(&HEADER, &rows)
}
