//! SentencePiece BPE from a GGUF file's vocabulary and scores (`tokenizer.ggml.model = llama`).
//!
//! Neighbours join when the joined text is a token, the highest score first (Kudo and Richardson
//! 2018, section 3.1). No list of merges is needed: for a vocabulary of 262,144 tokens it would
//! hold half a million pairs.

use eval::{Error, Result};

use super::encoding::Encoding;
use super::lexicon::{Index, NONE, Texts};
use super::merge::{Joins, Merger, Symbol};
use super::vocabulary::{Kind, Spelling, Vocabulary};

/// Characters join to tokens by score; what is no token is spelled in bytes.
#[derive(Debug)]
pub(super) struct SentencePiece {
    /// Normal tokens by stored text: a control token never grows out of ordinary text.
    normal: Index,
    /// Smaller joins first: the order of the scores, turned round.
    orders: Vec<u32>,
    bytes: Vec<Option<u32>>,
    unknown: Option<u32>,
    /// Text at the beginning and after a marker is read as if a space stood before it.
    pub(super) adds_space: bool,
}

impl SentencePiece {
    /// Takes one score per token.
    ///
    /// # Errors
    /// The numbers differ or a score is not a number.
    pub(super) fn new(
        vocabulary: &Vocabulary,
        scores: &[f32],
        unknown: Option<u32>,
        adds_space: bool,
    ) -> Result<Self> {
        if scores.len() != vocabulary.len() {
            return Err(Error::inputs(format!(
                "{} scores for {} tokens",
                scores.len(),
                vocabulary.len()
            )));
        }
        if let Some(id) = scores.iter().position(|score| score.is_nan()) {
            return Err(Error::inputs(format!(
                "the score of token {id} is not a number"
            )));
        }
        let normal = vocabulary.kinds().filter(|&(_, kind)| kind == Kind::Normal);
        Ok(Self {
            normal: Index::new(&vocabulary.stored, normal.map(|(id, _)| id)),
            orders: scores.iter().map(|&score| falling(score)).collect(),
            bytes: vocabulary.bytes(Spelling::SentencePiece),
            unknown,
            adds_space,
        })
    }

    /// Appends the ids of `text`, which begins at byte `base` of the whole; `first` tells that it
    /// stands at the beginning or after a marker.
    ///
    /// # Errors
    /// The vocabulary has neither a byte nor an unknown token for a character.
    pub(super) fn encode(
        &self,
        vocabulary: &Vocabulary,
        (text, base, first): (&str, usize, bool),
        out: &mut Encoding,
    ) -> Result<()> {
        let mut merger = Merger::default();
        // Where in `text` each symbol begins; the added space stands for nothing.
        let mut begins = Vec::with_capacity(text.len());
        let mut escaped = String::with_capacity(text.len() + text.len() / 2);
        let mut enter = |letter: char, begin: usize| {
            let start = escaped.len();
            escaped.push(if letter == ' ' { '▁' } else { letter });
            merger.symbols.push(Symbol::new(start, escaped.len(), NONE));
            begins.push(begin);
        };
        if self.adds_space && first {
            enter(' ', 0);
        }
        for (begin, letter) in text.char_indices() {
            enter(letter, begin);
        }
        begins.push(text.len());
        let joins = Scored {
            piece: self,
            stored: &vocabulary.stored,
            text: escaped.as_bytes(),
        };
        for symbol in &mut merger.symbols {
            symbol.id = joins.id_of(symbol.start, symbol.end).unwrap_or(NONE);
        }
        merger.run(&joins);
        let mut survivors = merger.survivors().peekable();
        while let Some(index) = survivors.next() {
            let next = survivors.peek().copied().unwrap_or(merger.symbols.len());
            let (begin, end) = (begins[index], begins[next]);
            match merger.symbols[index].id {
                NONE => self.spell((text, base), begin..end, out)?,
                id => out.push(id, base + end),
            }
        }
        Ok(())
    }

    /// Appends a character that is no token, byte by byte.
    fn spell(
        &self,
        (text, base): (&str, usize),
        range: std::ops::Range<usize>,
        out: &mut Encoding,
    ) -> Result<()> {
        let letter = &text[range.clone()];
        let letter = if letter.is_empty() { " " } else { letter };
        let ids: Option<Vec<u32>> = letter
            .bytes()
            .map(|byte| self.bytes[usize::from(byte)])
            .collect();
        match (ids, self.unknown) {
            (Some(ids), _) => {
                for (n_before, id) in ids.into_iter().enumerate() {
                    out.push(id, base + range.end.min(range.start + n_before + 1));
                }
            }
            (None, Some(unknown)) => out.push(unknown, base + range.end),
            (None, None) => {
                return Err(Error::inputs(format!(
                    "the vocabulary has no token for `{letter}` at byte {} of the text",
                    base + range.start
                )));
            }
        }
        Ok(())
    }
}

/// The joins of one text.
struct Scored<'a> {
    piece: &'a SentencePiece,
    stored: &'a Texts,
    text: &'a [u8],
}

impl Scored<'_> {
    fn id_of(&self, start: u32, end: u32) -> Option<u32> {
        let text = self.text.get(start as usize..end as usize)?;
        self.piece.normal.find(self.stored, text)
    }
}

impl Joins for Scored<'_> {
    fn join(&self, left: &Symbol, right: &Symbol) -> Option<(u32, u32)> {
        let id = self.id_of(left.start, right.end)?;
        Some((self.piece.orders[id as usize], id))
    }
}

/// Orders floats from high to low: the bits of an IEEE single, made monotone (total order).
fn falling(score: f32) -> u32 {
    // Adding zero makes the two zeros equal.
    let bits = (score + 0.0).to_bits();
    let rising = if bits >> 31 == 1 {
        !bits
    } else {
        bits | 1 << 31
    };
    !rising
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn higher_scores_come_first() {
        let scores = [
            f32::INFINITY,
            3.0,
            1e-30,
            0.0,
            -1e-30,
            -2.5,
            -1e9,
            f32::NEG_INFINITY,
        ];
        for pair in scores.windows(2) {
            assert!(falling(pair[0]) < falling(pair[1]), "{pair:?}");
        }
        assert_eq!(falling(0.0), falling(-0.0));
    }
}
