//! Byte-pair merging: neighbours join, best pair first, until none can.
//!
//! One engine serves both families of vocabularies: byte-level BPE asks a table of ranked pairs,
//! SentencePiece asks whether the joined text is a token and how it scores. Every join pushes at
//! most two candidates, so a text of n symbols costs O(n log n) whatever it says.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::lexicon::NONE;

/// A stretch of text that is one symbol at the moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol {
    /// First byte in the text that is merged.
    pub(super) start: u32,
    /// The byte after its last.
    pub(super) end: u32,
    /// Token id; [`NONE`] when the symbol alone is no token.
    pub(super) id: u32,
    previous: u32,
    next: u32,
}

impl Symbol {
    /// A symbol that is not linked to neighbours yet.
    pub(super) fn new(start: usize, end: usize, id: u32) -> Self {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(NONE);
        Self {
            start: narrow(start),
            end: narrow(end),
            id,
            previous: NONE,
            next: NONE,
        }
    }
}

/// What two neighbouring symbols join to.
pub(super) trait Joins {
    /// Order (smaller joins first) and token id of the two joined, if they may be.
    fn join(&self, left: &Symbol, right: &Symbol) -> Option<(u32, u32)>;
}

/// A join that was possible when it was entered: order, left index, right index, end of the right
/// symbol at that time, id of the result. The leftmost of equal orders comes first.
type Candidate = Reverse<(u32, u32, u32, u32, u32)>;

/// Working memory, kept between words.
#[derive(Debug, Default)]
pub(super) struct Merger {
    /// The symbols to merge, in order of the text.
    pub(super) symbols: Vec<Symbol>,
    queue: BinaryHeap<Candidate>,
    /// Candidates entered since the beginning: the work done.
    pub(super) n_candidates: u64,
}

impl Merger {
    /// Joins until nothing can be joined; symbols that were swallowed are unlinked.
    pub(super) fn run(&mut self, joins: &impl Joins) {
        self.queue.clear();
        let n_symbols = u32::try_from(self.symbols.len()).unwrap_or(NONE);
        for (index, symbol) in (0_u32..).zip(&mut self.symbols) {
            symbol.previous = index.checked_sub(1).unwrap_or(NONE);
            symbol.next = if index + 1 < n_symbols {
                index + 1
            } else {
                NONE
            };
        }
        for right in 1..n_symbols {
            self.enter(joins, right - 1, right);
        }
        while let Some(Reverse((_, left, right, end, id))) = self.queue.pop() {
            let (kept, swallowed) = (self.symbols[left as usize], self.symbols[right as usize]);
            // A candidate is stale when either side has changed since: the left symbol is then
            // followed by another one, or the right symbol has grown.
            if kept.id == SWALLOWED || kept.next != right || swallowed.end != end {
                continue;
            }
            self.symbols[left as usize] = Symbol {
                end,
                id,
                next: swallowed.next,
                ..kept
            };
            self.symbols[right as usize].id = SWALLOWED;
            if swallowed.next != NONE {
                self.symbols[swallowed.next as usize].previous = left;
                self.enter(joins, left, swallowed.next);
            }
            if kept.previous != NONE {
                self.enter(joins, kept.previous, left);
            }
        }
    }

    /// Indices of the symbols that are left, in order of the text.
    pub(super) fn survivors(&self) -> impl Iterator<Item = usize> {
        let alive = |symbol: &Symbol| symbol.id != SWALLOWED;
        (0..self.symbols.len()).filter(move |&index| alive(&self.symbols[index]))
    }

    fn enter(&mut self, joins: &impl Joins, left: u32, right: u32) {
        let (first, second) = (&self.symbols[left as usize], &self.symbols[right as usize]);
        if let Some((order, id)) = joins.join(first, second) {
            self.n_candidates += 1;
            let end = second.end;
            self.queue.push(Reverse((order, left, right, end, id)));
        }
    }
}

/// Id of a symbol that became part of its left neighbour. No vocabulary is that large.
const SWALLOWED: u32 = NONE - 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// Joins by a list of ranked texts, for texts of one-byte symbols.
    struct Ranked<'a>(&'a [u8], &'a [&'a str]);

    impl Joins for Ranked<'_> {
        fn join(&self, left: &Symbol, right: &Symbol) -> Option<(u32, u32)> {
            let text = &self.0[left.start as usize..right.end as usize];
            let rank = self.1.iter().position(|known| known.as_bytes() == text)?;
            let rank = u32::try_from(rank).unwrap();
            Some((rank, rank))
        }
    }

    fn bytes(n_bytes: usize) -> Merger {
        let symbols = (0..n_bytes).map(|at| Symbol::new(at, at + 1, NONE));
        Merger {
            symbols: symbols.collect(),
            ..Merger::default()
        }
    }

    fn check(text: &str, ranked: &[&str], expected: &str) {
        let mut merger = bytes(text.len());
        merger.run(&Ranked(text.as_bytes(), ranked));
        let pieces: Vec<&str> = merger
            .survivors()
            .map(|index| merger.symbols[index])
            .map(|symbol| &text[symbol.start as usize..symbol.end as usize])
            .collect();
        assert_eq!(pieces.join("|"), expected);
    }

    #[test]
    fn the_best_pair_joins_first_and_the_leftmost_of_equals() {
        check("aaaa", &["aa"], "aa|aa");
        check("aaaaa", &["aa", "aaa"], "aa|aaa");
        check("abc", &["bc", "ab", "abc"], "abc");
        check("abc", &["bc", "ab"], "a|bc");
        check("abcd", &["bc", "abc", "cd"], "abc|d");
        check("", &["a"], "");
        check("x", &["a"], "x");
    }

    #[test]
    fn work_grows_with_the_text_and_no_faster() {
        let work = |n: usize| {
            let text = "a".repeat(n);
            let mut merger = bytes(n);
            merger.run(&Ranked(text.as_bytes(), &["aa", "aaaa", "aaaaaaaa"]));
            merger.n_candidates
        };
        assert!(work(20_000) <= 2 * work(10_000) + 8);
        assert!(work(10_000) <= 3 * 10_000);
    }
}
