//! `doctor`: what this machine has and lacks, each with the next step. The network is not probed.

use std::path::{Path, PathBuf};
use std::process::Command;

use eval::{Result, env, exit};
use serde::Serialize;

use crate::cli::Format;
use crate::workspace::Workspace;
use crate::{output, text, weights};

/// The format version of the JSON document.
const FORMAT: u32 = 1;

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    /// Something optional is missing or small.
    Warn,
    /// Nothing works without it.
    Fail,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One line of the table.
#[derive(Serialize)]
struct Check {
    check: &'static str,
    outcome: Outcome,
    found: String,
    next: Option<String>,
}

impl Check {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            outcome: Outcome::Ok,
            found: found.into(),
            next: None,
        }
    }

    fn bad(outcome: Outcome, check: &'static str, found: impl Into<String>, next: &str) -> Self {
        Self {
            check,
            outcome,
            found: found.into(),
            next: Some(next.to_owned()),
        }
    }
}

/// Prints the checks. The exit code is 70 if one of them failed.
///
/// # Errors
/// stdout cannot be written.
pub fn doctor(workspace: &Workspace, format: Format) -> Result<u8> {
    let checks = checks(workspace);
    match format {
        Format::Json => output::json(&serde_json::json!({ "format": FORMAT, "checks": checks }))?,
        Format::Table => output::data(&table(&checks))?,
    }
    let failed = checks.iter().any(|check| check.outcome == Outcome::Fail);
    Ok(if failed {
        exit::INTERNAL
    } else {
        exit::COMPLETE
    })
}

fn table(checks: &[Check]) -> String {
    let rows: Vec<Vec<String>> = checks
        .iter()
        .map(|check| {
            let next = check.next.clone().unwrap_or_default();
            vec![
                check.check.to_owned(),
                check.outcome.as_str().to_owned(),
                check.found.clone(),
                next,
            ]
        })
        .collect();
    text::table(&["check", "outcome", "found", "next step"], &rows)
}

fn checks(workspace: &Workspace) -> Vec<Check> {
    let root = workspace.root();
    let mut checks = vec![
        rustc(root),
        c_compiler(),
        cores(),
        memory(),
        disk("disk, target", &target(root)),
    ];
    checks.push(disk("disk, results", &workspace.results()));
    checks.push(writable(&workspace.results()));
    checks.push(optional(
        "git",
        &["git", "--version"],
        "install git: without it runs do not record a commit",
    ));
    checks.push(optional(
        "python3 with pip",
        &["python3", "-m", "pip", "--version"],
        "install python3 and pip: data sources of kind `pip` and `bench --peers` need them",
    ));
    checks.push(optional(
        "cargo-deny",
        &["cargo", "deny", "--version"],
        "cargo install cargo-deny --locked: `ci` skips the licence check without it",
    ));
    checks.push(models(workspace));
    checks.push(folder_variable(env::DATASETS_MIRROR, "no mirror folder"));
    checks.push(folder_variable(
        env::DATASETS_CACHE,
        "the platform's cache folder",
    ));
    checks.push(folder_variable(
        env::HF_HOME,
        "Hugging Face's default folder",
    ));
    checks
}

/// The first line that a program prints, if it runs and succeeds.
fn first_line(words: &[&str], folder: Option<&Path>) -> Option<String> {
    let (program, args) = words.split_first()?;
    let mut command = Command::new(program);
    command.args(args);
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(|line| line.trim().to_owned())
}

fn rustc(root: &Path) -> Check {
    const NAME: &str = "rustc";
    let pinned = std::fs::read_to_string(root.join("rust-toolchain.toml"))
        .ok()
        .and_then(|text| text.parse::<toml::Table>().ok())
        .and_then(|table| Some(table.get("toolchain")?.get("channel")?.as_str()?.to_owned()));
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let Some(found) = first_line(&[&rustc, "--version"], Some(root)) else {
        return Check::bad(Outcome::Fail, NAME, "not found", "install Rust with rustup");
    };
    match pinned {
        Some(pinned) if found.split_whitespace().nth(1) != Some(pinned.as_str()) => {
            let next = format!("rustup toolchain install {pinned}");
            let found = format!("{found}, `rust-toolchain.toml` says {pinned}");
            Check::bad(Outcome::Warn, NAME, found, &next)
        }
        _ => Check::ok(NAME, found),
    }
}

fn c_compiler() -> Check {
    const NAME: &str = "C compiler";
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    match first_line(&[&compiler, "--version"], None) {
        Some(found) => Check::ok(NAME, found),
        None => Check::bad(
            Outcome::Fail,
            NAME,
            format!("`{compiler}` does not run"),
            "install a C compiler and linker (Debian: apt-get install build-essential)",
        ),
    }
}

fn cores() -> Check {
    const NAME: &str = "cores";
    /// The times in the documents are for this many.
    const N_CORES_MIN: usize = 2;
    match std::thread::available_parallelism().map(std::num::NonZero::get) {
        Ok(n) if n >= N_CORES_MIN => Check::ok(NAME, n.to_string()),
        Ok(n) => Check::bad(
            Outcome::Warn,
            NAME,
            n.to_string(),
            "expect twice the stated times",
        ),
        Err(e) => Check::bad(Outcome::Warn, NAME, format!("unknown: {e}"), "use --jobs"),
    }
}

fn memory() -> Check {
    const NAME: &str = "memory";
    /// The release build of the tables peaks at about half of this.
    const RAM_GIB_MIN: f64 = 4.0;
    let Some(gib) = memory_gib() else {
        let next = format!("see that there are {RAM_GIB_MIN} GiB");
        return Check::bad(Outcome::Warn, NAME, "unknown on this system", &next);
    };
    let found = format!("{gib:.1} GiB");
    if gib >= RAM_GIB_MIN {
        return Check::ok(NAME, found);
    }
    Check::bad(
        Outcome::Warn,
        NAME,
        found,
        "build with `CARGO_BUILD_JOBS=1`",
    )
}

fn memory_gib() -> Option<f64> {
    const KIB_PER_GIB: f64 = (1u64 << 20) as f64;
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / KIB_PER_GIB)
}

/// The target folder as far as it is known without asking `cargo`.
fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

fn disk(name: &'static str, folder: &Path) -> Check {
    /// A release and a test build together take about half of this.
    const FREE_GIB_MIN: f64 = 10.0;
    // A folder that is not there yet will be on its nearest parent's disk.
    let there = folder
        .ancestors()
        .find(|folder| folder.is_dir())
        .unwrap_or(Path::new("."));
    let Some(gib) = free_gib(there) else {
        return Check::bad(
            Outcome::Warn,
            name,
            "unknown",
            "see that there are 10 GiB free",
        );
    };
    let found = format!("{gib:.1} GiB free");
    if gib >= FREE_GIB_MIN {
        return Check::ok(name, found);
    }
    Check::bad(
        Outcome::Warn,
        name,
        found,
        "free some space, or set CARGO_TARGET_DIR",
    )
}

/// Free space by the POSIX output of `df`: the fourth column of the second line, in KiB.
fn free_gib(folder: &Path) -> Option<f64> {
    const KIB_PER_GIB: f64 = (1u64 << 20) as f64;
    let output = Command::new("df").arg("-Pk").arg(folder).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let kib: f64 = text
        .lines()
        .nth(1)?
        .split_whitespace()
        .nth(3)?
        .parse()
        .ok()?;
    Some(kib / KIB_PER_GIB)
}

fn writable(results: &Path) -> Check {
    const NAME: &str = "results can be written";
    let there = results
        .ancestors()
        .find(|folder| folder.is_dir())
        .unwrap_or(Path::new("."));
    let probe = there.join(format!(".doctor.{}.tmp", std::process::id()));
    let written = std::fs::write(&probe, b"");
    let _ = std::fs::remove_file(&probe);
    match written {
        Ok(()) => Check::ok(NAME, "yes"),
        Err(cause) => Check::bad(
            Outcome::Fail,
            NAME,
            cause.to_string(),
            "change the permissions of `results/`",
        ),
    }
}

fn optional(name: &'static str, words: &[&str], next: &str) -> Check {
    match first_line(words, None) {
        Some(found) => Check::ok(name, found),
        None => Check::bad(Outcome::Warn, name, "not found", next),
    }
}

/// The weights that are pinned. Whether they are on this machine takes the program `data` to tell.
fn models(workspace: &Workspace) -> Check {
    let names = weights::pinned(workspace);
    let found = match names.is_empty() {
        true => "none is pinned".to_owned(),
        false => format!("{}: see `cargo xtask data list`", names.join(", ")),
    };
    Check::ok("model weights", found)
}

fn folder_variable(name: &'static str, unset: &str) -> Check {
    match std::env::var_os(name).map(PathBuf::from) {
        None => Check::ok(name, format!("unset: {unset}")),
        Some(folder) if folder.is_dir() => Check::ok(name, folder.display().to_string()),
        Some(folder) => Check::bad(
            Outcome::Warn,
            name,
            format!("`{}` is no folder", folder.display()),
            "create the folder, or unset the variable",
        ),
    }
}
