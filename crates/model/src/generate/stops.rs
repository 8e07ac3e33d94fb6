//! Text of one answer: what is certain comes out, what may begin a stop string is held back.

use std::sync::Arc;

/// Assembles the pieces of an answer and looks for stop strings across their borders.
///
/// The answer ends as soon as it contains a stop string, whatever pieces it came in; of several
/// that end at the same character the longest counts.
#[derive(Debug)]
pub(super) struct StopText {
    stop: Arc<[String]>,
    text: String,
    /// Bytes of `text` that have come out already.
    n_released: usize,
    is_stopped: bool,
}

impl StopText {
    /// An empty answer that ends before any of `stop`, none of which is empty.
    pub(super) fn new(stop: Arc<[String]>) -> Self {
        Self {
            stop,
            text: String::new(),
            n_released: 0,
            is_stopped: false,
        }
    }

    /// Adds a piece and returns the text that became certain with it.
    pub(super) fn push(&mut self, piece: &str) -> &str {
        if self.is_stopped {
            return "";
        }
        // Text that has come out cannot be part of a stop string, so only the rest is searched.
        self.text.push_str(piece);
        let held = &self.text[self.n_released..];
        let matches = self.stop.iter().filter_map(|stop| {
            let place = held.find(stop)?;
            Some((place + stop.len(), place))
        });
        let n_certain = match matches.min() {
            Some((_, place)) => {
                self.is_stopped = true;
                self.text.truncate(self.n_released + place);
                place
            }
            None => held.len() - self.n_uncertain(held),
        };
        self.release(n_certain)
    }

    /// The answer has ended otherwise: what was held back comes out.
    pub(super) fn finish(&mut self) -> &str {
        let n_held = self.text.len() - self.n_released;
        self.release(n_held)
    }

    /// Whether a stop string was found.
    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// The whole text, without the stop string.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn release(&mut self, n_bytes: usize) -> &str {
        let from = self.n_released;
        self.n_released += n_bytes;
        &self.text[from..self.n_released]
    }

    /// Bytes at the end of `held` that a stop string may begin with.
    fn n_uncertain(&self, held: &str) -> usize {
        let longest = |stop: &String| {
            (1..stop.len().min(held.len() + 1))
                .rev()
                .find(|n| held.as_bytes().ends_with(&stop.as_bytes()[..*n]))
        };
        // A match of bytes begins where a character of `stop` begins, so it is one in `held` too.
        self.stop.iter().filter_map(longest).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds `pieces`; returns what came out with each, the rest at the end, and the whole.
    fn run(stop: &[&str], pieces: &[&str]) -> (Vec<String>, String, bool) {
        let stop: Vec<String> = stop.iter().map(|s| (*s).to_owned()).collect();
        let mut text = StopText::new(stop.into());
        let mut released: Vec<String> = pieces.iter().map(|p| text.push(p).to_owned()).collect();
        released.push(text.finish().to_owned());
        let is_stopped = text.is_stopped();
        (released, text.into_text(), is_stopped)
    }

    #[test]
    fn stop_strings_are_found_across_pieces_and_withheld() {
        let (released, text, is_stopped) = run(&["END"], &["abcE", "N", "Dxyz"]);
        assert_eq!(released, ["abc", "", "", ""]);
        assert_eq!((text.as_str(), is_stopped), ("abc", true));
    }

    #[test]
    fn false_beginnings_come_out_when_they_fail_and_at_the_end() {
        let (released, text, is_stopped) = run(&["ENDE"], &["E", "N", "x", "EN"]);
        assert_eq!(released, ["", "", "ENx", "", "EN"]);
        assert_eq!((text.as_str(), is_stopped), ("ENxEN", false));
    }

    #[test]
    fn the_stop_string_that_is_complete_first_ends_the_text() {
        for pieces in [&["abcdX"] as &[_], &["a", "b", "c", "d", "X"]] {
            assert_eq!(run(&["cd", "b"], pieces).1, "a");
            assert_eq!(run(&["cd", "bcdX"], pieces).1, "ab");
            assert_eq!(run(&["cd", "bcd"], pieces).1, "a");
        }
    }

    #[test]
    fn overlapping_beginnings_are_held() {
        let (released, text, _) = run(&["aab"], &["aaa", "b"]);
        assert_eq!(released, ["a", "", ""]);
        assert_eq!(text, "a");
    }

    proptest! {
        /// Whatever the pieces, the text is cut before the stop string that is complete first, and
        /// what came out early never had to be taken back.
        #[test]
        fn text_is_cut_at_the_first_stop_string(
            pieces in prop::collection::vec("[abé]{0,3}", 0..8),
            stop in prop::collection::vec("[abé]{1,4}", 0..3),
        ) {
            let whole = pieces.concat();
            let end = whole
                .char_indices()
                .map(|(idx, c)| idx + c.len_utf8())
                .find(|end| stop.iter().any(|s| whole[..*end].ends_with(s.as_str())));
            let expected = end.map_or(whole.as_str(), |end| {
                let endings = stop.iter().filter(|s| whole[..end].ends_with(s.as_str()));
                &whole[..end - endings.map(String::len).max().unwrap_or(0)]
            });
            let stop: Vec<&str> = stop.iter().map(String::as_str).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let (released, text, is_stopped) = run(&stop, &pieces);
            prop_assert_eq!(&text, expected);
            prop_assert_eq!(released.concat(), expected);
            prop_assert_eq!(is_stopped, end.is_some());
        }
    }
}
