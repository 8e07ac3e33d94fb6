//! The text side of a model, as the server and the program need it.

use std::sync::Arc;

use eval::Result;

use crate::chat::Message;
use crate::text::{Boundaries, ChatTemplate, EncodeOptions, Reasoning, RenderOptions, Tokenizer};

/// Text and token ids of one model.
pub trait Codec: Send + Sync {
    /// Token ids of a text that a model is to continue, with whatever begins a text.
    ///
    /// # Errors
    /// The text is longer than the tokenizer takes.
    fn encode(&self, text: &str) -> Result<Encoded>;

    /// Token ids of a text that continues another, with nothing added.
    ///
    /// # Errors
    /// As [`Codec::encode`].
    fn encode_piece(&self, text: &str) -> Result<Vec<u32>>;

    /// Token ids of a conversation, ready for the assistant's turn.
    ///
    /// # Errors
    /// The model has no chat template, or the template refuses the conversation.
    fn encode_chat(&self, messages: &[Message]) -> Result<Vec<u32>>;

    /// Whether the model was trained for conversations and has a template for them.
    fn has_chat(&self) -> bool;

    /// The bytes a token stands for (not always whole characters), or none for an unknown id.
    fn token_bytes(&self, id: u32) -> Option<Vec<u8>>;

    /// Tokens that end an answer.
    fn stop_tokens(&self) -> Vec<u32>;
}

/// A text as token ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// All ids.
    pub ids: Vec<u32>,
    /// How many of the first ids begin a text and stand for none of its characters.
    pub n_added: usize,
}

/// A tokenizer and a chat template.
///
/// Control tokens spelled out in a text that a client sends stay ordinary text; a client that means
/// them sends token ids.
pub struct TextCodec {
    tokenizer: Arc<Tokenizer>,
    template: ChatTemplate,
}

impl TextCodec {
    /// Both of one model.
    #[must_use]
    pub fn new(tokenizer: Arc<Tokenizer>, template: ChatTemplate) -> Self {
        Self {
            tokenizer,
            template,
        }
    }
}

impl Codec for TextCodec {
    fn encode(&self, text: &str) -> Result<Encoded> {
        let ids = self.tokenizer.encode(text, EncodeOptions::TEXT)?;
        let begins = self.tokenizer.add_bos()
            && self.tokenizer.bos().is_some()
            && ids.first().copied() == self.tokenizer.bos();
        Ok(Encoded {
            n_added: usize::from(begins),
            ids,
        })
    }

    fn encode_piece(&self, text: &str) -> Result<Vec<u32>> {
        self.tokenizer.encode(text, EncodeOptions::PIECE)
    }

    fn encode_chat(&self, messages: &[Message]) -> Result<Vec<u32>> {
        let options = RenderOptions::answer();
        let prompt = self
            .template
            .prompt(messages, &options, Reasoning::Refuse)?;
        // The ids that the reference gives, unless a message spells out a control token: then
        // message and template are tokenised apart, and it stays text.
        let tokens = prompt
            .tokens(&self.tokenizer, Boundaries::Whole)
            .or_else(|_| prompt.tokens(&self.tokenizer, Boundaries::Segments))?;
        Ok(tokens.ids)
    }

    fn has_chat(&self) -> bool {
        self.template.exists()
    }

    fn token_bytes(&self, id: u32) -> Option<Vec<u8>> {
        self.tokenizer.token_bytes(id).map(<[u8]>::to_vec)
    }

    fn stop_tokens(&self) -> Vec<u32> {
        self.tokenizer.stop_ids().to_vec()
    }
}
