//! Ids to text while they arrive: only whole characters come out.

use eval::Result;

use super::tokenizer::Tokenizer;

/// Decodes ids one at a time. The pieces, joined with [`DecodeStream::finish`], are exactly
/// [`Tokenizer::decode`] of all ids.
#[derive(Clone, Debug)]
pub struct DecodeStream<'a> {
    tokenizer: &'a Tokenizer,
    /// The beginning of a character that is not complete: at most three bytes between calls.
    pending: Vec<u8>,
}

impl<'a> DecodeStream<'a> {
    /// At the beginning of an answer.
    #[must_use]
    pub fn new(tokenizer: &'a Tokenizer) -> Self {
        Self {
            tokenizer,
            pending: Vec::new(),
        }
    }

    /// The text that became certain with this token: possibly none.
    ///
    /// # Errors
    /// The id is not in the vocabulary; the stream is as before.
    pub fn push(&mut self, id: u32) -> Result<String> {
        self.pending.extend_from_slice(self.tokenizer.said(id)?);
        Ok(certain(&mut self.pending))
    }

    /// What is left at the end: nothing, or one replacement character for a broken one.
    #[must_use]
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.pending).into_owned()
    }
}

/// Takes from the front of `pending` what no further byte can change.
fn certain(pending: &mut Vec<u8>) -> String {
    let mut text = String::with_capacity(pending.len());
    let mut n_taken = 0;
    for chunk in pending.utf8_chunks() {
        text.push_str(chunk.valid());
        n_taken += chunk.valid().len();
        // An invalid chunk in front of others is broken for good; the last one may be a beginning.
        let invalid = chunk.invalid();
        let is_last = n_taken + invalid.len() == pending.len();
        if invalid.is_empty() || (is_last && may_continue(invalid)) {
            break;
        }
        text.push(char::REPLACEMENT_CHARACTER);
        n_taken += invalid.len();
    }
    pending.drain(..n_taken);
    text
}

/// Whether more bytes can make a character of these.
fn may_continue(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn joined(bytes: &[u8], cuts: &[usize]) -> String {
        let mut pending = Vec::new();
        let mut text = String::new();
        let mut at = 0;
        for &n_bytes in cuts.iter().chain([&bytes.len()]) {
            let end = bytes.len().min(at + n_bytes);
            pending.extend_from_slice(&bytes[at..end]);
            text += &certain(&mut pending);
            assert!(
                pending.len() <= 3,
                "only the beginning of a character waits"
            );
            at = end;
        }
        text + &String::from_utf8_lossy(&pending)
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_text_of_the_whole(
            bytes in prop::collection::vec(
                prop_oneof![
                    any::<u8>(), Just(0xF0), Just(0x9F), Just(0x98), Just(0x80), Just(0xE2)
                ],
                0..40,
            ),
            cuts in prop::collection::vec(0_usize..5, 0..20),
        ) {
            prop_assert_eq!(joined(&bytes, &cuts), String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn a_character_waits_for_its_last_byte() {
        let mut pending = vec![0xF0, 0x9F, 0x98];
        assert_eq!(certain(&mut pending), "");
        pending.push(0x80);
        assert_eq!(certain(&mut pending), "😀");
        assert_eq!(pending, b"");
        pending.extend(b"a\xFFb\xE2\x82");
        assert_eq!(certain(&mut pending), "a\u{FFFD}b");
        assert_eq!(pending, b"\xE2\x82");
    }
}
