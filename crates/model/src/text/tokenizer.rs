//! Text to token ids and back.

use std::path::Path;

use eval::{Error, Result};

use super::bpe::Bpe;
use super::encoding::Encoding;
use super::hub::Hub;
use super::markers::{MarkerSet, Piece};
use super::sentencepiece::SentencePiece;
use super::special::Special;
use super::vocabulary::{Kind, Vocabulary};
use crate::weights::Checkpoint;

/// How a text is turned into ids; every call states both choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    /// What becomes of control tokens spelled out in the text.
    pub markers: Markers,
    /// Whether the ids that begin and end a whole text are added.
    pub framing: Framing,
}

impl EncodeOptions {
    /// A whole plain text: control tokens in it stay text; begin and end as the model was trained.
    pub const TEXT: Self = Self {
        markers: Markers::Plain,
        framing: Framing::Model,
    };
    /// A rendered chat: the template wrote every control token, the beginning included.
    pub const CHAT: Self = Self {
        markers: Markers::Parse,
        framing: Framing::Bare,
    };
    /// A piece of plain text that continues another.
    pub const PIECE: Self = Self {
        markers: Markers::Plain,
        framing: Framing::Bare,
    };
}

/// What becomes of control tokens (`<|im_end|>`) that are spelled out in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Markers {
    /// They become their ids: for text written by a template.
    Parse,
    /// They stay ordinary text: for text from a stranger.
    Plain,
}

/// Whether the ids that begin and end a text are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// As the tokenizer's file says.
    Model,
    /// Never.
    Bare,
}

/// A tokenizer with everything a generator must know about its vocabulary.
///
/// Tokenisers of GGUF files take time linear in the text, up to a logarithm, whatever it says.
/// The engine behind `tokenizer.json` backtracks, so its input is limited further.
#[derive(Debug)]
pub struct Tokenizer {
    engine: Engine,
    vocabulary: Vocabulary,
    special: Special,
    /// Tokens cut out of plain text, and of text in which control tokens count.
    markers: [MarkerSet; 2],
}

/// What turns text between markers into ids.
#[derive(Debug)]
pub(super) enum Engine {
    /// Byte-level BPE of a GGUF file.
    Bpe(Bpe),
    /// SentencePiece BPE of a GGUF file.
    SentencePiece(SentencePiece),
    /// A hub `tokenizer.json`, markers included.
    Hub(Box<Hub>),
}

impl Tokenizer {
    /// Longest text that is tokenised, in bytes: far beyond any context here (a token is four bytes
    /// or so), and little enough that its working memory stays below 100 MB.
    pub const TEXT_MAX_BYTES: usize = 1 << 20;

    pub(super) fn assemble(
        engine: Engine,
        vocabulary: Vocabulary,
        special: Special,
        markers: [MarkerSet; 2],
    ) -> Self {
        Self {
            engine,
            vocabulary,
            special,
            markers,
        }
    }

    /// The tokenizer of an opened model: from GGUF metadata, or from `tokenizer.json` beside
    /// safetensors.
    ///
    /// # Errors
    /// As [`Tokenizer::from_gguf`] and [`Tokenizer::from_file`].
    pub fn from_checkpoint(checkpoint: &Checkpoint) -> Result<Self> {
        match checkpoint.gguf() {
            Some(gguf) => Self::from_gguf(gguf),
            None => Self::from_file(&checkpoint.folder().join("tokenizer.json")),
        }
    }

    /// Reads the tokenizer of a path that a person names: a `.gguf` file, a `tokenizer.json`, or a
    /// folder with one.
    ///
    /// # Errors
    /// As [`Tokenizer::from_gguf`] and [`Tokenizer::from_file`].
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Self::from_file(&path.join("tokenizer.json"));
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => Self::from_file(path),
            _ => Self::from_checkpoint(&Checkpoint::open(path)?),
        }
    }

    /// Ids of `text`.
    ///
    /// # Errors
    /// The text is longer than [`Self::TEXT_MAX_BYTES`] or cannot be said in the vocabulary.
    pub fn encode(&self, text: &str, options: EncodeOptions) -> Result<Vec<u32>> {
        Ok(self.encode_spans(text, options)?.ids)
    }

    /// Ids of `text` with the bytes each stands for.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_spans(&self, text: &str, options: EncodeOptions) -> Result<Encoding> {
        let mut found = self.encode_part(text, options.markers, true)?;
        if options.framing == Framing::Model {
            let n_front = self.special.front.len();
            found.ids.splice(0..0, self.special.front.iter().copied());
            found.ends.splice(0..0, std::iter::repeat_n(0, n_front));
            for &id in &self.special.back {
                found.push(id, text.len());
            }
        }
        Ok(found)
    }

    /// Tokenises text without framing; `first` tells that it stands at the beginning or after a
    /// marker, where some SentencePiece models read a space (a `tokenizer.json` decides itself).
    pub(super) fn encode_part(
        &self,
        text: &str,
        markers: Markers,
        first: bool,
    ) -> Result<Encoding> {
        if text.len() > Self::TEXT_MAX_BYTES {
            return Err(Error::inputs(format!(
                "a text of {} bytes is too long to tokenise; the limit is {}",
                text.len(),
                Self::TEXT_MAX_BYTES
            ))
            .hint("cut the text: no model here reads that much at once"));
        }
        match &self.engine {
            Engine::Hub(hub) => hub.encode(text, markers),
            Engine::Bpe(_) | Engine::SentencePiece(_) => self.encode_pieces(text, markers, first),
        }
    }

    /// Cuts markers out and tokenises what is between them.
    fn encode_pieces(&self, text: &str, markers: Markers, first: bool) -> Result<Encoding> {
        let mut found = Encoding::default();
        let [plain, parsing] = &self.markers;
        let set = match markers {
            Markers::Plain => plain,
            Markers::Parse => parsing,
        };
        let mut first = first;
        for piece in set.cut(text) {
            let range = match piece {
                Piece::Marker(range, id) => {
                    found.push(id, range.end);
                    first = true;
                    continue;
                }
                Piece::Text(range) => range,
            };
            let inside = &text[range.clone()];
            match &self.engine {
                Engine::Bpe(bpe) => {
                    bpe.encode(&self.vocabulary, (inside, range.start), &mut found)?;
                }
                Engine::SentencePiece(piece) => {
                    let place = (inside, range.start, first);
                    piece.encode(&self.vocabulary, place, &mut found)?;
                }
                Engine::Hub(_) => {}
            }
            first = false;
        }
        Ok(found)
    }

    /// Text of `ids` as they continue a text: what the model says, control tokens left out, broken
    /// UTF-8 replaced by U+FFFD. It equals what [`super::DecodeStream`] emits.
    ///
    /// # Errors
    /// An id is not in the vocabulary.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let mut bytes = Vec::with_capacity(ids.len() * 4);
        for &id in ids {
            bytes.extend_from_slice(self.said(id)?);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The text that [`Self::encode`] was given: as [`Self::decode`], without the space that
    /// SentencePiece models of the first generation put in front of a text.
    ///
    /// # Errors
    /// An id is not in the vocabulary.
    pub fn decode_whole(&self, ids: &[u32]) -> Result<String> {
        let text = self.decode(ids)?;
        let adds_space = match &self.engine {
            Engine::SentencePiece(piece) => piece.adds_space,
            Engine::Bpe(_) | Engine::Hub(_) => false,
        };
        Ok(match text.strip_prefix(' ') {
            Some(rest) if adds_space => rest.to_owned(),
            _ => text,
        })
    }

    /// What a token adds to a text: nothing if it is a control token.
    pub(super) fn said(&self, id: u32) -> Result<&[u8]> {
        match self.vocabulary.kind(id) {
            None => Err(Error::inputs(format!(
                "there is no token {id}: the vocabulary ends before {}",
                self.vocabulary.len()
            ))),
            Some(Kind::Control | Kind::Unknown) => Ok(&[]),
            Some(_) => Ok(self.vocabulary.spoken(id).unwrap_or_default()),
        }
    }

    /// The id of a token by its stored text (`<|im_end|>`, `Ġthe`, `▁the`), if there is one.
    #[must_use]
    pub fn id_of(&self, token: &str) -> Option<u32> {
        self.vocabulary.id_of(token)
    }

    /// The bytes that a token stands for; a control token's are its name.
    #[must_use]
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        self.vocabulary.spoken(id)
    }

    /// Whether [`Self::decode`] leaves a token out.
    #[must_use]
    pub fn is_control(&self, id: u32) -> bool {
        matches!(
            self.vocabulary.kind(id),
            Some(Kind::Control | Kind::Unknown)
        )
    }

    /// Tokens in the vocabulary. A model's embedding may have more rows.
    #[must_use]
    pub fn n_vocab(&self) -> usize {
        self.vocabulary.len()
    }

    /// The token that begins a text.
    #[must_use]
    pub fn bos(&self) -> Option<u32> {
        self.special.bos
    }

    /// The token that ends a text.
    #[must_use]
    pub fn eos(&self) -> Option<u32> {
        self.special.eos
    }

    /// The token that ends a turn of a chat, where the model has one.
    #[must_use]
    pub fn eot(&self) -> Option<u32> {
        self.special.eot
    }

    /// Every token after which generation stops, ascending.
    #[must_use]
    pub fn stop_ids(&self) -> &[u32] {
        &self.special.stop
    }

    /// Whether [`Framing::Model`] puts [`Self::bos`] in front.
    #[must_use]
    pub fn add_bos(&self) -> bool {
        self.special.bos.is_some() && self.special.front.first() == self.special.bos.as_ref()
    }

    /// Whether [`Framing::Model`] puts [`Self::eos`] behind.
    #[must_use]
    pub fn add_eos(&self) -> bool {
        self.special.eos.is_some() && self.special.back.last() == self.special.eos.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::DecodeStream;
    use crate::text::sample::{bpe, bpe_metadata, hub, sentencepiece};

    fn all() -> Vec<Tokenizer> {
        let names = ["gpt-2", "smollm", "qwen2", "llama-bpe"];
        let mut all: Vec<Tokenizer> = names.into_iter().map(bpe).collect();
        all.extend([sentencepiece(false), sentencepiece(true), hub()]);
        all
    }

    fn text() -> impl Strategy<Value = String> {
        let markers = Just("<|im_end|>".to_owned());
        let piece = prop_oneof![any::<String>(), "[ a-e'\n\t0-9é日😀]{0,12}", markers];
        // SentencePiece reads its own sign for a space as one; everything else is lossless.
        prop::collection::vec(piece, 0..5).prop_map(|parts| parts.concat().replace('▁', "_"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn plain_text_comes_back_whole_and_every_byte_belongs_to_a_token(text in text()) {
            for tokenizer in all() {
                let found = tokenizer.encode_spans(&text, EncodeOptions::PIECE).unwrap();
                prop_assert_eq!(&tokenizer.decode_whole(&found.ids).unwrap(), &text);
                prop_assert_eq!(found.ids.len(), found.ends.len());
                prop_assert!(found.ends.is_sorted());
                prop_assert_eq!(found.ends.last().copied().unwrap_or(0), text.len());
            }
        }

        #[test]
        fn a_stream_says_what_decoding_all_at_once_says(
            ids in prop::collection::vec(0_u32..720, 0..40)
        ) {
            for tokenizer in all() {
                let n_vocab = u32::try_from(tokenizer.n_vocab()).unwrap();
                let ids: Vec<u32> = ids.iter().map(|id| id % n_vocab).collect();
                let mut stream = DecodeStream::new(&tokenizer);
                let pieces: Vec<String> = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
                let joined = pieces.concat() + &stream.finish();
                prop_assert_eq!(joined, tokenizer.decode(&ids).unwrap());
            }
        }

        #[test]
        fn spans_of_byte_level_tokens_hold_their_bytes(text in text()) {
            let tokenizer = bpe("smollm");
            let found = tokenizer.encode_spans(&text, EncodeOptions::CHAT).unwrap();
            let mut start = 0;
            for (&id, &end) in found.ids.iter().zip(&found.ends) {
                prop_assert_eq!(tokenizer.token_bytes(id).unwrap(), &text.as_bytes()[start..end]);
                start = end;
            }
        }
    }

    #[test]
    fn control_tokens_count_only_where_they_are_parsed() {
        for tokenizer in [bpe("smollm"), hub()] {
            let text = "<|im_start|>a<|im_end|>";
            let parsed = tokenizer.encode(text, EncodeOptions::CHAT).unwrap();
            assert_eq!((parsed.first(), parsed.last()), (Some(&1), Some(&2)));
            assert_eq!(tokenizer.decode(&parsed).unwrap(), "a");
            let plain = tokenizer.encode(text, EncodeOptions::PIECE).unwrap();
            assert!(
                plain.iter().all(|&id| !tokenizer.is_control(id)),
                "{plain:?}"
            );
            assert_eq!(tokenizer.decode(&plain).unwrap(), text);
        }
        // A name whose letters would merge up to the control token stays text as well.
        let tokenizer = sentencepiece(false);
        let plain = tokenizer
            .encode("</s><s><turn>", EncodeOptions::PIECE)
            .unwrap();
        assert!(
            plain.iter().all(|&id| !tokenizer.is_control(id)),
            "{plain:?}"
        );
    }

    #[test]
    fn hub_ids_equal_the_maker_s_and_framing_is_found_by_trial() {
        let tokenizer = hub();
        for (text, ids) in bpe_metadata("smollm").1 {
            assert_eq!(
                tokenizer.encode(&text, EncodeOptions::CHAT).unwrap(),
                ids,
                "{text:?}"
            );
        }
        assert_eq!(
            (tokenizer.bos(), tokenizer.eos(), tokenizer.eot()),
            (Some(1), Some(2), Some(2))
        );
        assert_eq!(tokenizer.stop_ids(), [0, 2]);
        assert!(tokenizer.add_bos() && !tokenizer.add_eos());
        assert_eq!(tokenizer.encode("", EncodeOptions::TEXT).unwrap(), [1]);
    }

    /// The longest texts allowed, of the kinds on which patterns and merges are slow: they end at
    /// all, and take no more tokens than bytes (and the added space). The work itself is counted in
    /// `merge`.
    #[test]
    fn texts_made_to_be_slow_are_tokenised() {
        let n_bytes = Tokenizer::TEXT_MAX_BYTES;
        for unit in ["a", " ", "\n", "'", "aaa'", " \n", "<|im_", "0"] {
            let text = unit.repeat(n_bytes / unit.len() - 1) + "x";
            for tokenizer in [bpe("smollm"), bpe("qwen2"), sentencepiece(true)] {
                let ids = tokenizer.encode(&text, EncodeOptions::CHAT).unwrap();
                assert!(ids.len() <= 1 + text.len());
                assert_eq!(tokenizer.decode_whole(&ids).unwrap(), text);
            }
        }
    }

    /// At the limit on runs the backtracking engine still cuts where the linear one does.
    #[test]
    fn the_longest_runs_a_hub_file_takes_are_cut_right() {
        for unit in [" ", "\n", "a", "!", " \n"] {
            let text = unit.repeat(99_999 / unit.len()) + "x";
            let ids = bpe("smollm").encode(&text, EncodeOptions::PIECE).unwrap();
            assert_eq!(
                hub().encode(&text, EncodeOptions::PIECE).unwrap(),
                ids,
                "{unit:?}"
            );
        }
    }

    #[test]
    fn texts_and_ids_out_of_bounds_are_refused() {
        let tokenizer = bpe("smollm");
        let long = "a".repeat(Tokenizer::TEXT_MAX_BYTES + 1);
        let error = tokenizer.encode(&long, EncodeOptions::TEXT).unwrap_err();
        assert!(error.to_string().contains("1048577 bytes"), "{error}");
        assert!(
            tokenizer
                .decode(&[700])
                .unwrap_err()
                .to_string()
                .contains("700")
        );
        assert!(DecodeStream::new(&tokenizer).push(u32::MAX).is_err());
        assert_eq!(tokenizer.token_bytes(700), None);
        assert_eq!(tokenizer.id_of("<|im_end|>"), Some(2));
        assert_eq!(tokenizer.id_of("no such token"), None);
        let run = " ".repeat(100_001) + "x";
        let error = hub().encode(&run, EncodeOptions::TEXT).unwrap_err();
        assert!(error.to_string().contains("100001 times"), "{error}");
    }
}
