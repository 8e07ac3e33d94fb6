//! Files with games: which of the formats it is, and the games in it.

use eval::{Error, Result};

use super::replay::Replay;
use crate::protocol::GameRecord;
use crate::rules::{HanabLive, Trace};

/// Bytes of a file at most: thousands of games, and more than a browser likes.
pub const FILE_BYTES_MAX: usize = 64 << 20;

/// A game of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Where it stands, for people: `line 3 of \`games.txt\``.
    pub place: String,
    /// What was read.
    pub game: Format,
}

/// The formats in which games are recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// A line `n deck actions`.
    Trace(Trace),
    /// A document of the site Hanab Live.
    Live(HanabLive),
    /// Turns and end of a game of the protocol.
    Record(Box<GameRecord>),
}

impl Recorded {
    /// The game, ready to be shown.
    ///
    /// # Errors
    /// It is not legal.
    pub fn replay(&self) -> Result<Replay> {
        let replay = match &self.game {
            Format::Trace(trace) => Replay::from_trace(trace, &self.place),
            Format::Live(live) => {
                Replay::from_live(live, &format!("Hanab Live document {}", self.place))
            }
            Format::Record(record) => {
                let source = format!("{}, seed {}", self.place, record.end.seed);
                Replay::from_record(record, &source)
            }
        };
        replay.map_err(|why| self.at(why))
    }

    /// The moves, and the names of the players.
    ///
    /// # Errors
    /// The document is no game.
    pub fn trace(&self) -> Result<(Trace, Vec<String>)> {
        let found = match &self.game {
            Format::Trace(trace) => {
                let names = (0..trace.n_players).map(|seat| format!("player {seat}"));
                Ok((trace.clone(), names.collect()))
            }
            Format::Live(live) => live.to_trace().map(|trace| (trace, live.players.clone())),
            Format::Record(record) => record
                .trace()
                .map(|trace| (trace, record.end.players.clone())),
        };
        found.map_err(|why| self.at(why))
    }

    /// An error of this game, with its place.
    #[must_use]
    pub fn at(&self, why: Error) -> Error {
        refused(&self.place, why)
    }
}

/// At most `n_games_max` games of a file, whose name is shown as `shown`: records of the protocol
/// (JSON lines), one Hanab Live document, or trace lines.
///
/// # Errors
/// The text is in none of these formats; the message names the line.
pub fn read(text: &str, shown: &str, n_games_max: usize) -> Result<Vec<Recorded>> {
    if text.len() > FILE_BYTES_MAX {
        let n_bytes = text.len();
        return Err(Error::inputs(format!("`{shown}` has {n_bytes} bytes"))
            .hint("cut the file to the games of interest"));
    }
    let games = match text.trim_start().as_bytes().first() {
        None => Vec::new(),
        Some(b'{') if is_record(text) => records(text, shown, n_games_max)?,
        Some(b'{' | b'[' | b'"') => vec![document(text, shown)?],
        Some(_) => traces(text, shown, n_games_max)?,
    };
    if games.is_empty() {
        return Err(Error::inputs(format!("`{shown}` holds no game")).hint(
            "games are read from records of `hanabi play`, from Hanab Live documents, and from \
             lines `n deck actions`",
        ));
    }
    Ok(games)
}

/// Whether the first line alone is an object that says which line of a record it is.
fn is_record(text: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Tagged {
        #[serde(rename = "line")]
        _line: String,
    }
    let first = text.trim_start().lines().next().unwrap_or_default();
    serde_json::from_str::<Tagged>(first).is_ok()
}

fn records(text: &str, shown: &str, n_games_max: usize) -> Result<Vec<Recorded>> {
    let games = GameRecord::read_all(text, shown)?.into_iter();
    let recorded = |record: GameRecord| Recorded {
        place: format!("game {} of `{shown}`", record.end.game),
        game: Format::Record(Box::new(record)),
    };
    Ok(games.take(n_games_max).map(recorded).collect())
}

fn document(text: &str, shown: &str) -> Result<Recorded> {
    let place = format!("`{shown}`");
    match HanabLive::parse(text) {
        Ok(live) => Ok(Recorded {
            place,
            game: Format::Live(live),
        }),
        Err(why) => Err(refused(&place, why)),
    }
}

fn traces(text: &str, shown: &str, n_games_max: usize) -> Result<Vec<Recorded>> {
    let lines = text.lines().enumerate();
    let games = lines.filter(|(_, line)| !line.trim().is_empty());
    games
        .take(n_games_max)
        .map(|(line_idx, line)| {
            let place = format!("line {} of `{shown}`", line_idx + 1);
            match Trace::parse(line) {
                Ok(trace) => Ok(Recorded {
                    place,
                    game: Format::Trace(trace),
                }),
                Err(why) => Err(refused(&place, why)),
            }
        })
        .collect()
}

fn refused(place: &str, why: Error) -> Error {
    Error::inputs(format!("{place} is no game that can be read"))
        .caused_by(why)
        .hint("games are records of `hanabi play`, Hanab Live documents, or lines `n deck actions`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Deck;

    fn refuse(text: &str, parts: &[&str]) {
        let found = read(text, "games.txt", 9);
        let found = found.and_then(|games| {
            games
                .iter()
                .map(Recorded::replay)
                .collect::<Result<Vec<_>>>()
        });
        let report = found.unwrap_err().report();
        for part in parts {
            assert!(report.contains(part), "no `{part}` in {report}");
        }
    }

    #[test]
    fn what_is_no_game_is_refused_with_its_place() {
        let deck = Deck::sorted();
        refuse("", &["`games.txt` holds no game"]);
        refuse(" \n\n", &["`games.txt` holds no game"]);
        refuse(
            "hello",
            &["line 1 of `games.txt`", "`hello` is no number of players"],
        );
        let late = format!("2 {deck} 5\n\n2 {deck} 5,5,5,5,5\n");
        refuse(
            &late,
            &["line 3 of `games.txt`", "turn 5", "the game is over"],
        );
        refuse(
            "{}",
            &["`games.txt` is no game", "no Hanab Live game", "players"],
        );
        refuse(
            "{\"line\":\"turn\"}",
            &["line 1 of `games.txt` is no record"],
        );
        refuse("[1,2]", &["no Hanab Live game"]);
        refuse(
            "{\"line\":\"turn\",\"game\":[]}",
            &["line 1 of `games.txt`"],
        );
    }

    #[test]
    fn as_many_games_are_read_as_are_asked_for() {
        let line = format!("2 {} 5,5\n", Deck::sorted());
        assert_eq!(read(&line.repeat(5), "x", 3).unwrap().len(), 3);
        assert_eq!(
            read(&line.repeat(2), "x", 3).unwrap()[1].place,
            "line 2 of `x`"
        );
    }
}
