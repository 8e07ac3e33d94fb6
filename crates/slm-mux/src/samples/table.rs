//! The table of samples: question × model → k answer codes.

use std::collections::BTreeMap;

use eval::{Error, Result};

use super::record::RecordedSample;

/// An answer as a number, within one question.
pub type Code = u16;

/// The code of the reference answer.
pub const REFERENCE: Code = 0;

/// The code of a text without an answer.
pub const NO_ANSWER: Code = Code::MAX;

/// What one sample cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenCounts {
    /// Tokens of the prompt.
    pub prompt: u64,
    /// Tokens generated.
    pub generated: u64,
}

/// Samples of several models on several questions, the same number for each pair.
///
/// Codes lie question by question, model by model, sample by sample, so that whatever decides one
/// question reads one piece of memory.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleTable {
    questions: Vec<String>,
    tasks: Vec<String>,
    models: Vec<String>,
    n_samples: usize,
    codes: Vec<Code>,
    /// Text of each code of each question.
    answers: Vec<Vec<String>>,
    tokens: Vec<TokenCounts>,
}

impl SampleTable {
    /// A table of given codes without texts or costs, mainly for simulations: `codes` holds
    /// `n_questions × models.len() × n_samples` values in the order of the fields.
    ///
    /// # Errors
    /// The length does not fit, or there is no model or no sample.
    pub fn from_codes(models: Vec<String>, n_samples: usize, codes: Vec<Code>) -> Result<Self> {
        let stride = models.len() * n_samples;
        if stride == 0 || !codes.len().is_multiple_of(stride) {
            return Err(Error::usage(format!(
                "{} codes are no whole number of questions of {} models × {n_samples} samples",
                codes.len(),
                models.len()
            )));
        }
        let n_questions = codes.len() / stride;
        let name = |code: usize| match code {
            0 => "reference".to_owned(),
            code => format!("wrong-{code}"),
        };
        let answers = codes.chunks(stride).map(|question| {
            let last = question.iter().filter(|code| **code != NO_ANSWER).max();
            (0..=last.map_or(0, |last| usize::from(*last)))
                .map(name)
                .collect()
        });
        Ok(Self {
            questions: (0..n_questions).map(|idx| format!("q{idx}")).collect(),
            tasks: vec![String::new(); n_questions],
            answers: answers.collect(),
            tokens: vec![TokenCounts::default(); codes.len()],
            models,
            n_samples,
            codes,
        })
    }

    /// The table of a recording. Questions and models keep the order of their first appearance;
    /// samples are ordered by their number.
    ///
    /// # Errors
    /// A pair of question and model has another number of samples than the first pair, or one
    /// twice; or two records disagree about a question's reference. The message names the pair.
    pub fn from_records<'a>(records: impl IntoIterator<Item = &'a RecordedSample>) -> Result<Self> {
        Collected::of(records)?.table()
    }

    /// Names of the questions.
    #[must_use]
    pub fn questions(&self) -> &[String] {
        &self.questions
    }

    /// The task of each question.
    #[must_use]
    pub fn tasks(&self) -> &[String] {
        &self.tasks
    }

    /// Names of the models.
    #[must_use]
    pub fn models(&self) -> &[String] {
        &self.models
    }

    /// Samples per question and model (the k that was recorded).
    #[must_use]
    pub fn n_samples(&self) -> usize {
        self.n_samples
    }

    /// The codes of one model on one question.
    #[must_use]
    pub fn codes(&self, question: usize, model: usize) -> &[Code] {
        let start = (question * self.models.len() + model) * self.n_samples;
        &self.codes[start..start + self.n_samples]
    }

    /// The codes of all models on one question, model by model.
    #[must_use]
    pub fn question(&self, question: usize) -> &[Code] {
        let stride = self.models.len() * self.n_samples;
        &self.codes[question * stride..(question + 1) * stride]
    }

    /// The costs of one model's samples on one question.
    #[must_use]
    pub fn tokens(&self, question: usize, model: usize) -> &[TokenCounts] {
        let start = (question * self.models.len() + model) * self.n_samples;
        &self.tokens[start..start + self.n_samples]
    }

    /// The text of a code; none for [`NO_ANSWER`].
    #[must_use]
    pub fn answer(&self, question: usize, code: Code) -> Option<&str> {
        self.answers[question]
            .get(usize::from(code))
            .map(String::as_str)
    }

    /// The table of some questions, in the order given.
    #[must_use]
    pub fn of_questions(&self, questions: &[usize]) -> Self {
        let all: Vec<usize> = (0..self.models.len()).collect();
        self.part(questions, &all, self.n_samples)
    }

    /// The table of some models, in the order given. A model may be given twice.
    #[must_use]
    pub fn of_models(&self, models: &[usize]) -> Self {
        let all: Vec<usize> = (0..self.questions.len()).collect();
        self.part(&all, models, self.n_samples)
    }

    /// The table of the first `n_samples` samples of each pair, at most those there are.
    #[must_use]
    pub fn of_first_samples(&self, n_samples: usize) -> Self {
        let questions: Vec<usize> = (0..self.questions.len()).collect();
        let models: Vec<usize> = (0..self.models.len()).collect();
        self.part(&questions, &models, n_samples.clamp(1, self.n_samples))
    }

    /// The share of right answers among all samples of each model; empty without questions.
    #[must_use]
    pub fn accuracies(&self) -> Vec<f64> {
        if self.questions.is_empty() {
            return Vec::new();
        }
        let n = (self.questions.len() * self.n_samples) as f64;
        let right = |model| {
            let questions = 0..self.questions.len();
            let codes = questions.flat_map(|question| self.codes(question, model));
            codes.filter(|code| **code == REFERENCE).count() as f64
        };
        (0..self.models.len())
            .map(|model| right(model) / n)
            .collect()
    }

    fn part(&self, questions: &[usize], models: &[usize], n_samples: usize) -> Self {
        let mut codes = Vec::with_capacity(questions.len() * models.len() * n_samples);
        let mut tokens = Vec::with_capacity(codes.capacity());
        for question in questions {
            for model in models {
                codes.extend_from_slice(&self.codes(*question, *model)[..n_samples]);
                tokens.extend_from_slice(&self.tokens(*question, *model)[..n_samples]);
            }
        }
        let pick = |texts: &[String], of: &[usize]| of.iter().map(|i| texts[*i].clone()).collect();
        Self {
            questions: pick(&self.questions, questions),
            tasks: pick(&self.tasks, questions),
            models: pick(&self.models, models),
            n_samples,
            codes,
            answers: questions.iter().map(|q| self.answers[*q].clone()).collect(),
            tokens,
        }
    }
}

/// A place of one sample: question, model, number.
type Place = (usize, usize, u32);

/// Records sorted into a table's order.
#[derive(Default)]
struct Collected {
    questions: Vec<String>,
    tasks: Vec<String>,
    models: Vec<String>,
    answers: Vec<Vec<String>>,
    samples: BTreeMap<Place, (Code, TokenCounts)>,
}

impl Collected {
    fn of<'a>(records: impl IntoIterator<Item = &'a RecordedSample>) -> Result<Self> {
        let mut collected = Self::default();
        let mut questions: BTreeMap<&str, usize> = BTreeMap::new();
        let mut models: BTreeMap<&str, usize> = BTreeMap::new();
        for record in records {
            let question = *questions.entry(&record.question).or_insert_with(|| {
                collected.questions.push(record.question.clone());
                collected.tasks.push(record.task.clone());
                collected.answers.push(vec![record.reference.clone()]);
                collected.questions.len() - 1
            });
            let model = *models.entry(&record.model).or_insert_with(|| {
                collected.models.push(record.model.clone());
                collected.models.len() - 1
            });
            collected.add(question, model, record)?;
        }
        Ok(collected)
    }

    fn add(&mut self, question: usize, model: usize, record: &RecordedSample) -> Result<()> {
        let answers = &mut self.answers[question];
        if answers[0] != record.reference {
            return Err(Error::inputs(format!(
                "the records of `{}` have two references, `{}` and `{}`",
                record.question, answers[0], record.reference
            )));
        }
        let code = match &record.answer {
            None => NO_ANSWER,
            Some(text) => {
                let known = answers.iter().position(|answer| answer == text);
                let place = known.unwrap_or(answers.len());
                if known.is_none() {
                    answers.push(text.clone());
                }
                Code::try_from(place)
                    .ok()
                    .filter(|code| *code != NO_ANSWER)
                    .ok_or_else(|| {
                        let question = &record.question;
                        Error::inputs(format!("`{question}` has too many distinct answers"))
                    })?
            }
        };
        let tokens = TokenCounts {
            prompt: record.n_prompt_tokens,
            generated: record.n_generated_tokens,
        };
        let place = (question, model, record.sample);
        if self.samples.insert(place, (code, tokens)).is_some() {
            return Err(Error::inputs(format!(
                "sample {} of `{}` by `{}` is recorded twice",
                record.sample, record.question, record.model
            )));
        }
        Ok(())
    }

    fn table(self) -> Result<SampleTable> {
        let n_pairs = self.questions.len() * self.models.len();
        let mut counts = vec![0usize; n_pairs];
        for (question, model, _) in self.samples.keys() {
            counts[question * self.models.len() + model] += 1;
        }
        let n_samples = counts.first().copied().unwrap_or(0);
        if let Some(odd) = counts.iter().position(|n| *n != n_samples || *n == 0) {
            let (question, model) = (odd / self.models.len(), odd % self.models.len());
            return Err(Error::inputs(format!(
                "`{}` has {} samples by `{}` where the first pair has {n_samples}",
                self.questions[question], counts[odd], self.models[model]
            ))
            .hint("finish the recording, or leave the question or the model out"));
        }
        if n_pairs == 0 {
            return Err(Error::inputs("the recording has no samples"));
        }
        let (codes, tokens) = self.samples.into_values().unzip();
        Ok(SampleTable {
            questions: self.questions,
            tasks: self.tasks,
            models: self.models,
            n_samples,
            codes,
            answers: self.answers,
            tokens,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::record;
    use super::*;

    #[test]
    fn records_in_any_order_become_the_same_codes() {
        let mut records = vec![
            record("a", "m", 0, Some("right")),
            record("a", "m", 1, Some("wrong")),
            record("a", "n", 0, None),
            record("a", "n", 1, Some("wrong")),
        ];
        let table = SampleTable::from_records(&records).unwrap();
        assert_eq!(table.codes(0, 0), [0, 1]);
        assert_eq!(table.codes(0, 1), [NO_ANSWER, 1]);
        assert_eq!(table.answer(0, 1), Some("wrong"));
        assert_eq!(table.answer(0, NO_ANSWER), None);
        assert_eq!(table.accuracies(), [0.5, 0.0]);
        records.swap(0, 1);
        assert_eq!(SampleTable::from_records(&records).unwrap(), table);
    }

    #[test]
    fn uneven_or_contradictory_recordings_are_refused_by_name() {
        let one = record("a", "m", 0, Some("right"));
        let refuse = |records: &[RecordedSample], word: &str| {
            let error = SampleTable::from_records(records).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        };
        refuse(&[], "no samples");
        refuse(&[one.clone(), one.clone()], "twice");
        let other = record("b", "m", 0, None);
        refuse(&[one.clone(), record("a", "m", 1, None), other], "`b`");
        let mut contradicts = record("a", "n", 0, None);
        contradicts.reference = "left".to_owned();
        refuse(&[one, contradicts], "two references");
    }

    #[test]
    fn parts_keep_what_they_name() {
        let codes = vec![0, 1, 2, 0, NO_ANSWER, 1, 1, 0];
        let names = vec!["m".to_owned(), "n".to_owned()];
        let table = SampleTable::from_codes(names, 2, codes).unwrap();
        assert_eq!(table.of_questions(&[1]).codes(0, 0), [NO_ANSWER, 1]);
        assert_eq!(table.of_models(&[1, 1]).question(0), [2, 0, 2, 0]);
        assert_eq!(table.of_first_samples(1).question(0), [0, 2]);
        assert!(SampleTable::from_codes(vec!["m".to_owned()], 3, vec![0; 4]).is_err());
    }
}
