//! One model alone: Single-Best and Self-Consistency (§2.6 of the specification).

use eval::Result;

use super::agent::{Agent, Asking, Reply};
use super::question::Question;
use super::tokens::Tokens;
use super::vote::plurality;

/// What a protocol answered and what it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The normalised answer; `None` where no answer could be read.
    pub answer: Option<String>,
    /// What it took.
    pub tokens: Tokens,
}

/// One greedy answer of the agent with the highest validation accuracy.
///
/// # Errors
/// Nobody answers.
pub async fn single_best(best: &Agent, question: &Question) -> Result<Decision> {
    let greedy = Asking {
        temperature: 0.0,
        seed: 0,
    };
    let (replies, tokens) = best.ask(question, 1, greedy, "greedy").await?;
    let answer = replies.into_iter().next().and_then(|reply| reply.answer);
    Ok(Decision { answer, tokens })
}

/// Plurality over `k` samples of one agent.
///
/// # Errors
/// Nobody answers.
pub async fn self_consistency(
    agent: &Agent,
    question: &Question,
    k: usize,
    asking: Asking,
) -> Result<Decision> {
    let (replies, tokens) = agent.ask(question, k, asking, "samples").await?;
    Ok(Decision {
        answer: voted(&replies),
        tokens,
    })
}

/// The plurality answer of replies.
pub(super) fn voted(replies: &[Reply]) -> Option<String> {
    let answers = replies.iter().map(|reply| reply.answer.as_deref());
    plurality(answers).map(|(answer, _)| answer.to_owned())
}
