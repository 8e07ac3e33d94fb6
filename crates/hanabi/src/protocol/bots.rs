//! Players without statements: the reference policies, and a list of moves.

use std::collections::VecDeque;

use eval::{Error, Result};
use model::chat::BoxFuture;
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use super::player::{HintHeard, Player, Reading, Turn, fallback};
use super::statement::Statement;
use crate::policies::{self, Blind, Hat, Ladder, RandomLegal, Simple, Value};
use crate::rules::{Action, Event, View};

/// A reference policy in a seat. It says nothing, so hints from or to it have no scores.
pub struct Bot {
    name: &'static str,
    policy: Box<dyn policies::Player + Send>,
    rng: Pcg64Mcg,
}

impl Bot {
    /// A policy of the ladder at a table of `n_players`; `seed` moves those that draw.
    ///
    /// # Errors
    /// The policy sees more than a seat may see.
    pub fn new(rung: Ladder, n_players: usize, seed: u64) -> Result<Self> {
        let policy: Box<dyn policies::Player + Send> = match rung {
            Ladder::Blind => Box::new(Blind),
            Ladder::RandomLegal => Box::new(RandomLegal),
            Ladder::Simple => Box::new(Simple::new(n_players)),
            Ladder::Value => Box::new(Value::new(n_players)),
            Ladder::Hat => Box::new(Hat::new(n_players)),
            Ladder::Cheat => {
                return Err(
                    Error::usage("the policy `cheat` sees all hands and takes no seat")
                        .hint("it is measured in the ladder; seat `value` or `hat` here"),
                );
            }
        };
        Ok(Self {
            name: rung.name(),
            policy,
            rng: Pcg64Mcg::seed_from_u64(seed),
        })
    }
}

impl Player for Bot {
    fn name(&self) -> &str {
        self.name
    }

    fn act<'a>(&'a mut self, view: View<'a>) -> BoxFuture<'a, Result<Turn>> {
        let action = self.policy.act(&view, &mut self.rng);
        Box::pin(async move { Ok(Turn::silent(action)) })
    }

    fn interpret<'a>(&'a mut self, _: View<'a>, _: HintHeard) -> BoxFuture<'a, Result<Reading>> {
        Box::pin(async { Ok(Reading::silent()) })
    }

    fn observe(&mut self, view: &View<'_>, event: &Event) {
        self.policy.observe(view, event);
    }
}

/// A list of turns and readings, given in order; when it ends, or a move is not legal, the fixed
/// policy moves and nothing is said.
#[derive(Clone, Debug, Default)]
pub struct ScriptedPlayer {
    turns: VecDeque<Turn>,
    readings: VecDeque<Statement>,
}

impl ScriptedPlayer {
    /// A player with these turns and readings.
    #[must_use]
    pub fn new(turns: Vec<Turn>, readings: Vec<Statement>) -> Self {
        Self {
            turns: turns.into(),
            readings: readings.into(),
        }
    }
}

impl Player for ScriptedPlayer {
    fn name(&self) -> &str {
        "scripted"
    }

    fn act<'a>(&'a mut self, view: View<'a>) -> BoxFuture<'a, Result<Turn>> {
        let listed = self.turns.pop_front();
        let is_legal = |turn: &Turn| turn.action < 64 && view.legal() >> turn.action & 1 == 1;
        let mut turn = listed
            .filter(is_legal)
            .unwrap_or_else(|| Turn::silent(fallback(&view)));
        if !matches!(view.action(turn.action), Some(Action::Hint { .. })) {
            (turn.rationale, turn.prediction) = (None, None);
        }
        Box::pin(async move { Ok(turn) })
    }

    fn interpret<'a>(&'a mut self, _: View<'a>, _: HintHeard) -> BoxFuture<'a, Result<Reading>> {
        let statement = self.readings.pop_front();
        Box::pin(async move {
            Ok(Reading {
                statement,
                ..Reading::silent()
            })
        })
    }

    fn observe(&mut self, _: &View<'_>, _: &Event) {}
}
