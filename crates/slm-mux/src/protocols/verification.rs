//! Multi-Agent Verification, best of `n` (BoN-MAV, arXiv 2502.20379): candidates are drawn, and
//! the one that the verifiers approve of most is taken.

use std::sync::Arc;

use eval::{Error, Result};
use model::chat::{BoxFuture, ChatModel, ChatRequest};
use serde::{Deserialize, Serialize};

use super::agent::{Agent, Asking, Reply, sampling};
use super::question::Question;
use super::tokens::Tokens;
use super::wording::{Aspect, Wording, read_approval};

/// Somebody who says whether an answer is right.
pub trait Verifier: Send + Sync {
    /// Approval from 0 to 1 of `candidate` in one respect.
    ///
    /// # Errors
    /// Nobody answers.
    fn approve<'a>(
        &'a self,
        question: &'a Question,
        candidate: &'a str,
        aspect: Aspect,
    ) -> BoxFuture<'a, Result<(f64, Tokens)>>;
}

/// A chat model that says "yes" or "no"; what cannot be read is no approval.
pub struct TextVerifier {
    /// Who verifies.
    pub model: Arc<dyn ChatModel>,
    /// How it is asked.
    pub wording: Arc<dyn Wording>,
    /// Tokens of a verdict at most.
    pub n_tokens_max: usize,
}

impl Verifier for TextVerifier {
    fn approve<'a>(
        &'a self,
        question: &'a Question,
        candidate: &'a str,
        aspect: Aspect,
    ) -> BoxFuture<'a, Result<(f64, Tokens)>> {
        Box::pin(async move {
            let request = ChatRequest {
                messages: self.wording.verify(question, candidate, aspect),
                n_samples: 1,
                n_tokens_max: self.n_tokens_max,
                sampling: sampling(0.0, 0),
                stop: Vec::new(),
            };
            let answer = self.model.chat(&request).await?;
            let text = answer.choices.first().map_or("", |choice| &choice.text);
            let approval = f64::from(read_approval(text) == Some(true));
            Ok((approval, Tokens::of(&answer.usage)))
        })
    }
}

/// A candidate and its approvals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The candidate.
    pub reply: Reply,
    /// Sum of approvals over verifiers and aspects.
    pub approval: f64,
}

/// An answer with the candidates it was chosen from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verified {
    /// The distinct candidates, in the order in which they were drawn.
    pub candidates: Vec<Candidate>,
    /// Candidates drawn, equal ones counted each.
    pub n_drawn: usize,
    /// The answer of the candidate with the highest approval, the first among equals; candidates
    /// without a readable answer are not verified.
    pub answer: Option<String>,
    /// What it took. A text that was drawn several times is verified once.
    pub tokens: Tokens,
}

/// Draws `n_candidates` answers of `generator` and has every verifier look at each in every aspect.
///
/// # Errors
/// There are no verifiers or aspects, or somebody does not answer.
pub async fn verification(
    generator: &Agent,
    verifiers: &[Arc<dyn Verifier>],
    aspects: &[Aspect],
    question: &Question,
    n_candidates: usize,
    asking: Asking,
) -> Result<Verified> {
    if verifiers.is_empty() || aspects.is_empty() {
        return Err(Error::usage(
            "verification needs at least one verifier and one aspect",
        ));
    }
    let drawn = generator.ask(question, n_candidates, asking, "candidates");
    let (replies, mut tokens) = drawn.await?;
    let n_drawn = replies.len();
    let mut candidates: Vec<Candidate> = Vec::new();
    for reply in replies {
        let is_known = |c: &Candidate| c.reply.text.trim() == reply.text.trim();
        if reply.answer.is_none() || candidates.iter().any(is_known) {
            continue;
        }
        let mut approval = 0.0;
        for verifier in verifiers {
            for aspect in aspects {
                let verdict = verifier.approve(question, reply.text.trim(), *aspect);
                let (approved, cost) = verdict.await?;
                approval += approved;
                tokens += cost;
            }
        }
        candidates.push(Candidate { reply, approval });
    }
    let mut best: Option<&Candidate> = None;
    for candidate in &candidates {
        if best.is_none_or(|best| candidate.approval > best.approval) {
            best = Some(candidate);
        }
    }
    Ok(Verified {
        answer: best.and_then(|best| best.reply.answer.clone()),
        candidates,
        n_drawn,
        tokens,
    })
}
