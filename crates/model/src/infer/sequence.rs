//! Sequences and their caches: keys and values of the tokens seen so far, with shared prefixes.

use std::sync::Arc;

use crate::config::DecoderConfig;
use crate::kernels::KeyValues;

/// One sequence of tokens and what the decoder remembers of it.
///
/// A sequence is a chain of segments. Those of [`Sequence::fork`] are shared by reference, so `k`
/// samples of one prompt hold its keys and values once; only the last segment grows.
#[derive(Debug)]
pub struct Sequence {
    pub(super) shape: CacheShape,
    pub(super) shared: Vec<Arc<Segment>>,
    pub(super) own: Segment,
    n_shared: usize,
}

/// What a cache must know of its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CacheShape {
    n_layers: usize,
    n_kv_heads: usize,
    n_head: usize,
}

/// Keys and values of consecutive tokens in every layer.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) layers: Vec<KeyValues>,
    pub(super) n_tokens: usize,
}

impl CacheShape {
    pub(super) fn of(config: &DecoderConfig) -> Self {
        Self {
            n_layers: config.n_layers,
            n_kv_heads: config.n_kv_heads,
            n_head: config.n_head,
        }
    }
}

impl Segment {
    fn new(shape: CacheShape) -> Self {
        let layer = KeyValues::new(shape.n_kv_heads, shape.n_head);
        Self {
            layers: vec![layer; shape.n_layers],
            n_tokens: 0,
        }
    }

    fn n_bytes(&self) -> usize {
        self.layers.iter().map(KeyValues::n_bytes).sum()
    }
}

impl Sequence {
    pub(super) fn new(config: &DecoderConfig) -> Self {
        let shape = CacheShape::of(config);
        Self {
            shape,
            shared: Vec::new(),
            own: Segment::new(shape),
            n_shared: 0,
        }
    }

    /// Tokens seen so far; the next one gets this position.
    #[must_use]
    pub fn n_tokens(&self) -> usize {
        self.n_shared + self.own.n_tokens
    }

    /// Bytes that the keys and values of this sequence take, shared segments included.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        let shared: usize = self.shared.iter().map(|segment| segment.n_bytes()).sum();
        shared + self.own.n_bytes()
    }

    /// Makes room for `n_tokens` more tokens, so that growing does not move memory.
    pub fn reserve(&mut self, n_tokens: usize) {
        let n_tokens = self.own.n_tokens + n_tokens;
        self.own
            .layers
            .iter_mut()
            .for_each(|layer| layer.reserve(n_tokens));
    }

    /// A second sequence with the same past. The past is shared from then on, not copied.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        if self.own.n_tokens > 0 {
            let segment = std::mem::replace(&mut self.own, Segment::new(self.shape));
            self.n_shared += segment.n_tokens;
            self.shared.push(Arc::new(segment));
        }
        Self {
            shape: self.shape,
            shared: self.shared.clone(),
            own: Segment::new(self.shape),
            n_shared: self.n_shared,
        }
    }

    /// As [`Sequence::fork`], with the first `n_tokens` tokens alone (all, if there are fewer).
    /// Segments that lie wholly in them are shared, the one that is cut is copied.
    #[must_use]
    pub fn fork_prefix(&mut self, n_tokens: usize) -> Self {
        let mut prefix = self.fork();
        let mut left = n_tokens;
        for segment in &mut prefix.shared {
            if segment.n_tokens > left {
                let cut = Arc::make_mut(segment);
                cut.layers.iter_mut().for_each(|layer| layer.truncate(left));
                cut.n_tokens = left;
            }
            left -= segment.n_tokens;
        }
        prefix.shared.retain(|segment| segment.n_tokens > 0);
        prefix.n_shared = prefix.shared.iter().map(|segment| segment.n_tokens).sum();
        prefix
    }
}

/// What one sequence contributes to a forward call.
#[derive(Debug)]
pub struct Step<'a> {
    /// The sequence; it grows by `tokens`.
    pub sequence: &'a mut Sequence,
    /// Token ids that follow its past, at least one.
    pub tokens: &'a [u32],
    /// Which of the tokens need an output.
    pub outputs: Outputs,
}

/// Which tokens of a step need an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// None: the step only fills the cache.
    None,
    /// The last one.
    Last,
    /// All.
    All,
}

/// Final hidden states (after the last norm, ready for the head) of the tokens that asked for an
/// output, in the order of steps and tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct States {
    /// Rows: tokens that asked for an output.
    pub n_rows: usize,
    /// `[n_rows * n_hidden]`, row-major.
    pub values: Vec<f32>,
}
