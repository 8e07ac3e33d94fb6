//! One answer from its tokens: text in whole characters, and the tokens that carry it.

use crate::generate::{Finish, Sample, TokenLogprob};

/// A part of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// Text; whole characters.
    pub text: String,
    /// The tokens whose text ends in it.
    pub tokens: Vec<TokenLogprob>,
}

/// Puts one answer together. Tokens wait until the text that they begin is certain: a part of a
/// character, or what may yet turn out to be a stop string, is never handed on.
#[derive(Debug, Default)]
pub struct Assembler {
    n_text_bytes: usize,
    n_token_bytes: usize,
    /// Tokens not handed on, with the number of bytes before each.
    pending: Vec<(usize, TokenLogprob)>,
}

impl Assembler {
    /// A token that stands for `n_bytes` was drawn. Tokens that end an answer are not told.
    pub fn push(&mut self, token: TokenLogprob, n_bytes: usize) {
        self.pending.push((self.n_token_bytes, token));
        self.n_token_bytes += n_bytes;
    }

    /// Text became certain, with all tokens so far.
    pub fn certain(&mut self, text: &str) -> Option<Piece> {
        if text.is_empty() {
            return None;
        }
        self.n_text_bytes += text.len();
        let tokens = self.pending.drain(..).map(|(_, token)| token).collect();
        let text = text.to_owned();
        Some(Piece { text, tokens })
    }

    /// The answer is complete: what was held back and belongs to it. Tokens that begin at or after
    /// the end of the text are those that ended it.
    pub fn finish(&mut self, sample: &Sample) -> Option<Piece> {
        let text = sample.text.get(self.n_text_bytes..).unwrap_or_default();
        let is_cut = sample.finish == Finish::Stop;
        let tokens: Vec<TokenLogprob> = self
            .pending
            .drain(..)
            .filter(|(start, _)| !is_cut || *start < sample.text.len())
            .map(|(_, token)| token)
            .collect();
        self.n_text_bytes = sample.text.len();
        let piece = Piece {
            text: text.to_owned(),
            tokens,
        };
        (!piece.text.is_empty() || !piece.tokens.is_empty()).then_some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: u32) -> TokenLogprob {
        TokenLogprob {
            id,
            logprob: -1.0,
            alternatives: Vec::new(),
        }
    }

    fn sample(text: &str, finish: Finish) -> Sample {
        Sample {
            text: text.to_owned(),
            tokens: Vec::new(),
            finish,
        }
    }

    fn push(assembler: &mut Assembler, id: u32, n_bytes: usize, text: &str) -> Option<Piece> {
        assembler.push(token(id), n_bytes);
        assembler.certain(text)
    }

    #[test]
    fn tokens_of_one_character_are_handed_on_together() {
        let mut assembler = Assembler::default();
        assert_eq!(push(&mut assembler, 1, 1, ""), None);
        let piece = push(&mut assembler, 2, 1, "é").unwrap();
        assert_eq!(piece.text, "é");
        assert_eq!(piece.tokens, [token(1), token(2)]);
        assert_eq!(assembler.finish(&sample("é", Finish::Length)), None);
    }

    #[test]
    fn tokens_of_a_stop_string_are_dropped_and_text_before_it_is_not() {
        // "ab" + "c<" + "end" + ">" with the stop string "<end>".
        let mut assembler = Assembler::default();
        assert!(push(&mut assembler, 1, 2, "ab").is_some());
        assert_eq!(push(&mut assembler, 2, 2, "c").unwrap().text, "c");
        assert_eq!(push(&mut assembler, 3, 3, ""), None);
        assert_eq!(push(&mut assembler, 4, 1, ""), None);
        assert_eq!(assembler.finish(&sample("abc", Finish::Stop)), None);
    }

    #[test]
    fn text_held_back_comes_with_the_end() {
        let mut assembler = Assembler::default();
        assert_eq!(push(&mut assembler, 1, 1, ""), None);
        let piece = assembler.finish(&sample("<", Finish::Length)).unwrap();
        assert_eq!((piece.text.as_str(), piece.tokens.len()), ("<", 1));
    }
}
