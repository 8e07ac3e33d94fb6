//! Where things lie on this machine, and what may be done to get them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use eval::{Error, Result, env};

/// The folder below the platform's cache folder.
const CACHE_FOLDER: &str = "papers/datasets";

/// Folders that data sets are looked for in.
#[derive(Clone, Debug)]
pub struct Places {
    /// The workspace's `datasets/`.
    pub datasets: PathBuf,
    /// Where fetched files are kept: `<cache>/<name>/<file>`.
    pub cache: PathBuf,
    /// A folder with the same layout that is only read.
    pub mirror: Option<PathBuf>,
    /// Hugging Face's own cache of repositories, `$HF_HOME/hub`.
    pub hub_cache: Option<PathBuf>,
    /// Address of the hub, where it is not the usual one.
    pub hub_endpoint: Option<String>,
    /// The hub's access token, where one is given by the environment.
    pub hub_token: Option<Secret>,
}

/// What may be done to get files.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Why the network may not be used; `None`: it may.
    pub offline: Option<String>,
    /// Why the hub may not be asked; `None`: it may.
    pub hub_offline: Option<String>,
    /// Data sets whose terms were accepted.
    pub accepted: BTreeSet<String>,
    /// The pause before the second attempt of a download; each later one is four times as long.
    pub retry_pause: Duration,
}

/// Text that cannot be printed.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one place that must send it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl Places {
    /// The places that the environment names; `root` is the workspace's root, looked for where it
    /// is `None`.
    ///
    /// # Errors
    /// The root or a cache folder cannot be determined.
    pub fn from_env(root: Option<&Path>) -> Result<Self> {
        let root = match root {
            Some(root) => absolute(root)?,
            None => find_root()?,
        };
        let cache = match path_from_env(env::DATASETS_CACHE)? {
            Some(cache) => cache,
            None => dirs::cache_dir()
                .map(|folder| folder.join(CACHE_FOLDER))
                .ok_or_else(|| {
                    Error::usage("the platform names no cache folder").hint(format!(
                        "set `{}` to a folder for fetched data sets",
                        env::DATASETS_CACHE
                    ))
                })?,
        };
        let hub_home = match path_from_env(env::HF_HOME)? {
            Some(home) => Some(home),
            None => dirs::home_dir().map(|home| home.join(".cache").join("huggingface")),
        };
        Ok(Self {
            datasets: root.join("datasets"),
            cache,
            mirror: path_from_env(env::DATASETS_MIRROR)?,
            hub_cache: hub_home.map(|home| home.join("hub")),
            hub_endpoint: text_from_env(env::HF_ENDPOINT),
            hub_token: text_from_env(env::HF_TOKEN).map(Secret::new),
        })
    }

    /// Where the file `file` of the data set `name` is kept once fetched.
    #[must_use]
    pub fn cached(&self, name: &str, file: &str) -> PathBuf {
        self.cache.join(name).join(file)
    }
}

impl Policy {
    /// The policy of the environment and of the command line's `--offline` and `--accept`.
    #[must_use]
    pub fn from_env(offline: bool, accepted: impl IntoIterator<Item = String>) -> Self {
        let hub = text_from_env(env::HF_HUB_OFFLINE).filter(|value| is_true(value));
        Self {
            offline: offline.then(|| "`--offline` forbids the network".to_owned()),
            hub_offline: hub
                .map(|value| format!("`{}={value}` forbids asking the hub", env::HF_HUB_OFFLINE)),
            accepted: accepted.into_iter().collect(),
            retry_pause: Duration::from_millis(500),
        }
    }
}

/// What Hugging Face's own client takes for "yes".
fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true"]
        .iter()
        .any(|yes| value.eq_ignore_ascii_case(yes))
}

fn find_root() -> Result<PathBuf> {
    if let Some(root) = path_from_env(env::WORKSPACE_ROOT)? {
        return Ok(root);
    }
    let here = std::env::current_dir().map_err(|e| Error::io("enter", ".", e))?;
    let is_root =
        |folder: &&Path| folder.join("Cargo.lock").is_file() && folder.join("crates").is_dir();
    here.ancestors()
        .find(is_root)
        .map(Path::to_owned)
        .ok_or_else(|| {
            Error::usage(format!("`{}` is not inside the workspace", here.display()))
                .hint(format!("give `--root`, or set `{}`", env::WORKSPACE_ROOT))
        })
}

fn path_from_env(name: &str) -> Result<Option<PathBuf>> {
    match std::env::var_os(name).filter(|value| !value.is_empty()) {
        Some(value) => absolute(Path::new(&value)).map(Some),
        None => Ok(None),
    }
}

fn text_from_env(name: &str) -> Option<String> {
    let text = std::env::var_os(name).map(OsString::into_string)?.ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Paths are handed to other programs, which may run in another folder.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| Error::io("find", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show() {
        assert!(!format!("{:?}", Secret::new("hf_canary".to_owned())).contains("canary"));
    }

    #[test]
    fn the_hub_is_offline_for_the_values_its_own_client_knows() {
        for yes in ["1", "ON", "yes", "True"] {
            assert!(is_true(yes), "{yes}");
        }
        for no in ["0", "false", "off", "no", "2"] {
            assert!(!is_true(no), "{no}");
        }
    }
}
