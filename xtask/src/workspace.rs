//! The workspace on disk: papers and crates found by place.

use std::path::{Path, PathBuf};

use eval::suggest::nearest;
use eval::{Error, PaperManifest, Result, manifest};

/// The workspace's folders.
#[derive(Clone, Debug)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace at or above the current folder, or the one that `PAPERS_ROOT` names.
    ///
    /// # Errors
    /// There is none.
    pub fn find() -> Result<Self> {
        let here = std::env::current_dir().map_err(|e| Error::io("find", ".", e))?;
        let found = eval::source::find_root(&here)?;
        let root = std::path::absolute(&found).map_err(|e| Error::io("find", &found, e))?;
        if root.join("crates").is_dir() {
            return Ok(Self { root });
        }
        Err(Error::usage(format!(
            "`{}` is no workspace: it has no `crates/`",
            root.display()
        ))
        .hint(format!("correct or unset {}", eval::env::WORKSPACE_ROOT)))
    }

    /// The root folder, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where runs are kept.
    pub fn results(&self) -> PathBuf {
        self.root.join("results")
    }

    /// The folder of one crate.
    pub fn crate_folder(&self, name: &str) -> PathBuf {
        self.root.join("crates").join(name)
    }

    /// The ids of all papers, sorted.
    ///
    /// # Errors
    /// `crates/` cannot be listed.
    pub fn papers(&self) -> Result<Vec<String>> {
        manifest::discover(&self.root)
    }

    /// The names of all crates below `crates/`, sorted.
    ///
    /// # Errors
    /// `crates/` cannot be listed.
    pub fn crates(&self) -> Result<Vec<String>> {
        let folder = self.root.join("crates");
        let entries = std::fs::read_dir(&folder).map_err(|e| Error::io("list", &folder, e))?;
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.join("Cargo.toml").is_file())
            .filter_map(|path| {
                path.file_name()
                    .map(|name| name.to_string_lossy().into_owned())
            })
            .collect();
        names.sort();
        Ok(names)
    }

    /// Checks that every id names a paper.
    ///
    /// # Errors
    /// One does not; the hint names the nearest that does.
    pub fn check_papers(&self, ids: &[String]) -> Result<()> {
        let known = self.papers()?;
        match ids.iter().find(|id| !known.contains(id)) {
            None => Ok(()),
            Some(id) => Err(manifest::unknown_paper(&self.root, id)),
        }
    }

    /// Reads and checks one paper's `paper.toml`.
    ///
    /// # Errors
    /// It cannot be read or understood, or says another id than its folder.
    pub fn manifest(&self, id: &str) -> Result<PaperManifest> {
        PaperManifest::of_paper(&self.root, id)
    }
}

/// The error for a word that names nothing, with the nearest known word as hint.
pub fn unknown<'a>(
    what: &str,
    word: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Error {
    let error = Error::usage(format!("there is no {what} `{word}`"));
    if let Some(near) = nearest(word, known.clone()) {
        return error.hint(format!("did you mean `{near}`?"));
    }
    let known: Vec<String> = known.into_iter().map(|word| format!("`{word}`")).collect();
    if known.is_empty() {
        return error.hint(format!("there is no {what} at all"));
    }
    error.hint(format!("known: {}", known.join(", ")))
}
