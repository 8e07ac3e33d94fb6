//! A function or a list in place of a model: for tests, and for trying a paper without any weights.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eval::{Error, Result};

use super::interface::{
    BoxFuture, ChatAnswer, ChatChoice, ChatModel, ChatRequest, ChatUsage, Role,
};
use crate::generate::Finish;

type Script = dyn Fn(&ChatRequest, usize) -> Result<String> + Send + Sync;
type Condition = dyn Fn(&ChatRequest) -> bool + Send + Sync;

/// Answers by a script. It knows no tokens, so it counts words in their place.
pub struct Scripted {
    name: String,
    script: Box<Script>,
    delay: Duration,
    fails: Option<Box<Condition>>,
    n_calls: AtomicUsize,
}

impl Scripted {
    /// Answers by a function of the request and the number of the sample.
    pub fn function(
        name: impl Into<String>,
        script: impl Fn(&ChatRequest, usize) -> Result<String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            script: Box::new(script),
            delay: Duration::ZERO,
            fails: None,
            n_calls: AtomicUsize::new(0),
        }
    }

    /// Repeats what the user said last.
    #[must_use]
    pub fn echo() -> Self {
        Self::function("scripted:echo", |request, _| {
            let said = request
                .messages
                .iter()
                .rev()
                .find(|message| message.role == Role::User);
            said.map(|message| message.content.clone())
                .ok_or_else(|| Error::usage("nobody said anything that could be repeated"))
        })
    }

    /// Says the same to everybody.
    pub fn say(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::function("scripted:say", move |_, _| Ok(text.clone()))
    }

    /// Gives one answer after the other, one per sample, in the order in which they are asked for;
    /// which request gets which is settled only where requests come one at a time.
    pub fn list(name: impl Into<String>, answers: Vec<String>) -> Self {
        let next = AtomicUsize::new(0);
        Self::function(name, move |_, _| {
            let answer_idx = next.fetch_add(1, Ordering::Relaxed);
            answers.get(answer_idx).cloned().ok_or_else(|| {
                let n_answers = answers.len();
                Error::inputs(format!("all {n_answers} scripted answers are used up"))
            })
        })
    }

    /// Lets every answer take this long.
    #[must_use]
    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Fails wherever the condition holds.
    #[must_use]
    pub fn failing(mut self, fails: impl Fn(&ChatRequest) -> bool + Send + Sync + 'static) -> Self {
        self.fails = Some(Box::new(fails));
        self
    }

    /// How often it was asked.
    #[must_use]
    pub fn n_calls(&self) -> usize {
        self.n_calls.load(Ordering::Relaxed)
    }

    fn answer(&self, request: &ChatRequest) -> Result<ChatAnswer> {
        request.validate()?;
        if self.fails.as_ref().is_some_and(|fails| fails(request)) {
            return Err(Error::incomplete(format!(
                "`{}` fails on purpose",
                self.name
            )));
        }
        let texts = (0..request.n_samples)
            .map(|sample_idx| (self.script)(request, sample_idx))
            .collect::<Result<Vec<_>>>()?;
        let words = |text: &str| text.split_whitespace().count() as u64;
        let n_prompt: u64 = request.messages.iter().map(|m| words(&m.content)).sum();
        Ok(ChatAnswer {
            model: self.name.clone(),
            usage: ChatUsage {
                n_prompt: n_prompt * request.n_samples as u64,
                n_generated: texts.iter().map(|text| words(text)).sum(),
                cost_usd: None,
            },
            choices: texts.into_iter().map(choice).collect(),
            attempts: 1,
        })
    }
}

fn choice(text: String) -> ChatChoice {
    ChatChoice {
        text,
        reasoning: None,
        finish: Finish::Stop,
    }
}

impl ChatModel for Scripted {
    fn name(&self) -> &str {
        &self.name
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatAnswer>> {
        Box::pin(async move {
            self.n_calls.fetch_add(1, Ordering::Relaxed);
            if !self.delay.is_zero() {
                tokio::time::sleep(self.delay).await;
            }
            self.answer(request)
        })
    }
}
