//! Which data sets the workspace has: discovered by place, `datasets/<name>/dataset.toml`, weights
//! one folder deeper below `datasets/models/`. There is no list to edit.

use std::path::{Path, PathBuf};

use eval::suggest::nearest;
use eval::{Error, Result};

use crate::manifest::Manifest;
use crate::name;

/// The file that makes a folder a data set.
pub const MANIFEST: &str = "dataset.toml";

/// The data sets of a workspace.
#[derive(Clone, Debug)]
pub struct Catalog {
    folder: PathBuf,
    names: Vec<String>,
}

impl Catalog {
    /// Finds the data sets below `folder`, the workspace's `datasets/`.
    ///
    /// # Errors
    /// The folder exists and cannot be listed.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut names = names_in(folder, "")?;
        names.extend(names_in(&folder.join("models"), "models/")?);
        names.sort();
        Ok(Self {
            folder: folder.to_owned(),
            names,
        })
    }

    /// The names, sorted.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether there is a data set `name`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Reads the manifest of `name`.
    ///
    /// # Errors
    /// There is no such data set, or its manifest cannot be understood; exit code of usage.
    pub fn load(&self, name: &str) -> Result<Manifest> {
        if !self.has(name) {
            return Err(self.unknown(name));
        }
        let path = self.folder.join(name).join(MANIFEST);
        let shown = format!("datasets/{name}/{MANIFEST}");
        let manifest = Manifest::read(&path, &shown)?;
        if manifest.name == name {
            return Ok(manifest);
        }
        let message = format!(
            "`{shown}`, key `name`: `{}` is not the folder's name",
            manifest.name
        );
        Err(Error::usage(message).hint(format!("write `name = \"{name}\"`")))
    }

    /// The error for a name that is no data set.
    #[must_use]
    pub fn unknown(&self, name: &str) -> Error {
        let hint = match nearest(name, self.names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if self.names.is_empty() => {
                format!("`{}` holds no data set", self.folder.display())
            }
            None => format!("the data sets are {}", self.names.join(", ")),
        };
        Error::usage(format!("there is no data set `{}`", name.escape_debug())).hint(hint)
    }
}

fn names_in(folder: &Path, prefix: &str) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(Error::io("list", folder, cause)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| Error::io("list", folder, e))?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if !entry.path().join(MANIFEST).is_file() {
            continue;
        }
        name::check_dataset(&name)
            .map_err(|why| Error::usage(format!("`{}`: {why}", entry.path().display())))?;
        names.push(name);
    }
    Ok(names)
}
