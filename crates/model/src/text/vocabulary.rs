//! What every tokenizer here knows of its tokens: stored text, bytes spoken, kind.

use eval::{Error, Result};

use super::lexicon::{Index, Texts};

/// What a token is for (the numbers are those of `tokenizer.ggml.token_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A piece of text (1).
    Normal,
    /// Stands for what the vocabulary cannot say (2).
    Unknown,
    /// Steers the model; never text (3).
    Control,
    /// Text that is cut out before anything else (4).
    UserDefined,
    /// A place that was never trained (5).
    Unused,
    /// One byte (6).
    Byte,
}

impl Kind {
    /// Reads a number of `tokenizer.ggml.token_type`.
    pub(super) fn from_number(number: i64) -> Option<Self> {
        match number {
            1 => Some(Self::Normal),
            2 => Some(Self::Unknown),
            3 => Some(Self::Control),
            4 => Some(Self::UserDefined),
            5 => Some(Self::Unused),
            6 => Some(Self::Byte),
            _ => None,
        }
    }
}

/// How stored texts spell bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Every byte is one printable character (GPT-2's table).
    ByteLevel,
    /// A space is `▁`; single bytes are `<0x0A>`.
    SentencePiece,
}

/// The tokens of a model.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// Texts as the file stores them.
    pub(super) stored: Texts,
    by_stored: Index,
    spoken: Texts,
    kinds: Vec<Kind>,
}

impl Vocabulary {
    /// Takes the tokens of a file in order of their ids.
    ///
    /// # Errors
    /// A byte token names no byte.
    pub(super) fn new<'a>(
        spelling: Spelling,
        tokens: impl Iterator<Item = (&'a str, Kind)>,
    ) -> Result<Self> {
        let (mut stored, mut spoken, mut kinds) = (Texts::default(), Texts::default(), Vec::new());
        for (text, kind) in tokens {
            stored.push(text.as_bytes());
            spoken.push(&spelling.spoken(text, kind)?);
            kinds.push(kind);
        }
        let n_vocab = u32::try_from(kinds.len())
            .ok()
            .filter(|&n| n > 0 && n < 1 << 24)
            .ok_or_else(|| Error::inputs(format!("a vocabulary of {} tokens", kinds.len())))?;
        let by_stored = Index::new(&stored, 0..n_vocab);
        Ok(Self {
            stored,
            by_stored,
            spoken,
            kinds,
        })
    }

    /// How many tokens there are.
    pub(super) fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Ids with their kinds.
    pub(super) fn kinds(&self) -> impl Iterator<Item = (u32, Kind)> {
        (0..).zip(self.kinds.iter().copied())
    }

    /// What a token is for.
    pub(super) fn kind(&self, id: u32) -> Option<Kind> {
        self.kinds.get(usize::try_from(id).ok()?).copied()
    }

    /// The id of a stored text.
    pub(super) fn id_of(&self, stored: &str) -> Option<u32> {
        self.by_stored.find(&self.stored, stored.as_bytes())
    }

    /// The bytes a token stands for.
    pub(super) fn spoken(&self, id: u32) -> Option<&[u8]> {
        self.spoken.get(id)
    }

    /// Ids by byte, where the vocabulary spells single bytes.
    pub(super) fn bytes(&self, spelling: Spelling) -> Vec<Option<u32>> {
        let id_of = |byte: u8| match spelling {
            Spelling::ByteLevel => {
                let mut text = [0; 4];
                self.id_of(letter_of(byte).encode_utf8(&mut text))
            }
            Spelling::SentencePiece => self
                .id_of(&format!("<0x{byte:02X}>"))
                .filter(|&id| self.kind(id) == Some(Kind::Byte)),
        };
        (0..=u8::MAX).map(id_of).collect()
    }
}

impl Spelling {
    /// The bytes that a stored text stands for.
    fn spoken(self, text: &str, kind: Kind) -> Result<Vec<u8>> {
        match (kind, self) {
            (Kind::Control | Kind::UserDefined | Kind::Unknown, _) => Ok(text.as_bytes().to_vec()),
            (Kind::Byte, _) => text
                .strip_prefix("<0x")
                .and_then(|rest| rest.strip_suffix('>'))
                .filter(|digits| digits.len() == 2)
                .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                .map(|byte| vec![byte])
                .ok_or_else(|| Error::inputs(format!("the byte token `{text}` names no byte"))),
            (_, Self::SentencePiece) => Ok(text.replace('▁', " ").into_bytes()),
            // A text outside the table is one that was added later and stands for itself.
            (_, Self::ByteLevel) => Ok(text
                .chars()
                .map(byte_of)
                .collect::<Option<Vec<u8>>>()
                .unwrap_or_else(|| text.as_bytes().to_vec())),
        }
    }
}

/// Whether GPT-2's table lets a byte stand for itself: it is printable Latin-1 and no space.
fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

/// The character that stands for a byte: itself if printable, else the next one from U+0100 on
/// (Radford et al. 2019, `bytes_to_unicode`).
pub(super) fn letter_of(byte: u8) -> char {
    if is_printable(byte) {
        return char::from(byte);
    }
    let n_before = (0..byte).filter(|&other| !is_printable(other)).count();
    u32::try_from(n_before)
        .ok()
        .and_then(|n_before| char::from_u32(0x100 + n_before))
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The byte that a character stands for.
fn byte_of(letter: char) -> Option<u8> {
    if let Some(byte) = u8::try_from(letter).ok().filter(|&byte| is_printable(byte)) {
        return Some(byte);
    }
    let n_before = usize::try_from(u32::from(letter).checked_sub(0x100)?).ok()?;
    (0..=u8::MAX)
        .filter(|&byte| !is_printable(byte))
        .nth(n_before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_letter_and_comes_back() {
        let alphabet = tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet();
        for byte in 0..=u8::MAX {
            assert_eq!(byte_of(letter_of(byte)), Some(byte));
            assert!(alphabet.contains(&letter_of(byte)));
        }
        assert_eq!(
            (letter_of(b' '), letter_of(b'\n'), letter_of(b'\t')),
            ('Ġ', 'Ċ', 'ĉ')
        );
        assert_eq!(
            (letter_of(0x7F), letter_of(0xAD), letter_of(0xC3)),
            ('ġ', 'Ń', 'Ã')
        );
        assert_eq!(byte_of('Ǵ'), None);
        assert_eq!(byte_of(' '), None);
    }

    #[test]
    fn tokens_speak_as_their_kind_says() {
        let tokens = [
            ("▁a", Kind::Normal),
            ("<0x0A>", Kind::Byte),
            ("▁", Kind::Control),
        ];
        let vocabulary = Vocabulary::new(Spelling::SentencePiece, tokens.into_iter()).unwrap();
        assert_eq!(vocabulary.spoken(0), Some(&b" a"[..]));
        assert_eq!(vocabulary.spoken(1), Some(&b"\n"[..]));
        assert_eq!(vocabulary.spoken(2), Some("▁".as_bytes()));
        assert_eq!(vocabulary.spoken(3), None);
        assert_eq!(vocabulary.bytes(Spelling::SentencePiece)[10], Some(1));
        let broken = [("<0xZZ>", Kind::Byte)];
        assert!(Vocabulary::new(Spelling::SentencePiece, broken.into_iter()).is_err());
    }
}
