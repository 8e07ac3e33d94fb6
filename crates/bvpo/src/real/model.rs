//! The real model of tiers 2 and 3, opened once per cell.

use std::path::Path;
use std::sync::Arc;

use eval::Result;
use model::chat::{Message, Role};
use model::text::{ChatTemplate, Tokenizer};
use model::weights::Checkpoint;

use super::body::Body;
use super::head::Head;
use super::questions::said;
use super::tree::{Ids, Opened};
use crate::assembly::{Assembler, Tags};

/// A fixed trace that says nothing about the question (X10).
const GENERIC: &str = "Let me think about this step by step.";

/// Body, head, and the text side of one checkpoint.
#[derive(Debug)]
pub struct RealModel {
    /// Up to the last feed-forward block.
    pub body: Body,
    /// From there on.
    pub head: Head,
    /// How sequences are put together.
    pub assembler: Assembler,
}

/// What stands for "no trace", and which answers it is scored with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constant {
    /// `<think></think>`.
    Empty,
    /// The single most likely trace token.
    Short,
    /// A fixed sentence.
    Generic,
}

impl Constant {
    /// All of them, in the order of [`Ids::constants`].
    pub const ALL: [Self; 3] = [Self::Empty, Self::Short, Self::Generic];

    /// The word used as a tag of rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Short => "short",
            Self::Generic => "generic",
        }
    }
}

impl RealModel {
    /// Opens a weight file.
    ///
    /// # Errors
    /// It is damaged, of another family, or has no chat template.
    pub fn open(path: &Path, n_threads: usize) -> Result<Self> {
        let checkpoint = Checkpoint::open(path)?;
        checkpoint.verify_finite()?;
        let tokenizer = Arc::new(Tokenizer::from_checkpoint(&checkpoint)?);
        let template = ChatTemplate::from_checkpoint(&checkpoint)?;
        let n_context = checkpoint.config().n_context;
        Ok(Self {
            body: Body::load(&checkpoint, n_threads)?,
            head: Head::load(&checkpoint)?,
            assembler: Assembler::new(tokenizer, template, Tags::default(), n_context)?,
        })
    }

    /// Ids of a question and its answers, the first `n_traced` of which are told after traces, and
    /// the prompt as the model has read it: the trace of length one is the model's own.
    ///
    /// # Errors
    /// A text cannot be tokenised, or the prompt outgrows the context.
    pub fn read(&self, question: &str, answers: &[&str], n_traced: usize) -> Result<(Ids, Opened)> {
        let messages = [Message::new(Role::User, question)];
        let prompt = self.assembler.prompt(&messages, true)?;
        let opened = self.opened(&prompt)?;
        let close = self.assembler.close()?;
        let is_legal = |id: u32| !self.assembler.tokenizer().is_control(id);
        let head = &self.head;
        let mut first = head.most_likely(head.reference(), &opened.state, 1, &is_legal)?;
        let first = first.pop().unwrap_or_default();
        let with = |trace: &[u32]| [&prompt, trace, &close].concat();
        let constants = Constant::ALL.map(|constant| match constant {
            Constant::Empty => self.assembler.prompt(&messages, false),
            Constant::Short => Ok(with(&first)),
            Constant::Generic => Ok(with(&self.assembler.piece(GENERIC)?)),
        });
        let answers = answers.iter().map(|answer| self.answer(answer));
        let ids = Ids {
            answers: answers.collect::<Result<_>>()?,
            n_traced,
            constants: constants.into_iter().collect::<Result<_>>()?,
            prompt,
            close,
        };
        Ok((ids, opened))
    }

    fn opened(&self, prompt: &[u32]) -> Result<Opened> {
        let mut fed = [(self.body.sequence(), prompt)];
        let states = self.body.extend(&mut fed)?;
        let [(sequence, _)] = fed;
        let n_hidden = self.body.n_hidden();
        let state = states[0][states[0].len() - n_hidden..].to_vec();
        Ok(Opened { sequence, state })
    }

    /// Ids of an answer and of what ends it.
    ///
    /// # Errors
    /// The text cannot be tokenised.
    pub fn answer(&self, number: &str) -> Result<Vec<u32>> {
        let mut ids = self.assembler.piece(&said(number))?;
        ids.push(self.assembler.end());
        Ok(ids)
    }
}
