//! k samples per question, the prompt computed once.

use eval::Result;
use model::generate::{CompletionRequest, LanguageModel};
use serde::{Deserialize, Serialize};

use super::speaker::Speaker;
use crate::protocols::{Question, Wording, derived_seed, sampling};
use crate::samples::RecordedSample;

/// How samples are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawing {
    /// Samples per question.
    pub k: usize,
    /// Sampling temperature.
    pub temperature: f32,
    /// Seed of everything drawn.
    pub seed: u64,
}

/// Prompt tokens of a recording, as separate calls would have taken them and as they were computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sharing {
    /// k calls per question, each reading its whole prompt.
    pub n_separate: u64,
    /// Each prompt once, as k samples of one call share it, without use of earlier prompts.
    pub n_per_question: u64,
    /// What was really computed: questions of a task also share their examples.
    pub n_evaluated: u64,
    /// Tokens generated.
    pub n_generated: u64,
}

impl std::ops::AddAssign for Sharing {
    fn add_assign(&mut self, other: Self) {
        self.n_separate += other.n_separate;
        self.n_per_question += other.n_per_question;
        self.n_evaluated += other.n_evaluated;
        self.n_generated += other.n_generated;
    }
}

/// Who is recorded.
pub struct Recorder<'a> {
    /// The model.
    pub speaker: &'a Speaker,
    /// Its name in the pool.
    pub name: &'a str,
    /// How it is asked.
    pub wording: &'a dyn Wording,
}

impl Recorder<'_> {
    /// Draws the answers to questions of one task; `split` goes into the records.
    ///
    /// The first question is answered alone, so that the others find its beginning computed.
    ///
    /// # Errors
    /// A prompt does not fit the model.
    pub fn record(
        &self,
        questions: &[Question],
        split: &str,
        drawing: Drawing,
    ) -> Result<(Vec<RecordedSample>, Sharing)> {
        let mut requests = Vec::with_capacity(questions.len());
        for question in questions {
            requests.push(self.request(question, drawing)?);
        }
        let (first, rest) = requests.split_at(requests.len().min(1));
        let mut completions = self.speaker.model().complete(first, None)?;
        completions.extend(self.speaker.model().complete(rest, None)?);
        let (mut records, mut sharing) = (Vec::new(), Sharing::default());
        for ((question, request), completion) in questions.iter().zip(&requests).zip(completions) {
            let n_prompt = request.prompt.len() as u64;
            sharing += Sharing {
                n_separate: completion.usage.n_prompt as u64,
                n_per_question: n_prompt,
                n_evaluated: completion.usage.n_prompt_evaluated as u64,
                n_generated: completion.usage.n_generated as u64,
            };
            for (sample, text) in completion.samples.into_iter().zip(0u32..) {
                records.push(RecordedSample {
                    question: question.id.clone(),
                    task: question.task.clone(),
                    split: split.to_owned(),
                    model: self.name.to_owned(),
                    sample: text,
                    temperature: f64::from(drawing.temperature),
                    seed: request.sampling.seed,
                    answer: self.wording.read(&sample.text),
                    text: sample.text,
                    reference: question.reference.clone(),
                    n_prompt_tokens: n_prompt,
                    n_generated_tokens: sample.tokens.len() as u64,
                });
            }
        }
        Ok((records, sharing))
    }

    fn request(&self, question: &Question, drawing: Drawing) -> Result<CompletionRequest> {
        let seed = drawing.seed.to_string();
        let temperature = drawing.temperature.to_string();
        let parts = [&seed, self.name, &question.id, &temperature, "recorded"];
        Ok(CompletionRequest {
            prompt: self.speaker.prompt(&self.wording.ask(question))?,
            n_samples: drawing.k,
            n_tokens_max: self.wording.n_tokens_max(),
            sampling: sampling(drawing.temperature, derived_seed(&parts)),
            stop: self.wording.stop(),
            stop_tokens: self.speaker.stop_tokens().to_vec(),
            n_alternatives: 0,
        })
    }
}
