//! Artefacts worth keeping: built once per key, then read from the cache.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lock::Lock;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::{create_folder, write_json};

/// The format version of `stage.json`.
const FORMAT: u32 = 1;

/// `stage.json`: the marker of a finished artefact, and what its digest covers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageKey {
    format: u32,
    paper: String,
    name: String,
    key: serde_json::Value,
    source: Option<Digest>,
    inputs: Vec<Digest>,
}

impl StageKey {
    /// The key of an artefact.
    ///
    /// # Errors
    /// `key` cannot be written as JSON.
    pub fn new<K: Serialize>(
        paper: &str,
        name: &str,
        key: &K,
        source: Option<Digest>,
        inputs: Vec<Digest>,
    ) -> Result<Self> {
        let key = serde_json::to_value(key)
            .map_err(|e| Error::internal(format!("the key of stage `{name}`")).caused_by(e))?;
        let (paper, name) = (paper.to_owned(), name.to_owned());
        Ok(Self {
            format: FORMAT,
            paper,
            name,
            key,
            source,
            inputs,
        })
    }

    fn digest(&self) -> Digest {
        Digest::of(serde_json::to_string(self).unwrap_or_default().as_bytes())
    }
}

/// The folder of the artefact below `cache`, built by `build` unless it is already there.
///
/// A crash while building leaves nothing under the final name; of two processes that need the same
/// artefact, one builds and the other waits.
///
/// # Errors
/// `build` failed, or the cache cannot be written.
pub fn stage(
    cache: &Path,
    key: &StageKey,
    build: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    const PATIENCE: Duration = Duration::from_secs(24 * 3600);
    let digest = key.digest();
    let folder = cache.join(digest.as_hex());
    if folder.join("stage.json").is_file() {
        return Ok(folder);
    }
    create_folder(cache)?;
    let _lock = Lock::take(&cache.join(format!("{digest}.lock")), PATIENCE)?;
    if folder.join("stage.json").is_file() {
        return Ok(folder);
    }
    let unfinished = cache.join(format!(".{digest}.unfinished"));
    for leftover in [&unfinished, &folder] {
        if leftover.exists() {
            std::fs::remove_dir_all(leftover).map_err(|e| Error::io("remove", leftover, e))?;
        }
    }
    create_folder(&unfinished)?;
    build(&unfinished)?;
    write_json(&unfinished.join("stage.json"), key)?;
    std::fs::rename(&unfinished, &folder).map_err(|e| Error::io("rename", &unfinished, e))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(epochs: u32) -> StageKey {
        StageKey::new("p", "train", &epochs, None, Vec::new()).unwrap()
    }

    #[test]
    fn an_artefact_is_built_once_per_key() {
        let cache = tempfile::tempdir().unwrap();
        let mut n_builds = 0;
        for epochs in [1, 1, 2, 1] {
            let folder = stage(cache.path(), &key(epochs), |folder| {
                n_builds += 1;
                std::fs::write(folder.join("w"), epochs.to_string()).unwrap();
                Ok(())
            });
            assert_eq!(
                std::fs::read_to_string(folder.unwrap().join("w")).unwrap(),
                epochs.to_string()
            );
        }
        assert_eq!(n_builds, 2);
    }

    #[test]
    fn a_failed_build_leaves_nothing_to_be_trusted() {
        let cache = tempfile::tempdir().unwrap();
        let failing = stage(cache.path(), &key(1), |folder| {
            std::fs::write(folder.join("w"), "half").unwrap();
            Err(Error::internal("no"))
        });
        assert!(failing.is_err());
        let folder = stage(cache.path(), &key(1), |folder| {
            assert!(!folder.join("w").exists(), "leftovers are swept");
            std::fs::write(folder.join("w"), "whole").unwrap();
            Ok(())
        });
        assert_eq!(
            std::fs::read_to_string(folder.unwrap().join("w")).unwrap(),
            "whole"
        );
    }
}
