//! Answers sent while they are written: server-sent events, as OpenAI's clients read them.
//!
//! Each event is one JSON document on one line; the last one is `[DONE]`. An error that comes after
//! the first event is an event with an `error` object, and no `[DONE]` follows it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use serde_json::{Value, json};

use super::ApiError;
use super::answer::{Answer, Step};
use super::assemble::Piece;
use crate::generate::{Finish, Score};

/// A comment is sent after so long a silence, so that a client that left is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// The documents of one kind of answer.
pub trait Shape: Send {
    /// Before anything was drawn.
    fn start(&mut self) -> Vec<Value>;
    /// With the log-probabilities of the prompts.
    fn scored(&mut self, _scores: &[Score]) -> Vec<Value> {
        Vec::new()
    }
    /// A part of a choice.
    fn piece(&mut self, index: usize, piece: &Piece) -> Value;
    /// The end of a choice.
    fn finished(&mut self, index: usize, finish: Finish) -> Value;
    /// The end of all, where something is left to say.
    fn end(&mut self, n_generated: usize) -> Option<Value>;
}

/// Tokens as the protocol counts them: the prompt once, however many answers it has.
pub fn usage(n_prompt: usize, n_generated: usize) -> Value {
    json!({
        "prompt_tokens": n_prompt,
        "completion_tokens": n_generated,
        "total_tokens": n_prompt + n_generated,
    })
}

/// One JSON document as a response. It holds what a person asked: no cache may keep it.
pub fn json_response(document: &Value) -> Response {
    with_no_store(Json(document).into_response())
}

fn with_no_store(mut response: Response) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

/// Documents as a response of server-sent events: one event each, then `[DONE]`. After an error,
/// which is an event too, nothing follows.
pub fn event_stream(
    documents: impl Stream<Item = Result<Value, ApiError>> + Send + 'static,
) -> Response {
    let lines = stream::unfold(Some(Box::pin(documents)), |documents| async move {
        let mut documents = documents?;
        Some(match documents.next().await {
            Some(Ok(document)) => (document.to_string(), Some(documents)),
            Some(Err(error)) => (error.document().to_string(), None),
            None => ("[DONE]".to_owned(), None),
        })
    });
    let events = lines.map(|line| Ok::<_, Infallible>(Event::default().data(line)));
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    with_no_store(sse.into_response())
}

struct Streaming {
    answer: Answer,
    shape: Box<dyn Shape>,
    ready: VecDeque<Result<Value, ApiError>>,
    is_over: bool,
}

/// Streams an answer. It waits for the first step: what fails until then fails with a status.
///
/// # Errors
/// The answer failed before anything was drawn.
pub async fn stream(mut answer: Answer, shape: Box<dyn Shape>) -> Result<Response, ApiError> {
    let first = answer.next().await?;
    let mut streaming = Streaming {
        answer,
        shape,
        ready: VecDeque::new(),
        is_over: false,
    };
    let start = streaming.shape.start();
    streaming.ready.extend(start.into_iter().map(Ok));
    streaming.step(Ok(first));
    let documents = stream::unfold(streaming, |mut streaming| async move {
        let document = streaming.next().await?;
        Some((document, streaming))
    });
    Ok(event_stream(documents))
}

impl Streaming {
    async fn next(&mut self) -> Option<Result<Value, ApiError>> {
        loop {
            if let Some(document) = self.ready.pop_front() {
                return Some(document);
            }
            if self.is_over {
                return None;
            }
            let step = self.answer.next().await;
            self.step(step);
        }
    }

    fn step(&mut self, step: Result<Step, ApiError>) {
        self.is_over = matches!(step, Ok(Step::End(_)) | Err(_));
        let documents = match step {
            Ok(Step::Scores(scores)) => self.shape.scored(&scores),
            Ok(Step::Piece(index, piece)) => vec![self.shape.piece(index, &piece)],
            Ok(Step::Finished(index, finish)) => vec![self.shape.finished(index, finish)],
            Ok(Step::End(n_generated)) => self.shape.end(n_generated).into_iter().collect(),
            Err(error) => return self.ready.push_back(Err(error)),
        };
        self.ready.extend(documents.into_iter().map(Ok));
    }
}
