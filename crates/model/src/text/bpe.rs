//! Byte-level BPE from a GGUF file's vocabulary and merges (`tokenizer.ggml.model = gpt2`).

use eval::{Error, Result};

use super::encoding::Encoding;
use super::lexicon::{Index, NONE, Pairs};
use super::merge::{Joins, Merger, Symbol};
use super::split::Splitter;
use super::vocabulary::{Kind, Spelling, Vocabulary, letter_of};

/// Words are cut out, spelled in bytes, and merged by rank.
#[derive(Debug)]
pub(super) struct Bpe {
    splitter: Splitter,
    pairs: Pairs,
    bytes: Vec<Option<u32>>,
    letters: Vec<char>,
    /// Tokens that a whole word may be, by stored text.
    words: Index,
}

impl Bpe {
    /// Reads merges such as `Ġ t`, best first.
    ///
    /// # Errors
    /// A merge is not two tokens that join to a third.
    pub(super) fn new(
        vocabulary: &Vocabulary,
        splitter: Splitter,
        merges: &[&str],
    ) -> Result<Self> {
        let mut pairs = Pairs::new(merges.len());
        let mut joined = String::new();
        for (rank, merge) in (0_u32..).zip(merges) {
            let refuse = || {
                Error::inputs(format!(
                    "merge {rank} (`{merge}`) does not join two tokens of the vocabulary"
                ))
            };
            // A token may begin with a space, so the separator is looked for after the first byte.
            let gap = merge
                .char_indices()
                .skip(1)
                .find(|&(_, letter)| letter == ' ');
            let (gap, _) = gap.ok_or_else(refuse)?;
            let (left, right) = (&merge[..gap], &merge[gap + 1..]);
            joined.clear();
            joined.push_str(left);
            joined.push_str(right);
            let ids = [left, right, &joined].map(|text| vocabulary.id_of(text));
            let [Some(left), Some(right), Some(joined)] = ids else {
                return Err(refuse());
            };
            pairs.insert(left, right, rank, joined);
        }
        let normal = vocabulary.kinds().filter(|&(_, kind)| kind == Kind::Normal);
        Ok(Self {
            splitter,
            pairs,
            bytes: vocabulary.bytes(Spelling::ByteLevel),
            letters: (0..=u8::MAX).map(letter_of).collect(),
            words: Index::new(&vocabulary.stored, normal.map(|(id, _)| id)),
        })
    }

    /// Appends the ids of `text`, which begins at byte `base` of the whole.
    ///
    /// # Errors
    /// The vocabulary has no token for a byte of the text.
    pub(super) fn encode(
        &self,
        vocabulary: &Vocabulary,
        (text, base): (&str, usize),
        out: &mut Encoding,
    ) -> Result<()> {
        let mut merger = Merger::default();
        let mut spelled = String::new();
        for word in self.splitter.words(text) {
            let bytes = &text.as_bytes()[word.clone()];
            if self.splitter.whole_words {
                spelled.clear();
                spelled.extend(bytes.iter().map(|&byte| self.letters[usize::from(byte)]));
                if let Some(id) = self.words.find(&vocabulary.stored, spelled.as_bytes()) {
                    out.push(id, base + word.end);
                    continue;
                }
            }
            merger.symbols.clear();
            for (at, &byte) in bytes.iter().enumerate() {
                let Some(id) = self.bytes[usize::from(byte)] else {
                    return Err(Error::inputs(format!(
                        "the vocabulary has no token for the byte 0x{byte:02X} at byte {} of the \
                         text",
                        base + word.start + at
                    )));
                };
                merger.symbols.push(Symbol::new(at, at + 1, id));
            }
            merger.run(self);
            for index in merger.survivors() {
                let symbol = merger.symbols[index];
                out.push(symbol.id, base + word.start + symbol.end as usize);
            }
        }
        Ok(())
    }
}

impl Joins for Bpe {
    fn join(&self, left: &Symbol, right: &Symbol) -> Option<(u32, u32)> {
        debug_assert!(left.id != NONE && right.id != NONE, "every byte is a token");
        self.pairs.find(left.id, right.id)
    }
}
