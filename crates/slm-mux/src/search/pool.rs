//! The two bits per model and question that the search needs.

use eval::{Error, Result};

use super::objective::Counts;
use crate::samples::{NO_ANSWER, REFERENCE, SampleTable};

/// Models that lie side by side in one block of the transposed layout.
pub(super) const LANES: usize = 32;

/// R and W of every model on every question, 64 questions a word.
///
/// `right` and `wrong` never share a question: a model that is consistently wrong has no right
/// sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    n_models: usize,
    n_questions: usize,
    n_words: usize,
    right: Vec<u64>,
    wrong: Vec<u64>,
    /// The same bits in blocks of [`LANES`] models: block, word, lane. Lanes beyond the last model
    /// are zero.
    blocks: Vec<[u64; 2 * LANES]>,
}

impl Pool {
    /// The pool of a table of samples.
    ///
    /// R_m(x): at least `robust_level` of the samples are right (second official code: 2).
    /// W_m(x): all samples give one and the same wrong answer, and there is more than one sample.
    ///
    /// # Errors
    /// `robust_level` is 0 or above the number of samples.
    pub fn of_table(table: &SampleTable, robust_level: usize) -> Result<Self> {
        if robust_level == 0 || robust_level > table.n_samples() {
            return Err(Error::usage(format!(
                "robust level {robust_level} is not from 1 to the {} samples of a question",
                table.n_samples()
            )));
        }
        let n_questions = table.questions().len();
        let mut pool = Self::empty(table.models().len(), n_questions);
        for model in 0..table.models().len() {
            for question in 0..n_questions {
                let codes = table.codes(question, model);
                let n_right = codes.iter().filter(|code| **code == REFERENCE).count();
                let same = codes.iter().all(|code| *code == codes[0]);
                let is_answer = codes[0] != NO_ANSWER && codes[0] != REFERENCE;
                if n_right >= robust_level {
                    pool.set(model, question, true);
                } else if codes.len() > 1 && same && is_answer {
                    pool.set(model, question, false);
                }
            }
        }
        pool.arrange();
        Ok(pool)
    }

    /// The pool of given bits, one list of questions per model.
    ///
    /// # Errors
    /// Lists differ in length, or a model is right and consistently wrong on one question.
    pub fn of_bits(right: &[Vec<bool>], wrong: &[Vec<bool>]) -> Result<Self> {
        let n_questions = right.first().map_or(0, Vec::len);
        let even = right
            .iter()
            .chain(wrong)
            .all(|row| row.len() == n_questions);
        if right.len() != wrong.len() || !even {
            return Err(Error::usage("the bits of the models differ in length"));
        }
        let mut pool = Self::empty(right.len(), n_questions);
        for (model, (right, wrong)) in right.iter().zip(wrong).enumerate() {
            for (question, (right, wrong)) in right.iter().zip(wrong).enumerate() {
                match (right, wrong) {
                    (true, true) => {
                        return Err(Error::usage(format!(
                            "model {model} is right and consistently wrong on question {question}"
                        )));
                    }
                    (true, false) => pool.set(model, question, true),
                    (false, true) => pool.set(model, question, false),
                    (false, false) => {}
                }
            }
        }
        pool.arrange();
        Ok(pool)
    }

    /// Number of models.
    #[must_use]
    pub fn n_models(&self) -> usize {
        self.n_models
    }

    /// Number of questions, |D|.
    #[must_use]
    pub fn n_questions(&self) -> usize {
        self.n_questions
    }

    /// Union and contradiction of a subset.
    #[must_use]
    pub fn counts(&self, models: &[usize]) -> Counts {
        let mut counts = Counts::default();
        for word in 0..self.n_words {
            let (right, wrong) = models.iter().fold((0, 0), |(right, wrong), model| {
                (
                    right | self.right(*model)[word],
                    wrong | self.wrong(*model)[word],
                )
            });
            counts.union += right.count_ones();
            counts.contradiction += (right & wrong).count_ones();
        }
        counts
    }

    pub(super) fn n_words(&self) -> usize {
        self.n_words
    }

    pub(super) fn right(&self, model: usize) -> &[u64] {
        &self.right[model * self.n_words..(model + 1) * self.n_words]
    }

    pub(super) fn wrong(&self, model: usize) -> &[u64] {
        &self.wrong[model * self.n_words..(model + 1) * self.n_words]
    }

    /// The words of one block of models: R in the first half of each row, W in the second.
    pub(super) fn block(&self, block: usize) -> &[[u64; 2 * LANES]] {
        &self.blocks[block * self.n_words..(block + 1) * self.n_words]
    }

    fn empty(n_models: usize, n_questions: usize) -> Self {
        let n_words = n_questions.div_ceil(64);
        Self {
            n_models,
            n_questions,
            n_words,
            right: vec![0; n_models * n_words],
            wrong: vec![0; n_models * n_words],
            blocks: Vec::new(),
        }
    }

    fn set(&mut self, model: usize, question: usize, is_right: bool) {
        let bits = if is_right {
            &mut self.right
        } else {
            &mut self.wrong
        };
        bits[model * self.n_words + question / 64] |= 1 << (question % 64);
    }

    fn arrange(&mut self) {
        let n_blocks = self.n_models.div_ceil(LANES);
        self.blocks = vec![[0; 2 * LANES]; n_blocks * self.n_words];
        for model in 0..self.n_models {
            let (block, lane) = (model / LANES, model % LANES);
            for word in 0..self.n_words {
                let row = &mut self.blocks[block * self.n_words + word];
                row[lane] = self.right[model * self.n_words + word];
                row[LANES + lane] = self.wrong[model * self.n_words + word];
            }
        }
    }
}
