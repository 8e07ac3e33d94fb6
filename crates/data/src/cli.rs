//! The command line of the program `data`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use eval::{Error, Input, InputState, Inputs, Result, exit};
use serde::Serialize;

use crate::catalog::Catalog;
use crate::console::{Console as _, human_bytes};
use crate::manifest::Manifest;
use crate::output::{self, Stderr};
use crate::places::{Places, Policy};
use crate::resolve::{Attempt, FileState, Resolved, Resolver};
use crate::{croissant, table};

const AFTER_HELP: &str = "\
Examples:
  cargo xtask data list
  cargo xtask data fetch uci-multiple-features
  cargo xtask data verify
  data resolve --offline --out inputs.json uci-multiple-features
  data croissant uci-multiple-features --out croissant.json

Exit codes: 0 done · 2 usage, or a manifest that cannot be understood · 6 a file is missing or has \
other bytes than the pinned ones (`fetch`, `verify`) · 70 internal

Environment:
  DATASETS_CACHE   where fetched files are kept; else the platform's cache folder
  DATASETS_MIRROR  a folder to read from: <mirror>/<name>/<file>
  HF_HOME          Hugging Face's own cache; HF_HUB_OFFLINE=1 forbids asking the hub
  PAPERS_ROOT      the workspace; else the nearest parent folder that is one";

/// Data sets and weights: from manifests to verified local files.
#[derive(Parser)]
#[command(name = "data", version, after_help = AFTER_HELP)]
struct Command {
    /// The workspace's root [default: `PAPERS_ROOT`, else the nearest parent that is one].
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Find or fetch data sets, and write where they are as JSON; a missing one is no failure.
    Resolve {
        /// Write to this file instead of standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        permission: Permission,
        /// The data sets.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// List the data sets with version, size, licence, and whether they are on this machine.
    ///
    /// Lengths are compared, not digests: `verify` does that.
    List {
        #[command(flatten)]
        layout: Layout,
    },
    /// Fetch data sets that are not on this machine; exit code 6 if one cannot be had.
    Fetch {
        #[command(flatten)]
        permission: Permission,
        /// All data sets.
        #[arg(long, conflicts_with = "names")]
        all: bool,
        /// The data sets.
        #[arg(required_unless_present = "all", value_name = "NAME")]
        names: Vec<String>,
    },
    /// Compare every byte of the data sets on this machine; exit code 6 if one is not whole.
    Verify {
        /// The data sets; none: all.
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// List the licences of the data sets, and how to cite them.
    Licenses {
        #[command(flatten)]
        layout: Layout,
    },
    /// Write a data set's manifest as Croissant 1.0 metadata (JSON-LD).
    Croissant {
        /// Write to this file instead of standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// The data set.
        name: String,
    },
}

#[derive(Args)]
struct Permission {
    /// Never use the network.
    #[arg(long)]
    offline: bool,
    /// Accept the terms of this data set; may be given several times.
    #[arg(long, value_name = "NAME")]
    accept: Vec<String>,
}

#[derive(Args)]
struct Layout {
    /// How to write the list.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// Aligned columns.
    Table,
    /// One JSON document.
    Json,
}

impl Action {
    /// What the command may do; commands without a say only look.
    fn policy(&self) -> Policy {
        match self {
            Self::Resolve { permission, .. } | Self::Fetch { permission, .. } => {
                Policy::from_env(permission.offline, permission.accept.clone())
            }
            Self::Verify { .. }
            | Self::List { .. }
            | Self::Licenses { .. }
            | Self::Croissant { .. } => Policy::from_env(true, []),
        }
    }
}

/// Runs the command line of the process; the exit code is one of `eval::exit`.
#[must_use]
pub fn main() -> ExitCode {
    // Clap prints help and usage errors itself, with exit codes 0 and 2.
    match run(Command::parse()) {
        Ok(()) => ExitCode::from(exit::COMPLETE),
        Err(error) => {
            eval::output::failure(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(command: Command) -> Result<()> {
    let places = Places::from_env(command.root.as_deref())?;
    let catalog = Catalog::open(&places.datasets)?;
    let policy = command.action.policy();
    check_accepted(&catalog, &policy)?;
    let resolver = Resolver {
        places: &places,
        policy: &policy,
        console: &Stderr,
    };
    match command.action {
        Action::Resolve { out, names, .. } => {
            output::json(out.as_deref(), &resolve(&catalog, &resolver, &names)?)
        }
        Action::Fetch { all, names, .. } => {
            let names = if all { catalog.names().to_vec() } else { names };
            fetch(&catalog, &resolver, &names)
        }
        Action::Verify { names } => {
            let names = if names.is_empty() {
                catalog.names().to_vec()
            } else {
                names
            };
            verify(&catalog, &resolver, &names)
        }
        Action::List { layout } => list(&catalog, &resolver, layout.format),
        Action::Licenses { layout } => licenses(&catalog, layout.format),
        Action::Croissant { out, name } => {
            output::json(out.as_deref(), &croissant::export(&catalog.load(&name)?))
        }
    }
}

/// A misspelt `--accept` would otherwise be ignored in silence.
fn check_accepted(catalog: &Catalog, policy: &Policy) -> Result<()> {
    match policy.accepted.iter().find(|name| !catalog.has(name)) {
        Some(name) => Err(catalog.unknown(name)),
        None => Ok(()),
    }
}

fn resolve(catalog: &Catalog, resolver: &Resolver<'_>, names: &[String]) -> Result<Inputs> {
    // All manifests are read first: one that cannot be understood stops before any download.
    let mut manifests = BTreeMap::new();
    for name in names {
        let manifest = if catalog.has(name) {
            Some(catalog.load(name)?)
        } else {
            None
        };
        manifests.insert(name.clone(), manifest);
    }
    let mut inputs = Inputs::none();
    for (name, manifest) in manifests {
        let input = match manifest {
            Some(manifest) => resolver.resolve(&manifest).to_input(),
            None => unknown_input(catalog, &name),
        };
        inputs.inputs.insert(name, input);
    }
    Ok(inputs)
}

fn unknown_input(catalog: &Catalog, name: &str) -> Input {
    let error = catalog.unknown(name);
    let hint = error
        .next_step()
        .map_or(String::new(), |hint| format!("; {hint}"));
    Input {
        version: "unknown".to_owned(),
        licence: "unknown".to_owned(),
        state: InputState::Missing {
            reason: format!("{error}{hint}"),
            fetch: format!("cargo xtask data fetch {name}"),
        },
        files: BTreeMap::new(),
    }
}

fn load_all(catalog: &Catalog, names: &[String]) -> Result<Vec<Manifest>> {
    names.iter().map(|name| catalog.load(name)).collect()
}

fn fetch(catalog: &Catalog, resolver: &Resolver<'_>, names: &[String]) -> Result<()> {
    let mut failures = Vec::new();
    for manifest in load_all(catalog, names)? {
        let resolved = resolver.resolve(&manifest);
        if resolved.is_present() {
            let (name, size) = (&manifest.name, human_bytes(manifest.bytes()));
            Stderr.line(&format!("`{name}` is complete ({size})"));
        } else {
            failures.push(Failure::of(&manifest, &resolved));
        }
    }
    Failure::raise("cannot be had", failures)
}

fn verify(catalog: &Catalog, resolver: &Resolver<'_>, names: &[String]) -> Result<()> {
    let mut failures = Vec::new();
    let mut rows = Vec::new();
    for manifest in load_all(catalog, names)? {
        let resolved = resolver.verify(&manifest);
        for (entry, state) in &resolved.files {
            let (state, place) = match state {
                FileState::Present { path, .. } => ("ok", path.display().to_string()),
                FileState::Absent(attempts) => (word(attempts), String::new()),
            };
            let name = manifest.name.clone();
            rows.push(vec![name, entry.name.clone(), state.to_owned(), place]);
        }
        if !resolved.is_present() {
            failures.push(Failure::of(&manifest, &resolved));
        }
    }
    eval::output::data(&table::aligned(
        &["data set", "file", "state", "place"],
        &rows,
    ))?;
    Failure::raise("are not whole on this machine", failures)
}

fn word(attempts: &[Attempt]) -> &'static str {
    if attempts.iter().any(|attempt| attempt.is_altered) {
        "mismatch"
    } else {
        "missing"
    }
}

/// A data set that could not be had.
struct Failure {
    name: String,
    lines: Vec<String>,
    fetch: String,
}

impl Failure {
    fn of(manifest: &Manifest, resolved: &Resolved) -> Self {
        let mut lines = Vec::new();
        for (entry, attempts) in resolved.absent() {
            let (name, sha256) = (&entry.name, &entry.sha256);
            lines.push(format!("`{name}` ({} bytes, sha256 {sha256})", entry.bytes));
            for attempt in attempts {
                lines.push(format!("  {}: {}", attempt.place, attempt.reason));
            }
            if attempts.is_empty() {
                lines.push("  not on this machine".to_owned());
            }
        }
        Self {
            name: manifest.name.clone(),
            lines,
            fetch: manifest.fetch_command(),
        }
    }

    fn raise(what: &str, failures: Vec<Self>) -> Result<()> {
        if failures.is_empty() {
            return Ok(());
        }
        let mut text = format!("these data sets {what}:");
        for failure in &failures {
            text.push_str(&format!("\n  {}", failure.name));
            for line in &failure.lines {
                text.push_str(&format!("\n    {line}"));
            }
        }
        let commands: Vec<&str> = failures
            .iter()
            .map(|failure| failure.fetch.as_str())
            .collect();
        Err(Error::inputs(text).hint(commands.join("\n      ")))
    }
}

/// One line of `data list`.
#[derive(Serialize)]
struct Listed {
    name: String,
    version: String,
    bytes: u64,
    licence: String,
    state: &'static str,
    place: String,
}

fn list(catalog: &Catalog, resolver: &Resolver<'_>, format: Format) -> Result<()> {
    let mut entries = Vec::new();
    for manifest in load_all(catalog, catalog.names())? {
        let resolved = resolver.glance(&manifest);
        let state = match resolved.state() {
            InputState::Present => "present",
            InputState::Missing { .. } => "missing",
            InputState::Mismatch { .. } => "mismatch",
        };
        entries.push(Listed {
            place: if state == "present" {
                common_place(&resolved)
            } else {
                String::new()
            },
            bytes: manifest.bytes(),
            name: manifest.name,
            version: manifest.version,
            licence: manifest.licence.name,
            state,
        });
    }
    match format {
        Format::Json => output::json(None, &entries),
        Format::Table => {
            let row = |entry: &Listed| {
                vec![
                    entry.name.clone(),
                    entry.version.clone(),
                    human_bytes(entry.bytes),
                    entry.licence.clone(),
                    entry.state.to_owned(),
                    entry.place.clone(),
                ]
            };
            let rows: Vec<_> = entries.iter().map(row).collect();
            let header = ["data set", "version", "size", "licence", "state", "place"];
            eval::output::data(&table::aligned(&header, &rows))
        }
    }
}

/// The places of the files, each once.
fn common_place(resolved: &Resolved) -> String {
    let mut places: Vec<&str> = Vec::new();
    for (_, state) in &resolved.files {
        if let FileState::Present { place, .. } = state
            && !places.contains(&place.as_str())
        {
            places.push(place);
        }
    }
    places.join(", ")
}

/// One line of `data licenses`.
#[derive(Serialize)]
struct Licensed {
    name: String,
    version: String,
    licence: String,
    url: Option<String>,
    redistributable: bool,
    terms: Option<String>,
    citation: String,
}

fn licenses(catalog: &Catalog, format: Format) -> Result<()> {
    let mut entries = Vec::new();
    for manifest in load_all(catalog, catalog.names())? {
        let licence = manifest.licence;
        entries.push(Licensed {
            name: manifest.name,
            version: manifest.version,
            licence: licence.name,
            url: licence.url,
            redistributable: licence.redistributable,
            terms: licence.terms,
            citation: manifest.citation,
        });
    }
    match format {
        Format::Json => output::json(None, &entries),
        Format::Table => {
            let yes_no = |yes: bool| (if yes { "yes" } else { "no" }).to_owned();
            let row = |entry: &Licensed| {
                vec![
                    entry.name.clone(),
                    entry.licence.clone(),
                    yes_no(entry.redistributable),
                    yes_no(entry.terms.is_some()),
                    entry
                        .citation
                        .split_whitespace()
                        .collect::<Vec<_>>()
                        .join(" "),
                ]
            };
            let rows: Vec<_> = entries.iter().map(row).collect();
            let header = [
                "data set",
                "licence",
                "may be passed on",
                "terms to accept",
                "citation",
            ];
            eval::output::data(&table::aligned(&header, &rows))
        }
    }
}
