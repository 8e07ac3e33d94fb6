//! The command line of a paper: `run`, `cell`, `check`, `summarize`, and what it adds itself.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use rand::seq::SliceRandom;

use super::config::configure;
use super::execute::{Ended, Settings, execute, limit_of};
use super::interrupt::Interrupts;
use super::journal::Event;
use super::open::{Choice, OpenRun, Work, open};
use super::plan::{inputs_needed, plan};
use super::progress::Costs;
use super::summarize::summarize;
use super::{Paper, StreamKey, child, preview, provenance, resolve};
use crate::error::{Error, Result};
use crate::manifest::PaperManifest;
use crate::run::RunStatus;
use crate::source::{find_root, source_digest};
use crate::{Cell, InputState, Inputs, RunFolder, Scale, Summary, Verdict, env, exit, output};

#[derive(Parser)]
#[command(about = "Measures the claims of one paper.", after_help = exit::HELP)]
struct Line<Own: Subcommand> {
    #[command(subcommand)]
    command: Command<Own>,
    /// Log more to standard error; twice for details.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Subcommand)]
enum Command<Own: Subcommand> {
    /// Measure: prints the run's folder.
    Run(RunArgs),
    /// Measure one cell of a run; what the engine starts for each.
    Cell {
        /// The run's folder.
        run: PathBuf,
        /// The cell's name.
        cell: String,
    },
    /// Check `paper.toml` and the configuration.
    Check,
    /// Compute estimates, verdicts, and figures of a run again from its rows.
    Summarize {
        /// The run's folder.
        run: PathBuf,
    },
    #[command(flatten)]
    Own(Own),
}

/// What a run measures and how.
#[derive(Args)]
pub struct RunArgs {
    /// The workspace's folder; else the one around the present folder.
    #[arg(long, env = env::WORKSPACE_ROOT)]
    root: Option<PathBuf>,
    /// How much work: smoke, quick, full, or paper.
    #[arg(long, default_value = "quick")]
    scale: Scale,
    /// Only these claims: C1,C4.
    #[arg(long, value_delimiter = ',')]
    claims: Vec<String>,
    /// Seeds per condition; else `[seeds]` of paper.toml.
    #[arg(long)]
    seeds: Option<u64>,
    /// A knob of the configuration: key=value, repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Cells measured at the same time; else the number of cores.
    #[arg(long)]
    jobs: Option<u64>,
    /// Go on with this run: its folder or name.
    #[arg(long, conflicts_with_all = ["fresh", "scale", "claims", "seeds", "settings"])]
    resume: Option<String>,
    /// Start a new run even where an unfinished one waits.
    #[arg(long)]
    fresh: bool,
    /// Fetch nothing.
    #[arg(long)]
    offline: bool,
    /// Only say what would be measured, what is there already, and how long it would take.
    #[arg(long)]
    plan: bool,
    /// How `--plan` is printed.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Start the cells in an order shuffled by this number; rows do not depend on it.
    #[arg(long, value_name = "SEED")]
    shuffle_cells: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// The whole command line of a paper.
#[must_use]
pub fn main<P: Paper>() -> ExitCode {
    main_with::<P, Infallible>(|never| match never {})
}

/// The same for a paper with commands of its own beside those of the engine; `carry_out` gives the
/// exit code of one, and its errors are reported like the engine's.
#[must_use]
pub fn main_with<P: Paper, Own: Subcommand>(carry_out: fn(Own) -> Result<u8>) -> ExitCode {
    let line = match Line::<Own>::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // Help and version are no errors; clap prints each to the right stream.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() {
                exit::USAGE
            } else {
                exit::COMPLETE
            });
        }
    };
    log_to_stderr(line.verbose);
    match obey::<P, Own>(line.command, carry_out) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::failure(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn log_to_stderr(verbose: u8) {
    use tracing_subscriber::EnvFilter;
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}

fn obey<P: Paper, Own: Subcommand>(
    command: Command<Own>,
    carry_out: fn(Own) -> Result<u8>,
) -> Result<u8> {
    let manifest = PaperManifest::parse(P::MANIFEST, "paper.toml")?;
    match command {
        Command::Run(args) => run::<P>(&args, &manifest),
        Command::Cell { run, cell } => {
            child::measure::<P>(&run, &cell, &manifest.paper.id).map(|()| exit::COMPLETE)
        }
        Command::Check => check::<P>(&manifest).map(|()| exit::COMPLETE),
        Command::Summarize { run } => summarize_again::<P>(&run, &manifest),
        Command::Own(own) => carry_out(own),
    }
}

fn check<P: Paper>(manifest: &PaperManifest) -> Result<()> {
    let (config, _) = configure::<P>(&[])?;
    for scale in Scale::ALL {
        let effort = manifest.effort(scale, None)?;
        plan(
            P::cells(&config, effort)?,
            &manifest.select(&[])?,
            true,
            effort,
        )?;
    }
    Ok(())
}

fn run<P: Paper>(args: &RunArgs, manifest: &PaperManifest) -> Result<u8> {
    let root = match &args.root {
        Some(root) => root.clone(),
        None => find_root(&std::env::current_dir().map_err(|e| Error::io("find", ".", e))?)?,
    };
    let results = root.join("results");
    if args.jobs == Some(0) {
        return Err(Error::usage("`--jobs 0` measures nothing").hint("give at least 1"));
    }
    let (work, choice) = work::<P>(args, manifest, &root, &results)?;
    let costs = Costs::new(preview::earlier_costs(&results, &work.paper)?);
    let n_jobs = args.jobs.unwrap_or_else(provenance::n_cores);
    if args.plan {
        let json = args.format == Format::Json;
        let text = preview::preview(&results, &work, &choice, &costs, n_jobs, json)?;
        output::data(&format!("{text}\n"))?;
        return Ok(exit::COMPLETE);
    }
    let interrupts = Interrupts::watch()?;
    let argv = std::env::args().collect();
    let mut run = open(&root, &results, work, choice, argv, n_jobs)?;
    output::note(&format!("measuring into {}", run.folder.path().display()));
    let ended = measure(&mut run, args, n_jobs, costs, &interrupts)?;
    conclude::<P>(&mut run, manifest, ended)
}

/// What is asked for, and in which run it goes.
fn work<P: Paper>(
    args: &RunArgs,
    manifest: &PaperManifest,
    root: &Path,
    results: &Path,
) -> Result<(Work, Choice)> {
    let paper = manifest.paper.id.clone();
    let source = source_digest(root, &paper)?;
    if let Some(named) = &args.resume {
        let folder = find_run(results, &paper, named)?;
        let (record, plan) = (folder.record()?, folder.plan()?);
        let inputs = resolve::resolve(root, &inputs_needed(&plan), args.offline)?;
        let (effort, config) = (record.effort, record.config);
        let work = Work {
            paper,
            effort,
            config,
            plan,
            inputs,
            source,
        };
        return Ok((work, Choice::Resume(folder)));
    }
    let effort = manifest.effort(args.scale, args.seeds)?;
    let claims = manifest.select(&args.claims)?;
    let (config, value) = configure::<P>(&args.settings)?;
    let cells = P::cells(&config, effort)?;
    let plan = plan(cells, &claims, args.claims.is_empty(), effort)?;
    let inputs = resolve::resolve(root, &inputs_needed(&plan), args.offline || args.plan)?;
    let choice = if args.fresh {
        Choice::Fresh
    } else {
        Choice::Auto
    };
    Ok((
        Work {
            paper,
            effort,
            config: value,
            plan,
            inputs,
            source,
        },
        choice,
    ))
}

/// A run by folder or by name.
fn find_run(results: &Path, paper: &str, named: &str) -> Result<RunFolder> {
    let below = results.join(paper).join(named);
    [PathBuf::from(named), below]
        .into_iter()
        .find(|path| path.join("run.json").is_file())
        .map(RunFolder::new)
        .ok_or_else(|| {
            let shown = results.join(paper);
            Error::usage(format!("there is no run `{named}`")).hint(format!(
                "the runs of `{paper}` are the folders in `{}`",
                shown.display()
            ))
        })
}

fn measure(
    run: &mut OpenRun,
    args: &RunArgs,
    n_jobs: u64,
    costs: Costs,
    interrupts: &Interrupts,
) -> Result<Ended> {
    let can_run = |cell: &Cell| cell.needs.iter().all(|need| is_present(&run.inputs, need));
    let is_open = |cell: &Cell| run.folder.done(&cell.id()).is_none();
    let mut cells: Vec<Cell> = run
        .plan
        .cells
        .iter()
        .filter(|cell| can_run(cell) && is_open(cell))
        .cloned()
        .collect();
    let n_there = run.plan.cells.len() - cells.len();
    output::note(&format!(
        "{} cells to measure, {n_there} there or out of reach",
        cells.len()
    ));
    if let Some(seed) = args.shuffle_cells {
        let order = Cell::new("order", seed);
        let mut stream = StreamKey {
            paper: &run.record.paper,
            cell: &order,
            purpose: "cells",
        }
        .stream();
        cells.shuffle(&mut stream);
    }
    let settings = Settings {
        n_jobs,
        threads: (provenance::n_cores() / n_jobs).max(1),
        limit: limit_of(run.record.effort.scale),
    };
    execute(run, cells, &settings, costs, interrupts)
}

fn is_present(inputs: &Inputs, name: &str) -> bool {
    inputs
        .inputs
        .get(name)
        .is_some_and(|input| input.state == InputState::Present)
}

/// Judges, writes, and says how it ended.
fn conclude<P: Paper>(run: &mut OpenRun, manifest: &PaperManifest, ended: Ended) -> Result<u8> {
    let summary = summarize::<P>(run, manifest)?;
    let whole = !ended.interrupted && ended.n_failed == 0;
    run.set_status(if whole {
        RunStatus::Complete
    } else {
        RunStatus::Incomplete
    })?;
    if whole {
        run.journal.push(Event::Completed, None, None)?;
    }
    output::data(&format!("{}\n", run.folder.path().display()))?;
    let again = format!(
        "go on with `cargo xtask reproduce {}`, the same options",
        summary.paper
    );
    if ended.interrupted {
        output::note(&format!("interrupted: finished cells are kept; {again}"));
    } else if ended.n_failed > 0 {
        output::note(&format!("{} cells failed; {again}", ended.n_failed));
    }
    Ok(exit_code(run, &summary, ended))
}

fn exit_code(run: &OpenRun, summary: &Summary, ended: Ended) -> u8 {
    let any = |verdict| summary.claims.iter().any(|claim| claim.verdict == verdict);
    let all_present = inputs_needed(&run.plan)
        .iter()
        .all(|need| is_present(&run.inputs, need));
    let found = [
        (ended.interrupted, exit::INTERRUPTED),
        (ended.n_failed > 0, exit::INCOMPLETE),
        (!all_present, exit::INPUTS),
        (any(Verdict::InvalidRun), exit::CONTROL),
    ];
    let codes = found.into_iter().filter(|(found, _)| *found);
    exit::most_severe(&codes.map(|(_, code)| code).collect::<Vec<_>>())
}

fn summarize_again<P: Paper>(folder: &Path, manifest: &PaperManifest) -> Result<u8> {
    let run = OpenRun::reopen(RunFolder::new(folder))?;
    let summary = summarize::<P>(&run, manifest)?;
    output::data(&format!("{}\n", folder.display()))?;
    Ok(exit_code(&run, &summary, Ended::default()))
}
