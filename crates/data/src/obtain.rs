//! Getting one file from one source, and looking for it where a source may already have left it.

use std::fs::File;
use std::path::PathBuf;

use hf_hub::api::sync::ApiBuilder;
use hf_hub::{Cache, Repo};

use crate::console::{Console, Progress, human_bytes};
use crate::download::{self, Request};
use crate::generate;
use crate::manifest::{FileEntry, Manifest};
use crate::name::encode_path;
use crate::pip::Shelf;
use crate::places::{Places, Policy, Secret};
use crate::sink::Sink;
use crate::source::{Kind, Layout, Piece, RepoType, Source};

/// The hub, where the environment names no other.
const HUB: &str = "https://huggingface.co";

/// Where a source may already have a whole file on this machine.
pub(crate) enum Local {
    /// Here, if it exists at all.
    At(PathBuf),
    /// Nowhere, for this reason.
    Nowhere(String),
    /// This source only has it after some work.
    NeedsWork,
}

/// Where `source` may have the file `entry` without any work.
pub(crate) fn local(
    places: &Places,
    manifest: &Manifest,
    source: &Source,
    entry: &FileEntry,
) -> Local {
    let pieces = source
        .pieces
        .get(&entry.name)
        .map_or(&[][..], Vec::as_slice);
    match (&source.kind, pieces) {
        (Kind::Vendored, _) => Local::At(manifest.folder.join(&entry.name)),
        (Kind::Mirror { .. }, [piece]) => match mirrored(places, manifest, source, piece) {
            Ok(path) => Local::At(path),
            Err(why) => Local::Nowhere(why),
        },
        (
            Kind::Hub {
                repo,
                repo_type,
                revision,
            },
            [piece],
        ) => {
            let repo = hub_repo(repo, *repo_type, revision);
            snapshot(places, repo, &piece.from).map_or(Local::NeedsWork, Local::At)
        }
        _ => Local::NeedsWork,
    }
}

/// Gets files of one data set.
pub(crate) struct Errand<'a> {
    pub(crate) places: &'a Places,
    pub(crate) policy: &'a Policy,
    pub(crate) console: &'a dyn Console,
    pub(crate) manifest: &'a Manifest,
    pub(crate) shelf: Shelf<'a>,
}

impl Errand<'_> {
    /// Brings the file `entry` from `source` into the cache and returns its path.
    ///
    /// # Errors
    /// Why this source cannot serve: a fragment that reads after the source's description.
    pub(crate) fn run(&mut self, source: &Source, entry: &FileEntry) -> Result<PathBuf, String> {
        let name = &self.manifest.name;
        let pieces = source
            .pieces
            .get(&entry.name)
            .map_or(&[][..], Vec::as_slice);
        if source.needs_network() && self.may_need_network(source, pieces) {
            self.check_allowed(source)?;
        }
        if let Kind::Manual { instructions } = &source.kind {
            let place = self.places.cached(name, &entry.name);
            return Err(format!(
                "{instructions} (then put it at `{}`)",
                place.display()
            ));
        }
        let mut sink = Sink::create(&self.places.cached(name, &entry.name), entry)?;
        self.announce(source, entry);
        let what = format!("{name}/{}", entry.name);
        let mut progress = Progress::start(self.console, &what, entry.bytes);
        for piece in pieces {
            self.append(source, piece, pieces.len() == 1, &mut sink, &mut progress)?;
        }
        drop(progress);
        sink.finish()
    }

    /// A file of several parts may lie whole in the hub's own cache.
    fn may_need_network(&self, source: &Source, pieces: &[Piece]) -> bool {
        match (&source.kind, pieces) {
            (
                Kind::Hub {
                    repo,
                    repo_type,
                    revision,
                },
                [_, _, ..],
            ) => pieces.iter().any(|piece| {
                let repo = hub_repo(repo, *repo_type, revision);
                snapshot(self.places, repo, &piece.from).is_none()
            }),
            _ => true,
        }
    }

    fn check_allowed(&self, source: &Source) -> Result<(), String> {
        if let Some(why) = &self.policy.offline {
            return Err(why.clone());
        }
        if let (Kind::Hub { .. }, Some(why)) = (&source.kind, &self.policy.hub_offline) {
            return Err(why.clone());
        }
        match &self.manifest.licence.terms {
            Some(terms) if !self.policy.accepted.contains(&self.manifest.name) => Err(format!(
                "its terms have to be accepted with `--accept {}`: {terms}",
                self.manifest.name
            )),
            _ => Ok(()),
        }
    }

    /// Says what is about to be fetched, from where, how large it is, and under which licence.
    fn announce(&self, source: &Source, entry: &FileEntry) {
        let Manifest { name, licence, .. } = self.manifest;
        let (verb, from) = match source.kind {
            Kind::Generated { .. } => ("making", "by"),
            _ => ("fetching", "from"),
        };
        let whence = source.describe();
        let whence = whence.strip_prefix("generated by ").unwrap_or(&whence);
        self.console.line(&format!(
            "{verb} `{name}/{}` ({}, licence {}) {from} {whence}",
            entry.name,
            human_bytes(entry.bytes),
            licence.name
        ));
    }

    fn append(
        &mut self,
        source: &Source,
        piece: &Piece,
        is_whole: bool,
        sink: &mut Sink,
        progress: &mut Progress<'_>,
    ) -> Result<(), String> {
        match &source.kind {
            Kind::Generated { function, seed } => {
                let bytes = generate::find(function)?(*seed);
                sink.copy(&mut bytes.as_slice(), &mut |_| ())
                    .map_err(|error| error.to_string())
            }
            Kind::Mirror { .. } => {
                copy_file(mirrored(self.places, self.manifest, source, piece)?, sink)
            }
            Kind::Hub {
                repo,
                repo_type,
                revision,
            } => {
                let repo = hub_repo(repo, *repo_type, revision);
                let known = snapshot(self.places, repo.clone(), &piece.from);
                match known.filter(|_| !is_whole) {
                    Some(path) => copy_file(path, sink),
                    None => self.append_from_hub(repo, piece, is_whole, sink, progress),
                }
            }
            Kind::Git {
                host,
                layout,
                repo,
                commit,
            } => {
                let between = match layout {
                    Layout::Raw => "",
                    Layout::Gitlab => "-/raw/",
                    Layout::Gitea => "raw/commit/",
                };
                let path = encode_path(&piece.from);
                let url = format!("{host}/{repo}/{between}{commit}/{path}");
                let pause = self.policy.retry_pause;
                download::append(
                    &Request {
                        url,
                        token: None,
                        is_whole,
                        pause,
                    },
                    sink,
                    progress,
                )
            }
            Kind::Pip { package, version } => {
                let package = piece.package.as_ref().or(package.as_ref());
                // The manifest is refused where a piece has neither.
                let package = package.ok_or("no package is named")?;
                self.shelf.append(package, version, &piece.from, sink)
            }
            Kind::Vendored | Kind::Manual { .. } => Err("it has nothing to fetch".to_owned()),
        }
    }

    fn append_from_hub(
        &self,
        repo: Repo,
        piece: &Piece,
        is_whole: bool,
        sink: &mut Sink,
        progress: &mut Progress<'_>,
    ) -> Result<(), String> {
        let cache = Cache::new(self.places.hub_cache.clone().unwrap_or_default());
        let token = match &self.places.hub_token {
            Some(token) => Some(token.clone()),
            None => self
                .places
                .hub_cache
                .as_ref()
                .and_then(|_| cache.token())
                .map(Secret::new),
        };
        let endpoint = self
            .places
            .hub_endpoint
            .as_deref()
            .unwrap_or(HUB)
            .trim_end_matches('/');
        let api = ApiBuilder::from_cache(cache)
            .with_endpoint(endpoint.to_owned())
            .with_token(None)
            .build()
            .map_err(|cause| format!("cannot set up the hub's client: {cause}"))?;
        let url = api.repo(repo).url(&encode_path(&piece.from));
        // A token must not travel in the clear; only a server on this machine may go without TLS.
        crate::name::check_host(endpoint)?;
        let pause = self.policy.retry_pause;
        let request = Request {
            url,
            token: token.as_ref(),
            is_whole,
            pause,
        };
        download::append(&request, sink, progress)
    }
}

fn mirrored(
    places: &Places,
    manifest: &Manifest,
    source: &Source,
    piece: &Piece,
) -> Result<PathBuf, String> {
    let Some(mirror) = &places.mirror else {
        return Err(format!("`{}` is not set", eval::env::DATASETS_MIRROR));
    };
    let dir = match &source.kind {
        Kind::Mirror { dir: Some(dir) } => dir,
        _ => &manifest.name,
    };
    Ok(mirror.join(dir).join(&piece.from))
}

fn copy_file(path: PathBuf, sink: &mut Sink) -> Result<(), String> {
    let mut file =
        File::open(&path).map_err(|cause| format!("cannot read `{}`: {cause}", path.display()))?;
    sink.copy(&mut file, &mut |_| ())
        .map_err(|error| error.to_string())
}

fn hub_repo(repo: &str, repo_type: RepoType, revision: &str) -> Repo {
    let repo_type = match repo_type {
        RepoType::Model => hf_hub::RepoType::Model,
        RepoType::Dataset => hf_hub::RepoType::Dataset,
    };
    Repo::with_revision(repo.to_owned(), repo_type, revision.to_owned())
}

/// The file in the hub's own cache, by the name of the revision or by the commit itself.
fn snapshot(places: &Places, repo: Repo, file: &str) -> Option<PathBuf> {
    let cache = Cache::new(places.hub_cache.clone()?);
    let revision = repo.revision().to_owned();
    let repo = cache.repo(repo);
    let by_commit = || Some(repo.pointer_path(&revision).join(file)).filter(|path| path.is_file());
    repo.get(file).or_else(by_commit)
}
