//! From the words of a command line to columns.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use eval::run::runs_of;
use eval::suggest::nearest;
use eval::{ClaimSummary, Error, PaperManifest, Result, Summary, Verdict};

use super::{Column, Kind, Side};
use crate::baseline;
use crate::store::{self, StoredRun};

/// The word that stands for the committed baseline.
const BASELINE: &str = "baseline";
/// The word that stands for the numbers the paper prints.
const PUBLISHED: &str = "published";

/// The columns that `words` name; without words, the newest run of every paper against its baseline
/// and its published numbers.
///
/// # Errors
/// A word names nothing, a run is not finished, or a file is damaged.
pub fn resolve(root: &Path, words: &[String]) -> Result<Vec<Column>> {
    if words.is_empty() {
        return everything(root);
    }
    let mut runs: Vec<Option<Column>> = Vec::new();
    for word in words {
        let fixed = word == BASELINE || word == PUBLISHED;
        runs.push(if fixed {
            None
        } else {
            Some(run_column(root, word)?)
        });
    }
    let mut papers: Vec<String> = runs
        .iter()
        .flatten()
        .flat_map(|column| column.sides.keys().cloned())
        .collect();
    if papers.is_empty() {
        papers = store::papers(root)?;
    }
    papers.sort();
    papers.dedup();
    let known: Vec<Column> = runs.iter().flatten().cloned().collect();
    let pairs = words.iter().zip(runs);
    let columns = pairs.map(|(word, run)| match run {
        Some(column) => Ok(column),
        None if word == BASELINE => baseline_column(root, &papers),
        None => Ok(published_column(root, &papers, &known)),
    });
    columns.collect()
}

fn everything(root: &Path) -> Result<Vec<Column>> {
    let mut sides = BTreeMap::new();
    for paper in store::papers(root)? {
        if let Some(folder) = store::latest(root, &paper)? {
            sides.insert(paper, run_side(StoredRun::open(root, folder.path())?));
        }
    }
    if sides.is_empty() {
        return Err(Error::incomplete("there is no finished run to compare")
            .hint("cargo xtask reproduce --all"));
    }
    let papers: Vec<String> = sides.keys().cloned().collect();
    let latest = Column {
        label: "latest".to_owned(),
        sides,
    };
    let baseline = baseline_column(root, &papers)?;
    let published = published_column(root, &papers, std::slice::from_ref(&latest));
    Ok(vec![latest, baseline, published])
}

fn run_column(root: &Path, word: &str) -> Result<Column> {
    let run = StoredRun::open(root, &find_run(root, word)?)?;
    let label = format!("{} {}", run.summary.paper, run.folder.name());
    let paper = run.summary.paper.clone();
    Ok(Column {
        label,
        sides: BTreeMap::from([(paper, run_side(run))]),
    })
}

fn run_side(run: StoredRun) -> Side {
    Side {
        kind: Kind::Run,
        summary: run.summary,
        recorded: run.recorded,
        resolution: BTreeMap::new(),
        selected: run.plan.claims,
    }
}

/// The run folder that `word` names: a path, a paper (its newest finished run), `paper/run`, or a
/// run's name.
///
/// # Errors
/// It names nothing, or the paper has no finished run.
pub fn find_run(root: &Path, word: &str) -> Result<PathBuf> {
    let path = PathBuf::from(word);
    if path.join("run.json").is_file() {
        return Ok(path);
    }
    let papers = store::papers(root)?;
    if papers.iter().any(|paper| paper == word) {
        return Ok(store::latest_or_hint(root, word)?.path().to_owned());
    }
    let mut known = papers.clone();
    for paper in &papers {
        for run in runs_of(&store::results(root), paper)? {
            if run.name() == word || format!("{paper}/{}", run.name()) == word {
                return Ok(run.path().to_owned());
            }
            known.push(run.name());
        }
    }
    let fixed = [BASELINE, PUBLISHED];
    let hint = match nearest(word, known.iter().map(String::as_str).chain(fixed)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "give a run folder, a run's name, a paper, `baseline`, or `published`".to_owned(),
    };
    Err(Error::usage(format!("`{word}` is no run and no paper")).hint(hint))
}

/// A baseline is a record of its time: its verdicts stand, whatever the code is by now.
fn baseline_column(root: &Path, papers: &[String]) -> Result<Column> {
    let mut sides = BTreeMap::new();
    for paper in papers {
        let path = baseline::path(root, paper);
        if !path.is_file() {
            continue;
        }
        let summary = Summary::read(&path)?;
        let recorded = summary.claims.iter().map(|claim| claim.verdict).collect();
        let (resolution, selected) = (BTreeMap::new(), Vec::new());
        sides.insert(
            paper.clone(),
            Side {
                kind: Kind::Baseline,
                summary,
                recorded,
                resolution,
                selected,
            },
        );
    }
    Ok(Column {
        label: BASELINE.to_owned(),
        sides,
    })
}

/// Published numbers come from `paper.toml`, else from the summaries of the other columns.
fn published_column(root: &Path, papers: &[String], others: &[Column]) -> Column {
    let mut sides = BTreeMap::new();
    for paper in papers {
        let manifest = store::manifest(root, paper);
        let known = others.iter().find_map(|column| column.sides.get(paper));
        let mut summary = match (known, &manifest) {
            (Some(side), _) => side.summary.clone(),
            (None, Some(manifest)) => bare_summary(manifest),
            (None, None) => continue,
        };
        let mut resolution = BTreeMap::new();
        for claim in manifest.iter().flat_map(|manifest| &manifest.claims) {
            if let Some(mine) = summary.claims.iter_mut().find(|mine| mine.id == claim.id) {
                mine.published = claim.published;
            }
            if let Some(unit) = claim.resolution {
                resolution.insert(claim.id.clone(), unit);
            }
        }
        let (recorded, selected) = (Vec::new(), Vec::new());
        sides.insert(
            paper.clone(),
            Side {
                kind: Kind::Published,
                summary,
                recorded,
                resolution,
                selected,
            },
        );
    }
    Column {
        label: PUBLISHED.to_owned(),
        sides,
    }
}

/// The claims of a paper that nobody has measured.
fn bare_summary(manifest: &PaperManifest) -> Summary {
    let claims = manifest.claims.iter().map(|claim| ClaimSummary {
        id: claim.id.clone(),
        says: claim.says.clone(),
        place: claim.place.clone(),
        tier: claim.tier,
        published: claim.published,
        test: String::new(),
        unit: claim.unit.clone(),
        measures: claim.measures.clone(),
        estimate: None,
        p_holm: None,
        control: None,
        verdict: Verdict::NotAttempted,
        reason: String::new(),
        gate: claim.gate,
    });
    Summary {
        format: eval::summary::FORMAT,
        paper: manifest.paper.id.clone(),
        run: String::new(),
        scale: eval::Scale::Paper,
        source: String::new(),
        rows: String::new(),
        claims: claims.collect(),
    }
}
