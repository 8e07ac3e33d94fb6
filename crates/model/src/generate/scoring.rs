//! Log-probabilities of given continuations, and choices made from them.

use eval::{Error, Result};

use super::local::LocalModel;
use super::{Choice, Score, ScoreRequest, Usage};
use crate::infer::{CHUNK_TOKENS, Outputs, Sequence, States, Step};

/// Tokens to feed to a sequence, and what for.
struct Feed<'a> {
    sequence: Sequence,
    tokens: &'a [u32],
    n_fed: usize,
    outputs: Outputs,
}

/// One row of output: which feed, and which of its tokens.
#[derive(Clone, Copy)]
struct Row {
    feed: usize,
    token: usize,
}

impl LocalModel {
    /// Scores requests in groups, so that caches of at most `n_batch_max` prompts exist at a time.
    pub(super) fn score_all(&self, requests: &[ScoreRequest]) -> Result<Vec<Score>> {
        for request in requests {
            self.check_score(request)?;
        }
        let mut scores = Vec::with_capacity(requests.len());
        for group in requests.chunks(self.options().n_batch_max) {
            scores.extend(self.score_group(group)?);
        }
        Ok(scores)
    }

    fn check_score(&self, request: &ScoreRequest) -> Result<()> {
        self.check_prompt(&request.prompt)?;
        let n_context = self.engine().config().n_context;
        for continuation in &request.continuations {
            if continuation.is_empty() {
                return Err(Error::usage("a continuation to score is empty")
                    .hint("give at least one token"));
            }
            self.check_tokens(continuation)?;
            let n_tokens = request.prompt.len() + continuation.len();
            if n_tokens > n_context {
                return Err(Error::usage(format!(
                    "a prompt with its continuation has {n_tokens} tokens, the model holds \
                     {n_context}"
                ))
                .hint("shorten the prompt"));
            }
        }
        Ok(())
    }

    fn score_group(&self, requests: &[ScoreRequest]) -> Result<Vec<Score>> {
        let mut scores: Vec<Score> = requests.iter().map(empty_score).collect();
        let mut prompts: Vec<Feed<'_>> = requests
            .iter()
            .map(|request| {
                let cached = self.cached(&request.prompt);
                let sequence = cached.unwrap_or_else(|| self.engine().sequence());
                Feed {
                    n_fed: sequence.n_tokens(),
                    sequence,
                    tokens: &request.prompt,
                    outputs: Outputs::Last,
                }
            })
            .collect();
        for (score, prompt) in scores.iter_mut().zip(&prompts) {
            score.usage.n_prompt_evaluated = prompt.tokens.len() - prompt.n_fed;
        }
        self.feed_all(&mut prompts, &mut |row, logits| {
            let denominator = self.engine().log_sum_exp(logits);
            let continuations = &requests[row.feed].continuations;
            for (continuation, out) in continuations.iter().zip(&mut scores[row.feed].logprobs) {
                out.push(logprob(logits, continuation[0], denominator));
            }
        })?;
        self.score_continuations(requests, &mut prompts, &mut scores)?;
        for (prompt, request) in prompts.into_iter().zip(requests) {
            self.remember(request.prompt.clone(), prompt.sequence);
        }
        Ok(scores)
    }

    /// The tokens of continuations after their first, a bounded number of forks at a time.
    fn score_continuations(
        &self,
        requests: &[ScoreRequest],
        prompts: &mut [Feed<'_>],
        scores: &mut [Score],
    ) -> Result<()> {
        let places: Vec<(usize, usize)> = requests
            .iter()
            .enumerate()
            .flat_map(|(request, r)| (0..r.continuations.len()).map(move |c| (request, c)))
            .filter(|(request, c)| requests[*request].continuations[*c].len() > 1)
            .collect();
        // A fork without tokens is small, so the limit is on rows: one forward pass per group.
        let mut start = 0;
        while start < places.len() {
            let mut n_rows = 0;
            let mut feeds = Vec::new();
            for (request, c) in &places[start..] {
                let continuation = &requests[*request].continuations[*c];
                let tokens = &continuation[..continuation.len() - 1];
                n_rows += tokens.len();
                if n_rows > CHUNK_TOKENS && !feeds.is_empty() {
                    break;
                }
                feeds.push(Feed {
                    sequence: prompts[*request].sequence.fork(),
                    tokens,
                    n_fed: 0,
                    outputs: Outputs::All,
                });
            }
            let group = &places[start..start + feeds.len()];
            self.feed_all(&mut feeds, &mut |row, logits| {
                let (request, c) = group[row.feed];
                let next = requests[request].continuations[c][row.token + 1];
                let denominator = self.engine().log_sum_exp(logits);
                scores[request].logprobs[c].push(logprob(logits, next, denominator));
            })?;
            start += group.len();
        }
        Ok(())
    }

    /// Feeds all tokens in as few forward passes as their limit on rows allows, and hands every
    /// wanted row of logits to `each`.
    fn feed_all(&self, feeds: &mut [Feed<'_>], each: &mut dyn FnMut(Row, &[f32])) -> Result<()> {
        loop {
            let mut rows = Vec::new();
            let mut steps = Vec::new();
            let mut n_rows_left = CHUNK_TOKENS;
            for (feed_idx, feed) in feeds.iter_mut().enumerate() {
                let left = &feed.tokens[feed.n_fed..];
                let n_tokens = left.len().min(n_rows_left);
                if n_tokens == 0 {
                    continue;
                }
                n_rows_left -= n_tokens;
                let is_last = n_tokens == left.len();
                let outputs = match feed.outputs {
                    Outputs::Last if !is_last => Outputs::None,
                    outputs => outputs,
                };
                let first = match outputs {
                    Outputs::All => 0,
                    Outputs::Last => n_tokens - 1,
                    Outputs::None => n_tokens,
                };
                rows.extend((first..n_tokens).map(|token| Row {
                    feed: feed_idx,
                    token: feed.n_fed + token,
                }));
                feed.n_fed += n_tokens;
                steps.push(Step {
                    sequence: &mut feed.sequence,
                    tokens: &left[..n_tokens],
                    outputs,
                });
            }
            if steps.is_empty() {
                return Ok(());
            }
            let states: States = self.engine().forward(&mut steps, None)?;
            self.engine()
                .logits(&states, &mut |row, logits| each(rows[row], logits));
        }
    }

    /// Compares whole options by the sum of their tokens' log-probabilities.
    pub(super) fn choose_one(&self, prompt: &[u32], options: &[Vec<u32>]) -> Result<Choice> {
        if options.is_empty() {
            return Err(Error::usage("there are no options to choose from")
                .hint("give at least one option"));
        }
        let scores = self.score_all(&[ScoreRequest {
            prompt: prompt.to_vec(),
            continuations: options.to_vec(),
        }])?;
        let logprobs: Vec<f64> = scores
            .iter()
            .flat_map(|score| &score.logprobs)
            .map(|tokens| tokens.iter().copied().map(f64::from).sum())
            .collect();
        Ok(choice(logprobs))
    }

    /// Hidden states of all tokens of each prompt after `layer`.
    pub(super) fn hidden_all(&self, prompts: &[Vec<u32>], layer: usize) -> Result<Vec<Vec<f32>>> {
        for prompt in prompts {
            self.check_prompt(prompt)?;
        }
        self.engine().hidden(prompts, layer)
    }
}

fn empty_score(request: &ScoreRequest) -> Score {
    Score {
        logprobs: vec![Vec::new(); request.continuations.len()],
        usage: Usage {
            n_prompt: request.prompt.len() * request.continuations.len(),
            n_prompt_evaluated: 0,
            n_generated: 0,
        },
    }
}

fn logprob(logits: &[f32], id: u32, denominator: f64) -> f32 {
    (f64::from(logits[id as usize]) - denominator) as f32
}

/// The best option (the first among equals) and the softmax over all of them.
fn choice(logprobs: Vec<f64>) -> Choice {
    let largest = logprobs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let best = logprobs.iter().position(|logprob| *logprob == largest);
    let weights: Vec<f64> = logprobs.iter().map(|l| (l - largest).exp()).collect();
    let total: f64 = weights.iter().sum();
    Choice {
        best: best.unwrap_or(0),
        probabilities: weights.iter().map(|weight| weight / total).collect(),
        logprobs,
    }
}
