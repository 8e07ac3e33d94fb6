//! A seat played by whoever answers chats: an endpoint, a local model, a recording, a script.

use std::sync::Arc;

use eval::Result;
use model::chat::{BoxFuture, ChatModel, ChatRequest, Message, Role};
use model::generate::Sampling;
use serde::{Deserialize, Serialize};

use super::player::{HintHeard, Player, Reading, Replies, Turn, fallback};
use super::prompt::{self, Chronicle};
use super::reply::{read_reading, read_turn};
use crate::rules::{Event, View};

/// Replies asked for at most: the first, and one more with the error.
const N_REPLIES_MAX: u32 = 2;

/// How a chat model is asked. The paper's values are unknown.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatOptions {
    /// New tokens of a reply at most.
    pub n_tokens_max: usize,
    /// 0 takes the most likely token.
    pub temperature: f32,
    /// Seed of sampling, where the model honours it.
    pub seed: u64,
}

impl Default for ChatOptions {
    fn default() -> Self {
        Self {
            n_tokens_max: 512,
            temperature: 0.0,
            seed: 0,
        }
    }
}

/// A conversation of one system and one user message as a request.
#[must_use]
pub fn request(system: &str, user: &str, options: ChatOptions) -> ChatRequest {
    ChatRequest {
        messages: vec![
            Message::new(Role::System, system),
            Message::new(Role::User, user),
        ],
        n_samples: 1,
        n_tokens_max: options.n_tokens_max,
        sampling: Sampling {
            temperature: options.temperature,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            seed: options.seed,
        },
        stop: Vec::new(),
    }
}

/// Asks, reads, and asks once more with the error where nothing could be read.
///
/// # Errors
/// Nobody answers, or the budget is used up.
pub async fn ask<T: Send>(
    model: &dyn ChatModel,
    (system, user): (&str, &str),
    options: ChatOptions,
    mut read: impl FnMut(&str) -> Result<T, String> + Send,
) -> Result<(Option<T>, Replies)> {
    let mut replies = Replies::default();
    let mut question = user.to_owned();
    while replies.n_replies < N_REPLIES_MAX {
        let answer = model.chat(&request(system, &question, options)).await?;
        replies.n_replies += 1;
        let text = answer.choices.first().map_or("", |choice| &choice.text);
        match read(text) {
            Ok(value) => return Ok((Some(value), replies)),
            Err(why) => {
                question = format!(
                    "{user}\nYour last reply was refused: {why}. Reply with one JSON object."
                );
                replies.failures.push(why);
            }
        }
    }
    Ok((None, replies))
}

/// A chat model in a seat.
pub struct ChatPlayer {
    name: String,
    model: Arc<dyn ChatModel>,
    options: ChatOptions,
    chronicle: Chronicle,
}

impl ChatPlayer {
    /// `name` goes into records.
    pub fn new(name: impl Into<String>, model: Arc<dyn ChatModel>, options: ChatOptions) -> Self {
        Self {
            name: name.into(),
            model,
            options,
            chronicle: Chronicle::default(),
        }
    }

    async fn turn(&self, view: View<'_>) -> Result<Turn> {
        let (system, user) = (prompt::system(&view), prompt::turn(&view, &self.chronicle));
        // A legal move whose statements cannot be used is asked for again, but never lost.
        let mut legal = None;
        let asked = ask(&*self.model, (&system, &user), self.options, |text| {
            let said = read_turn(text, &view)?;
            legal = Some(said.action);
            match said.statements {
                None => Ok((said.action, None)),
                Some(statements) => statements.map(|both| (said.action, Some(both))),
            }
        });
        let (said, mut replies) = asked.await?;
        let Some((action, statements)) = said else {
            replies.fell_back = legal.is_none();
            return Ok(Turn {
                replies,
                ..Turn::silent(legal.unwrap_or_else(|| fallback(&view)))
            });
        };
        let (rationale, prediction) = statements.map_or((None, None), |[r, s]| (Some(r), Some(s)));
        Ok(Turn {
            action,
            rationale,
            prediction,
            replies,
        })
    }

    async fn reading(&self, view: View<'_>, heard: HintHeard) -> Result<Reading> {
        let system = prompt::system(&view);
        let user = prompt::interpretation(&view, &self.chronicle, heard);
        let n_cards = view.n_cards(view.seat());
        let asked = ask(&*self.model, (&system, &user), self.options, |text| {
            read_reading(text, n_cards)
        });
        let (statement, replies) = asked.await?;
        Ok(Reading { statement, replies })
    }
}

impl Player for ChatPlayer {
    fn name(&self) -> &str {
        &self.name
    }

    fn act<'a>(&'a mut self, view: View<'a>) -> BoxFuture<'a, Result<Turn>> {
        Box::pin(self.turn(view))
    }

    fn interpret<'a>(
        &'a mut self,
        view: View<'a>,
        heard: HintHeard,
    ) -> BoxFuture<'a, Result<Reading>> {
        Box::pin(self.reading(view, heard))
    }

    fn observe(&mut self, _: &View<'_>, event: &Event) {
        self.chronicle.push(event);
    }
}
