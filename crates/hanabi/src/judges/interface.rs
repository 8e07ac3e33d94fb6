//! What a judge is asked and what it answers.

use eval::Result;
use model::chat::BoxFuture;

use crate::protocol::{GameRecord, Judged, Statement};
use crate::world::agree;

/// Which order of theory of mind a score is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// F against R, 0–10.
    First,
    /// S against F, 0–5.
    Second,
}

impl Order {
    /// The largest score, which means full agreement (§2.2).
    #[must_use]
    pub const fn score_max(self) -> u8 {
        match self {
            Self::First => 10,
            Self::Second => 5,
        }
    }
}

/// Two statements to compare. No outcome of the game is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Question<'a> {
    /// Which order, hence which scale.
    pub order: Order,
    /// What is shown as (A).
    pub a: &'a Statement,
    /// What is shown as (B).
    pub b: &'a Statement,
}

/// A judge's answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// The score, 0 to [`Order::score_max`]; `None` where none could be read.
    pub score: Option<u8>,
    /// The mean score under the judge's own distribution, where it has one.
    pub expected: Option<f64>,
    /// Why replies were refused.
    pub failures: Vec<String>,
}

/// Somebody who scores agreement.
pub trait Judge: Send + Sync {
    /// Name of the judge, as it goes into records.
    fn name(&self) -> &str;

    /// Scores two statements.
    ///
    /// # Errors
    /// Nobody answers, or the budget is used up. A bad answer is no error: it is counted.
    fn score<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Result<Judgement>>;
}

/// Knows the intents and compares them (§2.3): the truth that other judges are held against.
#[derive(Clone, Copy, Debug)]
pub struct Exact;

impl Judge for Exact {
    fn name(&self) -> &str {
        "exact"
    }

    fn score<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Result<Judgement>> {
        let agreement = agree(question.a.intent, question.b.intent);
        let expected = agreement * f64::from(question.order.score_max());
        // Half of 5 is no score: it is rounded away from zero like any other mean.
        let score = expected.round() as u8;
        Box::pin(async move {
            Ok(Judgement {
                score: Some(score),
                expected: Some(expected),
                failures: Vec::new(),
            })
        })
    }
}

/// Has every hint of a game scored that has all its statements, after the game.
///
/// Which statement is shown first alternates with the hints, so that no order is preferred and
/// equal records are judged equally.
///
/// # Errors
/// As [`Judge::score`].
pub async fn judge_game(record: &mut GameRecord, judge: &dyn Judge) -> Result<()> {
    let hints = record
        .turns
        .iter_mut()
        .filter_map(|turn| turn.hint.as_mut());
    for (hint_idx, hint) in hints.enumerate() {
        let Some([rationale, prediction, reading]) = hint.statements() else {
            continue;
        };
        let mut scores = [None, None];
        let mut failures = Vec::new();
        let asked = [
            (Order::First, rationale, reading),
            (Order::Second, prediction, reading),
        ];
        for (place, (order, a, b)) in asked.into_iter().enumerate() {
            let (a, b) = if hint_idx % 2 == 0 { (a, b) } else { (b, a) };
            let judgement = judge.score(Question { order, a, b }).await?;
            scores[place] = judgement.score;
            failures.extend(judgement.failures);
        }
        let [first, second] = scores;
        hint.judged.push(Judged {
            judge: judge.name().to_owned(),
            first,
            second,
            failures,
        });
    }
    Ok(())
}
