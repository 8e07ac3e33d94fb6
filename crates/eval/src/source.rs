//! Digests over the code that measures, for staleness and cache keys.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};

/// The workspace's root: the nearest folder at or above `start` with `Cargo.lock` and `crates/`.
///
/// # Errors
/// There is none.
pub fn find_root(start: &Path) -> Result<PathBuf> {
    if let Some(root) = std::env::var_os(crate::env::WORKSPACE_ROOT) {
        return Ok(PathBuf::from(root));
    }
    start
        .ancestors()
        .find(|folder| folder.join("Cargo.lock").is_file() && folder.join("crates").is_dir())
        .map(Path::to_owned)
        .ok_or_else(|| {
            Error::usage(format!("no workspace at or above `{}`", start.display()))
                .hint("change into the workspace's folder")
        })
}

/// The digest over everything that decides what a paper's cells measure: the sources of its crate
/// and of the shared crates it depends on, the build profiles, and every locked package that the
/// paper is built from.
///
/// `benches/` and `tests/` do not count, nor does `paper.toml`, which says what the paper claims
/// and never what is measured, nor anything that belongs to another paper.
///
/// # Errors
/// A source file cannot be read, or a manifest is not understood.
pub fn source_digest(root: &Path, paper: &str) -> Result<Digest> {
    let lock: Lock = read_toml(&root.join("Cargo.lock"))?;
    let packages = closure(&lock, paper);
    let mut hasher = Hasher::new();
    let mut files = Vec::new();
    for package in &packages {
        let name = (&package.name, &package.version);
        hasher.update(format!("{} {} {:?}\n", name.0, name.1, package.checksum).as_bytes());
        let folder = root.join("crates").join(&package.name);
        if package.checksum.is_none() && folder.join("Cargo.toml").is_file() {
            files.push(folder.join("Cargo.toml"));
            collect(&folder.join("src"), &mut files)?;
        }
    }
    for file in files {
        let name = file.strip_prefix(root).unwrap_or(&file).to_owned();
        hasher.update(format!("{} {}\n", name.display(), Digest::of_file(&file)?).as_bytes());
    }
    let workspace: toml::Table = read_toml(&root.join("Cargo.toml"))?;
    hasher.update(format!("{:?}", workspace.get("profile")).as_bytes());
    Ok(hasher.finish())
}

/// The part of `Cargo.lock` that counts.
#[derive(Deserialize)]
struct Lock {
    #[serde(default, rename = "package")]
    packages: Vec<Package>,
}

#[derive(Clone, Deserialize)]
struct Package {
    name: String,
    version: String,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// The packages that `paper` is built and tested from, sorted by name and version.
fn closure(lock: &Lock, paper: &str) -> Vec<Package> {
    let mut by_name: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
    for package in &lock.packages {
        by_name.entry(&package.name).or_default().push(package);
    }
    let mut found = BTreeSet::new();
    let mut packages = Vec::new();
    let mut open = vec![paper.to_owned()];
    while let Some(wanted) = open.pop() {
        // A dependency reads `name`, or `name version` where several versions are locked.
        let mut words = wanted.split(' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next());
        for package in by_name.get(name).into_iter().flatten() {
            let fits = version.is_none_or(|version| version == package.version);
            if fits && found.insert((package.name.clone(), package.version.clone())) {
                open.extend(package.dependencies.iter().cloned());
                packages.push((*package).clone());
            }
        }
    }
    packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    packages
}

fn read_toml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    toml::from_str(&text)
        .map_err(|e| Error::usage(format!("cannot understand `{}`", path.display())).caused_by(e))
}

/// Adds every file below `folder`, sorted by name.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io("list", folder, e))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
        [[package]]
        name = "alpha"
        version = "0.1.0"
        dependencies = ["shared", "wide 2.0.0"]
        [[package]]
        name = "beta"
        version = "0.1.0"
        dependencies = ["wide 1.0.0"]
        [[package]]
        name = "shared"
        version = "0.1.0"
        [[package]]
        name = "wide"
        version = "1.0.0"
        checksum = "aa"
        [[package]]
        name = "wide"
        version = "2.0.0"
        checksum = "bb"
    "#;

    fn workspace() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "Cargo.lock", LOCK);
        write(
            root.path(),
            "Cargo.toml",
            "[profile.release]\ndebug = false",
        );
        for name in ["alpha", "beta", "shared"] {
            write(
                root.path(),
                &format!("crates/{name}/Cargo.toml"),
                "[package]",
            );
            write(
                root.path(),
                &format!("crates/{name}/src/lib.rs"),
                "fn f() {}",
            );
            write(
                root.path(),
                &format!("crates/{name}/paper.toml"),
                "format = 1",
            );
        }
        root
    }

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn the_digest_moves_with_what_measures_and_with_nothing_else() {
        let root = workspace();
        let before = source_digest(root.path(), "alpha").unwrap();
        let changed = |file: &str, text: &str| {
            let old = std::fs::read_to_string(root.path().join(file)).unwrap_or_default();
            write(root.path(), file, text);
            let after = source_digest(root.path(), "alpha").unwrap();
            write(root.path(), file, &old);
            after != before
        };
        assert!(changed("crates/alpha/src/lib.rs", "fn g() {}"));
        assert!(changed("crates/shared/src/lib.rs", "fn g() {}"));
        assert!(changed("Cargo.lock", &LOCK.replace("bb", "cc")));
        assert!(changed("Cargo.toml", "[profile.release]\ndebug = true"));
        assert!(!changed("crates/beta/src/lib.rs", "fn g() {}"));
        assert!(!changed("Cargo.lock", &LOCK.replace("aa", "cc")));
        assert!(!changed("crates/alpha/paper.toml", "format = 2"));
        assert!(!changed("crates/alpha/tests/t.rs", "fn g() {}"));
    }
}
