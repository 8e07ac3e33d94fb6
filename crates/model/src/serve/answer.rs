//! The steps of an answer, in the order in which a client hears of them.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout_at};

use super::assemble::{Assembler, Piece};
use super::engine::{Event, Job};
use super::{ApiError, App, Codec};
use crate::generate::{Completion, CompletionRequest, Finish, Score, ScoreRequest, TokenLogprob};

/// One step of an answer. Choices are numbered prompt by prompt, sample by sample.
#[derive(Debug)]
pub enum Step {
    /// Log-probabilities of the prompts.
    Scores(Vec<Score>),
    /// A part of a choice.
    Piece(usize, Piece),
    /// A choice is complete.
    Finished(usize, Finish),
    /// All is said; tokens generated over all choices.
    End(usize),
}

/// An answer on its way. Dropping it cancels it.
pub struct Answer {
    events: UnboundedReceiver<Event>,
    codec: Arc<dyn Codec>,
    ready: VecDeque<Step>,
    assemblers: Vec<Assembler>,
    n_samples: usize,
    stop_tokens: Vec<u32>,
    deadline: Instant,
    wait_s: f64,
}

impl Answer {
    /// Asks the engine. All `requests` want the same number of samples.
    ///
    /// # Errors
    /// Too many requests are being answered.
    pub fn start(
        app: &App,
        requests: Vec<CompletionRequest>,
        scores: Vec<ScoreRequest>,
        deadline: Instant,
    ) -> Result<Self, ApiError> {
        let place = app.place()?;
        let (sender, events) = unbounded_channel();
        let n_samples = requests.first().map_or(1, |request| request.n_samples);
        let n_choices = requests.len() * n_samples;
        app.engine().submit(Job {
            requests,
            scores,
            events: sender,
            place,
        });
        Ok(Self {
            events,
            codec: Arc::clone(app.codec()),
            ready: VecDeque::new(),
            assemblers: (0..n_choices).map(|_| Assembler::default()).collect(),
            n_samples,
            stop_tokens: app.codec().stop_tokens(),
            deadline,
            wait_s: app.limits().answer_wait.as_secs_f64(),
        })
    }

    /// The next step. Nothing follows [`Step::End`] or an error.
    pub async fn next(&mut self) -> Result<Step, ApiError> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Ok(step);
            }
            match timeout_at(self.deadline, self.events.recv()).await {
                Err(_) => return Err(ApiError::timeout(self.wait_s)),
                Ok(None) => return Err(ApiError::internal("the engine gave no answer")),
                Ok(Some(Event::Failed(error))) => return Err(error),
                Ok(Some(Event::Scores(scores))) => self.ready.push_back(Step::Scores(scores)),
                Ok(Some(Event::Done(completions))) => self.finish(&completions),
                Ok(Some(Event::Token {
                    request,
                    sample,
                    token,
                    text,
                })) => {
                    self.push(request * self.n_samples + sample, token, &text);
                }
            }
        }
    }

    fn push(&mut self, choice: usize, token: TokenLogprob, text: &str) {
        let Some(assembler) = self.assemblers.get_mut(choice) else {
            return;
        };
        if !self.stop_tokens.contains(&token.id) {
            let n_bytes = self.codec.token_bytes(token.id).map_or(0, |b| b.len());
            assembler.push(token, n_bytes);
        }
        if let Some(piece) = assembler.certain(text) {
            self.ready.push_back(Step::Piece(choice, piece));
        }
    }

    fn finish(&mut self, completions: &[Completion]) {
        let samples = completions.iter().flat_map(|c| &c.samples);
        for (choice, (sample, assembler)) in samples.zip(&mut self.assemblers).enumerate() {
            if let Some(piece) = assembler.finish(sample) {
                self.ready.push_back(Step::Piece(choice, piece));
            }
            self.ready.push_back(Step::Finished(choice, sample.finish));
        }
        let n_generated = completions.iter().map(|c| c.usage.n_generated).sum();
        self.ready.push_back(Step::End(n_generated));
    }
}

/// The word of the protocol for the end of an answer.
pub fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        // A cancelled answer is cut off; its client has usually left.
        Finish::Length | Finish::Cancelled => "length",
    }
}
