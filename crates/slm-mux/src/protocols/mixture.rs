//! Mixture-of-Agents: proposers answer, an aggregator makes one answer of theirs (arXiv
//! 2406.04692).

use eval::{Error, Result};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::agent::{Agent, Asking, Reply};
use super::debate::gather;
use super::question::Question;
use super::tokens::Tokens;

/// An answer with the proposals it was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mixture {
    /// Per layer of proposers, what each said.
    pub layers: Vec<Vec<Reply>>,
    /// What the aggregator said.
    pub aggregate: Reply,
    /// What it took.
    pub tokens: Tokens,
}

/// Lets `proposers` answer in `n_layers` layers, each but the first in view of the one before, and
/// `aggregator` make one answer of the last. Here: three proposers, one layer, the best model as
/// the aggregator.
///
/// # Errors
/// There are no proposers or layers, or somebody does not answer.
pub async fn mixture(
    proposers: &[Agent],
    aggregator: &Agent,
    question: &Question,
    n_layers: usize,
    asking: Asking,
) -> Result<Mixture> {
    if proposers.is_empty() || n_layers == 0 {
        return Err(Error::usage(
            "a mixture of agents needs at least one proposer and one layer",
        ));
    }
    let mut tokens = Tokens::default();
    let mut layers: Vec<Vec<Reply>> = Vec::with_capacity(n_layers);
    while layers.len() < n_layers {
        let purpose = format!("proposal {}", layers.len() + 1);
        let texts = layers.last().map(|last| texts(last));
        let answers = proposers.iter().map(|agent| {
            let messages = match &texts {
                None => agent.wording.ask(question),
                Some(texts) => agent.wording.aggregate(question, texts),
            };
            agent.say(question, messages, asking, &purpose)
        });
        let said = gather(try_join_all(answers).await?, &mut tokens);
        layers.push(said);
    }
    let last = layers.last().map(|last| texts(last)).unwrap_or_default();
    let messages = aggregator.wording.aggregate(question, &last);
    let said = aggregator.say(question, messages, asking, "aggregate");
    let (aggregate, cost) = said.await?;
    tokens += cost;
    Ok(Mixture {
        layers,
        aggregate,
        tokens,
    })
}

fn texts(replies: &[Reply]) -> Vec<&str> {
    replies.iter().map(|reply| reply.text.trim()).collect()
}
