//! From a manifest to verified local files.
//!
//! First every place on this machine is looked at: the sources that lie here, in the manifest's
//! order, then the cache. Only what is not there with the right bytes is brought, from the first
//! source that can serve it. A source that fails is noted and the next one asked; what no source
//! could serve carries the reasons of all of them.

use std::fs::File;
use std::path::{Path, PathBuf};

use eval::{Input, InputFile, InputState};

use crate::console::Console;
use crate::manifest::{FileEntry, Manifest};
use crate::obtain::{Errand, Local, local};
use crate::pip::Shelf;
use crate::places::{Places, Policy};
use crate::sink::{self, Check, Depth};

/// Files whose reasons are written out; the others are counted.
const FILES_EXPLAINED: usize = 3;

/// Finds and brings files.
pub struct Resolver<'a> {
    /// Where to look and where to keep.
    pub places: &'a Places,
    /// What may be done.
    pub policy: &'a Policy,
    /// Who is told.
    pub console: &'a dyn Console,
}

/// What became of a data set.
#[derive(Clone, Debug)]
pub struct Resolved {
    version: String,
    licence: String,
    fetch: String,
    /// Each file with its state, in the manifest's order.
    pub files: Vec<(FileEntry, FileState)>,
}

/// What became of one file.
#[derive(Clone, Debug)]
pub enum FileState {
    /// It is on this machine with the pinned bytes.
    Present {
        /// Where.
        path: PathBuf,
        /// In which kind of place: `the cache`, `the data set's folder`.
        place: String,
    },
    /// It is not; each place that was tried says why.
    Absent(Vec<Attempt>),
}

/// A place that could not serve a file.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The place.
    pub place: String,
    /// Why.
    pub reason: String,
    /// Whether a file is there, with other bytes than the pinned ones.
    pub is_altered: bool,
}

impl Resolver<'_> {
    /// Finds every file of `manifest`, and brings those that are not on this machine.
    #[must_use]
    pub fn resolve(&self, manifest: &Manifest) -> Resolved {
        let mut resolved = self.look(manifest, Depth::Digest);
        if resolved.is_present() {
            return resolved;
        }
        let folder = self.places.cache.join(&manifest.name);
        let _lock = self.lock(&folder, &manifest.name);
        let shelf = Shelf::new(self.console, folder);
        let Self {
            places,
            policy,
            console,
        } = *self;
        let mut errand = Errand {
            places,
            policy,
            console,
            manifest,
            shelf,
        };
        for (entry, state) in &mut resolved.files {
            // Another process may have brought it while this one waited for the lock.
            if matches!(state, FileState::Absent(_)) {
                *state = self.look_for(manifest, entry, Depth::Digest);
            }
            if let FileState::Absent(attempts) = state
                && let Some(found) = bring(&mut errand, entry, attempts)
            {
                *state = found;
            }
        }
        resolved
    }

    /// Looks for every file on this machine and compares every byte; brings nothing.
    #[must_use]
    pub fn verify(&self, manifest: &Manifest) -> Resolved {
        self.look(manifest, Depth::Digest)
    }

    /// Looks for every file on this machine and compares lengths only: quick.
    #[must_use]
    pub fn glance(&self, manifest: &Manifest) -> Resolved {
        self.look(manifest, Depth::Length)
    }

    fn look(&self, manifest: &Manifest, depth: Depth) -> Resolved {
        let look_for = |entry: &FileEntry| self.look_for(manifest, entry, depth);
        Resolved {
            version: manifest.version.clone(),
            licence: manifest.licence.name.clone(),
            fetch: manifest.fetch_command(),
            files: manifest
                .files
                .iter()
                .map(|entry| (entry.clone(), look_for(entry)))
                .collect(),
        }
    }

    fn look_for(&self, manifest: &Manifest, entry: &FileEntry, depth: Depth) -> FileState {
        let mut attempts = Vec::new();
        let sources = manifest.sources.iter();
        let mut candidates: Vec<(String, PathBuf)> = Vec::new();
        for source in sources.filter(|source| source.pieces.contains_key(&entry.name)) {
            match local(self.places, manifest, source, entry) {
                Local::At(path) => candidates.push((source.describe(), path)),
                Local::Nowhere(reason) => {
                    attempts.push(Attempt {
                        place: source.describe(),
                        reason,
                        is_altered: false,
                    });
                }
                Local::NeedsWork => {}
            }
        }
        candidates.push((
            "the cache".to_owned(),
            self.places.cached(&manifest.name, &entry.name),
        ));
        for (place, path) in candidates {
            let (reason, is_altered) = match sink::check(&path, entry, depth) {
                Check::Good => {
                    return FileState::Present {
                        path: absolute(&path),
                        place,
                    };
                }
                // The cache is no source: that a file is not there yet explains nothing.
                Check::Absent if place == "the cache" => continue,
                Check::Absent => (format!("there is no `{}`", path.display()), false),
                Check::Altered(why) => (why, true),
                Check::Unreadable(why) => (why, false),
            };
            attempts.push(Attempt {
                place,
                reason,
                is_altered,
            });
        }
        FileState::Absent(attempts)
    }

    /// Keeps other processes from bringing the same data set at the same time.
    ///
    /// Without a lock two processes would only do the work twice: every file gets its name in one
    /// step. So a file system that knows no locks is no error.
    fn lock(&self, folder: &Path, name: &str) -> Option<File> {
        std::fs::create_dir_all(folder).ok()?;
        let file = File::create(folder.join(".lock")).ok()?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                self.console.line(&format!(
                    "waiting for another process that fetches `{name}`"
                ));
                file.lock().ok()?;
            }
            Err(std::fs::TryLockError::Error(_)) => return None,
        }
        sink::sweep(folder);
        Some(file)
    }
}

/// Asks the sources in turn; those that fail are added to `attempts`.
fn bring(
    errand: &mut Errand<'_>,
    entry: &FileEntry,
    attempts: &mut Vec<Attempt>,
) -> Option<FileState> {
    let (places, manifest) = (errand.places, errand.manifest);
    for source in &manifest.sources {
        if !source.pieces.contains_key(&entry.name) {
            continue;
        }
        let is_looked_at = match local(places, manifest, source, entry) {
            Local::At(_) => !source.needs_network(),
            Local::Nowhere(_) => true,
            Local::NeedsWork => false,
        };
        if is_looked_at {
            continue;
        }
        match errand.run(source, entry) {
            Ok(path) => {
                let place = format!("the cache, {}", source.describe());
                return Some(FileState::Present {
                    path: absolute(&path),
                    place,
                });
            }
            Err(reason) => {
                let place = source.describe();
                errand
                    .console
                    .line(&format!("  `{}`: {place}: {reason}", entry.name));
                attempts.push(Attempt {
                    place,
                    reason,
                    is_altered: false,
                });
            }
        }
    }
    None
}

impl Resolved {
    /// Whether every file is there with the pinned bytes.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.files
            .iter()
            .all(|(_, state)| matches!(state, FileState::Present { .. }))
    }

    /// What the engine reads.
    #[must_use]
    pub fn to_input(&self) -> Input {
        let files = match self.state() {
            InputState::Present => self.input_files(),
            InputState::Missing { .. } | InputState::Mismatch { .. } => Default::default(),
        };
        Input {
            version: self.version.clone(),
            licence: self.licence.clone(),
            state: self.state(),
            files,
        }
    }

    /// Whether the data set can be used, and if not, why.
    #[must_use]
    pub fn state(&self) -> InputState {
        let absent: Vec<(&FileEntry, &[Attempt])> = self.absent().collect();
        if absent.is_empty() {
            return InputState::Present;
        }
        let (reason, fetch) = (explain(&absent), self.fetch.clone());
        if absent
            .iter()
            .any(|(_, attempts)| attempts.iter().any(|attempt| attempt.is_altered))
        {
            InputState::Mismatch { reason, fetch }
        } else {
            InputState::Missing { reason, fetch }
        }
    }

    /// The files that are not there, with what was tried.
    pub fn absent(&self) -> impl Iterator<Item = (&FileEntry, &[Attempt])> {
        self.files.iter().filter_map(|(entry, state)| match state {
            FileState::Absent(attempts) => Some((entry, attempts.as_slice())),
            FileState::Present { .. } => None,
        })
    }

    fn input_files(&self) -> std::collections::BTreeMap<String, InputFile> {
        let file = |(entry, state): &(FileEntry, FileState)| match state {
            FileState::Present { path, .. } => {
                let FileEntry {
                    name,
                    bytes,
                    sha256,
                    ..
                } = entry.clone();
                Some((
                    name,
                    InputFile {
                        path: path.clone(),
                        bytes,
                        sha256,
                    },
                ))
            }
            FileState::Absent(_) => None,
        };
        self.files.iter().filter_map(file).collect()
    }
}

fn explain(absent: &[(&FileEntry, &[Attempt])]) -> String {
    let mut parts: Vec<String> = absent
        .iter()
        .take(FILES_EXPLAINED)
        .map(|(entry, attempts)| {
            let tried: Vec<String> = attempts
                .iter()
                .map(|attempt| format!("{}: {}", attempt.place, attempt.reason))
                .collect();
            let tried = if tried.is_empty() {
                "no source has it".to_owned()
            } else {
                tried.join("; ")
            };
            format!("`{}` ({tried})", entry.name)
        })
        .collect();
    if absent.len() > FILES_EXPLAINED {
        parts.push(format!("and {} more files", absent.len() - FILES_EXPLAINED));
    }
    parts.join(", ")
}

/// Other programs read the path from other folders.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
