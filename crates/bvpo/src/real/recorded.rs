//! Recorded traces of other models, scored by the real model (tier 3).

use eval::Result;
use model::chat::{Message, Role};
use model::infer::Sequence;

use super::model::RealModel;
use super::questions::{Question, Solution};

/// What the model thinks of one recorded solution.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedScore {
    /// `log π(r,y|x)` of trace, closing tag, answer, and end.
    pub joint: f64,
    /// Its gradient in the gains.
    pub gradient: Vec<f64>,
    /// Scored tokens.
    pub n_tokens: usize,
    /// `log π(y|x,∅)`.
    pub bare: f64,
    /// Its gradient.
    pub bare_gradient: Vec<f64>,
    /// Scored tokens of the answer.
    pub n_bare_tokens: usize,
}

impl RealModel {
    /// Scores solutions of one question, each with its trace and without; the question is computed
    /// once for each of the two prompts.
    ///
    /// # Errors
    /// A text cannot be tokenised, or a sequence outgrows the context.
    pub fn recorded(
        &self,
        question: &Question,
        solutions: &[&Solution],
    ) -> Result<Vec<RecordedScore>> {
        let messages = [Message::new(Role::User, question.text.as_str())];
        let close = self.assembler.close()?;
        let mut with_traces = Vec::new();
        let mut answers = Vec::new();
        for solution in solutions {
            let answer = self.answer(&solution.answer)?;
            let trace = self.assembler.piece(&solution.trace)?;
            with_traces.push([trace, close.clone(), answer.clone()].concat());
            answers.push(answer);
        }
        let thinking =
            self.continuations(&self.assembler.prompt(&messages, true)?, &with_traces)?;
        let bare = self.continuations(&self.assembler.prompt(&messages, false)?, &answers)?;
        let both = thinking.into_iter().zip(bare);
        Ok(both
            .map(
                |((joint, gradient, n_tokens), (bare, bare_gradient, n_bare_tokens))| {
                    RecordedScore {
                        joint,
                        gradient,
                        n_tokens,
                        bare,
                        bare_gradient,
                        n_bare_tokens,
                    }
                },
            )
            .collect())
    }

    /// Log-probability, gradient, and length of each continuation of a prompt.
    fn continuations(
        &self,
        prompt: &[u32],
        continuations: &[Vec<u32>],
    ) -> Result<Vec<(f64, Vec<f64>, usize)>> {
        let n_hidden = self.body.n_hidden();
        let mut first = [(self.body.sequence(), prompt)];
        let states = self.body.extend(&mut first)?;
        let last = &states[0][states[0].len() - n_hidden..];
        let [(sequence, _)] = &mut first;
        let mut fed: Vec<(Sequence, &[u32])> = continuations
            .iter()
            .map(|ids| (sequence.fork(), &ids[..ids.len() - 1]))
            .collect();
        let after = self.body.extend(&mut fed)?;
        let mut found = Vec::with_capacity(continuations.len());
        for (ids, after) in continuations.iter().zip(after) {
            let states = [last, after.as_slice()].concat();
            let tokens = self.head.tokens(self.head.reference(), &states, ids)?;
            let mut gradient = vec![0.0; self.head.reference().0.len()];
            for own in &tokens.gradients {
                for (sum, value) in gradient.iter_mut().zip(own) {
                    *sum += value;
                }
            }
            found.push((tokens.logprobs.iter().sum(), gradient, ids.len()));
        }
        Ok(found)
    }
}
