//! Continuous batching: prompts and answers of many requests advance together, finished answers
//! leave, waiting ones enter.
//!
//! A request passes through three stages: its prompt waits, fills a cache chunk by chunk, and is
//! ready; then its samples start from forks of that cache as places become free. One forward pass
//! advances every running answer by one token and spends what is left of its rows on prompts.

use std::sync::Arc;

use eval::{Error, Result};

use super::answer::{Answer, Rules};
use super::local::LocalModel;
use super::{Completion, CompletionRequest, Finish, Sample, TokenEvent, TokenSink, Usage};
use crate::infer::{CHUNK_TOKENS, Outputs, Sequence, Step, Tap};

/// Tokens of an answer that memory is set aside for; longer answers grow by doubling.
const RESERVED_TOKENS: usize = 256;

/// Runs completions in one shared batch; requests may join at any time.
///
/// What a request gets back does not depend on the others (its [`Usage::n_prompt_evaluated`] may:
/// it tells what was really computed).
pub struct Batcher<'m> {
    model: &'m LocalModel,
    jobs: Vec<Job<'m>>,
    running: Vec<Running<'m>>,
    n_submitted: usize,
    /// Whether a tap has seen a pass: what it left in a sequence is no business of later calls.
    is_tapped: bool,
}

/// A request under way.
struct Job<'m> {
    id: usize,
    rules: Rules<'m>,
    prompt: Prompt,
    n_started: usize,
    samples: Vec<Option<Sample>>,
    n_prompt_evaluated: usize,
}

/// How far a prompt is.
enum Prompt {
    Waiting,
    Filling(Sequence),
    Ready {
        sequence: Sequence,
        logits: Vec<f32>,
    },
}

/// An answer under way.
struct Running<'m> {
    job_id: usize,
    sample_idx: usize,
    sequence: Sequence,
    answer: Answer<'m>,
}

/// Whose output a row of the batch is.
#[derive(Clone, Copy)]
enum Owner {
    Answer(usize),
    Prompt(usize),
}

impl<'m> Batcher<'m> {
    pub(super) fn new(model: &'m LocalModel) -> Self {
        Self {
            model,
            jobs: Vec::new(),
            running: Vec::new(),
            n_submitted: 0,
            is_tapped: false,
        }
    }

    /// Adds a request; returns its number, counted from 0.
    ///
    /// # Errors
    /// As [`super::LanguageModel::complete`].
    pub fn submit(&mut self, request: CompletionRequest) -> Result<usize> {
        let rules = self.model.rules(request)?;
        let id = self.n_submitted;
        self.n_submitted += 1;
        let n_samples = rules.request.n_samples;
        self.jobs.push(Job {
            id,
            rules,
            prompt: Prompt::Waiting,
            n_started: 0,
            samples: vec![None; n_samples],
            n_prompt_evaluated: 0,
        });
        Ok(id)
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Ends a request early: its answers so far count as cancelled. Unknown numbers are ignored.
    pub fn cancel(&mut self, id: usize) {
        let (ended, running) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|running: &Running<'_>| running.job_id == id);
        self.running = running;
        for running in ended {
            self.end(running, Finish::Cancelled);
        }
        if let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) {
            for sample_idx in job.n_started..job.samples.len() {
                let answer = Answer::new(&job.rules, sample_idx);
                job.samples[sample_idx] = Some(answer.into_sample(Finish::Cancelled));
            }
            job.n_started = job.samples.len();
        }
    }

    /// Starts what there is room for, advances everything by one forward pass, and returns the
    /// requests that are finished; of several, the earlier ones first.
    ///
    /// A tap sees every pass; set one from the first step on or not at all, and caches of earlier
    /// calls are neither used nor filled.
    ///
    /// # Errors
    /// The tokenizer refuses a token that the model drew. The batch is spent then.
    pub fn step(
        &mut self,
        sink: &mut Option<TokenSink<'_>>,
        tap: Option<&mut dyn Tap>,
    ) -> Result<Vec<(usize, Completion)>> {
        self.is_tapped |= tap.is_some();
        let uses_cache = !self.is_tapped;
        // Cancelled requests leave before they take a place.
        let mut finished = self.take_finished();
        self.admit(sink, uses_cache)?;
        self.advance(sink, tap)?;
        if uses_cache {
            self.remember_prompts();
        }
        finished.extend(self.take_finished());
        Ok(finished)
    }

    /// Fills free places: with samples of prompts that are ready, else with the next prompt.
    fn admit(&mut self, sink: &mut Option<TokenSink<'_>>, uses_cache: bool) -> Result<()> {
        let n_batch_max = self.model.options().n_batch_max;
        let is_filling = |job: &&Job<'_>| matches!(job.prompt, Prompt::Filling(_));
        let mut n_filling = self.jobs.iter().filter(is_filling).count();
        let mut job_idx = 0;
        while job_idx < self.jobs.len() && self.running.len() + n_filling < n_batch_max {
            let job = &mut self.jobs[job_idx];
            match &mut job.prompt {
                Prompt::Waiting => {
                    let cached = uses_cache.then(|| self.model.cached(&job.rules.request.prompt));
                    let sequence = cached.flatten();
                    job.prompt =
                        Prompt::Filling(sequence.unwrap_or_else(|| self.model.engine().sequence()));
                    n_filling += 1;
                    job_idx += 1;
                }
                Prompt::Ready { .. } if job.n_started < job.samples.len() => {
                    self.start_sample(job_idx, sink)?;
                }
                Prompt::Filling(_) | Prompt::Ready { .. } => job_idx += 1,
            }
        }
        Ok(())
    }

    /// Forks the prompt of a ready job and draws the first token of its next sample.
    fn start_sample(&mut self, job_idx: usize, sink: &mut Option<TokenSink<'_>>) -> Result<()> {
        let job = &mut self.jobs[job_idx];
        let Prompt::Ready { sequence, logits } = &mut job.prompt else {
            return Ok(());
        };
        let sample_idx = job.n_started;
        job.n_started += 1;
        let mut running = Running {
            job_id: job.id,
            sample_idx,
            sequence: sequence.fork(),
            answer: Answer::new(&job.rules, sample_idx),
        };
        let n_tokens = job.rules.n_tokens_max.min(RESERVED_TOKENS);
        running.sequence.reserve(n_tokens);
        match running.advance(&job.rules, logits, sink)? {
            Some(finish) => self.end(running, finish),
            None => self.running.push(running),
        }
        Ok(())
    }

    /// One forward pass over all running answers and the prompts that are being filled.
    fn advance(
        &mut self,
        sink: &mut Option<TokenSink<'_>>,
        tap: Option<&mut dyn Tap>,
    ) -> Result<()> {
        let n_running = self.running.len();
        let last: Vec<u32> = self.running.iter().filter_map(Running::last_id).collect();
        let mut owners = Vec::new();
        let mut steps = Vec::new();
        for (running_idx, running) in self.running.iter_mut().enumerate() {
            owners.push(Owner::Answer(running_idx));
            steps.push(Step {
                sequence: &mut running.sequence,
                tokens: std::slice::from_ref(&last[running_idx]),
                outputs: Outputs::Last,
            });
        }
        let mut n_rows_left = CHUNK_TOKENS.saturating_sub(n_running).max(1);
        for (job_idx, job) in self.jobs.iter_mut().enumerate() {
            let Prompt::Filling(sequence) = &mut job.prompt else {
                continue;
            };
            let left = &job.rules.request.prompt[sequence.n_tokens()..];
            let n_tokens = left.len().min(n_rows_left);
            if n_tokens == 0 {
                break;
            }
            n_rows_left -= n_tokens;
            job.n_prompt_evaluated += n_tokens;
            let is_last = n_tokens == left.len();
            if is_last {
                owners.push(Owner::Prompt(job_idx));
            }
            steps.push(Step {
                sequence,
                tokens: &left[..n_tokens],
                outputs: if is_last {
                    Outputs::Last
                } else {
                    Outputs::None
                },
            });
        }
        if steps.is_empty() {
            return Ok(());
        }
        let states = self.model.engine().forward(&mut steps, tap)?;
        drop(steps);
        let mut outcomes = Vec::new();
        self.model.engine().logits(&states, &mut |row, logits| {
            let outcome = self.take_logits(owners[row], logits, sink);
            outcomes.push(outcome);
        });
        self.settle(n_running, outcomes)
    }

    /// Uses one row of logits: draws a token of an answer, or completes a prompt.
    fn take_logits(
        &mut self,
        owner: Owner,
        logits: &[f32],
        sink: &mut Option<TokenSink<'_>>,
    ) -> Result<Option<Finish>> {
        match owner {
            Owner::Answer(running_idx) => {
                let running = &mut self.running[running_idx];
                let job = self.jobs.iter().find(|job| job.id == running.job_id);
                let job = job.ok_or_else(|| Error::internal("an answer lost its request"))?;
                running.advance(&job.rules, logits, sink)
            }
            Owner::Prompt(job_idx) => {
                let job = &mut self.jobs[job_idx];
                if let Prompt::Filling(sequence) = &mut job.prompt {
                    job.prompt = Prompt::Ready {
                        sequence: sequence.fork(),
                        logits: logits.to_vec(),
                    };
                }
                Ok(None)
            }
        }
    }

    /// Takes finished answers out of the batch; the first `n_running` outcomes are theirs.
    fn settle(&mut self, n_running: usize, outcomes: Vec<Result<Option<Finish>>>) -> Result<()> {
        let outcomes: Vec<Option<Finish>> = outcomes.into_iter().collect::<Result<_>>()?;
        let running = std::mem::take(&mut self.running);
        for (running, finish) in running.into_iter().zip(&outcomes[..n_running]) {
            match finish {
                Some(finish) => self.end(running, *finish),
                None => self.running.push(running),
            }
        }
        Ok(())
    }

    fn end(&mut self, running: Running<'m>, finish: Finish) {
        if let Some(job) = self.jobs.iter_mut().find(|job| job.id == running.job_id) {
            let mut seen = job.rules.request.prompt.clone();
            seen.extend(running.answer.ids());
            seen.truncate(running.sequence.n_tokens());
            // A conversation goes on from its first answer more often than from the others.
            if running.sample_idx == 0 && !self.is_tapped {
                self.model.remember(seen, running.sequence);
            }
            job.samples[running.sample_idx] = Some(running.answer.into_sample(finish));
        }
    }

    fn remember_prompts(&mut self) {
        for job in &mut self.jobs {
            if let Prompt::Ready { sequence, .. } = &mut job.prompt
                && job.n_started == 0
            {
                self.model
                    .remember(job.rules.request.prompt.clone(), sequence.fork());
            }
        }
    }

    fn take_finished(&mut self) -> Vec<(usize, Completion)> {
        let mut finished = Vec::new();
        self.jobs.retain_mut(|job| {
            let is_done = job.samples.iter().all(Option::is_some);
            if is_done {
                let samples: Vec<Sample> = job.samples.drain(..).flatten().collect();
                let usage = Usage {
                    n_prompt: job.rules.request.prompt.len() * samples.len(),
                    n_prompt_evaluated: job.n_prompt_evaluated,
                    n_generated: samples.iter().map(|sample| sample.tokens.len()).sum(),
                };
                finished.push((job.id, Completion { samples, usage }));
            }
            !is_done
        });
        finished
    }
}

impl<'m> Running<'m> {
    fn last_id(&self) -> Option<u32> {
        self.answer.last().map(|token| token.id)
    }

    /// Draws the next token and tells the listener.
    fn advance(
        &mut self,
        rules: &Rules<'m>,
        logits: &[f32],
        sink: &mut Option<TokenSink<'_>>,
    ) -> Result<Option<Finish>> {
        let (text, finish) = self.answer.advance(rules, logits)?;
        let (Some(sink), Some(token)) = (sink, self.answer.last()) else {
            return Ok(finish);
        };
        let goes_on = sink(TokenEvent {
            request: self.job_id,
            sample: self.sample_idx,
            token,
            text: &text,
        });
        Ok(match finish {
            None if !goes_on => Some(Finish::Cancelled),
            finish => finish,
        })
    }
}

impl LocalModel {
    /// Checks a request and works out what its answers share.
    fn rules(&self, request: CompletionRequest) -> Result<Rules<'_>> {
        request.sampling.validate()?;
        self.check_prompt(&request.prompt)?;
        for (name, count) in [
            ("n_samples", request.n_samples),
            ("n_tokens_max", request.n_tokens_max),
        ] {
            if count == 0 {
                return Err(Error::usage(format!("a request wants {name} = 0"))
                    .hint("ask for at least one token of at least one sample"));
            }
        }
        let n_context = self.engine().config().n_context;
        let n_room = n_context - request.prompt.len().min(n_context);
        if n_room == 0 {
            let n_prompt = request.prompt.len();
            return Err(Error::usage(format!(
                "a prompt of {n_prompt} tokens leaves no room for an answer in {n_context}"
            ))
            .hint("shorten the prompt"));
        }
        if request.stop.iter().any(String::is_empty) {
            return Err(Error::usage("a stop string is empty").hint("leave it out"));
        }
        let tokenizer = self.tokenizer().map(Arc::as_ref);
        if tokenizer.is_none() && !request.stop.is_empty() {
            return Err(
                Error::usage("stop strings need a model with a tokenizer").hint("use stop tokens")
            );
        }
        Ok(Rules {
            engine: self.engine(),
            stop: request.stop.clone().into(),
            tokenizer,
            end_tokens: self.end_tokens(),
            n_tokens_max: request.n_tokens_max.min(n_room),
            request,
        })
    }
}
