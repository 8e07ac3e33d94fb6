//! The laws of the house, checked over cargo's metadata and over the text of every file.
//!
//! Every test collects all offences before it fails, and names file and line.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{MetadataCommand, Package};

/// Longest file, in lines.
const LINES_MAX: usize = 900;

/// Longest line of code, in columns.
const COLUMNS_MAX: usize = 100;

/// Most crates behind the runner, itself included: it must build cold in seconds.
const XTASK_CRATES_MAX: usize = 40;

/// Tensor and data-frame libraries, by the start of their names.
const HEAVY: [&str; 2] = ["candle", "polars"];

/// What reaches the network, or comes with what does, by the start of the name.
const NETWORK: [&str; 10] = [
    "async-openai",
    "curl",
    "hf-hub",
    "hyper",
    "native-tls",
    "openssl",
    "reqwest",
    "rustls",
    "tokio",
    "ureq",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// Fails with all offences, one a line.
fn none(law: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{law}:\n  {}\n", offences.join("\n  "));
}

// ---- cargo metadata --------------------------------------------------------------------------

fn packages() -> Vec<Package> {
    let manifest = root().join("Cargo.toml");
    MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec()
        .unwrap()
        .packages
}

fn folder(package: &Package) -> PathBuf {
    package.manifest_path.parent().unwrap().into()
}

fn is_paper(package: &Package) -> bool {
    folder(package).join("paper.toml").is_file()
}

fn names(packages: &[Package], wanted: impl Fn(&Package) -> bool) -> BTreeSet<String> {
    packages
        .iter()
        .filter(|p| wanted(p))
        .map(|p| p.name.to_string())
        .collect()
}

/// Every dependency of a package, development and build included.
fn depends_on(package: &Package) -> impl Iterator<Item = &str> {
    package
        .dependencies
        .iter()
        .map(|dependency| dependency.name.as_str())
}

/// The crates behind a package on this machine, itself included, without development ones.
fn closure(package: &str, features: &[&str]) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root())
        .args([
            "tree",
            "--package",
            package,
            "--edges",
            "normal",
            "--prefix",
            "none",
        ])
        .args(["--format", "{p}"])
        .args(features)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // A line reads `name v1.2.3 (path)`; two versions of one crate count twice.
    let versioned = |line: &str| {
        line.split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    };
    text.lines()
        .filter(|line| !line.is_empty())
        .map(versioned)
        .collect()
}

/// The crates of a closure whose names start with a banned word.
fn banned(package: &str, features: &[&str], words: &[&str]) -> Vec<String> {
    closure(package, features)
        .into_iter()
        .filter(|name| words.iter().any(|word| name.starts_with(word)))
        .map(|name| format!("{package} depends on {name}"))
        .collect()
}

#[test]
fn the_runner_stays_light() {
    let crates = closure("xtask", &[]);
    assert!(crates.len() > 1, "cargo tree said nothing");
    let n = crates.len();
    let list: Vec<String> = crates.into_iter().collect();
    assert!(
        n <= XTASK_CRATES_MAX,
        "xtask needs {n} crates:\n  {}",
        list.join("\n  ")
    );
    none(
        "xtask is not light",
        &banned("xtask", &[], &[&HEAVY[..], &NETWORK].concat()),
    );
}

#[test]
fn eval_knows_no_network_and_nothing_heavy() {
    let words = [&HEAVY[..], &NETWORK].concat();
    none(
        "eval is not alone",
        &banned("eval", &["--all-features"], &words),
    );
}

#[test]
fn data_knows_nothing_heavy() {
    none(
        "data is heavy",
        &banned("data", &["--all-features"], &HEAVY),
    );
}

#[test]
fn each_library_has_its_room() {
    // Only `report` makes tables of data frames, `data` and `model` reach the network, and
    // `model` alone names the model zoo. Papers may use tensors for their own method.
    const ROOMS: [(&str, &[&str]); 7] = [
        ("polars", &["report"]),
        ("candle-transformers", &["model"]),
        ("async-openai", &["model"]),
        ("hf-hub", &["data", "model"]),
        ("hyper", &["data", "model"]),
        ("reqwest", &["data", "model"]),
        ("ureq", &["data", "model"]),
    ];
    let mut offences = Vec::new();
    for package in packages() {
        for name in depends_on(&package) {
            for (library, rooms) in ROOMS {
                let is_it = name == library || name.starts_with(&format!("{library}-"));
                if is_it && !rooms.contains(&package.name.as_str()) {
                    offences.push(format!("{} names {name}", package.name));
                }
            }
        }
    }
    none("a library outside its room", &offences);
}

#[test]
fn papers_stand_alone() {
    let packages = packages();
    let papers = names(&packages, is_paper);
    assert!(!papers.is_empty(), "no paper was found");
    let mut offences = Vec::new();
    for package in &packages {
        for name in depends_on(package) {
            if papers.contains(name) {
                offences.push(format!("{} depends on the paper {name}", package.name));
            }
            if name == "report" && is_paper(package) {
                offences.push(format!("the paper {} links report", package.name));
            }
        }
    }
    none("nothing depends on a paper, no paper on report", &offences);
}

#[test]
fn folders_packages_and_papers_have_one_name() {
    let packages = packages();
    let names = names(&packages, |_| true);
    let mut offences = Vec::new();
    for package in &packages {
        let folder = folder(package);
        if folder.file_name().unwrap().to_str() != Some(package.name.as_str()) {
            offences.push(format!("{} lies in {}", package.name, folder.display()));
        }
    }
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.join("paper.toml").is_file() && !names.contains(&name) {
            offences.push(format!("crates/{name} has a paper.toml and is no package"));
        }
    }
    none("a name differs", &offences);
}

// ---- manifests -------------------------------------------------------------------------------

/// The dependency tables of a manifest, those below `[target.…]` included.
fn dependency_tables(manifest: &toml::Table) -> Vec<&toml::Table> {
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets = targets.into_iter().flat_map(|targets| targets.values());
    let places = targets.filter_map(toml::Value::as_table).chain([manifest]);
    let mut tables = Vec::new();
    for place in places {
        tables.extend(KINDS.iter().filter_map(|kind| place.get(*kind)?.as_table()));
    }
    tables
}

#[test]
fn versions_and_lints_are_those_of_the_workspace() {
    let mut offences = Vec::new();
    for package in packages() {
        let text = std::fs::read_to_string(&package.manifest_path).unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        for (name, value) in dependency_tables(&manifest).into_iter().flatten() {
            let inherited = value.get("workspace").and_then(toml::Value::as_bool);
            if inherited != Some(true) {
                offences.push(format!(
                    "{}: {name} without `workspace = true`",
                    package.name
                ));
            }
        }
        let lints = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"));
        if lints.and_then(toml::Value::as_bool) != Some(true) {
            offences.push(format!(
                "{}: `[lints] workspace = true` is missing",
                package.name
            ));
        }
    }
    none("a manifest does not inherit", &offences);
}

// ---- text ------------------------------------------------------------------------------------

/// A text file of the repository.
struct File {
    name: String,
    text: String,
}

impl File {
    fn ends_with(&self, extension: &str) -> bool {
        self.name.ends_with(extension)
    }

    /// The lines with their numbers, from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(line_idx, line)| (line_idx + 1, line))
    }
}

/// Every hand-written text file: the crates, the runner, the data sets' manifests, the documents,
/// and the scripts.
fn files() -> Vec<File> {
    const EXTENSIONS: [&str; 6] = ["rs", "toml", "md", "py", "sh", "cff"];
    let root = root();
    let mut files = Vec::new();
    let mut open: Vec<PathBuf> = ["crates", "xtask", "datasets", ".ci", ".cargo"]
        .iter()
        .map(|folder| root.join(folder))
        .filter(|folder| folder.is_dir())
        .collect();
    let top = std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = top.filter(|path| path.is_file()).collect();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            match (path.is_dir(), name.as_str()) {
                (true, "target" | "__pycache__") => {}
                (true, _) => open.push(path),
                (false, _) => paths.push(path),
            }
        }
    }
    paths.sort();
    for path in paths {
        let extension = path
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        if EXTENSIONS.contains(&extension.as_str()) || name == ".ci/run" {
            let text = std::fs::read_to_string(&path).unwrap();
            files.push(File { name, text });
        }
    }
    assert!(
        files.iter().any(|file| file.name == "xtask/tests/tidy.rs"),
        "the walk went astray"
    );
    files
}

/// Every line of the files that an offence is found in, with place and what is wrong.
fn offences_by_line(
    files: impl IntoIterator<Item = File>,
    wrong: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let mut offences = Vec::new();
    for file in files {
        for (number, line) in file.lines() {
            if let Some(what) = wrong(line) {
                offences.push(format!("{}:{number}: {what}", file.name));
            }
        }
    }
    offences
}

fn code() -> impl Iterator<Item = File> {
    files().into_iter().filter(|file| file.ends_with(".rs"))
}

#[test]
fn no_file_is_too_long() {
    // A list of claims is as long as what a paper says; nobody reads it from top to bottom.
    let is_list = |file: &File| file.name.ends_with("/paper.toml");
    let long = |file: &File| !is_list(file) && file.text.lines().count() > LINES_MAX;
    let offences: Vec<String> = files()
        .into_iter()
        .filter(long)
        .map(|file| file.name)
        .collect();
    none(&format!("over {LINES_MAX} lines"), &offences);
}

#[test]
fn no_line_of_code_is_too_long() {
    let offences = offences_by_line(code(), |line| {
        // An address cannot be broken, nor can a row of a table.
        let breakable = !line.contains("://") && !line.trim_start().starts_with("//! |");
        let long = breakable && line.chars().count() > COLUMNS_MAX;
        long.then(|| format!("{} columns", line.chars().count()))
    });
    none(&format!("over {COLUMNS_MAX} columns"), &offences);
}

#[test]
fn every_file_opens_with_its_purpose() {
    let has_doc = |file: &File| {
        let first = file
            .lines()
            .map(|(_, line)| line.trim())
            .find(|line| !line.is_empty());
        first.is_some_and(|line| line.starts_with("//!"))
    };
    let offences: Vec<String> = code()
        .filter(|file| !has_doc(file))
        .map(|file| file.name)
        .collect();
    none("no module documentation on the first line", &offences);
}

#[test]
fn nothing_is_ignored_allowed_or_left_for_later() {
    // Written in parts, so that this file does not offend.
    let words = [
        concat!("#[", "ignore"),
        concat!("#[", "allow("),
        concat!("#![", "allow("),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
    ];
    let offences = offences_by_line(files(), |line| {
        words
            .iter()
            .find(|word| line.contains(*word))
            .map(|word| (*word).to_owned())
    });
    none("forbidden words", &offences);
}

#[test]
fn no_path_of_somebodys_machine_is_written_down() {
    let paths = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/tm", "p/"),
        concat!("/Us", "ers/"),
    ];
    let offences = offences_by_line(files(), |line| {
        paths
            .iter()
            .find(|path| line.contains(*path))
            .map(|path| (*path).to_owned())
    });
    none("paths of one machine", &offences);
}

// ---- documents -------------------------------------------------------------------------------

/// The words that follow `cargo xtask` in the code blocks of a document.
fn commands_in(text: &str) -> Vec<(usize, String)> {
    let mut commands = Vec::new();
    let mut is_code = false;
    for (line_idx, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if is_code && let Some((_, rest)) = line.split_once("cargo xtask ") {
            let word = rest.split_whitespace().next().unwrap_or_default();
            commands.push((line_idx + 1, word.to_owned()));
        }
    }
    commands
}

/// The commands that `cargo xtask --help` lists.
fn known_commands() -> BTreeSet<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("--help")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let list = text.lines().skip_while(|line| *line != "Commands:").skip(1);
    let list = list.take_while(|line| !line.is_empty());
    list.filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn commands_in_documents_exist() {
    let known = known_commands();
    assert!(known.contains("reproduce"), "{known:?}");
    let documents = files().into_iter().filter(|file| file.ends_with(".md"));
    let mut offences = Vec::new();
    let mut n_readme = 0;
    for file in documents {
        for (number, word) in commands_in(&file.text) {
            n_readme += usize::from(file.name == "README.md");
            if !known.contains(&word) && !word.starts_with('-') && !word.starts_with('<') {
                offences.push(format!("{}:{number}: `cargo xtask {word}`", file.name));
            }
        }
    }
    none("commands that do not exist", &offences);
    assert!(n_readme > 0, "README.md shows no command at all");
}

#[test]
fn commands_are_read_from_code_blocks_alone() {
    let text = "cargo xtask prose\n```sh\n$ cargo xtask list --x\nls\n```\n`cargo xtask inline`\n";
    assert_eq!(commands_in(text), [(3, "list".to_owned())]);
}

// ---- published numbers -----------------------------------------------------------------------

/// A number distinctive enough that its appearance in code is no accident.
fn is_distinctive(value: f64) -> bool {
    let digits = format!("{value:e}");
    let mantissa = digits.split('e').next().unwrap_or_default();
    let n_digits = mantissa.chars().filter(char::is_ascii_digit).count();
    // Integers are sizes and counts, so they need more digits to say something.
    n_digits >= if value.fract() == 0.0 { 5 } else { 3 }
}

/// The numbers written in a line of code; what follows `//` is no code.
fn numbers_in(line: &str) -> Vec<f64> {
    let line = line.split("//").next().unwrap_or_default();
    let mut numbers = Vec::new();
    let bytes = line.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let in_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        if !bytes[at].is_ascii_digit() || in_word {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && continues_number(bytes, start, at) {
            at += 1;
        }
        let text = line[start..at].replace('_', "");
        numbers.extend(text.trim_end_matches('.').parse::<f64>().ok());
    }
    numbers
}

/// Whether the byte at `at` belongs to the number that starts at `start`.
fn continues_number(bytes: &[u8], start: usize, at: usize) -> bool {
    let seen = &bytes[start..at];
    match bytes[at] {
        b'0'..=b'9' | b'_' => true,
        b'.' => !seen.contains(&b'.') && bytes.get(at + 1) != Some(&b'.'),
        b'e' | b'E' => !seen.contains(&b'e') && !seen.contains(&b'E'),
        b'+' | b'-' => matches!(seen.last(), Some(b'e' | b'E')),
        _ => false,
    }
}

/// The fields of one line of comma-separated values; quoted fields may hold commas.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => fields.last_mut().unwrap().push(c),
        }
    }
    fields
}

/// The published numbers of a paper: in its `paper.toml`, and in the column `value` of its
/// `published.csv`.
fn published(paper: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(root().join(format!("crates/{paper}/paper.toml"))).unwrap();
    let manifest = eval::PaperManifest::parse(&text, "paper.toml").unwrap();
    let mut numbers: Vec<f64> = manifest
        .claims
        .iter()
        .filter_map(|claim| claim.published)
        .collect();
    let csv = root().join(format!("results/{paper}/published.csv"));
    let text = std::fs::read_to_string(csv).unwrap_or_default();
    let mut lines = text.lines();
    let header = fields(lines.next().unwrap_or_default());
    if let Some(column) = header.iter().position(|name| name == "value") {
        let values = lines.filter_map(|line| fields(line).get(column)?.trim().parse::<f64>().ok());
        numbers.extend(values);
    }
    numbers
}

#[test]
fn no_published_number_is_written_in_code_that_measures() {
    let mut by_paper: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for paper in names(&packages(), is_paper) {
        let distinctive = published(&paper)
            .into_iter()
            .filter(|value| is_distinctive(*value));
        by_paper.insert(paper.clone(), distinctive.collect());
    }
    let mut offences = Vec::new();
    for file in code() {
        for (paper, published) in &by_paper {
            if !file.name.starts_with(&format!("crates/{paper}/src/")) {
                continue;
            }
            for (number, line) in file.lines() {
                let found = numbers_in(line);
                let found = found
                    .iter()
                    .find(|found| published.iter().any(|p| p.abs() == **found));
                if let Some(found) = found {
                    offences.push(format!("{}:{number}: {found}", file.name));
                }
            }
        }
    }
    none(
        "published numbers belong to paper.toml and published.csv alone",
        &offences,
    );
}

#[test]
fn numbers_are_read_from_code_and_not_from_comments() {
    let line = "let x2 = f(1.25, 3e-4, 1_000.5, 0..10, y.0) + 7.5; // 9.75";
    assert_eq!(numbers_in(line), [1.25, 3e-4, 1000.5, 0.0, 10.0, 0.0, 7.5]);
    let distinctive = [0.625, 12.3, 3.1e-5, 123_456.0].map(is_distinctive);
    assert_eq!(distinctive, [true, true, false, true]);
    assert!(![0.5, 0.25, 1024.0, 100.0].into_iter().any(is_distinctive));
    assert_eq!(fields("a,\"b,c\",d"), ["a", "b,c", "d"]);
}
