//! From rows of text to scored sequences: assembly, and reference log-probabilities.

use eval::{Error, Result};
use model::train::Decoder;

use super::rows::{PairRow, Preference, Response};
use super::score::score;
use crate::assembly::{Assembler, ReferenceCache, Sequence, Trace};
use crate::method::loss::Scored;

/// A sequence and what the reference policy thinks of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The ids.
    pub sequence: Sequence,
    /// `log π_ref` of its scored tokens, in nats; 0 where the loss needs none.
    pub reference: f64,
}

impl Candidate {
    /// What a loss needs to know of it at this log-probability.
    #[must_use]
    pub fn scored(&self, logprob: f64) -> Scored {
        Scored {
            logprob,
            reference: self.reference,
            n_tokens: self.sequence.n_scored(),
        }
    }
}

/// A pair ready for training.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredPair {
    /// The better response.
    pub chosen: Candidate,
    /// The worse response.
    pub rejected: Candidate,
}

/// One prompt ready for training.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Name of its row.
    pub id: String,
    /// The pair with traces, and its replicates.
    pub thinking: Vec<ScoredPair>,
    /// The pair without.
    pub empty: Option<ScoredPair>,
}

/// Which parts of a row a run reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Pairs with traces, at least this many.
    pub n_thinking: usize,
    /// The pair without a trace.
    pub empty: bool,
}

/// Assembles every row, and leaves out those with a sequence that is too long; their number is the
/// second part.
///
/// # Errors
/// A row lacks a part that the run needs or cannot be tokenised, or nothing is left.
pub fn assemble(
    rows: &[PairRow],
    assembler: &Assembler,
    needs: Needs,
) -> Result<(Vec<Example>, usize)> {
    let mut examples = Vec::with_capacity(rows.len());
    for row in rows {
        if row.thinking.len() < needs.n_thinking || (needs.empty && row.empty.is_none()) {
            let lacks = if needs.empty && row.empty.is_none() {
                "no pair without a trace (`empty`)".to_owned()
            } else {
                format!("{} pairs in `thinking`", row.thinking.len())
            };
            return Err(Error::usage(format!(
                "row `{}` has {lacks}; this estimator needs {} in `thinking`{}",
                eval::output::printable(&row.id),
                needs.n_thinking,
                if needs.empty { " and `empty`" } else { "" }
            ))
            .hint("choose another `--estimator`, or complete the file (`bvpo pairs --help`)"));
        }
        let built = example(row, assembler).map_err(|cause| {
            let id = eval::output::printable(&row.id);
            Error::usage(format!("row `{id}` cannot be assembled")).caused_by(cause)
        })?;
        examples.extend(built);
    }
    let n_dropped = rows.len() - examples.len();
    if examples.is_empty() {
        return Err(Error::usage(format!(
            "every row has a sequence of more than {} tokens",
            assembler.n_tokens_max()
        ))
        .hint("raise `--max-tokens`"));
    }
    Ok((examples, n_dropped))
}

fn example(row: &PairRow, assembler: &Assembler) -> Result<Option<Example>> {
    let messages = row.conversation();
    let candidate = |response: &Response| -> Result<Option<Candidate>> {
        let trace = match &response.reasoning {
            Some(text) => Trace::Text(text),
            None => Trace::Empty,
        };
        let sequence = assembler.sequence(&messages, trace, &response.answer)?;
        Ok(sequence.map(|sequence| Candidate {
            sequence,
            reference: 0.0,
        }))
    };
    let pair = |preference: &Preference| -> Result<Option<ScoredPair>> {
        let chosen = candidate(&preference.chosen)?;
        let rejected = candidate(&preference.rejected)?;
        let both = chosen.zip(rejected);
        Ok(both.map(|(chosen, rejected)| ScoredPair { chosen, rejected }))
    };
    let thinking = row
        .thinking
        .iter()
        .map(pair)
        .collect::<Result<Option<_>>>()?;
    let empty = match &row.empty {
        Some(preference) => pair(preference)?.map(Some),
        None => Some(None),
    };
    Ok(thinking.zip(empty).map(|(thinking, empty)| Example {
        id: row.id.clone(),
        thinking,
        empty,
    }))
}

impl Example {
    fn candidates_mut(&mut self) -> impl Iterator<Item = &mut Candidate> {
        let pairs = self.thinking.iter_mut().chain(&mut self.empty);
        pairs.flat_map(|pair| [&mut pair.chosen, &mut pair.rejected])
    }
}

/// Fills in the reference log-probabilities: from the cache, else from `decoder`, which must not
/// have been trained yet. `done` hears how many of all sequences have theirs.
///
/// # Errors
/// A sequence cannot be scored, or the cache cannot be written.
pub fn add_references(
    examples: &mut [Example],
    decoder: &Decoder,
    cache: &mut ReferenceCache,
    mut done: impl FnMut(usize, usize),
) -> Result<()> {
    let n_all = examples
        .iter_mut()
        .map(|e| e.candidates_mut().count())
        .sum();
    let candidates = examples.iter_mut().flat_map(Example::candidates_mut);
    for (n_done, candidate) in candidates.enumerate() {
        let known = cache.get(&candidate.sequence);
        candidate.reference = match known {
            Some(logprob) => logprob,
            None => {
                // Alone, so that the value does not depend on the batch it is met in.
                let logprob = score(decoder, &[&candidate.sequence])?.logprobs[0];
                cache.put(&candidate.sequence, logprob)?;
                logprob
            }
        };
        done(n_done + 1, n_all);
    }
    cache.flush()
}
