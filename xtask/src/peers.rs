//! Peers: other people's programs, installed into a folder of their own and timed beside ours.
//!
//! A peer is a file `crates/<crate>/benches/peers/<name>.toml`:
//!
//! ```toml
//! format = 1
//! requires = ["numpy==2.3.5"]      # what `pip` installs, with versions
//! script = "gpid.py"               # beside the file; prints {"name":…, "seconds":…} lines
//! environment = { OMP_NUM_THREADS = "1" }  # optional; for pip as well
//! size = "60 MB"                   # optional: what it takes on disk, said before it is installed
//! weights = ["smollm2-135m"]       # optional: pinned weights; `MODEL_WEIGHTS` names their folder
//!
//! [[compare]]
//! name = "16 by 16 by 16"          # as the script prints it
//! ours = "thin_pid/16"             # criterion's id
//! unit = "ms"                      # s, ms, us, 1/s, tokens/s, or tokens (both sides count them)
//! clock = "cpu"                    # the peer's clock: wall (default), or cpu where it is fair
//! ours_clock = "cpu"               # what our benchmark measures: wall (default), or cpu
//! items = 64                       # things (tokens) in one iteration of ours; 1 unless said
//! note = "one thread each"
//! ```
//!
//! The script prints one JSON object per line: `name`, `seconds` of wall time, `cpu_seconds`, or
//! both, and, where it is not one, the number of `items` that it did in that time. Both sides are
//! shown, and compared, per item. Where both sides count tokens instead of taking the time
//! (`unit = "tokens"`; our benchmark's id ends in `/tokens`), a token stands for a second, and
//! `speedup` says how many times as many tokens the peer needs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use eval::digest::Digest;
use eval::{Error, Result, exit};
use serde::{Deserialize, Serialize};

use crate::launcher::Launcher;
use crate::output;

/// The format version of a peer's file.
const FORMAT: u32 = 1;

/// Names the folder with weight files, for benchmarks, peers, and tests.
pub const MODEL_WEIGHTS: &str = "MODEL_WEIGHTS";

/// A declared peer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    format: u32,
    requires: Vec<String>,
    script: String,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    size: Option<String>,
    /// Pinned weights that the script and the benchmarks read.
    #[serde(default)]
    pub weights: Vec<String>,
    compare: Vec<Comparison>,
}

/// One benchmark of ours beside one of the peer's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    name: String,
    ours: String,
    unit: Unit,
    #[serde(default)]
    clock: Clock,
    #[serde(default)]
    ours_clock: Clock,
    #[serde(default = "one")]
    items: f64,
    #[serde(default)]
    note: String,
}

fn one() -> f64 {
    1.0
}

/// The unit both sides are shown in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Microseconds.
    #[serde(rename = "us")]
    Microseconds,
    /// Iterations, or items of iterations, per second.
    #[serde(rename = "1/s")]
    PerSecond,
    /// The same where items are tokens.
    #[serde(rename = "tokens/s")]
    TokensPerSecond,
    /// Tokens, counted in the place of seconds.
    #[serde(rename = "tokens")]
    Tokens,
}

impl Unit {
    /// The unit in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Microseconds => "us",
            Self::PerSecond => "1/s",
            Self::TokensPerSecond => "tokens/s",
            Self::Tokens => "tokens",
        }
    }

    /// A duration in this unit.
    pub fn of(self, seconds: f64) -> f64 {
        match self {
            Self::Seconds | Self::Tokens => seconds,
            Self::Milliseconds => seconds * 1e3,
            Self::Microseconds => seconds * 1e6,
            Self::PerSecond | Self::TokensPerSecond => 1.0 / seconds,
        }
    }

    /// The unit of our benchmark `id`: tokens where it counts them, else the one in which its
    /// duration has few digits before the point.
    pub fn fitting(id: &str, seconds: f64) -> Self {
        if id.ends_with("/tokens") {
            Self::Tokens
        } else if seconds >= 1.0 {
            Self::Seconds
        } else if seconds >= 1e-3 {
            Self::Milliseconds
        } else {
            Self::Microseconds
        }
    }
}

/// Which clock counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Clock {
    #[default]
    Wall,
    /// Fair where one side keeps several cores busy, or where a machine is shared.
    Cpu,
}

impl Clock {
    fn as_str(self) -> &'static str {
        match self {
            Self::Wall => "wall",
            Self::Cpu => "CPU",
        }
    }
}

/// One line that a peer's script prints.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Timed {
    name: String,
    seconds: Option<f64>,
    cpu_seconds: Option<f64>,
    items: Option<f64>,
}

/// One line of the answer.
#[derive(Debug, PartialEq, Serialize)]
pub struct Row {
    /// Our benchmark, or the comparison's name.
    pub name: String,
    /// Ours, in `unit`; null where it was not measured.
    pub ours: Option<f64>,
    /// The peer's, in `unit`; null where there is none.
    pub peer: Option<f64>,
    /// The unit of both.
    pub unit: Unit,
    /// The peer's time over ours: above 1, ours is faster.
    pub speedup: Option<f64>,
    /// What to know about the comparison, or why a side is missing.
    pub note: String,
}

/// The name of a peer: its file's.
pub fn name(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The peers declared by a crate, by name, sorted.
///
/// # Errors
/// A file cannot be read or understood.
pub fn declared(crate_folder: &Path) -> Result<Vec<(PathBuf, Declaration)>> {
    let folder = crate_folder.join("benches").join("peers");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(&folder).map_err(|e| Error::io("list", &folder, e))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| Ok((path.clone(), read(&path)?)))
        .collect()
}

fn read(path: &Path) -> Result<Declaration> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    let flaw = || Error::usage(format!("cannot understand `{}`", path.display()));
    let declaration: Declaration = toml::from_str(&text).map_err(|e| flaw().caused_by(e))?;
    let has_no_items = |c: &Comparison| !(c.items.is_finite() && c.items > 0.0);
    if declaration.compare.iter().any(has_no_items) {
        return Err(flaw().hint("`items` must be above 0"));
    }
    if declaration.format != FORMAT {
        return Err(flaw().hint(format!("`format = {FORMAT}` is expected")));
    }
    // The script is started by this name, so it must not lead out of the folder.
    if Path::new(&declaration.script).components().count() != 1 || declaration.script == ".." {
        return Err(flaw().hint("`script` must name a file beside the declaration"));
    }
    Ok(declaration)
}

/// What every peer of one call shares.
pub struct Surroundings<'a> {
    /// Starts programs.
    pub launcher: &'a Launcher,
    /// Where the peers of this crate are installed.
    pub home: &'a Path,
    /// The folder with pinned weights, where peers need some.
    pub weights: Option<&'a Path>,
}

/// Installs a peer, runs it, and puts its times beside ours. A peer that cannot be had is said
/// loudly, and its rows have no peer.
///
/// # Errors
/// Interrupted.
pub fn compare(
    around: &Surroundings<'_>,
    (path, declaration): &(PathBuf, Declaration),
    ours: impl Fn(&str) -> Option<f64>,
) -> Result<Vec<Row>> {
    let name = name(path);
    let timed = install(around.launcher, declaration, &around.home.join(&name))
        .and_then(|python| run(around, declaration, path, &python));
    let timed = match timed {
        Err(error) if around.launcher.interrupted() => return Err(error),
        Err(error) => {
            output::error(&error);
            output::note(&format!("PEER ABSENT: `{name}` was not measured"));
            Err(format!("peer `{name}` absent: {error}"))
        }
        Ok(timed) => Ok(timed),
    };
    let comparisons = declaration.compare.iter();
    Ok(comparisons
        .map(|wanted| row(wanted, timed.as_deref(), ours(&wanted.ours)))
        .collect())
}

/// One comparison from the peer's times (or the reason why there are none) and our seconds.
fn row(wanted: &Comparison, timed: Result<&[Timed], &String>, ours_s: Option<f64>) -> Row {
    let mut notes: Vec<String> = Vec::new();
    if !wanted.note.is_empty() {
        notes.push(wanted.note.clone());
    }
    let peer_s = match timed.map(|timed| timed.iter().find(|line| line.name == wanted.name)) {
        Err(why) => Err(why.clone()),
        Ok(None) => Err(format!("the peer printed no `{}`", wanted.name)),
        Ok(Some(line)) => seconds_of(line, wanted.clock),
    };
    let peer_s = peer_s.map_err(|why| notes.push(why)).ok();
    let ours_s = ours_s.map(|seconds| seconds / wanted.items);
    if ours_s.is_none() {
        notes.push(format!("no benchmark `{}` ran", wanted.ours));
    }
    match (wanted.ours_clock, wanted.clock) {
        (Clock::Wall, Clock::Wall) => {}
        (Clock::Wall, Clock::Cpu) => notes.push("peer's CPU time".to_owned()),
        (Clock::Cpu, Clock::Wall) => notes.push("our CPU time".to_owned()),
        (Clock::Cpu, Clock::Cpu) => notes.push("CPU time of both".to_owned()),
    }
    Row {
        name: wanted.name.clone(),
        ours: ours_s.map(|seconds| wanted.unit.of(seconds)),
        peer: peer_s.map(|seconds| wanted.unit.of(seconds)),
        unit: wanted.unit,
        speedup: ours_s.zip(peer_s).map(|(ours, peer)| peer / ours),
        note: notes.join("; "),
    }
}

fn seconds_of(line: &Timed, clock: Clock) -> Result<f64, String> {
    let seconds = match clock {
        Clock::Wall => line.seconds,
        Clock::Cpu => line.cpu_seconds,
    };
    let n_items = line.items.unwrap_or(1.0);
    match seconds.map(|seconds| seconds / n_items) {
        Some(seconds) if seconds > 0.0 && seconds.is_finite() => Ok(seconds),
        Some(seconds) => Err(format!("the peer's time is {seconds} s")),
        None => Err(format!("the peer gave no {} time", clock.as_str())),
    }
}

/// A virtual environment with the peer's requirements; the path of its Python.
///
/// The marker that says it is whole is written last, and names what was installed.
fn install(launcher: &Launcher, declaration: &Declaration, home: &Path) -> Result<PathBuf> {
    let python = home.join("venv").join("bin").join("python");
    let marker = home.join("installed");
    let wanted = Digest::of(declaration.requires.join("\n").as_bytes()).to_string();
    if std::fs::read_to_string(&marker).is_ok_and(|found| found.trim() == wanted) {
        return Ok(python);
    }
    let _ = std::fs::remove_file(&marker);
    eval::fs::create_folder(home)?;
    let size = match &declaration.size {
        Some(size) => format!(" ({size})"),
        None => String::new(),
    };
    output::note(&format!(
        "installing {}{size} into {}",
        declaration.requires.join(" "),
        home.display()
    ));
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(home.join("venv"));
    step(launcher, &mut venv, "cannot make a virtual environment")?;
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    pip.args(&declaration.requires)
        .envs(&declaration.environment);
    step(launcher, &mut pip, "cannot install the peer with pip")?;
    eval::fs::write_atomic(&marker, format!("{wanted}\n").as_bytes())?;
    Ok(python)
}

fn step(launcher: &Launcher, command: &mut Command, failure: &str) -> Result<()> {
    match launcher.run_aside(command)? {
        exit::COMPLETE => Ok(()),
        exit::INTERRUPTED => Err(Error::new(exit::INTERRUPTED, "interrupted")),
        code => Err(Error::internal(format!("{failure} (exit code {code})"))
            .hint("`cargo xtask doctor` says whether python3 and pip are there")),
    }
}

fn run(
    around: &Surroundings<'_>,
    declaration: &Declaration,
    path: &Path,
    python: &Path,
) -> Result<Vec<Timed>> {
    let script = path.with_file_name(&declaration.script);
    output::note(&format!("running {}", script.display()));
    let mut command = Command::new(python);
    command.arg(&script).envs(&declaration.environment);
    if let Some(folder) = around.weights {
        command.env(MODEL_WEIGHTS, folder);
    }
    let (code, text) = around.launcher.capture(&mut command)?;
    match code {
        exit::COMPLETE => parse(&text),
        exit::INTERRUPTED => Err(Error::new(exit::INTERRUPTED, "interrupted")),
        code => Err(Error::internal(format!(
            "`{}` ended with {code}",
            script.display()
        ))),
    }
}

fn parse(text: &str) -> Result<Vec<Timed>> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            serde_json::from_str(line).map_err(|cause| {
                Error::internal(format!(
                    "the peer printed a line that is no timing: `{line}`"
                ))
                .caused_by(cause)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(unit: Unit, clock: Clock) -> Comparison {
        Comparison {
            name: "n".into(),
            ours: "o".into(),
            unit,
            clock,
            ours_clock: Clock::Wall,
            items: 1.0,
            note: String::new(),
        }
    }

    fn timed(seconds: f64, cpu_seconds: Option<f64>) -> Vec<Timed> {
        vec![Timed {
            name: "n".into(),
            seconds: Some(seconds),
            cpu_seconds,
            items: None,
        }]
    }

    #[test]
    fn speedup_above_one_means_ours_is_faster_whatever_the_unit() {
        for unit in [
            Unit::Seconds,
            Unit::Milliseconds,
            Unit::Microseconds,
            Unit::PerSecond,
        ] {
            let row = row(&wanted(unit, Clock::Wall), Ok(&timed(6.0, None)), Some(2.0));
            assert_eq!(row.speedup, Some(3.0), "{unit:?}");
        }
        let rate = row(
            &wanted(Unit::PerSecond, Clock::Wall),
            Ok(&timed(4.0, None)),
            Some(2.0),
        );
        assert_eq!((rate.ours, rate.peer), (Some(0.5), Some(0.25)));
    }

    #[test]
    fn the_cpu_clock_is_used_where_it_is_asked_for_and_given() {
        let both = row(
            &wanted(Unit::Seconds, Clock::Cpu),
            Ok(&timed(1.0, Some(2.0))),
            Some(1.0),
        );
        assert_eq!((both.peer, both.speedup), (Some(2.0), Some(2.0)));
        let none = row(
            &wanted(Unit::Seconds, Clock::Cpu),
            Ok(&timed(1.0, None)),
            Some(1.0),
        );
        assert_eq!((none.peer, none.speedup), (None, None));
        assert!(none.note.contains("no CPU time"), "{}", none.note);
    }

    #[test]
    fn sides_that_do_different_amounts_are_compared_per_item() {
        let mut tokens = wanted(Unit::TokensPerSecond, Clock::Cpu);
        (tokens.items, tokens.ours_clock) = (32.0, Clock::Cpu);
        let mut line = timed(9.0, Some(2.0));
        line[0].items = Some(100.0);
        let row = row(&tokens, Ok(&line), Some(0.5));
        assert_eq!((row.ours, row.peer), (Some(64.0), Some(50.0)));
        assert_eq!(row.speedup, Some(64.0 / 50.0));
        assert_eq!(row.note, "CPU time of both");
    }

    #[test]
    fn counted_tokens_are_tokens_alone_and_beside_a_peer() {
        assert_eq!(Unit::fitting("sharing/tokens", 0.25), Unit::Tokens);
        assert_eq!(Unit::fitting("sharing/cpu", 0.25), Unit::Milliseconds);
        let mut counted = wanted(Unit::Tokens, Clock::Wall);
        counted.items = 12.0;
        let mut line = timed(612.0, None);
        line[0].items = Some(12.0);
        let row = row(&counted, Ok(&line), Some(102.0));
        assert_eq!((row.ours, row.peer), (Some(8.5), Some(51.0)));
        assert_eq!((row.speedup, row.unit.as_str()), (Some(6.0), "tokens"));
    }

    #[test]
    fn a_missing_side_is_said_in_the_note() {
        let why = "peer `p` absent: no pip".to_owned();
        let absent = row(&wanted(Unit::Seconds, Clock::Wall), Err(&why), Some(1.0));
        assert_eq!((absent.peer, absent.speedup), (None, None));
        assert!(absent.note.contains("no pip"), "{}", absent.note);
        let ours = row(
            &wanted(Unit::Seconds, Clock::Wall),
            Ok(&timed(1.0, None)),
            None,
        );
        assert!(ours.note.contains("no benchmark `o` ran"), "{}", ours.note);
        let zero = row(
            &wanted(Unit::Seconds, Clock::Wall),
            Ok(&timed(0.0, None)),
            Some(1.0),
        );
        assert_eq!(zero.speedup, None);
    }

    #[test]
    fn a_declaration_must_not_lead_out_of_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.toml");
        let with = |script: &str| {
            let text = format!("format = 1\nrequires = []\nscript = \"{script}\"\ncompare = []\n");
            std::fs::write(&path, text).unwrap();
            read(&path)
        };
        assert!(with("p.py").is_ok());
        for bad in ["../p.py", "/p.py", "..", ""] {
            assert!(with(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn timings_are_json_lines() {
        let text = "{\"name\":\"n\",\"seconds\":0.5,\"cpu_seconds\":0.75}\n\n";
        assert_eq!(parse(text).unwrap(), timed(0.5, Some(0.75)));
        assert!(parse("warming up\n").is_err());
    }
}
