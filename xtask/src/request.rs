//! From the words on the command line to a request that makes sense in this workspace.
//!
//! Every check is made before anything is built, so that a typing slip costs no minutes.

use std::process::Command;

use eval::{Error, PaperManifest, Result, Scale};

use crate::cli::{Format, Selection};
use crate::workspace::{Workspace, unknown};

/// What to measure: every paper, claim, and run in it exists.
#[derive(Debug)]
pub struct Request {
    /// The papers' ids, each once, in the order given.
    pub papers: Vec<String>,
    /// The claims asked for; empty means all.
    claims: Vec<String>,
    selection: Selection,
}

impl Request {
    /// Checks a selection against the workspace.
    ///
    /// # Errors
    /// A paper, claim, or run does not exist, nothing is selected, or options contradict each
    /// other: exit code 2, with the nearest known word as hint.
    pub fn resolve(workspace: &Workspace, selection: &Selection) -> Result<Self> {
        let papers = papers(workspace, &selection.papers, selection.all)?;
        let one_paper = match papers.as_slice() {
            [paper] => Ok(paper.as_str()),
            _ => Err(papers.len()),
        };
        let only_one = |option: &str| match one_paper {
            Ok(paper) => Ok(paper),
            Err(n) => Err(Error::usage(format!(
                "`{option}` goes with one paper, {n} are selected"
            ))
            .hint(format!(
                "give `{option}` with each paper in a command of its own"
            ))),
        };
        let manifests: Vec<PaperManifest> = papers
            .iter()
            .map(|id| workspace.manifest(id))
            .collect::<Result<_>>()?;
        let mut claims = Vec::new();
        if let Some(list) = &selection.claims {
            only_one("--claims")?;
            claims = manifests
                .first()
                .map_or(Ok(Vec::new()), |paper| select(paper, list))?;
        }
        if !selection.set.is_empty() {
            only_one("--set")?;
        }
        if let Some(run) = &selection.resume {
            check_run(workspace, only_one("--resume")?, run)?;
        }
        Ok(Self {
            papers,
            claims,
            selection: selection.clone(),
        })
    }

    /// What is about to happen, in words.
    pub fn describe(&self) -> String {
        match &self.selection.resume {
            Some(run) => format!("going on with `{run}`"),
            None => format!("measuring at scale {}", self.selection.scale),
        }
    }

    /// How to print.
    pub fn format(&self) -> Format {
        self.selection.format
    }

    /// A baseline stands for every claim with a verdict, so it needs a run that has them.
    ///
    /// # Errors
    /// The run asked for cannot become a baseline.
    pub fn check_makes_baseline(&self) -> Result<()> {
        if !self.claims.is_empty() {
            let why = "`--save-baseline` with `--claims` would lose the other claims";
            return Err(Error::usage(why).hint("leave out `--claims`"));
        }
        if self.selection.scale == Scale::Smoke {
            let why = "a run at scale smoke issues no verdicts and makes no baseline";
            return Err(Error::usage(why).hint("use `--scale quick` or a larger one"));
        }
        Ok(())
    }

    /// Adds the options that a paper's `run` understands.
    pub fn add_options(&self, command: &mut Command) {
        let selection = &self.selection;
        match &selection.resume {
            // A resumed run is the one it was: what it measures was decided when it started.
            Some(run) => command.args(["--resume", run]),
            None => command.args(["--scale", selection.scale.as_str()]),
        };
        if !self.claims.is_empty() {
            command.args(["--claims", &self.claims.join(",")]);
        }
        if let Some(n_seeds) = selection.seeds {
            command.args(["--seeds", &n_seeds.to_string()]);
        }
        for pair in &selection.set {
            command.args(["--set", pair]);
        }
        if let Some(n_jobs) = selection.jobs {
            command.args(["--jobs", &n_jobs.to_string()]);
        }
        for (given, flag) in [
            (selection.fresh, "--fresh"),
            (selection.offline, "--offline"),
        ] {
            if given {
                command.arg(flag);
            }
        }
    }
}

/// The papers named, each once, or all.
///
/// # Errors
/// One does not exist, or there is none at all.
pub fn papers(workspace: &Workspace, named: &[String], all: bool) -> Result<Vec<String>> {
    if !all {
        workspace.check_papers(named)?;
        let mut once: Vec<String> = Vec::new();
        for id in named {
            if !once.contains(id) {
                once.push(id.clone());
            }
        }
        return Ok(once);
    }
    let papers = workspace.papers()?;
    if papers.is_empty() {
        return Err(Error::usage("there is no paper in this workspace")
            .hint("`cargo xtask new <id> --arxiv <n>` makes one"));
    }
    Ok(papers)
}

/// The claims of a comma-separated list, each once, in the paper's order.
fn select(paper: &PaperManifest, list: &str) -> Result<Vec<String>> {
    let words = list
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    let wanted: Vec<String> = words.map(str::to_owned).collect();
    if wanted.is_empty() {
        let known: Vec<&str> = paper.claims.iter().map(|claim| claim.id.as_str()).collect();
        return Err(Error::usage("`--claims` selects no claim").hint(format!(
            "claims of `{}`: {}",
            paper.paper.id,
            known.join(", ")
        )));
    }
    Ok(paper
        .select(&wanted)?
        .into_iter()
        .map(|claim| claim.id.clone())
        .collect())
}

fn check_run(workspace: &Workspace, paper: &str, run: &str) -> Result<()> {
    let runs = eval::run::runs_of(&workspace.results(), paper)?;
    let names: Vec<String> = runs.iter().map(eval::RunFolder::name).collect();
    if names.iter().any(|name| name == run) {
        return Ok(());
    }
    Err(unknown(
        &format!("run of `{paper}`"),
        run,
        names.iter().map(String::as_str),
    ))
}
