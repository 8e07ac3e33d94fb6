//! Many requests at the same time, answers in order.

use std::future::Future;
use std::ops::ControlFlow;
use std::sync::OnceLock;

use eval::{Error, Result, exit};
use futures_util::StreamExt;
use futures_util::stream;
use tokio::runtime::{Builder, Handle, Runtime};

use super::interface::{ChatAnswer, ChatModel, ChatRequest};

/// Outcomes of a batch, each on its own: one that failed takes nothing from the others.
#[derive(Debug)]
pub struct Batch {
    /// One outcome per request, in the order of the requests.
    pub answers: Vec<Result<ChatAnswer>>,
    /// Requests that were asked; fewer than all only if the batch was ended early.
    pub n_attempted: usize,
    /// Of these, requests without an answer.
    pub n_failed: usize,
}

/// Asks everything, at most `n_concurrent` requests at a time.
///
/// `progress` hears after each outcome how many are done and how many there are. If it breaks,
/// requests under way are dropped and they and the rest fail as interrupted.
pub async fn complete_all(
    model: &dyn ChatModel,
    requests: &[ChatRequest],
    n_concurrent: usize,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Batch {
    let mut answers: Vec<Option<Result<ChatAnswer>>> = requests.iter().map(|_| None).collect();
    let asked = stream::iter(requests.iter().enumerate())
        .map(|(idx, request)| async move { (idx, model.chat(request).await) })
        .buffer_unordered(n_concurrent.max(1));
    let mut asked = std::pin::pin!(asked);
    let (mut n_attempted, mut n_failed) = (0, 0);
    while let Some((idx, outcome)) = asked.next().await {
        n_attempted += 1;
        n_failed += usize::from(outcome.is_err());
        answers[idx] = Some(outcome);
        if progress(n_attempted, requests.len()).is_break() {
            break;
        }
    }
    let interrupted = || Err(Error::new(exit::INTERRUPTED, "the batch was interrupted"));
    Batch {
        answers: answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(interrupted))
            .collect(),
        n_attempted,
        n_failed,
    }
}

/// Waits for a future on this thread, in the one runtime of all chats of the process, so that
/// connections outlive single calls.
///
/// # Errors
/// The caller is inside an asynchronous runtime already, or no runtime can be had.
pub fn block_on<F: Future>(future: F) -> Result<F::Output> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    if Handle::try_current().is_ok() {
        return Err(
            Error::internal("a blocking chat was started inside an asynchronous task")
                .hint("await the model's own future there"),
        );
    }
    // One worker keeps connections going; computing has threads of its own.
    let runtime = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("chat")
            .enable_all()
            .build()
    });
    match runtime {
        Ok(runtime) => Ok(runtime.block_on(future)),
        Err(cause) => Err(Error::internal(format!(
            "cannot start the runtime of chats: {cause}"
        ))),
    }
}
