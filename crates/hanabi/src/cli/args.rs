//! The command line: one declaration feeds parser, help, and examples.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use eval::{Result, exit};
use model::chat::ModelOptions;

use super::show::{self, ExportArgs, ReplayArgs, VIEW_HELP, ViewArgs};
use super::{judge, play, raters};

const PLAY_HELP: &str = "\
Players:
  intent:t1,t2,sk       graded player with known intents (three numbers from 0 to 1)
  simple, value, hat, blind, random-legal
                        reference policies; they make no statements
  local:<weights>       language model here, by the likelihood of every legal action and statement
  chat:local:<weights>  language model here, by what it writes
  endpoint:<model>      model at an address (--base-url, else OPENAI_BASE_URL); needs a budget
  replay:<file>         recorded answers
  scripted:say:<text>   says the same to everybody
Weights are a file, or a name below `datasets/models/`. Judges are `exact`, `overlap`,
`local:<weights>`, `chat:local:<weights>`, `endpoint:<model>`, `replay:<file>`.

Examples:
  hanabi play --player intent:1,0.5,1 --games 10 > games.jsonl
  hanabi play --player intent:1,1,1 --player simple --seats a,a,b,b,b --games 100 --out mixed.jsonl
  hanabi play --player intent:1,1,1 --player intent:0,1,1 --cross --games 20 --out cross.jsonl
  hanabi play --player local:smollm2-135m-instruct --judge exact --judge overlap --out lm.jsonl
  hanabi play --player endpoint:gpt-4.1-mini --games 30 --budget-usd 5 --price-prompt 0.4 \\
    --price-generated 1.6 --cache answers --out run.jsonl

Every turn is one JSON line, and so is the end of every game. The same seed gives the same decks to
everybody. Exit codes: 0 done · 2 usage · 5 some games failed · 6 weights missing · 70 internal";

const JUDGE_HELP: &str = "\
Examples:
  hanabi judge --judge overlap
  hanabi judge --judge local:smollm2-135m-instruct --pairs 100 --format json
  hanabi judge games.jsonl --judge overlap --out judged.jsonl

Without records, judges are put to the test on pairs of statements with known agreement: plainly,
with places changed, padded, with a wrong slot number, and with reasons dealt out anew. With
records, every hint is scored and compared with the exact agreement of its intents.";

const RATERS_HELP: &str = "\
Examples:
  hanabi raters export --pairs 100 --out pairs.csv --key key.csv
  hanabi raters export games.jsonl --out pairs.csv --key key.csv
  hanabi raters import pairs.csv --key key.csv

Two people fill the columns `rater_1` and `rater_2` with 0 (no agreement), 1 (partly), or 2 (full
agreement), each without seeing the other's, and without the key.";

/// Commands beside those of the engine.
#[derive(Debug, Subcommand)]
pub enum Own {
    /// Play games with statements and record every turn
    #[command(after_help = PLAY_HELP)]
    Play(PlayArgs),
    /// Put judges to the test, or have them score recorded games
    #[command(after_help = JUDGE_HELP)]
    Judge(JudgeArgs),
    /// Write a page in which a person steps through recorded games
    #[command(after_help = VIEW_HELP)]
    View(ViewArgs),
    /// Print recorded games move by move, for comparing engines
    Replay(ReplayArgs),
    /// Write a recorded game as a document for Hanab Live
    Export(ExportArgs),
    /// Have two people rate pairs of statements, and compare their ratings
    #[command(after_help = RATERS_HELP)]
    Raters {
        /// What to do.
        #[command(subcommand)]
        action: RatersAction,
    },
}

/// Options of `play`.
#[derive(Args, Debug)]
pub struct PlayArgs {
    /// A player; the first is `a`, the next `b`, and so on
    #[arg(long = "player", value_name = "PLAYER", required = true)]
    pub players: Vec<String>,
    /// Who sits where: letters of the players [default: `a` in all seats]
    #[arg(long, value_name = "LETTERS")]
    pub seats: Option<String>,
    /// Number of seats, 2 to 5
    #[arg(long, value_name = "N", default_value_t = 5, conflicts_with = "seats")]
    pub table: usize,
    /// Instead of one table: each player alone among four of each other, on the same decks
    #[arg(long, conflicts_with = "seats")]
    pub cross: bool,
    /// Games; with `--cross`, of each pair
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000),
    )]
    pub games: u64,
    /// Seed of decks and chances
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Who scores the statements; repeatable
    #[arg(long = "judge", value_name = "JUDGE", default_value = "exact")]
    pub judges: Vec<String>,
    /// File of the records [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Games under way at the same time
    #[arg(
        long,
        value_name = "N",
        default_value_t = 8,
        value_parser = clap::value_parser!(u64).range(1..=4096),
    )]
    pub concurrency: u64,
    /// Only say what the run would cost at most
    #[arg(long)]
    pub estimate: bool,
    /// How language models are reached.
    #[command(flatten)]
    pub models: ModelArgs,
}

/// How language models are reached.
#[derive(Args, Clone, Debug)]
pub struct ModelArgs {
    /// New tokens of a reply at most
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub max_tokens: usize,
    /// Temperature of replies
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    pub temperature: f32,
    /// Where they are, and what they may cost.
    #[command(flatten)]
    pub reached: ModelOptions,
}

/// Options of `judge`.
#[derive(Args, Debug)]
pub struct JudgeArgs {
    /// Recorded games; without them, pairs with known agreement
    #[arg(value_name = "RECORDS")]
    pub records: Option<PathBuf>,
    /// Who scores; repeatable
    #[arg(long = "judge", value_name = "JUDGE", required = true)]
    pub judges: Vec<String>,
    /// Pairs with known agreement
    #[arg(
        long,
        value_name = "N",
        default_value_t = 200,
        value_parser = clap::value_parser!(u64).range(4..=100_000),
        conflicts_with = "records",
    )]
    pub pairs: u64,
    /// Seed of the pairs
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// File for the records with scores added
    #[arg(long, value_name = "FILE", requires = "records")]
    pub out: Option<PathBuf>,
    /// How the result is printed
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// How language models are reached.
    #[command(flatten)]
    pub models: ModelArgs,
}

/// How results are written to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: one document.
    Json,
}

/// What raters are asked.
#[derive(Debug, Subcommand)]
pub enum RatersAction {
    /// Write pairs without names, intents, or scores, and the key apart
    Export {
        /// Recorded games; without them, pairs with known agreement
        records: Option<PathBuf>,
        /// Pairs at most
        #[arg(
            long,
            value_name = "N",
            default_value_t = 100,
            value_parser = clap::value_parser!(u64).range(1..=100_000),
        )]
        pairs: u64,
        /// Seed of the choice and the order
        #[arg(long, value_name = "N", default_value_t = 0)]
        seed: u64,
        /// The raters' file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The key, not for the raters
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Read the file with both ratings and print Cohen's kappa
    Import {
        /// The raters' file
        file: PathBuf,
        /// The key, for agreement with the known intents
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// How the result is printed
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
}

/// Carries out a command; gives the exit code.
///
/// # Errors
/// As the command.
pub fn carry_out(own: Own) -> Result<u8> {
    match own {
        Own::Play(args) => play::play(&args),
        Own::Judge(args) => judge::judge(&args),
        Own::View(args) => show::view(&args).map(|()| exit::COMPLETE),
        Own::Replay(args) => show::replay(&args).map(|()| exit::COMPLETE),
        Own::Export(args) => show::export(&args).map(|()| exit::COMPLETE),
        Own::Raters { action } => raters::raters(&action).map(|()| exit::COMPLETE),
    }
}
