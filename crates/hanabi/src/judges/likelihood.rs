//! A judge by likelihood: how likely a small language model finds each score.

use std::sync::Arc;

use eval::Result;
use model::chat::{BoxFuture, Message, Role};

use super::chat::judge_prompt;
use super::interface::{Judge, Judgement, Question};
use crate::language::Scorer;

/// A language model of this machine as a judge. Its score is the most likely of all scores, its
/// expectation the mean under their probabilities.
pub struct LikelihoodJudge {
    name: String,
    scorer: Arc<Scorer>,
}

impl LikelihoodJudge {
    /// `name` goes into records.
    pub fn new(name: impl Into<String>, scorer: Arc<Scorer>) -> Self {
        Self {
            name: name.into(),
            scorer,
        }
    }

    /// Scores two statements without waiting for anybody.
    ///
    /// # Errors
    /// The statements leave no room in the model's context.
    pub fn judge(&self, question: &Question<'_>) -> Result<Judgement> {
        let [system, user] = judge_prompt(question);
        let messages = [
            Message::new(Role::System, system),
            Message::new(Role::User, user),
        ];
        let prompt = self.scorer.prompt(&messages, "{\"score\":")?;
        // The closing brace tells 1 from the beginning of 10.
        let max = question.order.score_max();
        let options: Vec<String> = (0..=max).map(|score| format!(" {score}}}")).collect();
        let likelihoods = self.scorer.choose(&prompt, &options)?;
        let probabilities = likelihoods.probabilities();
        let expected = probabilities.iter().enumerate();
        let expected: f64 = expected.map(|(score, p)| score as f64 * p).sum();
        Ok(Judgement {
            score: Some(likelihoods.best() as u8),
            expected: Some(expected),
            failures: Vec::new(),
        })
    }
}

impl Judge for LikelihoodJudge {
    fn name(&self) -> &str {
        &self.name
    }

    fn score<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Result<Judgement>> {
        Box::pin(async move { self.judge(&question) })
    }
}
