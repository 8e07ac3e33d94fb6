//! The command line: one declaration feeds parser, help, and examples.
//!
//! What is parsed here has no side effects. Checks that need the workspace (does this paper
//! exist?) follow in [`crate::request`] and in the commands themselves.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use eval::Scale;

/// Reproduces papers: builds, measures, judges, and reports
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    after_help = help::TOP,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands, in the order of a first visit.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the papers with their claims and last verdicts (builds nothing)
    #[command(after_help = "Examples:\n  cargo xtask list\n  cargo xtask list --format json")]
    List(FormatArgs),
    /// Show a paper: claims with places, published numbers, tests, and limits (builds nothing)
    #[command(after_help = "Examples:\n  cargo xtask show flow-pid\n  \
        cargo xtask show flow-pid --format json")]
    Show(ShowArgs),
    /// Say which cells `reproduce` would run, which are cached, and how long it would take
    #[command(after_help = help::PLAN)]
    Plan(Selection),
    /// Measure papers, judge their claims, and write the reports
    #[command(after_help = help::REPRODUCE)]
    Reproduce(ReproduceArgs),
    /// Compare runs with one another, with the baseline, or with the published numbers
    #[command(after_help = help::COMPARE)]
    Compare(CompareArgs),
    /// Write the HTML page of a paper's last run, or of all papers, from what is on disk
    #[command(after_help = "Examples:\n  cargo xtask report flow-pid --open\n  \
        cargo xtask report --all")]
    Report(ReportArgs),
    /// List, fetch, and verify data sets and weights
    #[command(after_help = help::DATA)]
    Data(DataArgs),
    /// Serve weights on this machine behind OpenAI's protocol
    #[command(after_help = help::SERVE)]
    Serve(ServeArgs),
    /// Scaffold a paper that runs, reports, and passes the tests at once
    #[command(after_help = help::NEW)]
    New(NewArgs),
    /// Check this machine: compiler, memory, disk, optional programs, folders
    #[command(
        after_help = "Examples:\n  cargo xtask doctor\n  cargo xtask doctor --format json\n\n\
        Exit code 0 unless a check failed (70); warnings do not count. The network is not probed."
    )]
    Doctor(FormatArgs),
    /// Run benchmarks, with `--peers` beside other people's programs
    #[command(after_help = help::BENCH)]
    Bench(BenchArgs),
    /// Run the gate: format, lints, tests, licences, and every paper at scale smoke
    #[command(
        after_help = "Example:\n  cargo xtask ci\n\nIt stops at the first failed step. \
        `cargo deny` is used where it is installed."
    )]
    Ci,
}

/// The longer help texts.
mod help {
    pub const TOP: &str = "\
Examples:
  cargo xtask list
  cargo xtask reproduce flow-pid
  cargo xtask reproduce --all --scale smoke

Exit codes: 0 complete · 2 usage · 3 a gated claim fell below its baseline (--gate) ·
  5 incomplete, resumable · 6 inputs missing or digest mismatch · 7 control failed ·
  70 internal · 101 build failed · 130 interrupted";

    pub const PLAN: &str = "\
Examples:
  cargo xtask plan flow-pid
  cargo xtask plan flow-pid --scale full --claims C1,C4

It is `reproduce --plan`: nothing is measured.";

    pub const REPRODUCE: &str = "\
Examples:
  cargo xtask reproduce flow-pid
  cargo xtask reproduce flow-pid --scale full --claims C1,C4 --seeds 20
  cargo xtask reproduce --all --scale smoke

The table and the path of the report go to stdout, all else to stderr. They are produced also when
a run ended incomplete, with inputs missing, or with a failed control.

Exit codes: 0 complete · 2 usage · 3 a gated claim fell below its baseline (--gate) ·
  5 incomplete, resumable · 6 inputs missing or digest mismatch · 7 control failed ·
  70 internal · 101 build failed · 130 interrupted
With several papers the code is the one to mend first:
  130 before 70, 101, 2, 7, 6, 5, 3, 0";

    pub const COMPARE: &str = "\
Examples:
  cargo xtask compare flow-pid baseline
  cargo xtask compare flow-pid published --only-diff
  cargo xtask compare flow-pid --gate

An operand is a paper (its last run), a run (its folder, or its name), `baseline`, or `published`.";

    pub const DATA: &str = "\
Examples:
  cargo xtask data list
  cargo xtask data fetch uci-multiple-features
  cargo xtask data verify

What follows `data` goes to the program `data`; `cargo xtask data list --help` shows its options.";

    pub const SERVE: &str = "\
Examples:
  cargo xtask serve smollm2-135m
  cargo xtask serve smollm2-135m --port 9000 --max-requests 8
  cargo xtask serve path/to/weights.gguf --threads 1
  curl http://127.0.0.1:8080/v1/models

A name is that of pinned weights below `datasets/models/`; they are fetched and verified first.
What follows the weights goes to `model serve`; `cargo xtask serve smollm2-135m --help` shows its
options. The server's address goes to stdout once it accepts connections.";

    pub const NEW: &str = "\
Example:
  cargo xtask new my-paper --arxiv 2510.04417 --title 'A title'

It writes crates/<id>/ and edits no existing file.";

    pub const BENCH: &str = "\
Examples:
  cargo xtask bench
  cargo xtask bench flow-pid --peers
  cargo xtask bench flow-pid --format json
  cargo xtask bench model --peers=llama.cpp

A peer is declared in crates/<crate>/benches/peers/<name>.toml and installed into a folder of its
own below target/peers/; what it takes is said before. Weights that a declaration names are found
or, with `--peers`, fetched, unless MODEL_WEIGHTS already names a folder that holds them.
`speedup` above 1 means that ours is faster, whatever the unit.";
}

/// How data is written to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs: one document.
    Json,
}

impl Format {
    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
        }
    }
}

/// Options of commands that only print.
#[derive(Debug, Args)]
pub struct FormatArgs {
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    pub format: Format,
}

/// Options of `show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The paper's id, as `list` shows it
    pub paper: String,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    pub format: Format,
}

/// What to measure and how much: the options shared by `plan` and `reproduce`.
#[derive(Args, Clone, Debug)]
pub struct Selection {
    /// Papers by id, as `list` shows them
    #[arg(value_name = "PAPER", required_unless_present = "all")]
    pub papers: Vec<String>,
    /// Every paper
    #[arg(long, conflicts_with = "papers")]
    pub all: bool,
    /// How much work: smoke (a minute, no verdicts), quick (10 minutes), full, or paper
    #[arg(long, value_parser = scale_parser(), default_value = "quick")]
    pub scale: Scale,
    /// Only these claims: `C1,C4`
    #[arg(long, value_name = "IDS")]
    pub claims: Option<String>,
    /// Seeds per condition, instead of the number in `paper.toml`
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub seeds: Option<u64>,
    /// Change one knob of the paper's configuration; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub set: Vec<String>,
    /// Cells measured at the same time, at most
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub jobs: Option<u64>,
    /// Where cells run; `local` is the only place so far
    #[arg(long, value_name = "PLACE", value_parser = place, default_value = "local")]
    pub on: String,
    /// Go on with this run, as it was asked for: the name of a folder below `results/<paper>/`
    #[arg(
        long,
        value_name = "RUN",
        conflicts_with_all = ["fresh", "scale", "claims", "seeds", "set"]
    )]
    pub resume: Option<String>,
    /// Start a new run, even where an unfinished one could be resumed
    #[arg(long)]
    pub fresh: bool,
    /// Never touch the network
    #[arg(long)]
    pub offline: bool,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    pub format: Format,
}

/// Options of `reproduce`.
#[derive(Args, Debug)]
pub struct ReproduceArgs {
    /// What to measure and how much.
    #[command(flatten)]
    pub selection: Selection,
    /// Only say which cells would run, which are cached and why, and how long it would take
    #[arg(long, conflicts_with_all = ["gate", "save_baseline"])]
    pub plan: bool,
    /// Exit with 3 if a gated claim fell below the committed baseline
    #[arg(long)]
    pub gate: bool,
    /// After a complete run, make it the paper's `baseline.json`
    #[arg(long)]
    pub save_baseline: bool,
}

/// How `compare` writes its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompareFormat {
    /// For people.
    Table,
    /// A Markdown table.
    Markdown,
    /// Comma-separated values.
    Csv,
    /// One JSON document.
    Json,
    /// A LaTeX table.
    Latex,
    /// An HTML table.
    Html,
}

impl CompareFormat {
    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Markdown => "markdown",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Latex => "latex",
            Self::Html => "html",
        }
    }
}

/// Options of `compare`.
#[derive(Args, Debug)]
pub struct CompareArgs {
    /// Papers, runs, `baseline`, or `published`; none: every paper's last run against both
    #[arg(value_name = "OPERAND")]
    pub operands: Vec<String>,
    /// Only the claims that differ
    #[arg(long)]
    pub only_diff: bool,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    pub format: CompareFormat,
    /// Exit with 3 if a gated claim fell below the committed baseline
    #[arg(long)]
    pub gate: bool,
}

/// Options of `report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// Papers by id, as `list` shows them
    #[arg(value_name = "PAPER", required_unless_present = "all")]
    pub papers: Vec<String>,
    /// Every paper
    #[arg(long, conflicts_with = "papers")]
    pub all: bool,
    /// Open the page in the browser
    #[arg(long)]
    pub open: bool,
}

/// Options of `data`.
#[derive(Args, Debug)]
pub struct DataArgs {
    /// What to do, with its own options
    #[arg(
        value_name = "ACTION",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub args: Vec<OsString>,
}

/// Options of `serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Never touch the network: the weights must be on this machine
    #[arg(long)]
    pub offline: bool,
    /// Accept the terms of these weights
    #[arg(long, value_name = "NAME")]
    pub accept: Vec<String>,
    /// Build with support for this device: `cpu`, `cuda[:N]`, or `metal`
    #[arg(long, value_name = "PLACE", value_parser = device)]
    pub device: Option<String>,
    /// A name below `datasets/models/`, or a path; then options of `model serve`
    #[arg(
        value_name = "WEIGHTS",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub args: Vec<OsString>,
}

/// Options of `new`.
#[derive(Args, Debug)]
pub struct NewArgs {
    /// The paper's id: folder, crate, and program are named so
    pub id: String,
    /// arXiv identifier, with or without version: 2510.04417v1
    #[arg(long, value_name = "N")]
    pub arxiv: String,
    /// The paper's title
    #[arg(long)]
    pub title: Option<String>,
}

/// Options of `bench`.
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// One crate; without it every crate that has benchmarks
    #[arg(value_name = "CRATE")]
    pub package: Option<String>,
    /// Also install and run the declared peers, or only those of a list: `--peers=numpy,torch`
    #[arg(
        long,
        value_name = "NAMES",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    pub peers: Option<String>,
    /// Where peers are installed; below the target folder unless said
    #[arg(long, value_name = "FOLDER")]
    pub peers_folder: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    pub format: Format,
}

fn scale_parser() -> impl TypedValueParser<Value = Scale> {
    PossibleValuesParser::new(Scale::ALL.map(Scale::as_str)).try_map(|word| word.parse::<Scale>())
}

fn at_least_one(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("at least 1 is needed".to_owned()),
        Ok(n) => Ok(n),
        Err(_) => Err("a whole number is needed".to_owned()),
    }
}

fn key_and_value(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, _)) if !key.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("`key=value` is needed".to_owned()),
    }
}

fn place(text: &str) -> Result<String, String> {
    match text {
        "local" => Ok(text.to_owned()),
        "slurm" => Err("`slurm` comes with the cluster issue; only `local` is there so far".into()),
        _ => Err("only `local` is there so far".to_owned()),
    }
}

fn device(text: &str) -> Result<String, String> {
    let number = text.strip_prefix("cuda:");
    let is_numbered = number.is_some_and(|number| number.parse::<usize>().is_ok());
    match text {
        "cpu" | "cuda" | "metal" => Ok(text.to_owned()),
        _ if is_numbered => Ok(text.to_owned()),
        _ => Err("`cpu`, `cuda`, `cuda:N`, or `metal` is needed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_declaration_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_lists_every_exit_code_of_eval() {
        let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        for help in [help::TOP, help::REPRODUCE] {
            assert!(squeeze(help).contains(&squeeze(eval::exit::HELP)), "{help}");
        }
    }

    #[test]
    fn every_command_has_an_example() {
        for command in Cli::command().get_subcommands() {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let example = format!("cargo xtask {}", command.get_name());
            assert!(
                help.contains(&example),
                "{} has no example",
                command.get_name()
            );
        }
    }
}
