//! The model side: a language model whose batch requests can join while it runs.

use eval::Result;

use crate::generate::{
    Batcher, Completion, CompletionRequest, LanguageModel, LocalModel, TokenSink,
};

/// A language model that a server can share among its clients.
pub trait ServedModel: LanguageModel {
    /// An empty batch.
    fn batch(&self) -> Box<dyn SharedBatch + '_>;
}

/// A batch that requests join and leave while it runs. What a request gets back does not depend on
/// the others.
pub trait SharedBatch {
    /// Adds a request; returns its number, which token events carry in
    /// [`TokenEvent::request`](crate::generate::TokenEvent::request).
    ///
    /// # Errors
    /// As [`LanguageModel::complete`].
    fn submit(&mut self, request: CompletionRequest) -> Result<usize>;

    /// Takes a request out. Unknown numbers are ignored.
    fn cancel(&mut self, number: usize);

    /// Advances every answer, and returns the requests that are finished.
    ///
    /// # Errors
    /// The model failed; the batch is spent.
    fn step(&mut self, sink: TokenSink<'_>) -> Result<Vec<(usize, Completion)>>;
}

impl ServedModel for LocalModel {
    fn batch(&self) -> Box<dyn SharedBatch + '_> {
        Box::new(LocalModel::batch(self))
    }
}

impl SharedBatch for Batcher<'_> {
    fn submit(&mut self, request: CompletionRequest) -> Result<usize> {
        Batcher::submit(self, request)
    }

    fn cancel(&mut self, number: usize) {
        Batcher::cancel(self, number);
    }

    fn step(&mut self, sink: TokenSink<'_>) -> Result<Vec<(usize, Completion)>> {
        Batcher::step(self, &mut Some(sink), None)
    }
}
