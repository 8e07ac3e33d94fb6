//! `dataset.toml`: what a data set or a set of weights is, under which licence, with which bytes,
//! and where they can come from.
//!
//! Everything is checked when the file is read: names that could leave their folder, digests,
//! files listed twice, sources that miss what their kind needs. Nothing here touches the network
//! or reads any other file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use eval::digest::Digest;
use eval::{Error, Result};

use crate::document::{self, Node};
use crate::name;
use crate::source::Source;

/// The format version of `dataset.toml`.
pub const FORMAT: u64 = 1;

/// A data set or a set of weights.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The folder of `dataset.toml`, where vendored files lie.
    pub folder: PathBuf,
    /// `uci-multiple-features`, `models/smollm2-135m`.
    pub name: String,
    /// Version of the data set.
    pub version: String,
    /// What it is, in a few sentences.
    pub description: String,
    /// Who made it.
    pub creators: Vec<String>,
    /// When it was first published: `1998`, `1998-06-30`.
    pub published: String,
    /// How to cite it.
    pub citation: String,
    /// Its page.
    pub homepage: String,
    /// Under which conditions it may be used.
    pub licence: Licence,
    /// The files, in the order of the manifest.
    pub files: Vec<FileEntry>,
    /// Parts of the data with their sizes.
    pub splits: Vec<Split>,
    /// What a user must know before believing a number made with it.
    pub known_issues: Vec<String>,
    /// Where the files can come from, first choice first.
    pub sources: Vec<Source>,
}

/// Conditions of use.
#[derive(Clone, Debug)]
pub struct Licence {
    /// An SPDX expression, or the licence's own name.
    pub name: String,
    /// Whether `name` is an SPDX expression.
    pub is_spdx: bool,
    /// Its text.
    pub url: Option<String>,
    /// Whether the files may be passed on.
    pub redistributable: bool,
    /// What has to be accepted before anything is downloaded.
    pub terms: Option<String>,
}

/// One file with the bytes it must have.
#[derive(Clone, Debug)]
pub struct FileEntry {
    /// Its name, relative to the data set's folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// The digest of its bytes.
    pub sha256: Digest,
    /// The split it belongs to.
    pub split: Option<String>,
    /// What it is for: `view`, `labels`, `weights`, `tokenizer`.
    pub role: Option<String>,
    /// Media type, where the file's extension does not tell.
    pub media_type: Option<String>,
    /// What was found inside it when the manifest was written, where it is a table.
    pub table: Option<Table>,
}

/// Facts about a file that is a table; a test of this crate compares those of vendored files.
#[derive(Clone, Debug)]
pub struct Table {
    /// Number of rows.
    pub rows: u64,
    /// The columns, in groups of like ones.
    pub columns: Vec<ColumnGroup>,
    /// How often each value of a label column occurs.
    pub counts: BTreeMap<String, u64>,
}

/// Columns that follow each other and have one type.
#[derive(Clone, Debug)]
pub struct ColumnGroup {
    /// Name of the first column; where there are more, its trailing digits count up.
    pub first: String,
    /// How many columns.
    pub count: u64,
    /// `integer` or `float`.
    pub kind: ColumnKind,
    /// The smallest value.
    pub low: f64,
    /// The largest value.
    pub high: f64,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Whole numbers.
    Integer,
    /// Floating-point numbers of 64 bits.
    Float,
}

/// A part of the data.
#[derive(Clone, Debug)]
pub struct Split {
    /// Its name.
    pub name: String,
    /// How many items it has.
    pub count: u64,
}

impl Manifest {
    /// Reads `dataset.toml` at `path`; `shown` names it in errors.
    ///
    /// # Errors
    /// The file cannot be read, or as [`Manifest::parse`].
    pub fn read(path: &Path, shown: &str) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|cause| {
            let bad_text = cause.kind() == std::io::ErrorKind::InvalidData;
            let error = Error::io("read", path, cause);
            if bad_text {
                Error::usage(format!("`{shown}` is not UTF-8")).caused_by(error)
            } else {
                error
            }
        })?;
        Self::parse(&text, shown, path.parent().unwrap_or(Path::new(".")))
    }

    /// Parses the text of a manifest that lies in `folder`; `shown` names it in errors.
    ///
    /// # Errors
    /// A key is unknown, missing, of the wrong type, or makes no sense; the message points at
    /// file, line, and key, and the exit code is the one of usage.
    pub fn parse(text: &str, shown: &str, folder: &Path) -> Result<Self> {
        let table = document::parse(text, shown)?;
        let root = Node::root(shown, text, &table);
        root.only(&[
            "format",
            "name",
            "version",
            "description",
            "creators",
            "published",
            "citation",
            "homepage",
            "licence",
            "files",
            "splits",
            "known_issues",
            "sources",
        ])?;
        let format = root.count("format")?;
        if format != FORMAT {
            return Err(root.error("format", format!("{format} is not the format {FORMAT}")));
        }
        let name = root.text("name")?;
        name::check_dataset(&name).map_err(|why| root.error("name", why))?;
        let splits = splits(&root)?;
        let files = files(&root, &splits)?;
        let sources = root
            .nodes("sources")?
            .iter()
            .map(|node| Source::parse(node, &files))
            .collect::<Result<Vec<_>>>()?;
        if sources.is_empty() {
            return Err(root.error("sources", "at least one source is needed"));
        }
        let creators = root.texts("creators")?;
        if creators.is_empty() {
            return Err(root.error("creators", "at least one name is needed"));
        }
        Ok(Self {
            folder: folder.to_owned(),
            name,
            version: root.text("version")?,
            description: root.text("description")?,
            creators,
            published: published(&root)?,
            citation: root.text("citation")?,
            homepage: root.text("homepage")?,
            licence: Licence::parse(&root.node("licence")?)?,
            files,
            splits,
            known_issues: root.texts("known_issues")?,
            sources,
        })
    }

    /// The length of all files together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files
            .iter()
            .map(|file| file.bytes)
            .fold(0, u64::saturating_add)
    }

    /// The command that brings the files.
    #[must_use]
    pub fn fetch_command(&self) -> String {
        let accept = match self.licence.terms {
            Some(_) => format!(" --accept {}", self.name),
            None => String::new(),
        };
        format!("cargo xtask data fetch {}{accept}", self.name)
    }
}

impl Licence {
    fn parse(node: &Node<'_>) -> Result<Self> {
        node.only(&["spdx", "name", "url", "redistributable", "terms"])?;
        let spdx = node.text_if_any("spdx")?;
        let own_name = node.text_if_any("name")?;
        let url = node.text_if_any("url")?;
        let is_spdx = spdx.is_some();
        let name = match (spdx, own_name) {
            (Some(spdx), None) if looks_like_spdx(&spdx) => spdx,
            (Some(spdx), None) => {
                return Err(node.error("spdx", format!("`{spdx}` is no SPDX expression")));
            }
            (None, Some(name)) if url.is_some() => name,
            (None, Some(_)) => {
                return Err(node.error(
                    "url",
                    "a licence without SPDX name needs the address of its text",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(node.error("name", "give either `spdx` or `name` with `url`"));
            }
            (None, None) => {
                return Err(node.error("spdx", "this key is missing (or `name` with `url`)"));
            }
        };
        let redistributable = node.flag("redistributable")?;
        Ok(Self {
            name,
            is_spdx,
            url,
            redistributable,
            terms: node.text_if_any("terms")?,
        })
    }
}

impl FileEntry {
    fn parse(node: &Node<'_>) -> Result<Self> {
        node.only(&[
            "name",
            "bytes",
            "sha256",
            "split",
            "role",
            "media_type",
            "table",
        ])?;
        let name = node.text("name")?;
        name::check_relative(&name).map_err(|why| node.error("name", why))?;
        let sha256 =
            Digest::try_from(node.text("sha256")?).map_err(|why| node.error("sha256", why))?;
        Ok(Self {
            name,
            bytes: node.count("bytes")?,
            sha256,
            split: node.text_if_any("split")?,
            role: node.text_if_any("role")?,
            media_type: node.text_if_any("media_type")?,
            table: node
                .node_if_any("table")?
                .map(|node| Table::parse(&node))
                .transpose()?,
        })
    }
}

impl Table {
    fn parse(node: &Node<'_>) -> Result<Self> {
        node.only(&["rows", "columns", "counts"])?;
        let columns = node.nodes("columns")?;
        if columns.is_empty() {
            return Err(node.error("columns", "a table needs columns"));
        }
        let mut counts = BTreeMap::new();
        if let Some(node) = node.node_if_any("counts")? {
            for key in node.keys() {
                counts.insert(key.to_owned(), node.count(key)?);
            }
        }
        let columns = columns
            .iter()
            .map(ColumnGroup::parse)
            .collect::<Result<_>>()?;
        Ok(Self {
            rows: node.count("rows")?,
            columns,
            counts,
        })
    }
}

impl ColumnGroup {
    fn parse(node: &Node<'_>) -> Result<Self> {
        node.only(&["first", "count", "kind", "low", "high"])?;
        let kind = match node.text("kind")?.as_str() {
            "integer" => ColumnKind::Integer,
            "float" => ColumnKind::Float,
            other => {
                return Err(node.error(
                    "kind",
                    format!("`{other}` is neither `integer` nor `float`"),
                ));
            }
        };
        let group = Self {
            first: node.text("first")?,
            count: node.count("count")?,
            kind,
            low: node.number("low")?,
            high: node.number("high")?,
        };
        if group.count == 0
            || group.count > 1 && !group.first.ends_with(|c: char| c.is_ascii_digit())
        {
            return Err(node.error(
                "count",
                "columns are counted up from the digits that end `first`",
            ));
        }
        if group.low > group.high {
            return Err(node.error("low", "lies above `high`"));
        }
        Ok(group)
    }

    /// The names of the columns, in order.
    ///
    /// ```
    /// # use data::manifest::{ColumnGroup, ColumnKind};
    /// let group = ColumnGroup {
    ///     first: "fou_009".to_owned(), count: 2, kind: ColumnKind::Float, low: 0.0, high: 1.0,
    /// };
    /// assert_eq!(group.names(), ["fou_009", "fou_010"]);
    /// ```
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let stem = self.first.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = &self.first[stem.len()..];
        match digits.parse::<u64>() {
            Ok(start) if self.count > 1 => {
                let width = digits.len();
                (0..self.count)
                    .map(|idx| format!("{stem}{:0width$}", start + idx))
                    .collect()
            }
            _ => vec![self.first.clone()],
        }
    }
}

/// A year, a month, or a day of ISO 8601.
fn published(root: &Node<'_>) -> Result<String> {
    let text = root.text("published")?;
    let widths: Vec<usize> = text.split('-').map(str::len).collect();
    let digits = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'-');
    if digits && matches!(widths[..], [4] | [4, 2] | [4, 2, 2]) {
        return Ok(text);
    }
    Err(root.error(
        "published",
        format!("`{text}` is not written like `1998` or `1998-06-30`"),
    ))
}

fn files(root: &Node<'_>, splits: &[Split]) -> Result<Vec<FileEntry>> {
    let mut seen = BTreeSet::new();
    let mut files = Vec::new();
    for node in root.nodes("files")? {
        let file = FileEntry::parse(&node)?;
        // Platforms differ in whether `a` and `A` are one file, so they may not both be there.
        if !seen.insert(file.name.to_lowercase()) {
            return Err(node.error("name", format!("the file `{}` is there twice", file.name)));
        }
        if let Some(split) = &file.split
            && !splits.iter().any(|known| known.name == *split)
        {
            return Err(node.error("split", format!("there is no split `{split}`")));
        }
        files.push(file);
    }
    if files.is_empty() {
        return Err(root.error("files", "at least one file is needed"));
    }
    Ok(files)
}

fn splits(root: &Node<'_>) -> Result<Vec<Split>> {
    let mut splits: Vec<Split> = Vec::new();
    for node in root.nodes("splits")? {
        node.only(&["name", "count"])?;
        let split = Split {
            name: node.text("name")?,
            count: node.count("count")?,
        };
        if splits.iter().any(|known| known.name == split.name) {
            return Err(node.error("name", format!("the split `{}` is there twice", split.name)));
        }
        splits.push(split);
    }
    Ok(splits)
}

/// Whether `text` has the characters and words of an SPDX expression; names are not looked up.
fn looks_like_spdx(text: &str) -> bool {
    let word = |part: &str| {
        part.chars()
            .all(|c| c.is_ascii_alphanumeric() || "-.+:".contains(c))
    };
    let parts: Vec<&str> = text
        .split([' ', '(', ')'])
        .filter(|part| !part.is_empty())
        .collect();
    !parts.is_empty()
        && parts.iter().enumerate().all(|(idx, part)| {
            word(part) && (idx % 2 == 0 || matches!(*part, "OR" | "AND" | "WITH"))
        })
        && parts.len() % 2 == 1
}
