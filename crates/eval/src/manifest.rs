//! `paper.toml`: what a paper says. Parsed with errors that point at line and key.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};

use crate::claim::{Claim, Recipe, RecipeKind, Test, TestKind};
use crate::error::{Error, Result};
use crate::scale::{Effort, Scale};
use crate::suggest::nearest;

/// The format version of `paper.toml`.
pub const FORMAT: u32 = 1;

/// A paper's identity and claims.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperManifest {
    /// Format version.
    pub format: u32,
    /// Who and what.
    pub paper: Identity,
    /// Seeds per condition at each scale.
    pub seeds: Seeds,
    /// The claims, in the order of tables.
    #[serde(rename = "claim")]
    pub claims: Vec<Claim>,
}

/// Identity of a paper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The paper's id, equal to its folder and crate name.
    pub id: String,
    /// Title.
    pub title: String,
    /// Authors in order.
    pub authors: Vec<String>,
    /// arXiv identifier without version.
    pub arxiv: String,
    /// arXiv version the numbers were read from: `v1`.
    pub version: String,
    /// The idea in one or two sentences.
    pub idea: String,
    /// What is scaled down here and what that cannot show.
    pub limits: String,
}

/// Seeds per condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seeds {
    /// At scale smoke.
    pub smoke: u64,
    /// At scale quick.
    pub quick: u64,
    /// At scale full.
    pub full: u64,
    /// At scale paper.
    pub paper: u64,
}

impl Seeds {
    /// The seeds of one scale.
    #[must_use]
    pub fn at(&self, scale: Scale) -> u64 {
        match scale {
            Scale::Smoke => self.smoke,
            Scale::Quick => self.quick,
            Scale::Full => self.full,
            Scale::Paper => self.paper,
        }
    }
}

impl PaperManifest {
    /// Parses and checks the text of `paper.toml`; `file` is named in errors.
    ///
    /// # Errors
    /// A key is unknown, missing, of the wrong type, or makes no sense; the message points at it.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        let manifest: Self = toml::from_str(text).map_err(|cause| not_toml(text, file, &cause))?;
        match manifest.first_flaw() {
            None => Ok(manifest),
            Some(flaw) => Err(flaw.into_error(text, file)),
        }
    }

    /// Reads and parses `crates/<paper>/paper.toml` below the workspace's root.
    ///
    /// # Errors
    /// There is no such paper, or as [`PaperManifest::parse`].
    pub fn of_paper(root: &Path, paper: &str) -> Result<Self> {
        let path = path_of(root, paper);
        if !path.is_file() {
            return Err(unknown_paper(root, paper));
        }
        let text = std::fs::read_to_string(&path).map_err(|e| Error::io("read", &path, e))?;
        let shown = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string();
        let manifest = Self::parse(&text, &shown)?;
        if manifest.paper.id == paper {
            return Ok(manifest);
        }
        let message = format!(
            "the id `{}` is not the folder's name `{paper}`",
            manifest.paper.id
        );
        Err(Flaw::new("paper.id", message).into_error(&text, &shown))
    }

    /// The claims named in `wanted`, in the paper's order; all of them if `wanted` is empty.
    ///
    /// # Errors
    /// A name is no claim of the paper.
    pub fn select(&self, wanted: &[String]) -> Result<Vec<&Claim>> {
        let ids = || self.claims.iter().map(|claim| claim.id.as_str());
        if let Some(stranger) = wanted.iter().find(|name| !ids().any(|id| id == *name)) {
            let hint = match nearest(stranger, ids()) {
                Some(near) => format!("did you mean `{near}`? "),
                None => String::new(),
            };
            let known = ids().collect::<Vec<_>>().join(", ");
            let message = format!("paper `{}` has no claim `{stranger}`", self.paper.id);
            return Err(Error::usage(message).hint(format!("{hint}its claims are {known}")));
        }
        let chosen = |claim: &&Claim| wanted.is_empty() || wanted.contains(&claim.id);
        Ok(self.claims.iter().filter(chosen).collect())
    }

    /// The effort of a run at `scale`, with the paper's own number of seeds unless one is given.
    ///
    /// # Errors
    /// `seeds` is zero.
    pub fn effort(&self, scale: Scale, seeds: Option<u64>) -> Result<Effort> {
        match seeds {
            Some(0) => Err(Error::usage("`--seeds 0` measures nothing")
                .hint("give at least 1; 3 or more are needed to contradict a claim")),
            Some(n_seeds) => Ok(Effort { scale, n_seeds }),
            None => Ok(Effort {
                scale,
                n_seeds: self.seeds.at(scale),
            }),
        }
    }

    fn first_flaw(&self) -> Option<Flaw> {
        if self.format != FORMAT {
            let message = format!("format {} is unknown, {FORMAT} is expected", self.format);
            return Some(Flaw::new("format", message));
        }
        for (name, seeds) in [
            ("smoke", self.seeds.smoke),
            ("quick", self.seeds.quick),
            ("full", self.seeds.full),
            ("paper", self.seeds.paper),
        ] {
            if seeds == 0 {
                return Some(Flaw::new(
                    format!("seeds.{name}"),
                    "0 seeds measure nothing",
                ));
            }
        }
        if self.claims.is_empty() {
            return Some(Flaw::new(
                "claim",
                "a paper without claims cannot be judged",
            ));
        }
        let mut seen = BTreeSet::new();
        self.claims
            .iter()
            .enumerate()
            .find_map(|(claim_idx, claim)| {
                let flaw = if seen.insert(claim.id.as_str()) {
                    flaw_of_claim(claim)
                } else {
                    Some(Flaw::new(
                        "id",
                        format!("claim `{}` is there twice", claim.id),
                    ))
                };
                flaw.map(|flaw| flaw.below(&format!("claim.{claim_idx}")))
            })
    }
}

/// The papers of the workspace: every folder below `crates/` with a `paper.toml`, sorted by name.
///
/// # Errors
/// The folder `crates/` cannot be read.
pub fn discover(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("crates");
    let entries = std::fs::read_dir(&folder).map_err(|e| Error::io("list", &folder, e))?;
    let mut papers: Vec<String> = entries
        .filter_map(|entry| entry.ok())
        .filter(|entry| entry.path().join("paper.toml").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    papers.sort();
    Ok(papers)
}

/// The error for a paper that does not exist, with the nearest one that does.
#[must_use]
pub fn unknown_paper(root: &Path, paper: &str) -> Error {
    let papers = discover(root).unwrap_or_default();
    let hint = match nearest(paper, papers.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the papers are {}", papers.join(", ")),
    };
    Error::usage(format!("there is no paper `{paper}`")).hint(hint)
}

fn path_of(root: &Path, paper: &str) -> PathBuf {
    root.join("crates").join(paper).join("paper.toml")
}

/// Something in the file that is well-formed and makes no sense.
struct Flaw {
    /// Dotted path; numbers index arrays.
    key: String,
    message: String,
}

impl Flaw {
    fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            message: message.into(),
        }
    }

    fn below(mut self, prefix: &str) -> Self {
        self.key = format!("{prefix}.{}", self.key);
        self
    }

    fn into_error(self, text: &str, file: &str) -> Error {
        let line = line_of_key(text, &self.key);
        Error::usage(format!(
            "`{file}` line {line}, key `{}`: {}",
            self.key, self.message
        ))
    }
}

fn flaw_of_claim(claim: &Claim) -> Option<Flaw> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if claim.id.is_empty() || !claim.id.chars().all(allowed) {
        let message = format!("`{}` must be letters, digits, and hyphens only", claim.id);
        return Some(Flaw::new("id", message));
    }
    if claim.experiments.is_empty() {
        return Some(Flaw::new(
            "experiments",
            "a claim must name the experiments it rests on",
        ));
    }
    if !(claim.coverage > 0.0 && claim.coverage <= 1.0) {
        return Some(Flaw::new("coverage", "must lie above 0 and at most at 1"));
    }
    if claim.resolution.is_some_and(|resolution| resolution < 0.0) {
        return Some(Flaw::new("resolution", "must not be negative"));
    }
    if claim.test.bound.is_none() && claim.published.is_none() {
        let message = "without `published` the test needs a `bound`";
        return Some(Flaw::new("test", message));
    }
    let flaw = flaw_of_measure(&claim.estimate, &claim.test);
    flaw.or_else(|| {
        let control = claim.control.as_ref()?;
        if control.test.bound.is_none() {
            return Some(Flaw::new(
                "control.test",
                "a control's test needs a `bound`",
            ));
        }
        if control.estimate.recipe == RecipeKind::Custom {
            return Some(Flaw::new(
                "control.estimate",
                "a control needs a stock recipe",
            ));
        }
        flaw_of_measure(&control.estimate, &control.test).map(|flaw| flaw.below("control"))
    })
}

fn flaw_of_measure(recipe: &Recipe, test: &Test) -> Option<Flaw> {
    if let Err(message) = crate::recipe::check(recipe) {
        return Some(Flaw::new("estimate", message));
    }
    if !(test.margin >= 0.0 && test.margin.is_finite()) {
        return Some(Flaw::new(
            "test.margin",
            "must be a number that is not negative",
        ));
    }
    if test.kind == TestKind::Matches && test.margin == 0.0 && test.null.is_none() {
        let message = "`matches` needs a `margin` or a `null`, else any wide interval would pass";
        return Some(Flaw::new("test", message));
    }
    test.bound
        .is_some_and(|bound| !bound.is_finite())
        .then(|| Flaw::new("test.bound", "must be finite"))
}

/// An error for text that is no TOML or not of the expected shape.
fn not_toml(text: &str, file: &str, cause: &toml::de::Error) -> Error {
    let line = cause
        .span()
        .map_or(1, |span| line_of_offset(text, span.start));
    let message = cause.message();
    let error = Error::usage(format!("`{file}` line {line}: {message}"));
    match unknown_key_hint(message) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The nearest known key, read from serde's "unknown field `x`, expected one of `a`, `b`".
fn unknown_key_hint(message: &str) -> Option<String> {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (stranger, known) = quoted.split_first()?;
    if !message.starts_with("unknown ") {
        return None;
    }
    nearest(stranger, known.iter().copied()).map(|near| format!("did you mean `{near}`?"))
}

fn line_of_offset(text: &str, offset: usize) -> usize {
    text.as_bytes()
        .iter()
        .take(offset)
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// The line on which the dotted `key` stands, or the nearest enclosing key that is there.
fn line_of_key(text: &str, key: &str) -> usize {
    let Ok(table) = DeTable::parse(text) else {
        return 1;
    };
    let mut offset = table.span().start;
    let mut here = DeValue::Table(table.into_inner());
    for part in key.split('.') {
        let next = match here {
            DeValue::Table(mut table) => table
                .remove_entry(part)
                .map(|(key, value)| (key.span().start, value)),
            DeValue::Array(values) => part
                .parse::<usize>()
                .ok()
                .and_then(|value_idx| values.into_iter().nth(value_idx))
                .map(|value| (value.span().start, value)),
            _ => None,
        };
        let Some((start, value)) = next else {
            break;
        };
        offset = start;
        here = value.into_inner();
    }
    line_of_offset(text, offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"format = 1
[paper]
id = "p"
title = "T"
authors = ["A"]
arxiv = "2510.00000"
version = "v1"
idea = "i"
limits = "l"
[seeds]
smoke = 1
quick = 3
full = 10
paper = 10
[[claim]]
id = "C1"
says = "s"
where = "Table 1"
tier = "theory"
published = 0.5
unit = "bits"
measures = "m"
experiments = ["e"]
estimate = { recipe = "mean", metric = "m" }
test = { kind = "matches", margin = 0.1 }
"#;

    fn check(from: &str, to: &str, line: usize, words: &str) {
        assert!(GOOD.contains(from), "the sample has `{from}`");
        let error = PaperManifest::parse(&GOOD.replacen(from, to, 1), "paper.toml").unwrap_err();
        let report = error.report();
        assert!(
            report.contains(&format!("line {line}")),
            "line {line} in: {report}"
        );
        assert!(report.contains(words), "`{words}` in: {report}");
        assert_eq!(error.exit_code(), crate::exit::USAGE);
    }

    #[test]
    fn the_sample_is_understood() {
        let manifest = PaperManifest::parse(GOOD, "paper.toml").unwrap();
        assert_eq!(manifest.effort(Scale::Quick, None).unwrap().n_seeds, 3);
        assert_eq!(manifest.select(&[]).unwrap().len(), 1);
    }

    #[test]
    fn errors_point_at_line_and_key() {
        check(
            "unit = \"bits\"",
            "unt = \"bits\"",
            21,
            "did you mean `unit`?",
        );
        check(
            "tier = \"theory\"",
            "tier = \"theo\"",
            19,
            "unknown variant `theo`",
        );
        check("published = 0.5", "published = \"0.5\"", 20, "invalid type");
        check("quick = 3", "quick = 0", 12, "`seeds.quick`");
        check("format = 1", "format = 9", 1, "format 9 is unknown");
        check(
            "experiments = [\"e\"]",
            "experiments = []",
            23,
            "`claim.0.experiments`",
        );
        check("margin = 0.1", "margin = -0.1", 25, "`claim.0.test.margin`");
        check(
            "margin = 0.1",
            "margin = 0.0",
            25,
            "needs a `margin` or a `null`",
        );
        check("recipe = \"mean\"", "recipe = \"ratio\"", 24, "needs `arm`");
        check("published = 0.5\n", "", 24, "needs a `bound`");
        check("id = \"C1\"", "id = \"C 1\"", 16, "`claim.0.id`");
    }

    #[test]
    fn an_unknown_claim_names_the_nearest_and_all() {
        let manifest = PaperManifest::parse(GOOD, "paper.toml").unwrap();
        let error = manifest.select(&["C2".to_owned()]).unwrap_err();
        assert!(
            error.report().contains("did you mean `C1`?"),
            "{}",
            error.report()
        );
    }

    #[test]
    fn zero_seeds_are_refused() {
        let manifest = PaperManifest::parse(GOOD, "paper.toml").unwrap();
        assert_eq!(
            manifest
                .effort(Scale::Quick, Some(0))
                .unwrap_err()
                .exit_code(),
            2
        );
    }
}
