//! LLM-Debate: agents answer, read each other's answers, and answer again (arXiv 2305.14325).

use eval::{Error, Result};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::agent::{Agent, Asking, Reply};
use super::question::Question;
use super::single::voted;
use super::tokens::Tokens;

/// A whole debate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debate {
    /// Per round, what each agent said, in the order of the agents.
    pub rounds: Vec<Vec<Reply>>,
    /// Plurality over the answers of the last round; of several, the earliest agent's.
    pub answer: Option<String>,
    /// What it took.
    pub tokens: Tokens,
}

/// Lets `agents` debate for `n_rounds` rounds. The published program has 3 agents and 2 rounds.
///
/// # Errors
/// There are no agents or rounds, or one of the agents does not answer.
pub async fn debate(
    agents: &[Agent],
    question: &Question,
    n_rounds: usize,
    asking: Asking,
) -> Result<Debate> {
    if agents.is_empty() || n_rounds == 0 {
        return Err(Error::usage(
            "a debate needs at least one agent and one round",
        ));
    }
    let mut tokens = Tokens::default();
    let opening = agents.iter().map(|agent| {
        let messages = agent.wording.ask(question);
        agent.say(question, messages, asking, "debate 1")
    });
    let mut rounds = vec![gather(try_join_all(opening).await?, &mut tokens)];
    while rounds.len() < n_rounds {
        let purpose = format!("debate {}", rounds.len() + 1);
        let last = &rounds[rounds.len() - 1];
        let answers = agents.iter().enumerate().map(|(own_idx, agent)| {
            let peers: Vec<&str> = last
                .iter()
                .enumerate()
                .filter(|(idx, _)| *idx != own_idx)
                .map(|(_, reply)| reply.text.trim())
                .collect();
            let own = last[own_idx].text.trim();
            let messages = agent.wording.reconsider(question, own, &peers);
            agent.say(question, messages, asking, &purpose)
        });
        let said = gather(try_join_all(answers).await?, &mut tokens);
        rounds.push(said);
    }
    Ok(Debate {
        answer: voted(&rounds[rounds.len() - 1]),
        rounds,
        tokens,
    })
}

/// Takes replies and cost apart.
pub(super) fn gather(answers: Vec<(Reply, Tokens)>, tokens: &mut Tokens) -> Vec<Reply> {
    let mut replies = Vec::with_capacity(answers.len());
    for (reply, cost) in answers {
        *tokens += cost;
        replies.push(reply);
    }
    replies
}

/// How a debate failed, told from its answers alone (claim C14).
///
/// The paper had a model read 242 failed debates and put 59.5 % of them down to conformity. Here
/// no judge is needed: an agent conforms where it drops a right answer for a wrong one that a peer
/// had given in the round before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DebateFailure {
    /// Some agent was right in the first round.
    pub had_right_answer: bool,
    /// Some agent dropped its right answer for a peer's wrong one.
    pub conformed: bool,
}

impl Debate {
    /// How the debate failed; `None` where it did not.
    #[must_use]
    pub fn failure(&self, question: &Question) -> Option<DebateFailure> {
        if question.is_right(self.answer.as_deref()) {
            return None;
        }
        let first = self.rounds.first()?;
        let is_right = |reply: &Reply| question.is_right(reply.answer.as_deref());
        let conformed = self.rounds.windows(2).any(|pair| {
            let (before, after) = (&pair[0], &pair[1]);
            (0..before.len()).any(|own| {
                let adopted = after[own].answer.as_deref();
                is_right(&before[own])
                    && !is_right(&after[own])
                    && adopted.is_some()
                    && before
                        .iter()
                        .enumerate()
                        .any(|(idx, peer)| idx != own && peer.answer.as_deref() == adopted)
            })
        });
        Some(DebateFailure {
            had_right_answer: first.iter().any(is_right),
            conformed,
        })
    }
}
