//! Caches of earlier prompts: a prompt that begins like an earlier one computes only the rest.

use crate::infer::Sequence;

/// Shorter common beginnings are not worth a place in the chain of segments.
const N_COMMON_MIN: usize = 8;

/// Sequences of earlier calls, bounded in bytes. The one used least recently goes first.
#[derive(Debug)]
pub(super) struct PrefixCache {
    n_bytes_max: usize,
    /// From the least to the most recently used.
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    tokens: Vec<u32>,
    sequence: Sequence,
}

impl PrefixCache {
    pub(super) fn new(n_bytes_max: usize) -> Self {
        Self {
            n_bytes_max,
            entries: Vec::new(),
        }
    }

    /// Whether anything is ever kept.
    pub(super) fn is_enabled(&self) -> bool {
        self.n_bytes_max > 0
    }

    /// A sequence that has seen the longest known beginning of `tokens`, the last token excepted:
    /// somebody wants its output.
    pub(super) fn take(&mut self, tokens: &[u32]) -> Option<Sequence> {
        let wanted = &tokens[..tokens.len().saturating_sub(1)];
        let (n_common, entry_idx) = self
            .entries
            .iter()
            .enumerate()
            .map(|(idx, entry)| (n_common(&entry.tokens, wanted), idx))
            .max()?;
        if n_common < N_COMMON_MIN {
            return None;
        }
        let mut entry = self.entries.remove(entry_idx);
        let prefix = entry.sequence.fork_prefix(n_common);
        self.entries.push(entry);
        Some(prefix)
    }

    /// Remembers `sequence`, which has seen exactly `tokens`.
    pub(super) fn insert(&mut self, tokens: Vec<u32>, sequence: Sequence) {
        if !self.is_enabled() || self.entries.iter().any(|e| e.tokens.starts_with(&tokens)) {
            return;
        }
        self.entries.retain(|e| !tokens.starts_with(&e.tokens));
        self.entries.push(Entry { tokens, sequence });
        let mut n_bytes: usize = self.entries.iter().map(|e| e.sequence.n_bytes()).sum();
        let mut n_dropped = 0;
        while n_bytes > self.n_bytes_max && n_dropped < self.entries.len() {
            n_bytes -= self.entries[n_dropped].sequence.n_bytes();
            n_dropped += 1;
        }
        self.entries.drain(..n_dropped);
    }
}

fn n_common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}
