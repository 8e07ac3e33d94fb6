//! The tokens that begin and end texts and turns.

use eval::Result;

use super::gguf::{Metadata, token_id};
use super::vocabulary::{Kind, Spelling, Vocabulary};

/// Names of control tokens that end a model's turn or text, whatever the file says: converters
/// often record one of several. The list is llama.cpp's (`special_eog_ids`), for control tokens
/// alone: Gemma's `</s>` is an HTML tag.
const ENDINGS: [&str; 20] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
];

/// Names of tokens that end a turn, the most telling first.
const TURN_ENDINGS: [&str; 5] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<EOT>",
];

/// Special tokens of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Special {
    pub(super) bos: Option<u32>,
    pub(super) eos: Option<u32>,
    pub(super) eot: Option<u32>,
    /// Every token after which generation stops, ascending.
    pub(super) stop: Vec<u32>,
    /// Ids in front of a framed text.
    pub(super) front: Vec<u32>,
    /// Ids behind a framed text.
    pub(super) back: Vec<u32>,
}

impl Special {
    /// Reads a GGUF file's.
    ///
    /// # Errors
    /// An id is not in the vocabulary.
    pub(super) fn from_metadata(
        metadata: &dyn Metadata,
        vocabulary: &Vocabulary,
        spelling: Spelling,
    ) -> Result<Self> {
        let id = |name: &str| {
            token_id(
                metadata,
                &format!("tokenizer.ggml.{name}_token_id"),
                vocabulary,
            )
        };
        let flag = |name: &str| metadata.flag(&format!("tokenizer.ggml.add_{name}_token"));
        let (bos, eos) = (id("bos")?, id("eos")?);
        // Files from before the flag: SentencePiece models and Llama 3 begin with the token, the
        // other byte-level ones do not (llama.cpp's defaults).
        let adds_bos = match (flag("bos")?, spelling) {
            (Some(flag), _) => flag,
            (None, Spelling::SentencePiece) => true,
            (None, Spelling::ByteLevel) => matches!(
                metadata.text("tokenizer.ggml.pre")?,
                Some("llama-bpe" | "llama3" | "llama-v3")
            ),
        };
        let adds_eos = flag("eos")?.unwrap_or(false);
        let mut special = Self {
            bos,
            eos,
            eot: id("eot")?,
            stop: id("eom")?.into_iter().collect(),
            front: bos.filter(|_| adds_bos).into_iter().collect(),
            back: eos.filter(|_| adds_eos).into_iter().collect(),
        };
        special.complete(vocabulary);
        Ok(special)
    }

    /// Finds the end of a turn by its name where the file gives none, and collects what stops.
    pub(super) fn complete(&mut self, vocabulary: &Vocabulary) {
        let control = |name: &&str| {
            let id = vocabulary.id_of(name)?;
            (vocabulary.kind(id) == Some(Kind::Control)).then_some(id)
        };
        if self.eot.is_none() {
            self.eot = TURN_ENDINGS.iter().find_map(control);
        }
        self.stop.extend(ENDINGS.iter().filter_map(control));
        self.stop.extend(self.eos.into_iter().chain(self.eot));
        self.stop.sort_unstable();
        self.stop.dedup();
    }
}
