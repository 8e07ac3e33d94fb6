//! Finds the tokens that are spelled out in a text: control tokens and user-defined ones.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;

/// Tokens that are cut out of a text before it is tokenised.
///
/// Longer ones go first wherever they stand, then smaller ids, then earlier places: the order in
/// which llama.cpp looks for them (`tokenizer_st_partition`).
#[derive(Debug, Default)]
pub(super) struct MarkerSet {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    children: BTreeMap<u8, usize>,
    id: Option<u32>,
}

/// A stretch of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// To be tokenised.
    Text(Range<usize>),
    /// A token spelled out.
    Marker(Range<usize>, u32),
}

/// A possible marker: length, id and place, the best one largest.
type Candidate = (usize, Reverse<u32>, Reverse<usize>);

impl MarkerSet {
    /// The set of these texts; empty ones are ignored.
    pub(super) fn new<'a>(markers: impl Iterator<Item = (&'a [u8], u32)>) -> Self {
        let mut nodes = vec![Node::default()];
        for (text, id) in markers {
            let mut at = 0;
            for &byte in text {
                at = match nodes[at].children.get(&byte) {
                    Some(&child) => child,
                    None => {
                        nodes.push(Node::default());
                        let child = nodes.len() - 1;
                        nodes[at].children.insert(byte, child);
                        child
                    }
                };
            }
            if at > 0 && nodes[at].id.is_none() {
                nodes[at].id = Some(id);
            }
        }
        Self { nodes }
    }

    /// Cuts `text` into markers and the text between them.
    pub(super) fn cut(&self, text: &str) -> Vec<Piece> {
        let bytes = text.as_bytes();
        let mut queue: BinaryHeap<Candidate> = (0..bytes.len())
            .filter_map(|place| self.longest(bytes, place, bytes.len()))
            .collect();
        let mut taken: BTreeMap<usize, (usize, u32)> = BTreeMap::new();
        while let Some((n_bytes, Reverse(id), Reverse(place))) = queue.pop() {
            let before = taken.range(..=place).next_back();
            if before.is_some_and(|(_, &(end, _))| end > place) {
                continue;
            }
            let limit = taken.range(place..).next().map(|(&start, _)| start);
            match limit {
                // A better marker stands in the way: try the longest that ends in front of it.
                Some(limit) if place + n_bytes > limit => {
                    queue.extend(self.longest(bytes, place, limit));
                }
                _ => {
                    taken.insert(place, (place + n_bytes, id));
                }
            }
        }
        let mut pieces = Vec::with_capacity(2 * taken.len() + 1);
        let mut at = 0;
        for (start, (end, id)) in taken {
            if start > at {
                pieces.push(Piece::Text(at..start));
            }
            pieces.push(Piece::Marker(start..end, id));
            at = end;
        }
        if at < bytes.len() {
            pieces.push(Piece::Text(at..bytes.len()));
        }
        pieces
    }

    /// The longest marker that begins at `place` and ends at `limit` at the latest.
    fn longest(&self, bytes: &[u8], place: usize, limit: usize) -> Option<Candidate> {
        let mut node = self.nodes.first()?;
        let mut best = None;
        for (n_before, byte) in bytes[place..limit].iter().enumerate() {
            let Some(&child) = node.children.get(byte) else {
                break;
            };
            node = &self.nodes[child];
            if let Some(id) = node.id {
                best = Some((n_before + 1, Reverse(id), Reverse(place)));
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(markers: &[&str], text: &str) -> String {
        let set = MarkerSet::new((0..).zip(markers).map(|(id, text)| (text.as_bytes(), id)));
        let piece = |piece: Piece| match piece {
            Piece::Text(range) => text[range].to_owned(),
            Piece::Marker(range, id) => {
                assert_eq!(&text[range], markers[id as usize]);
                format!("[{id}]")
            }
        };
        set.cut(text)
            .into_iter()
            .map(piece)
            .collect::<Vec<_>>()
            .join("|")
    }

    #[test]
    fn longer_markers_win_wherever_they_stand() {
        assert_eq!(shown(&["<a>", "<b>"], "x<a><b>y<a"), "x|[0]|[1]|y<a");
        assert_eq!(shown(&["ab", "bcd"], "abcd"), "a|[1]");
        assert_eq!(shown(&["ab", "bc"], "abc"), "[0]|c");
        assert_eq!(shown(&["bc", "ab"], "abc"), "a|[0]");
        assert_eq!(shown(&["aa", "aaa"], "aaaaaaaa"), "[1]|[1]|[0]");
        assert_eq!(shown(&["ab", "abcx", "cxyzw"], "abcxyzw"), "[0]|[2]");
        assert_eq!(shown(&[], "abc"), "abc");
        assert_eq!(shown(&["a"], ""), "");
    }

    /// The definition, slowly: for each marker in order, cut it out of every text that is left.
    fn slow(markers: &[&str], text: &str) -> Vec<Piece> {
        let mut order: Vec<usize> = (0..markers.len()).collect();
        order.sort_by_key(|&id| (Reverse(markers[id].len()), id));
        let whole = if text.is_empty() {
            vec![]
        } else {
            vec![Piece::Text(0..text.len())]
        };
        order.into_iter().fold(whole, |pieces, id| {
            let mut finer = Vec::new();
            for piece in pieces {
                let Piece::Text(range) = piece else {
                    finer.push(piece);
                    continue;
                };
                let mut at = range.start;
                while let Some(found) = text[at..range.end].find(markers[id]) {
                    if found > 0 {
                        finer.push(Piece::Text(at..at + found));
                    }
                    let end = at + found + markers[id].len();
                    finer.push(Piece::Marker(at + found..end, u32::try_from(id).unwrap()));
                    at = end;
                }
                if at < range.end {
                    finer.push(Piece::Text(at..range.end));
                }
            }
            finer
        })
    }

    proptest! {
        #[test]
        fn cuts_equal_one_search_per_marker(text in "[ab<>]{0,30}") {
            let markers = ["<a>", "ab", "ba", "aab", "<", "abba", "><", "<a><b>", "bb"];
            let set = MarkerSet::new((0..).zip(markers).map(|(id, text)| (text.as_bytes(), id)));
            prop_assert_eq!(set.cut(&text), slow(&markers, &text));
        }
    }
}
