//! The thread that owns the model: requests join one running batch as they come.
//!
//! While tokens are drawn they go to their job's channel; when nobody listens any more, the job
//! leaves the batch. A job that is finished leaves it too, whatever the others still have to do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvError, Sender, TryRecvError, channel};

use eval::{Error, Result, exit};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::UnboundedSender;

use super::{ApiError, ServedModel, SharedBatch};
use crate::generate::{
    Completion, CompletionRequest, Score, ScoreRequest, TokenEvent, TokenLogprob,
};

/// What one request wants of the model. Dropping the receiver of `events` cancels it.
pub struct Job {
    /// Prompts to continue.
    pub requests: Vec<CompletionRequest>,
    /// Texts whose log-probabilities are wanted before that.
    pub scores: Vec<ScoreRequest>,
    /// Where the answers go. It is bounded by the tokens that the requests ask for.
    pub events: UnboundedSender<Event>,
    /// The place among the requests being answered; free again when the job is dropped.
    #[expect(dead_code, reason = "it is held, not read")]
    pub place: OwnedSemaphorePermit,
}

/// What the engine says about a job, in this order.
pub enum Event {
    /// The scores asked for.
    Scores(Vec<Score>),
    /// A token was drawn.
    Token {
        /// Which request of the job.
        request: usize,
        /// Which sample of the request.
        sample: usize,
        /// The token.
        token: TokenLogprob,
        /// Text that became certain with it.
        text: String,
    },
    /// All is said.
    Done(Vec<Completion>),
    /// The job failed; nothing follows.
    Failed(ApiError),
}

/// The queue in front of the thread.
pub struct Engine {
    jobs: Sender<Job>,
    stop: Arc<AtomicBool>,
}

impl Engine {
    /// Starts the thread.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(model: Arc<dyn ServedModel>) -> Result<Self> {
        let (jobs, queue) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || Worker::new(model.as_ref(), queue, flag).work())
            .map_err(|e| Error::internal("cannot start the engine's thread").caused_by(e))?;
        Ok(Self { jobs, stop })
    }

    /// Hands a job over. The channel is unbounded, the places that jobs need are not.
    pub fn submit(&self, job: Job) {
        if let Err(lost) = self.jobs.send(job) {
            let error = ApiError::internal("the engine's thread has ended");
            let _ = lost.0.events.send(Event::Failed(error));
        }
    }

    /// Ends every running and waiting job.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A job in the batch.
struct Active {
    job: Job,
    /// The numbers of its requests in the batch, and what became of each.
    answers: Vec<(usize, Option<Completion>)>,
}

struct Worker<'m> {
    model: &'m dyn ServedModel,
    queue: Receiver<Job>,
    stop: Arc<AtomicBool>,
    batch: Box<dyn SharedBatch + 'm>,
    active: Vec<Active>,
}

impl<'m> Worker<'m> {
    fn new(model: &'m dyn ServedModel, queue: Receiver<Job>, stop: Arc<AtomicBool>) -> Self {
        Self {
            batch: model.batch(),
            model,
            queue,
            stop,
            active: Vec::new(),
        }
    }

    /// Until the queue is closed.
    fn work(mut self) {
        while self.take_jobs().is_ok() {
            if self.is_stopping() {
                self.fail_active(&ApiError::stopping());
                continue;
            }
            self.drop_abandoned();
            if !self.active.is_empty() {
                self.step();
            }
        }
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Takes every waiting job; waits for one where there is nothing else to do.
    fn take_jobs(&mut self) -> Result<(), RecvError> {
        if self.active.is_empty() {
            let job = self.queue.recv()?;
            self.admit(job);
        }
        loop {
            match self.queue.try_recv() {
                Ok(job) => self.admit(job),
                // A closed queue is noticed when there is nothing left to do.
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Scores what is to be scored, and puts the requests into the batch. A request that the model
    /// refuses takes its job along, and no other.
    fn admit(&mut self, job: Job) {
        if job.events.is_closed() {
            return;
        }
        if !job.scores.is_empty() {
            match guarded(|| self.model.score(&job.scores)) {
                Ok(scores) => drop(job.events.send(Event::Scores(scores))),
                Err(error) => return fail(&job, error),
            }
        }
        let mut answers = Vec::new();
        for request in &job.requests {
            match guarded(|| self.batch.submit(request.clone())) {
                Ok(number) => answers.push((number, None)),
                Err(error) => {
                    self.cancel(&answers);
                    return fail(&job, error);
                }
            }
        }
        if answers.is_empty() {
            let _ = job.events.send(Event::Done(Vec::new()));
            return;
        }
        self.active.push(Active { job, answers });
    }

    fn cancel(&mut self, answers: &[(usize, Option<Completion>)]) {
        for (number, _) in answers {
            self.batch.cancel(*number);
        }
    }

    /// Takes jobs out of the batch whose clients have left.
    fn drop_abandoned(&mut self) {
        let active = std::mem::take(&mut self.active);
        let (left, stay): (Vec<_>, Vec<_>) = active
            .into_iter()
            .partition(|active| active.job.events.is_closed());
        self.active = stay;
        for active in left {
            self.cancel(&active.answers);
        }
    }

    /// One step of the batch: tokens go out, and finished jobs leave.
    fn step(&mut self) {
        let active = &self.active;
        let mut sink = |event: TokenEvent<'_>| {
            let owner = active.iter().find_map(|active| {
                let is_it = |(number, _): &(usize, _)| *number == event.request;
                Some((&active.job, active.answers.iter().position(is_it)?))
            });
            owner.is_some_and(|(job, request)| {
                let event = Event::Token {
                    request,
                    sample: event.sample,
                    token: event.token.clone(),
                    text: event.text.to_owned(),
                };
                job.events.send(event).is_ok()
            })
        };
        let batch = &mut self.batch;
        match guarded(|| batch.step(&mut sink)) {
            Ok(finished) => self.deliver(finished),
            Err(error) => self.fail_active(&error),
        }
    }

    fn deliver(&mut self, finished: Vec<(usize, Completion)>) {
        for (number, completion) in finished {
            let mut answers = self
                .active
                .iter_mut()
                .flat_map(|active| &mut active.answers);
            if let Some((_, answer)) = answers.find(|(own, _)| *own == number) {
                *answer = Some(completion);
            }
        }
        self.active.retain_mut(|active| {
            if active.answers.iter().any(|(_, answer)| answer.is_none()) {
                return true;
            }
            let answers = active.answers.drain(..).filter_map(|(_, answer)| answer);
            let _ = active.job.events.send(Event::Done(answers.collect()));
            false
        });
    }

    /// The batch is spent or no longer wanted: everyone in it is told, and a new one begins.
    fn fail_active(&mut self, error: &ApiError) {
        for active in self.active.drain(..) {
            fail(&active.job, error.clone());
        }
        self.batch = self.model.batch();
    }
}

fn fail(job: &Job, error: ApiError) {
    let _ = job.events.send(Event::Failed(error));
}

/// A call of the model. A panic in it is a bug; it must not take the server along.
fn guarded<T>(call: impl FnOnce() -> Result<T>) -> Result<T, ApiError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(of_model(&error)),
        Err(_) => Err(ApiError::internal("the engine failed unexpectedly")),
    }
}

/// What the model refuses is the request's fault; anything else is ours.
fn of_model(error: &Error) -> ApiError {
    match error.exit_code() {
        exit::USAGE | exit::INPUTS => ApiError::invalid(error.to_string()),
        _ => ApiError::internal(error.to_string()),
    }
}
