//! GSM8K test questions with the recorded solutions of four systems.
//!
//! A solution ends with a line `A: <number>`: what stands before it is the trace, the number is the
//! answer. Notes to a calculator (`<<3*3=9>>`) are no text and are taken out.

use std::collections::BTreeSet;
use std::path::Path;

use eval::{Error, Result};
use serde::Deserialize;

/// A question and what four systems said to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Its place in the file, from 0.
    pub number: usize,
    /// The question.
    pub text: String,
    /// The number of the reference solution.
    pub gold: String,
    /// Recorded solutions with a trace and a number, in the order of the file.
    pub solutions: Vec<Solution>,
}

/// A recorded solution.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// Who wrote it.
    pub by: &'static str,
    /// Everything before the answer.
    pub trace: String,
    /// The number after `A:`.
    pub answer: String,
    /// The authors' judgement of the number.
    pub is_correct: bool,
}

#[derive(Deserialize)]
struct Line {
    question: String,
    ground_truth: String,
    #[serde(rename = "6b_finetuning")]
    small: Written,
    #[serde(rename = "6b_verification")]
    small_verified: Written,
    #[serde(rename = "175b_finetuning")]
    large: Written,
    #[serde(rename = "175b_verification")]
    large_verified: Written,
}

#[derive(Deserialize)]
struct Written {
    is_correct: bool,
    solution: String,
}

/// Reads `example_model_solutions.jsonl`.
///
/// # Errors
/// The file cannot be read, or a line is not a question with its solutions.
pub fn read_questions(path: &Path) -> Result<Vec<Question>> {
    let text = std::fs::read_to_string(path).map_err(|cause| {
        Error::inputs(format!("cannot read `{}`", path.display())).caused_by(cause)
    })?;
    let parse = |(number, line): (usize, &str)| {
        let shown = || format!("`{}`, line {}", path.display(), number + 1);
        let line: Line = serde_json::from_str(line)
            .map_err(|e| Error::inputs(format!("cannot understand {}", shown())).caused_by(e))?;
        let Some((_, gold)) = divide(&line.ground_truth) else {
            return Err(Error::inputs(format!(
                "{} has no reference answer",
                shown()
            )));
        };
        let written = [
            ("6b_finetuning", line.small),
            ("6b_verification", line.small_verified),
            ("175b_finetuning", line.large),
            ("175b_verification", line.large_verified),
        ];
        let solutions = written.into_iter().filter_map(|(by, written)| {
            let (trace, answer) = divide(&written.solution)?;
            Some(Solution {
                by,
                trace,
                answer,
                is_correct: written.is_correct,
            })
        });
        Ok(Question {
            number,
            text: line.question,
            gold,
            solutions: solutions.collect(),
        })
    };
    text.lines().enumerate().map(parse).collect()
}

impl Question {
    /// Solutions with the right number, of different traces.
    #[must_use]
    pub fn correct(&self) -> Vec<&Solution> {
        self.distinct(true)
    }

    /// Solutions with a wrong number, of different traces.
    #[must_use]
    pub fn wrong(&self) -> Vec<&Solution> {
        self.distinct(false)
    }

    /// Different wrong numbers, in the order of the file.
    #[must_use]
    pub fn wrong_answers(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        let answers = self.solutions.iter().filter(|s| !s.is_correct);
        let answers = answers.map(|s| s.answer.as_str());
        answers.filter(|answer| seen.insert(*answer)).collect()
    }

    fn distinct(&self, is_correct: bool) -> Vec<&Solution> {
        let mut seen = BTreeSet::new();
        let wanted = self.solutions.iter().filter(|s| s.is_correct == is_correct);
        wanted.filter(|s| seen.insert(s.trace.as_str())).collect()
    }
}

/// The answer as a model is to say it.
#[must_use]
pub fn said(answer: &str) -> String {
    format!("The answer is {answer}.")
}

/// Trace and number; none where either is missing.
fn divide(solution: &str) -> Option<(String, String)> {
    let (trace, answer) = solution.rsplit_once("A:")?;
    let trace = without_notes(trace).trim().to_owned();
    let answer = answer.trim();
    let is_number = answer.chars().any(|c| c.is_ascii_digit()) && !answer.contains('\n');
    (is_number && !trace.is_empty()).then(|| (trace, answer.to_owned()))
}

/// The text without notes to a calculator; a note that never ends is kept.
fn without_notes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once("<<") {
        let Some((_, after)) = inside.split_once(">>") else {
            break;
        };
        kept.push_str(before);
        rest = after;
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const LINES: &str = concat!(
        r#"{"question":"How much?","ground_truth":"2+2=<<2+2=4>>4\nA: 4","#,
        r#""6b_finetuning":{"is_correct":false,"solution":"2 and 3\nA: 5"},"#,
        r#""6b_verification":{"is_correct":true,"solution":"2+2=<<2+2=4>>4\nA: 4"},"#,
        r#""175b_finetuning":{"is_correct":true,"solution":"twice 2 is 4\nA: 4"},"#,
        r#""175b_verification":{"is_correct":false,"solution":"no number\nA:"}}"#,
        "\n",
        r#"{"question":"And?","ground_truth":"x\nA: 1,000","#,
        r#""6b_finetuning":{"is_correct":false,"solution":"b\nA: 7"},"#,
        r#""6b_verification":{"is_correct":false,"solution":"b\nA: 7"},"#,
        r#""175b_finetuning":{"is_correct":false,"solution":"c\nA: 8"},"#,
        r#""175b_verification":{"is_correct":false,"solution":"d\nA: 7"}}"#,
        "\n"
    );

    fn questions() -> Vec<Question> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("solutions.jsonl");
        std::fs::write(&path, LINES).unwrap();
        read_questions(&path).unwrap()
    }

    #[test]
    fn traces_and_numbers_are_told_apart() {
        let questions = questions();
        let first = &questions[0];
        assert_eq!((first.gold.as_str(), first.solutions.len()), ("4", 3));
        let traces: Vec<&str> = first.correct().iter().map(|s| s.trace.as_str()).collect();
        assert_eq!(traces, ["2+2=4", "twice 2 is 4"]);
        assert_eq!(first.wrong_answers(), ["5"]);
        assert_eq!(questions[1].gold, "1,000");
        assert_eq!(questions[1].wrong_answers(), ["7", "8"]);
        assert_eq!(questions[1].wrong().len(), 3, "equal traces count once");
    }

    #[test]
    fn a_note_that_never_ends_is_text() {
        assert_eq!(without_notes("a<<1+1=2>>2 b<<c"), "a2 b<<c");
    }

    #[test]
    fn a_line_that_is_no_question_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("solutions.jsonl");
        std::fs::write(&path, format!("{LINES}{{}}\n")).unwrap();
        let error = read_questions(&path).unwrap_err().to_string();
        assert!(error.contains("line 3"), "{error}");
    }
}
