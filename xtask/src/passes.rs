//! `compare`, `report`, and `data`: checked here, carried out by the programs of that name.

use std::ffi::OsString;
use std::path::Path;

use eval::{Result, RunFolder};

use crate::cli::{CompareArgs, DataArgs, ReportArgs};
use crate::launcher::Launcher;
use crate::workspace::{Workspace, unknown};
use crate::{programs, request};

/// What the program `data` does.
const DATA_ACTIONS: [&str; 5] = ["list", "fetch", "verify", "licenses", "croissant"];

/// `compare`: runs beside runs, the baseline, or the published numbers.
///
/// # Errors
/// An operand names nothing, the build failed, or `report` cannot be started.
pub fn compare(launcher: &Launcher, args: &CompareArgs) -> Result<u8> {
    for operand in &args.operands {
        check_operand(launcher.workspace(), operand)?;
    }
    let programs = programs::build(launcher, &["report"])?;
    let mut command = programs.command("report")?;
    command
        .arg("compare")
        .arg("--root")
        .arg(launcher.workspace().root());
    command
        .args(&args.operands)
        .args(["--format", args.format.as_str()]);
    if args.only_diff {
        command.arg("--only-diff");
    }
    if args.gate {
        command.arg("--gate");
    }
    launcher.run(&mut command)
}

/// `report`: pages from what is on disk.
///
/// # Errors
/// A paper does not exist, the build failed, or `report` cannot be started.
pub fn report(launcher: &Launcher, args: &ReportArgs) -> Result<u8> {
    let papers = request::papers(launcher.workspace(), &args.papers, args.all)?;
    let programs = programs::build(launcher, &["report"])?;
    let mut command = programs.command("report")?;
    command
        .arg("page")
        .arg("--root")
        .arg(launcher.workspace().root());
    if args.all {
        command.arg("--all");
    } else {
        command.args(&papers);
    }
    if args.open {
        command.arg("--open");
    }
    launcher.run(&mut command)
}

/// `data`: data sets and weights.
///
/// # Errors
/// The action is unknown, the build failed, or `data` cannot be started.
pub fn data(launcher: &Launcher, args: &DataArgs) -> Result<u8> {
    let action = args
        .args
        .first()
        .map(OsString::as_os_str)
        .unwrap_or_default();
    let action = action.to_string_lossy();
    if !DATA_ACTIONS.contains(&action.as_ref()) {
        return Err(unknown("action of `data`", &action, DATA_ACTIONS));
    }
    let programs = programs::build(launcher, &["data"])?;
    launcher.run(programs.command("data")?.args(&args.args))
}

/// An operand is a word, a paper, a run's folder, or a run's name.
fn check_operand(workspace: &Workspace, operand: &str) -> Result<()> {
    const WORDS: [&str; 2] = ["baseline", "published"];
    let papers = workspace.papers()?;
    let by_path = [
        Path::new(operand).to_owned(),
        workspace.results().join(operand),
    ];
    if WORDS.contains(&operand)
        || papers.iter().any(|paper| paper == operand)
        || by_path.iter().any(|path| path.join("run.json").is_file())
    {
        return Ok(());
    }
    let mut known: Vec<String> = WORDS.map(str::to_owned).into();
    for paper in papers {
        let runs = eval::run::runs_of(&workspace.results(), &paper)?;
        known.push(paper);
        known.extend(runs.iter().map(RunFolder::name));
    }
    if known.iter().any(|name| name == operand) {
        return Ok(());
    }
    Err(unknown(
        "paper or run",
        operand,
        known.iter().map(String::as_str),
    ))
}
