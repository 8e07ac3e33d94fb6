//! The command line: text to arguments, arguments to work, work to one exit code.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum};
use eval::{Error, Result};

use crate::compare::{self, show};
use crate::sheet::Sheet;
use crate::store::{self, StoredRun};
use crate::{baseline, output, page, render, results};

/// Tables, comparisons, and pages from stored runs.
#[derive(Debug, Parser)]
#[command(name = "report", version, about, after_help = after_help())]
struct Cli {
    #[command(subcommand)]
    command: Work,
}

fn after_help() -> String {
    let examples = "Examples:\n  \
        report page flow-pid --open\n  \
        report table --format latex results/flow-pid/<run>\n  \
        report compare flow-pid baseline published --only-diff\n  \
        report compare flow-pid --gate\n\n\
        A run is named by its folder, its name, `<paper>/<run>`, or its paper (the newest \
        finished run).\n\n";
    format!("{examples}{}", eval::exit::HELP)
}

#[derive(Debug, Subcommand)]
enum Work {
    /// Write every derived file of a run and print the path of its page.
    Render(RunArgs),
    /// Print the results table of a run.
    Table {
        #[command(flatten)]
        run: RunArgs,
        /// How the table is written.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Set runs, baselines, and published numbers side by side.
    Compare(CompareArgs),
    /// Render the newest run of each paper and print the paths of the pages and of the index.
    Page {
        #[command(flatten)]
        root: RootArgs,
        /// The papers; all of them unless said.
        papers: Vec<String>,
        /// All papers, also said by naming none.
        #[arg(long, conflicts_with = "papers")]
        all: bool,
        /// Open the page (of several pages, the index) in the browser.
        #[arg(long)]
        open: bool,
    },
    /// Make a run the committed baseline of its paper; refuses runs that are incomplete, stale, or
    /// of scale smoke.
    Baseline(RunArgs),
}

#[derive(Debug, Args)]
struct RootArgs {
    /// Root of the workspace; else the nearest folder above with `Cargo.lock` and `crates/`.
    #[arg(long)]
    root: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    root: RootArgs,
    /// The run: a folder, a name, or a paper.
    #[arg(value_name = "RUN")]
    run: String,
}

#[derive(Debug, Args)]
struct CompareArgs {
    #[command(flatten)]
    root: RootArgs,
    /// Runs, papers, `baseline`, `published`; none: the newest run of every paper against both.
    operands: Vec<String>,
    /// Keep claims whose verdict or value differs from the first operand's; a published number
    /// differs when it lies outside the interval.
    #[arg(long)]
    only_diff: bool,
    /// How the table is written.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Exit with 3 when a watched claim fell below its baseline.
    #[arg(long)]
    gate: bool,
}

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For the terminal, as wide as it is.
    Table,
    /// Markdown.
    Markdown,
    /// Comma-separated values, numbers in full.
    Csv,
    /// JSON, numbers in full.
    Json,
    /// LaTeX with `booktabs`.
    Latex,
    /// A page that stands alone.
    Html,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::fail(&error),
    }
}

fn run(work: Work) -> Result<()> {
    match work {
        Work::Render(args) => {
            let (root, run) = open(&args)?;
            let path = render::render(&run)?;
            write_index(&root)?;
            output::data(&path.display().to_string())
        }
        Work::Table { run, format } => {
            let (_, run) = open(&run)?;
            output::data(&results_as(&run, format)?)
        }
        Work::Compare(args) => compare_runs(&args),
        Work::Page {
            root,
            papers,
            open,
            all: _,
        } => pages(&find_root(&root)?, &papers, open),
        Work::Baseline(args) => {
            let (root, run) = open(&args)?;
            output::data(&baseline::write(&root, &run)?.display().to_string())
        }
    }
}

fn find_root(args: &RootArgs) -> Result<PathBuf> {
    match &args.root {
        Some(root) => Ok(root.clone()),
        None => {
            let here = std::env::current_dir()
                .map_err(|e| Error::internal("cannot find the current folder").caused_by(e))?;
            eval::source::find_root(&here)
        }
    }
}

fn open(args: &RunArgs) -> Result<(PathBuf, StoredRun)> {
    let root = find_root(&args.root)?;
    let run = StoredRun::open(&root, &compare::find_run(&root, &args.run)?)?;
    Ok((root, run))
}

fn results_as(run: &StoredRun, format: Format) -> Result<String> {
    match format {
        Format::Json => json(&run.summary),
        Format::Csv => results::full_sheet(&run.summary).csv(),
        Format::Table | Format::Markdown | Format::Latex | Format::Html => {
            Ok(sheet_as(&results::sheet(&run.summary), format, "Results"))
        }
    }
}

fn compare_runs(args: &CompareArgs) -> Result<()> {
    let root = find_root(&args.root)?;
    let columns = compare::resolve(&root, &args.operands)?;
    let mut comparison = compare::compare(&columns);
    if args.only_diff {
        comparison.keep_differences();
    }
    let text = match args.format {
        Format::Json => json(&comparison)?,
        Format::Csv => show::full_sheet(&comparison).csv()?,
        Format::Table | Format::Markdown | Format::Latex | Format::Html => {
            sheet_as(&show::sheet(&comparison), args.format, "Comparison")
        }
    };
    output::data(&text)?;
    if args.gate {
        for note in compare::gate(&root, &columns)? {
            eval::output::note(&format!("note: {note}"));
        }
    }
    Ok(())
}

fn sheet_as(sheet: &Sheet, format: Format, title: &str) -> String {
    match format {
        Format::Markdown => sheet.markdown(),
        Format::Latex => sheet.latex(),
        Format::Html => page::sheet_page(title, sheet),
        Format::Table | Format::Csv | Format::Json => sheet.terminal(output::width()),
    }
}

fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string_pretty(value)
        .map_err(|e| Error::internal("cannot encode JSON").caused_by(e))
}

fn pages(root: &Path, papers: &[String], open: bool) -> Result<()> {
    let all = if papers.is_empty() {
        store::papers(root)?
    } else {
        papers.to_vec()
    };
    let known = store::papers(root)?;
    let mut paths = Vec::new();
    for paper in &all {
        if !known.contains(paper) {
            let near = eval::suggest::nearest(paper, known.iter().map(String::as_str));
            let hint = near.map_or_else(
                || format!("known papers: {}", known.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(Error::usage(format!("`{paper}` is no paper")).hint(hint));
        }
        if papers.is_empty() && store::latest(root, paper)?.is_none() {
            eval::output::note(&format!("note: `{paper}` has no finished run and no page"));
            continue;
        }
        let folder = store::latest_or_hint(root, paper)?;
        paths.push(render::render(&StoredRun::open(root, folder.path())?)?);
    }
    let index = write_index(root)?;
    let mut lines: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    lines.push(index.display().to_string());
    output::data(&lines.join("\n"))?;
    match (open, &paths[..]) {
        (false, _) => Ok(()),
        (true, [only]) => browse(only),
        (true, _) => browse(&index),
    }
}

fn write_index(root: &Path) -> Result<PathBuf> {
    eval::fs::create_folder(&store::results(root))?;
    let path = store::results(root).join("index.html");
    eval::fs::write_atomic(&path, page::index_page(root)?.as_bytes())?;
    Ok(path)
}

/// Hands a file to the platform's own opener.
fn browse(path: &Path) -> Result<()> {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    let ended = Command::new(opener).arg(path).status();
    match ended {
        Ok(status) if status.success() || cfg!(windows) => Ok(()),
        Ok(status) => Err(Error::internal(format!("`{opener}` failed: {status}"))
            .hint(format!("open `{}` by hand", path.display()))),
        Err(cause) => Err(Error::internal(format!("cannot start `{opener}`"))
            .caused_by(cause)
            .hint(format!("open `{}` by hand", path.display()))),
    }
}
