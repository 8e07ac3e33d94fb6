//! What is kept of a game: one JSON line per turn, and one for the game after its turns.

use eval::{Error, Result};
use serde::{Deserialize, Serialize};

use super::player::Replies;
use super::statement::Statement;
use crate::rules::{ActionId, Deck, End, Trace};
use crate::world::agree;

/// The format version of records.
pub const FORMAT: u32 = 1;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "line")]
pub enum Line {
    /// A turn.
    Turn(TurnRecord),
    /// A finished game.
    Game(GameEnd),
}

/// One turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TurnRecord {
    /// Format version.
    pub format: u32,
    /// Which game of the run, from 0.
    pub game: u64,
    /// Which turn, from 1.
    pub turn: u32,
    /// Who moved.
    pub seat: u8,
    /// Name of the player in that seat.
    pub player: String,
    /// The action's id.
    pub action: ActionId,
    /// The same in words.
    pub words: String,
    /// What became of the mover's replies.
    pub replies: Replies,
    /// The statements of a hint; absent for other moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<HintTurn>,
    /// Tokens after the move.
    pub tokens: u8,
    /// Lives after the move.
    pub lives: u8,
    /// Sum of the fireworks after the move.
    pub score_points: u8,
}

/// What was meant, predicted, and understood, and what judges made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HintTurn {
    /// Who was told.
    pub to: u8,
    /// Name of the player in that seat.
    pub recipient: String,
    /// R.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rationale: Option<Statement>,
    /// S.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction: Option<Statement>,
    /// F.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Statement>,
    /// What became of the recipient's replies.
    pub heard: Replies,
    /// Scores, one entry per judge that was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<Judged>,
}

/// Scores of one judge for one hint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// The judge.
    pub judge: String,
    /// J1: agreement of F with R, 0–10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u8>,
    /// J2: agreement of S with F, 0–5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<u8>,
    /// Replies of the judge that were refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
}

/// How a game ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GameEnd {
    /// Format version.
    pub format: u32,
    /// Which game of the run, from 0.
    pub game: u64,
    /// Seed of the run.
    pub seed: u64,
    /// Names of the players by seat.
    pub players: Vec<String>,
    /// The deck in dealing order, in two characters per card.
    pub deck: String,
    /// The actions in order.
    pub actions: Vec<ActionId>,
    /// Why it ended.
    pub end: End,
    /// Sum of the fireworks.
    pub score_points: u8,
    /// The same, 0 when all lives are lost.
    pub score_strict: u8,
    /// Hints given.
    pub n_hints: u32,
    /// Of these, hints without all three statements, which no average counts.
    pub n_hints_without_statements: u32,
    /// Replies that were refused, over all players.
    pub format_failures: u32,
    /// Turns in which the fixed policy moved.
    pub n_fallbacks: u32,
    /// Mean exact agreement of F with R over the hints with statements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_order: Option<f64>,
    /// Mean exact agreement of S with F over the same hints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_order: Option<f64>,
}

impl HintTurn {
    /// R, S, F where all are there.
    #[must_use]
    pub fn statements(&self) -> Option<[&Statement; 3]> {
        let (rationale, prediction) = (self.rationale.as_ref()?, self.prediction.as_ref()?);
        Some([rationale, prediction, self.reading.as_ref()?])
    }

    /// Exact agreements of F with R and of S with F (§2.3), where all statements are there.
    #[must_use]
    pub fn agreements(&self) -> Option<[f64; 2]> {
        let [rationale, prediction, reading] = self.statements()?;
        Some([
            agree(reading.intent, rationale.intent),
            agree(prediction.intent, reading.intent),
        ])
    }
}

/// A finished game.
#[derive(Clone, Debug, PartialEq)]
pub struct GameRecord {
    /// Its turns.
    pub turns: Vec<TurnRecord>,
    /// How it ended.
    pub end: GameEnd,
}

impl GameRecord {
    /// Its hints, in order.
    pub fn hints(&self) -> impl Iterator<Item = &HintTurn> {
        self.turns.iter().filter_map(|turn| turn.hint.as_ref())
    }

    /// Its lines, turns first, each with its line end.
    ///
    /// # Errors
    /// A number cannot be written; a bug.
    pub fn to_lines(&self) -> Result<String> {
        let mut text = String::new();
        let turns = self.turns.iter().cloned().map(Line::Turn);
        for line in turns.chain([Line::Game(self.end.clone())]) {
            let line = serde_json::to_string(&line)
                .map_err(|e| Error::internal("a record cannot be written").caused_by(e))?;
            text.push_str(&line);
            text.push('\n');
        }
        Ok(text)
    }

    /// The game as a trace that the rules replay.
    ///
    /// # Errors
    /// The deck of the record is none.
    pub fn trace(&self) -> Result<Trace> {
        Ok(Trace {
            n_players: self.end.players.len(),
            deck: Deck::parse(&self.end.deck)?,
            actions: self.end.actions.clone(),
            score: Some(self.end.score_strict),
        })
    }

    /// Reads the games of a text of lines, named `shown` in errors.
    ///
    /// # Errors
    /// A line is no record, or a game's turns do not come just before its end.
    pub fn read_all(text: &str, shown: &str) -> Result<Vec<Self>> {
        let mut games = Vec::new();
        let mut turns: Vec<TurnRecord> = Vec::new();
        for (line_idx, line) in text.lines().enumerate() {
            let place = || format!("line {} of `{shown}`", line_idx + 1);
            let line: Line = serde_json::from_str(line)
                .map_err(|e| Error::inputs(format!("{} is no record", place())).caused_by(e))?;
            match line {
                Line::Turn(turn) => turns.push(turn),
                Line::Game(end) => {
                    if turns.iter().any(|turn| turn.game != end.game) {
                        let message =
                            format!("{} ends a game other than the turns before", place());
                        return Err(
                            Error::inputs(message).hint("keep the lines of a game together")
                        );
                    }
                    let turns = std::mem::take(&mut turns);
                    games.push(Self { turns, end });
                }
            }
        }
        if turns.is_empty() {
            return Ok(games);
        }
        Err(
            Error::inputs(format!("`{shown}` stops in the middle of a game"))
                .hint("the run was interrupted: start it again, answers in the cache are kept"),
        )
    }
}
