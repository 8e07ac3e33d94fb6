//! `bvpo pairs sample`: answers to prompts, with and without a trace.

use std::path::Path;
use std::sync::Arc;

use eval::{Error, Result, output};
use model::chat::{Message, Role};
use model::generate::{
    CompletionRequest, Finish, LanguageModel, LocalModel, LocalOptions, Sample, Sampling,
};
use model::infer::{Engine, EngineOptions, Precision};
use model::text::{ChatTemplate, Tokenizer};
use model::weights::Checkpoint;
use serde::{Deserialize, Serialize};

use super::args::SampleArgs;
use super::asked::ask;
use super::rows::{read_lines, write_lines};
use crate::assembly::{Assembler, Tags};

/// Samples generated together at most.
const N_BATCH: usize = 16;
/// Bytes for caches of earlier prompts.
const CACHE_BYTES: usize = 64 << 20;

/// With or without a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The model writes a trace and an answer.
    Thinking,
    /// The prompt ends with the empty trace.
    Empty,
}

impl Mode {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Thinking, Self::Empty];

    /// The word of the files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Thinking => "thinking",
            Self::Empty => "empty",
        }
    }
}

/// A prompt to answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// Its name.
    pub id: String,
    /// What the user says; or `messages`.
    #[serde(default)]
    pub prompt: Option<String>,
    /// The conversation; or `prompt`.
    #[serde(default)]
    pub messages: Vec<Message>,
    /// The expected answer, where it is known.
    #[serde(default)]
    pub gold: Option<String>,
}

impl Prompt {
    /// The conversation.
    pub fn conversation(&self) -> Vec<Message> {
        match &self.prompt {
            Some(text) => vec![Message::new(Role::User, text)],
            None => self.messages.clone(),
        }
    }

    /// A sample of its answers.
    pub fn sampled(
        &self,
        (mode, sample): (Mode, usize),
        (reasoning, answer): (Option<String>, String),
    ) -> Sampled {
        Sampled {
            id: self.id.clone(),
            prompt: self.prompt.clone(),
            messages: self.messages.clone(),
            gold: self.gold.clone(),
            mode,
            sample,
            reasoning,
            answer,
        }
    }
}

/// One answer, as `samples.jsonl` has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampled {
    /// Name of the prompt.
    pub id: String,
    /// The prompt; or `messages`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The conversation; or `prompt`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
    /// The expected answer, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gold: Option<String>,
    /// With or without a trace.
    pub mode: Mode,
    /// Number of the sample, from 0.
    pub sample: usize,
    /// The trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// The answer.
    pub answer: String,
}

/// Samples both modes for every prompt and writes the file.
///
/// # Errors
/// An input is wrong, or nobody answers.
pub fn sample(args: &SampleArgs) -> Result<()> {
    let prompts = read_prompts(&args.prompts)?;
    let found = match (&args.model, &args.player) {
        (Some(model), _) => Some(answers_of_weights(model, &prompts, args)?),
        (None, Some(player)) => ask(player, &prompts, args)?,
        (None, None) => return Err(Error::usage("nobody answers: give `--model` or `--player`")),
    };
    // Only an estimate was wanted.
    let Some((found, n_lost)) = found else {
        return Ok(());
    };
    if found.is_empty() {
        return Err(
            Error::inputs("no sample has both a closed trace and an answer")
                .hint("raise `--max-tokens`, or take a model that was trained to think"),
        );
    }
    output::note(&format!(
        "{} samples; {n_lost} left out without an end or an answer",
        found.len()
    ));
    write_lines(&args.output, &found)?;
    output::data(&format!("{}\n", args.output.display()))
}

/// The samples of a model on this machine, and how many were left out.
fn answers_of_weights(
    path: &Path,
    prompts: &[Prompt],
    args: &SampleArgs,
) -> Result<(Vec<Sampled>, usize)> {
    let checkpoint = Checkpoint::open(path)?;
    let tokenizer = Arc::new(Tokenizer::from_checkpoint(&checkpoint)?);
    let template = ChatTemplate::from_checkpoint(&checkpoint)?;
    let n_context = checkpoint.config().n_context;
    let assembler = Assembler::new(tokenizer.clone(), template, Tags::default(), n_context)?;
    let options = EngineOptions {
        precision: Precision::Quantised,
        n_threads: args.models.threads as usize,
    };
    let engine = Engine::load(&checkpoint, options)?;
    let options = LocalOptions {
        n_batch_max: N_BATCH,
        prefix_cache_bytes: CACHE_BYTES,
    };
    let model = LocalModel::new(checkpoint.name(), engine, Some(tokenizer), options)?;
    let (mut found, mut n_lost) = (Vec::new(), 0);
    for (at, prompt) in prompts.iter().enumerate() {
        for mode in Mode::ALL {
            let (kept, lost) = answers(&model, &assembler, prompt, mode, args)?;
            found.extend(kept);
            n_lost += lost;
        }
        output::note(&format!("prompt {}/{}", at + 1, prompts.len()));
    }
    Ok((found, n_lost))
}

fn read_prompts(path: &Path) -> Result<Vec<Prompt>> {
    let prompts: Vec<Prompt> = read_lines(path)?;
    for (line_idx, prompt) in prompts.iter().enumerate() {
        if prompt.prompt.is_some() != prompt.messages.is_empty() {
            return Err(Error::usage(format!(
                "`{}`, line {}: either `prompt` or `messages` is needed",
                path.display(),
                line_idx + 1
            )));
        }
    }
    if prompts.is_empty() {
        return Err(Error::usage(format!("`{}` has no prompts", path.display())));
    }
    Ok(prompts)
}

fn answers(
    model: &LocalModel,
    assembler: &Assembler,
    prompt: &Prompt,
    mode: Mode,
    args: &SampleArgs,
) -> Result<(Vec<Sampled>, usize)> {
    let request = CompletionRequest {
        prompt: assembler.prompt(&prompt.conversation(), mode == Mode::Thinking)?,
        n_samples: args.n as usize,
        n_tokens_max: args.max_tokens as usize,
        sampling: Sampling {
            temperature: args.temperature,
            top_k: 0,
            top_p: args.top_p,
            min_p: 0.0,
            seed: args.seed,
        },
        stop: Vec::new(),
        stop_tokens: vec![assembler.end()],
        n_alternatives: 0,
    };
    let completions = model.complete(&[request], None)?;
    let samples = completions.into_iter().flat_map(|c| c.samples);
    let mut kept = Vec::new();
    let mut n_lost = 0;
    for (number, sample) in samples.enumerate() {
        match parts(&sample, mode, assembler.close_mark()) {
            Some(parts) => kept.push(prompt.sampled((mode, number), parts)),
            None => n_lost += 1,
        }
    }
    Ok((kept, n_lost))
}

/// Trace and answer of a sample that came to its end; none where a part is missing.
fn parts(sample: &Sample, mode: Mode, close: &str) -> Option<(Option<String>, String)> {
    if sample.finish != Finish::Stop {
        return None;
    }
    let (reasoning, answer) = match mode {
        Mode::Empty => (None, sample.text.as_str()),
        Mode::Thinking => {
            let (trace, answer) = sample.text.split_once(close)?;
            (Some(trace.trim().to_owned()), answer)
        }
    };
    let is_blank = reasoning.as_ref().is_some_and(String::is_empty) || answer.trim().is_empty();
    (!is_blank).then(|| (reasoning, answer.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_without_an_end_or_a_part_is_left_out() {
        let parts = |text: &str, finish, mode| {
            let text = text.to_owned();
            let sample = Sample {
                text,
                tokens: Vec::new(),
                finish,
            };
            parts(&sample, mode, "</think>")
        };
        let found = parts("a b\n</think>\n\n c", Finish::Stop, Mode::Thinking).unwrap();
        assert_eq!(found, (Some("a b".to_owned()), "c".to_owned()));
        assert_eq!(parts("c", Finish::Stop, Mode::Empty).unwrap().1, "c");
        assert!(parts("never closed", Finish::Stop, Mode::Thinking).is_none());
        assert!(parts("r</think> ", Finish::Stop, Mode::Thinking).is_none());
        assert!(parts(" </think>c", Finish::Stop, Mode::Thinking).is_none());
        assert!(parts("c", Finish::Length, Mode::Empty).is_none());
    }
}
