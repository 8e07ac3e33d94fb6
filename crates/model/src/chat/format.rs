//! Conversations as the tokens a local model continues: chat template and tokenizer together.

use std::sync::Arc;

use eval::{Error, Result};

use super::interface::Message;
use crate::text::{Boundaries, ChatTemplate, Reasoning, RenderOptions, Tokenizer};

/// Turns a conversation into the tokens that a model continues.
pub trait PromptFormat: Send + Sync {
    /// The whole conversation and what opens the model's turn.
    ///
    /// # Errors
    /// The template refuses the conversation (a role it does not know, turns that do not
    /// alternate).
    fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>>;

    /// Tokens that end the model's turn.
    fn stop_tokens(&self) -> &[u32];
}

/// A model's own chat template and tokenizer.
pub struct TemplateFormat {
    template: ChatTemplate,
    tokenizer: Arc<Tokenizer>,
    options: FormatOptions,
}

/// What a template leaves open.
#[derive(Clone, Debug, PartialEq)]
pub struct FormatOptions {
    /// Variables of the template, and the end of the prompt.
    pub render: RenderOptions,
    /// What becomes of traces of thought that the template drops.
    pub reasoning: Reasoning,
    /// Whether a message may spell out control tokens: [`Boundaries::Segments`] makes them text,
    /// [`Boundaries::Whole`] gives exactly Hugging Face's ids and refuses them.
    pub boundaries: Boundaries,
}

impl Default for FormatOptions {
    /// A plain conversation to be answered, with Hugging Face's ids; whatever would be dropped or
    /// could be mistaken is an error.
    fn default() -> Self {
        Self {
            render: RenderOptions::answer(),
            reasoning: Reasoning::Refuse,
            boundaries: Boundaries::Whole,
        }
    }
}

impl TemplateFormat {
    /// The format of a model.
    ///
    /// # Errors
    /// The model has no chat template: it is no chat model.
    pub fn new(
        template: ChatTemplate,
        tokenizer: Arc<Tokenizer>,
        options: FormatOptions,
    ) -> Result<Self> {
        if !template.exists() {
            return Err(
                Error::usage("the model has no chat template, so it cannot be talked to")
                    .hint("take an instruction-tuned model, or complete plain text"),
            );
        }
        Ok(Self {
            template,
            tokenizer,
            options,
        })
    }
}

impl PromptFormat for TemplateFormat {
    fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>> {
        let options = &self.options;
        let prompt = self
            .template
            .prompt(messages, &options.render, options.reasoning)?;
        Ok(prompt.tokens(&self.tokenizer, options.boundaries)?.ids)
    }

    fn stop_tokens(&self) -> &[u32] {
        self.tokenizer.stop_ids()
    }
}
