//! `flow-pid estimate`: the command line of the tool.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use eval::{Error, Result, output};

use super::options::{LabelCoding, Method, Missing, Options, TargetKind};
use super::{Table, estimate, render};

/// The word that leads here; everything else is the engine's.
pub const COMMAND: &str = "estimate";

const HELP: &str = "\
Examples:
  flow-pid estimate --x1 image.parquet --x2 text.csv --y labels.npy
  flow-pid estimate --x1 all.csv --x1-columns a,b --x2 all.csv --x2-columns c,d \\
    --y all.csv --y-columns class --missing drop --picture atoms.svg
  flow-pid estimate --x1 a.npy --x2 b.npy --y y.npy --method flow --bootstrap 500 --format json

Files end in .parquet, .csv, .tsv, or .npy; row k of all three is one item. Columns of .npy files,
and of .csv files without a header, are called c0, c1, ….

Amounts are plug-in estimates in bits; the null is what shuffled targets give on the same sources.

Exit codes: 0 done · 2 usage · 6 a file or its values cannot be used · 70 internal";

/// What two sources tell about a target: redundant, unique, and synergistic information.
#[derive(Debug, Parser)]
#[command(name = "flow-pid estimate", after_help = HELP)]
struct Line {
    /// File of source 1.
    #[arg(long, value_name = "FILE")]
    x1: PathBuf,
    /// File of source 2.
    #[arg(long, value_name = "FILE")]
    x2: PathBuf,
    /// File of the target.
    #[arg(long, value_name = "FILE")]
    y: PathBuf,
    /// Columns of source 1, by name; else all.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    x1_columns: Vec<String>,
    /// Columns of source 2, by name; else all.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    x2_columns: Vec<String>,
    /// Columns of the target, by name; else all.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    y_columns: Vec<String>,
    /// How atoms are estimated.
    #[arg(long, value_enum, default_value = "auto")]
    method: Method,
    /// Resamples for the intervals; 0 leaves them out.
    #[arg(long, value_name = "N", default_value_t = 200)]
    bootstrap: usize,
    /// Shuffles of the target for the null; 0 leaves it out.
    #[arg(long, value_name = "N", default_value_t = 200)]
    shuffles: usize,
    /// Level of intervals and null bounds.
    #[arg(long, default_value_t = 0.95)]
    level: f64,
    /// What happens to missing values.
    #[arg(long, value_enum, default_value = "refuse")]
    missing: Missing,
    /// What the target is.
    #[arg(long, value_enum, default_value = "auto")]
    target: TargetKind,
    /// How a label becomes numbers.
    #[arg(long, value_enum, default_value = "one-hot")]
    coding: LabelCoding,
    /// Leading principal components kept of each source; else every column.
    #[arg(long, value_name = "N")]
    components: Option<usize>,
    /// Quantile bins a source for the discrete method.
    #[arg(long, value_name = "N", default_value_t = 4)]
    bins: usize,
    /// Training steps of the flow method.
    #[arg(long, value_name = "N", default_value_t = 5000)]
    steps: u64,
    /// Seed of every random choice.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Write a picture (SVG) to this file.
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// How the result is printed.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for a reader.
    Table,
    /// One JSON document.
    Json,
}

/// Obeys the arguments after the program's name, the first of which is [`COMMAND`].
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = match Line::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => {
            // Help is no error; clap prints each to the right stream.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() {
                eval::exit::USAGE
            } else {
                eval::exit::COMPLETE
            });
        }
    };
    match obey(line) {
        Ok(()) => ExitCode::from(eval::exit::COMPLETE),
        Err(error) => {
            output::failure(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// One line for the help of the whole program, which is the engine's and does not know this room.
pub fn announce() {
    output::note(
        "To decompose data of your own: `flow-pid estimate --help`. The commands below measure \
         the paper's claims.\n",
    );
}

fn obey(line: Line) -> Result<()> {
    let mut options = Options {
        method: line.method,
        bootstrap: line.bootstrap,
        shuffles: line.shuffles,
        level: line.level,
        missing: line.missing,
        target: line.target,
        coding: line.coding,
        components: line.components,
        bins: line.bins,
        seed: line.seed,
        ..Options::default()
    };
    options.flow.steps = line.steps;
    options.check()?;
    let y = Table::read(&line.y)?.select(&line.y_columns)?;
    let x1 = Table::read(&line.x1)?.select(&line.x1_columns)?;
    let x2 = Table::read(&line.x2)?.select(&line.x2_columns)?;
    let report = estimate(&y, &x1, &x2, &options)?;
    if let Some(path) = &line.picture {
        std::fs::write(path, render::svg(&report)).map_err(|e| Error::io("write", path, e))?;
        output::note(&format!("picture: {}", path.display()));
    }
    output::data(&match line.format {
        Format::Table => render::text(&report),
        Format::Json => render::json(&report)?,
    })
}
