//! A seat played by a language model in this process by constrained likelihood: it scores every
//! legal action and every possible statement, so that it cannot break the format.

use std::sync::Arc;

use eval::Result;
use model::chat::{BoxFuture, Message, Role};

use super::player::{HintHeard, Player, Reading, Replies, Turn};
use super::prompt::{self, Chronicle, action_words, legal_ids};
use super::statement::{Statement, intents, phrase};
use crate::language::Scorer;
use crate::rules::{Action, ActionId, Event, View};
use crate::world::Intent;

/// A language model in a seat. Options are compared by their log-probability per token, since
/// longer ones would lose by their length alone.
pub struct LikelihoodPlayer {
    name: String,
    scorer: Arc<Scorer>,
    chronicle: Chronicle,
}

impl LikelihoodPlayer {
    /// `name` goes into records.
    pub fn new(name: impl Into<String>, scorer: Arc<Scorer>) -> Self {
        Self {
            name: name.into(),
            scorer,
            chronicle: Chronicle::default(),
        }
    }

    fn prompt(&self, view: &View<'_>, user: &str, lead: &str) -> Result<Vec<u32>> {
        let messages = [
            Message::new(Role::System, prompt::rules(view)),
            Message::new(Role::User, user),
        ];
        self.scorer.prompt(&messages, lead)
    }

    fn turn(&self, view: &View<'_>) -> Result<Turn> {
        // Without the form of replies: options are scored, not written.
        let listed = prompt::situation(view, &self.chronicle);
        let user = format!("{listed}It is your turn.");
        let mut prompt = self.prompt(view, &user, "My move:")?;
        let ids: Vec<ActionId> = legal_ids(view).collect();
        let options: Vec<String> = ids
            .iter()
            .map(|id| format!(" {}.", action_words(view, *id)))
            .collect();
        let best = self.scorer.choose(&prompt, &options)?.best_per_token();
        let action = ids[best];
        let mut turn = Turn {
            replies: Replies {
                n_replies: 1,
                ..Replies::default()
            },
            ..Turn::silent(action)
        };
        if let Some(Action::Hint { offset, .. }) = view.action(action) {
            let to = (view.seat() + usize::from(offset)) % view.n_players();
            let n_cards = view.n_cards(to);
            prompt.extend(self.scorer.piece(&options[best])?);
            prompt.extend(self.scorer.piece("\nMy reason:")?);
            let rationale = self.state(&mut prompt, n_cards)?;
            let lead = format!("\nWhat player {to} will think I mean:");
            prompt.extend(self.scorer.piece(&lead)?);
            let prediction = self.state(&mut prompt, n_cards)?;
            turn.rationale = Some(rationale);
            turn.prediction = Some(prediction);
            turn.replies.n_replies += 2;
        }
        Ok(turn)
    }

    /// The most likely statement after `prompt`, which it then continues.
    fn state(&self, prompt: &mut Vec<u32>, n_cards: usize) -> Result<Statement> {
        let intents: Vec<Intent> = intents(n_cards);
        let options: Vec<String> = intents
            .iter()
            .map(|intent| format!(" {}", phrase(*intent, 0)))
            .collect();
        let best = self.scorer.choose(prompt, &options)?.best_per_token();
        prompt.extend(self.scorer.piece(&options[best])?);
        Ok(Statement::templated(intents[best], 0))
    }

    fn reading(&self, view: &View<'_>, heard: HintHeard) -> Result<Reading> {
        let state = prompt::state(view, &self.chronicle);
        let user = format!("{state}{} Why?", prompt::heard_words(heard));
        let mut prompt = self.prompt(view, &user, "The reason:")?;
        let statement = self.state(&mut prompt, view.n_cards(view.seat()))?;
        Ok(Reading {
            statement: Some(statement),
            replies: Replies {
                n_replies: 1,
                ..Replies::default()
            },
        })
    }
}

impl Player for LikelihoodPlayer {
    fn name(&self) -> &str {
        &self.name
    }

    fn act<'a>(&'a mut self, view: View<'a>) -> BoxFuture<'a, Result<Turn>> {
        Box::pin(async move { self.turn(&view) })
    }

    fn interpret<'a>(
        &'a mut self,
        view: View<'a>,
        heard: HintHeard,
    ) -> BoxFuture<'a, Result<Reading>> {
        Box::pin(async move { self.reading(&view, heard) })
    }

    fn observe(&mut self, _: &View<'_>, event: &Event) {
        self.chronicle.push(event);
    }
}
