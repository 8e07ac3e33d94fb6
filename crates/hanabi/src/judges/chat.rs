//! A judge who answers chats: an endpoint, a local model, a recording.

use std::sync::Arc;

use eval::Result;
use model::chat::{BoxFuture, ChatModel};

use super::interface::{Judge, Judgement, Order, Question};
use crate::protocol::{ChatOptions, ask, read_score};

/// Tokens of a judge's reply: one object with one number, and room for some talk.
const REPLY_TOKENS_MAX: usize = 128;

/// What the judge is, and what it is asked (§2.4).
#[must_use]
pub fn judge_prompt(question: &Question<'_>) -> [String; 2] {
    let max = question.order.score_max();
    let what = match question.order {
        Order::First => {
            "In the card game Hanabi one player gave another a hint. One of the statements is the \
             giver's reason for it, the other is what the receiver took it to mean."
        }
        Order::Second => {
            "In the card game Hanabi one player gave another a hint. One of the statements is the \
             giver's prediction of what the receiver would take it to mean, the other is what the \
             receiver really took it to mean."
        }
    };
    let system = format!(
        "{what} Score how far the two agree on what is to be done with which card, from 0 (not at \
         all) to {max} (fully). Answer with {{\"score\": number}} and nothing else."
    );
    let user = format!("(A) {}\n(B) {}", question.a.text, question.b.text);
    [system, user]
}

/// A chat model as a judge.
pub struct ChatJudge {
    name: String,
    model: Arc<dyn ChatModel>,
    options: ChatOptions,
}

impl ChatJudge {
    /// `name` goes into records.
    pub fn new(name: impl Into<String>, model: Arc<dyn ChatModel>, seed: u64) -> Self {
        Self {
            name: name.into(),
            model,
            options: ChatOptions {
                n_tokens_max: REPLY_TOKENS_MAX,
                temperature: 0.0,
                seed,
            },
        }
    }
}

impl Judge for ChatJudge {
    fn name(&self) -> &str {
        &self.name
    }

    fn score<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Result<Judgement>> {
        Box::pin(async move {
            let [system, user] = judge_prompt(&question);
            let max = question.order.score_max();
            let asked = ask(&*self.model, (&system, &user), self.options, |text| {
                read_score(text, max)
            });
            let (score, replies) = asked.await?;
            Ok(Judgement {
                score,
                expected: score.map(f64::from),
                failures: replies.failures,
            })
        })
    }
}
