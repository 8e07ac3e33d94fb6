//! Buffers that loops reuse from call to call.

use super::lines::Lines;
use super::quantise::ActivationBlock;

/// Working memory of one computation. Empty at first, it grows to what is needed and stays; its
/// content never influences a result.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Rounded activations.
    pub(super) blocks: Vec<ActivationBlock>,
    /// Activations in the order that the `f32` product reads them.
    pub(super) tokens: Lines,
    /// Per thread: de-quantised weights, or scores of attention.
    pub(super) workers: Vec<Lines>,
}

impl Scratch {
    /// Empty buffers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// At least `n` per-thread buffers.
    pub(super) fn ensure_workers(&mut self, n: usize) {
        if self.workers.len() < n {
            self.workers.resize_with(n, Lines::default);
        }
    }
}
