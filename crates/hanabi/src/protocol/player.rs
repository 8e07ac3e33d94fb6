//! A player in one seat, whoever it is: bot, graded player, script, language model.

use eval::Result;
use model::chat::BoxFuture;
use serde::{Deserialize, Serialize};

use super::statement::Statement;
use crate::rules::{Action, ActionId, Event, Hint, View};

/// A move and what is said about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// A legal action of the view.
    pub action: ActionId,
    /// R: why the hint is given; `None` for other moves, and for players without statements.
    pub rationale: Option<Statement>,
    /// S: how the one who is told will read it.
    pub prediction: Option<Statement>,
    /// How the move came about.
    pub replies: Replies,
}

impl Turn {
    /// A move about which nothing is said.
    #[must_use]
    pub fn silent(action: ActionId) -> Self {
        Self {
            action,
            rationale: None,
            prediction: None,
            replies: Replies::default(),
        }
    }
}

/// F: what the one who was told understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The statement; `None` where none could be read, and for players without statements.
    pub statement: Option<Statement>,
    /// How it came about.
    pub replies: Replies,
}

impl Reading {
    /// Of a player that says nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self {
            statement: None,
            replies: Replies::default(),
        }
    }
}

/// What became of a player's replies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replies {
    /// Replies asked for; 0 for players that need none.
    pub n_replies: u32,
    /// Why replies were refused, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
    /// Whether the fixed policy moved in the player's place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fell_back: bool,
}

/// A hint as the one who was told hears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HintHeard {
    /// Who gave it.
    pub from: usize,
    /// What was told.
    pub hint: Hint,
    /// The slots it touched, one bit each.
    pub touched: u8,
}

/// Somebody who plays one seat of one game. Everything it can know of the game comes through
/// [`View`]s of its own seat and public [`Event`]s.
pub trait Player: Send {
    /// Name of the player, as it goes into records.
    fn name(&self) -> &str;

    /// Moves. Called when it is the player's turn.
    ///
    /// # Errors
    /// Nobody answers, or the budget is used up. A bad answer is no error: it is counted and a
    /// fixed policy moves.
    fn act<'a>(&'a mut self, view: View<'a>) -> BoxFuture<'a, Result<Turn>>;

    /// Reads a hint that the seat just got; `view` is the one after the hint. Called before
    /// [`Player::observe`] hears of it.
    ///
    /// # Errors
    /// As [`Player::act`].
    fn interpret<'a>(
        &'a mut self,
        view: View<'a>,
        hint: HintHeard,
    ) -> BoxFuture<'a, Result<Reading>>;

    /// Hears what happened, after it did.
    fn observe(&mut self, view: &View<'_>, event: &Event);
}

/// The move that is made in the place of a player whose replies cannot be used: discard slot 0 if
/// that is legal, else the lowest legal hint, else the lowest legal action. It never costs a life
/// unless nothing else is possible.
#[must_use]
pub fn fallback(view: &View<'_>) -> ActionId {
    let legal = view.legal();
    let discard = view.id_of(Action::Discard(0));
    if legal >> discard & 1 == 1 {
        return discard;
    }
    let first_hint = 2 * view.hand_size();
    let hints = legal >> first_hint << first_hint;
    let from = if hints == 0 { legal } else { hints };
    from.trailing_zeros() as ActionId
}
