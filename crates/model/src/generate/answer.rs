//! One answer while it grows: its tokens, its text, and why it ends.

use std::sync::Arc;

use eval::Result;
use rand_chacha::ChaCha20Rng;

use super::sampling::{describe, draw, sample_stream};
use super::stops::StopText;
use super::{CompletionRequest, Finish, Sample, TokenLogprob};
use crate::infer::Engine;
use crate::text::{DecodeStream, Tokenizer};

/// What every answer of a request has in common.
pub(super) struct Rules<'m> {
    pub(super) engine: &'m Engine,
    pub(super) request: CompletionRequest,
    pub(super) stop: Arc<[String]>,
    pub(super) tokenizer: Option<&'m Tokenizer>,
    pub(super) end_tokens: &'m [u32],
    /// Tokens at most, by the request and by the context.
    pub(super) n_tokens_max: usize,
}

/// One answer.
pub(super) struct Answer<'m> {
    stream: ChaCha20Rng,
    decode: Option<DecodeStream<'m>>,
    text: StopText,
    tokens: Vec<TokenLogprob>,
}

impl<'m> Answer<'m> {
    pub(super) fn new(rules: &Rules<'m>, sample_idx: usize) -> Self {
        Self {
            stream: sample_stream(rules.request.sampling.seed, sample_idx),
            decode: rules.tokenizer.map(DecodeStream::new),
            text: StopText::new(Arc::clone(&rules.stop)),
            tokens: Vec::new(),
        }
    }

    /// Draws the next token from `logits`; returns the text that became certain and whether the
    /// answer ends with it.
    ///
    /// # Errors
    /// The tokenizer refuses the token.
    pub(super) fn advance(
        &mut self,
        rules: &Rules<'m>,
        logits: &[f32],
    ) -> Result<(String, Option<Finish>)> {
        let request = &rules.request;
        let id = draw(logits, &request.sampling, &mut self.stream);
        let denominator = rules.engine.log_sum_exp(logits);
        self.tokens
            .push(describe(logits, denominator, id, request.n_alternatives));
        let ends = rules.end_tokens.contains(&id) || request.stop_tokens.contains(&id);
        if ends {
            return Ok((self.flush(), Some(Finish::Stop)));
        }
        let piece = self.decode(rules, id)?;
        let mut certain = self.text.push(&piece).to_owned();
        if self.text.is_stopped() {
            return Ok((certain, Some(Finish::Stop)));
        }
        if self.tokens.len() < rules.n_tokens_max {
            return Ok((certain, None));
        }
        certain.push_str(&self.flush());
        let finish = if self.text.is_stopped() {
            Finish::Stop
        } else {
            Finish::Length
        };
        Ok((certain, Some(finish)))
    }

    /// The token drawn last.
    pub(super) fn last(&self) -> Option<&TokenLogprob> {
        self.tokens.last()
    }

    /// Ids of all tokens drawn.
    pub(super) fn ids(&self) -> impl Iterator<Item = u32> {
        self.tokens.iter().map(|token| token.id)
    }

    /// The answer as it stands.
    pub(super) fn into_sample(mut self, finish: Finish) -> Sample {
        self.flush();
        Sample {
            text: self.text.into_text(),
            tokens: self.tokens,
            finish,
        }
    }

    /// Ids beyond the tokenizer's vocabulary (rows that pad an embedding) have no text.
    fn decode(&mut self, rules: &Rules<'m>, id: u32) -> Result<String> {
        match (&mut self.decode, rules.tokenizer) {
            (Some(decode), Some(tokenizer)) if (id as usize) < tokenizer.n_vocab() => {
                decode.push(id)
            }
            _ => Ok(String::new()),
        }
    }

    /// Text that was held back; characters that stayed incomplete become U+FFFD.
    fn flush(&mut self) -> String {
        let rest = self.decode.take().map(DecodeStream::finish);
        let mut certain = self.text.push(&rest.unwrap_or_default()).to_owned();
        if !self.text.is_stopped() {
            certain.push_str(self.text.finish());
        }
        certain
    }
}
