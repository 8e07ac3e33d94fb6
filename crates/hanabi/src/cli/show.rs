//! Recorded games: as a page, as text for comparing engines, as a document for Hanab Live.

use std::path::{Path, PathBuf};

use clap::Args;
use eval::{Error, Result, output};

use super::files;
use crate::rules::{HanabLive, print_replay};
use crate::viewer::{Recorded, Replay, page, read};

/// Help of `view`.
pub const VIEW_HELP: &str = "\
Examples:
  hanabi play --player intent:1,0.5,1 --games 5 --out games.jsonl
  hanabi view games.jsonl --out games.html
  hanabi view export.json traces.txt --title 'Two games' --out page.html

The page needs no network: open it in a browser and step with the arrow keys.";

/// Options of `view`.
#[derive(Args, Debug)]
pub struct ViewArgs {
    /// Records of `play`, Hanab Live documents, or lines `n deck actions`
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Games of each file at most
    #[arg(
        long,
        value_name = "N",
        default_value_t = 20,
        value_parser = clap::value_parser!(u64).range(1..=2000)
    )]
    pub games: u64,
    /// Title of the page
    #[arg(long, value_name = "TEXT", default_value = "Hanabi games")]
    pub title: String,
    /// The page [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Options of `replay`.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// Records of `play`, a Hanab Live document, or lines `n deck actions`
    #[arg(long, value_name = "FILE")]
    pub trace: PathBuf,
}

/// Options of `export`.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// Records of `play`, a Hanab Live document, or lines `n deck actions`
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Which game of the file, from 1
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub game: usize,
    /// The document [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Writes a page in which a person steps through games.
///
/// # Errors
/// A file cannot be read or holds no legal game, or the page cannot be written.
pub fn view(args: &ViewArgs) -> Result<()> {
    let mut games: Vec<Replay> = Vec::new();
    for file in &args.files {
        let found = recorded(file, usize::try_from(args.games).unwrap_or(usize::MAX))?;
        for game in &found {
            games.push(game.replay()?);
        }
    }
    let text = page(&args.title, &games)?;
    files::Sink::open(args.out.as_deref())?.write(&text)?;
    if let Some(out) = &args.out {
        let n_games = games.len();
        let plural = if n_games == 1 { "game" } else { "games" };
        output::note(&format!("{n_games} {plural} in `{}`", out.display()));
    }
    Ok(())
}

/// Prints every game move by move: `t id nN Ll Ii Fabcde Xd`.
///
/// # Errors
/// The file cannot be read, or a game is not legal.
pub fn replay(args: &ReplayArgs) -> Result<()> {
    for game in recorded(&args.trace, usize::MAX)? {
        let (trace, _) = game.trace()?;
        let text = print_replay(&trace).map_err(|why| game.at(why))?;
        output::data(&text)?;
    }
    Ok(())
}

/// Writes one game as the site Hanab Live reads it.
///
/// # Errors
/// The file cannot be read, has no such game, or the game is not legal.
pub fn export(args: &ExportArgs) -> Result<()> {
    let games = recorded(&args.file, args.game)?;
    let wanted = args.game.checked_sub(1).and_then(|place| games.get(place));
    let Some(game) = wanted else {
        let (shown, n_games) = (args.file.display(), games.len());
        return Err(Error::usage(format!("`{shown}` has no game {}", args.game))
            .hint(format!("games are counted from 1, the file has {n_games}")));
    };
    let (trace, names) = game.trace()?;
    let live = HanabLive::from_trace(&trace, &names).map_err(|why| game.at(why))?;
    let text = serde_json::to_string(&live)
        .map_err(|e| Error::internal("a game cannot be written").caused_by(e))?;
    files::Sink::open(args.out.as_deref())?.write(&format!("{text}\n"))
}

fn recorded(file: &Path, n_games_max: usize) -> Result<Vec<Recorded>> {
    read(
        &files::read(file)?,
        &file.display().to_string(),
        n_games_max,
    )
}
