//! A trained member that answers exercises.

use std::path::{Path, PathBuf};

use eval::{Error, Result};
use model::generate::{CompletionRequest, LanguageModel, LocalModel, LocalOptions};
use model::infer::{EngineOptions, Precision};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use super::alphabet::{END, decode, encode};
use super::skills::{Exercise, Skill};
use super::training::Member;
use crate::live::Drawing;
use crate::protocols::{derived_seed, sampling};
use crate::samples::RecordedSample;

/// Longest answer, in tokens: seven binary digits and the line feed.
const N_ANSWER_TOKENS_MAX: usize = 8;
const N_SAMPLES_AT_ONCE: usize = 64;

/// One question of the pool's benchmark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolQuestion {
    /// Unique over both halves: `add/test/012`.
    pub id: String,
    /// The skill.
    pub skill: Skill,
    /// `validation` or `test`.
    pub split: String,
    /// Question and answer.
    pub exercise: Exercise,
}

/// Questions of every skill, the same for all members of a pool. Both halves are drawn from the
/// same distribution, by streams of their own; a validation question may recur in the test half
/// only where a skill has few questions at all.
#[must_use]
pub fn questions(pool_seed: u64, split: &str, n_per_skill: usize) -> Vec<PoolQuestion> {
    let mut questions = Vec::new();
    for skill in Skill::ALL {
        let seed = derived_seed(&["questions", &pool_seed.to_string(), split, skill.word()]);
        let mut stream = ChaCha20Rng::seed_from_u64(seed);
        for idx in 0..n_per_skill {
            questions.push(PoolQuestion {
                id: format!("{}/{split}/{idx:03}", skill.word()),
                skill,
                split: split.to_owned(),
                exercise: skill.draw(&mut stream),
            });
        }
    }
    questions
}

/// A trained member.
pub struct Solver {
    model: LocalModel,
    name: String,
}

impl Solver {
    /// Opens what [`super::train`] left in `folder`.
    ///
    /// # Errors
    /// There is no complete save, or it is damaged.
    pub fn open(folder: &Path, member: Member, n_threads: usize) -> Result<Self> {
        let engine = EngineOptions {
            precision: Precision::Exact,
            n_threads,
        };
        let options = LocalOptions {
            n_batch_max: N_SAMPLES_AT_ONCE,
            prefix_cache_bytes: 0,
        };
        let model = LocalModel::open(&saved(folder)?, engine, options)?;
        Ok(Self {
            model,
            name: member.name(),
        })
    }

    /// Draws k answers to each question.
    ///
    /// # Errors
    /// A question does not fit the model.
    pub fn record(
        &self,
        questions: &[PoolQuestion],
        drawing: Drawing,
    ) -> Result<Vec<RecordedSample>> {
        let texts: Vec<&str> = questions
            .iter()
            .map(|question| question.exercise.question.as_str())
            .collect();
        let seeds: Vec<u64> = questions
            .iter()
            .map(|question| {
                let seed = drawing.seed.to_string();
                derived_seed(&[&seed, &self.name, &question.id, "recorded"])
            })
            .collect();
        let answers = self.answers(&texts, &seeds, drawing)?;
        let mut records = Vec::new();
        for (((question, text), seed), samples) in
            questions.iter().zip(&texts).zip(seeds).zip(answers)
        {
            for (sample, number) in samples.into_iter().zip(0u32..) {
                records.push(RecordedSample {
                    question: question.id.clone(),
                    task: question.skill.word().to_owned(),
                    split: question.split.clone(),
                    model: self.name.clone(),
                    sample: number,
                    temperature: f64::from(drawing.temperature),
                    seed,
                    answer: read(&sample.text),
                    text: sample.text,
                    reference: question.exercise.answer.clone(),
                    n_prompt_tokens: text.len() as u64,
                    n_generated_tokens: sample.n_tokens,
                });
            }
        }
        Ok(records)
    }

    /// The most likely answers to questions as they stand.
    ///
    /// # Errors
    /// As [`Solver::record`].
    pub fn greedy(&self, questions: &[String]) -> Result<Vec<Option<String>>> {
        let texts: Vec<&str> = questions.iter().map(String::as_str).collect();
        let drawing = Drawing {
            k: 1,
            temperature: 0.0,
            seed: 0,
        };
        let answers = self.answers(&texts, &vec![0; texts.len()], drawing)?;
        let first = answers
            .into_iter()
            .map(|samples| samples.into_iter().next());
        Ok(first
            .map(|sample| sample.and_then(|s| read(&s.text)))
            .collect())
    }

    fn answers(
        &self,
        questions: &[&str],
        seeds: &[u64],
        drawing: Drawing,
    ) -> Result<Vec<Vec<Answered>>> {
        let requests = questions.iter().zip(seeds).map(|(question, seed)| {
            Ok(CompletionRequest {
                prompt: encode(question)?,
                n_samples: drawing.k,
                n_tokens_max: N_ANSWER_TOKENS_MAX,
                sampling: sampling(drawing.temperature, *seed),
                stop: Vec::new(),
                stop_tokens: vec![END],
                n_alternatives: 0,
            })
        });
        let requests = requests.collect::<Result<Vec<_>>>()?;
        let completions = self.model.complete(&requests, None)?;
        let answered = completions.into_iter().map(|completion| {
            let samples = completion.samples.into_iter().map(|sample| Answered {
                n_tokens: sample.tokens.len() as u64,
                text: decode(sample.tokens.iter().map(|token| token.id)),
            });
            samples.collect()
        });
        Ok(answered.collect())
    }
}

struct Answered {
    text: String,
    n_tokens: u64,
}

/// Whatever was written is the answer; nothing at all is none.
fn read(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The folder of the one save.
fn saved(folder: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder).map_err(|cause| Error::io("list", folder, cause))?;
    let saves = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut saves: Vec<PathBuf> = saves
        .filter(|path| path.join("config.json").is_file())
        .collect();
    saves.sort();
    saves.pop().ok_or_else(|| {
        Error::incomplete(format!("`{}` holds no trained member", folder.display()))
            .hint("remove the folder and train again")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::{Training, train};

    #[test]
    fn a_saved_member_answers_and_repeats_itself() {
        let folder = tempfile::tempdir().unwrap();
        let member = Member {
            pool_seed: 2,
            number: 0,
        };
        let training = Training {
            n_steps: 5,
            n_batch: 8,
            rate: 1e-3,
            n_hidden: 32,
            concentration: 0.3,
            hinted_share: 0.5,
            hint_accuracy: 0.7,
        };
        train(member, &training, folder.path(), &mut |_| Ok(())).unwrap();
        let solver = Solver::open(folder.path(), member, 1).unwrap();
        let questions = questions(2, "test", 2);
        assert_eq!(questions.len(), 20);
        let drawing = Drawing {
            k: 3,
            temperature: 1.0,
            seed: 4,
        };
        let records = solver.record(&questions, drawing).unwrap();
        assert_eq!(records.len(), 60);
        assert_eq!(records, solver.record(&questions, drawing).unwrap());
        let texts: Vec<&str> = records[..3].iter().map(|r| r.text.as_str()).collect();
        assert!(texts.iter().any(|text| *text != texts[0]), "{texts:?}");
    }
}
