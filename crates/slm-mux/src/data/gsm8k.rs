//! Ten systems with published answers to the 1,319 test questions of GSM8K.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use eval::{Error, Result};
use serde_json::Value;

use crate::answers::{Benchmark, Extractor, Number, extract};

/// The data sets.
pub const DATA: [&str; 4] = ["gsm8k", "gsm8k-tora", "gsm8k-pot", "gsm8k-routellm"];

/// The test questions with their references and the ten systems' answers.
#[derive(Clone, Debug)]
pub struct Gsm8k {
    /// The questions.
    pub questions: Vec<String>,
    /// Their references as published: the text after the four hashes.
    pub references: Vec<String>,
    /// The systems.
    pub systems: Vec<System>,
}

/// One system.
#[derive(Clone, Debug)]
pub struct System {
    /// Its name in rows.
    pub name: String,
    /// What it wrote, from which answers are read; none where nothing was recorded.
    pub texts: Vec<Option<String>>,
    /// The authors' own judgement, where they published one.
    pub flags: Option<Vec<bool>>,
}

impl Gsm8k {
    /// The normalised references.
    #[must_use]
    pub fn normalised(&self, extractor: Extractor) -> Vec<Option<String>> {
        let read = |text: &String| extract(Benchmark::Gsm8k, extractor, &format!("#### {text}"));
        self.references.iter().map(read).collect()
    }
}

impl System {
    /// The normalised answers.
    #[must_use]
    pub fn normalised(&self, extractor: Extractor) -> Vec<Option<String>> {
        let read = |text: &String| extract(Benchmark::Gsm8k, extractor, text);
        self.texts
            .iter()
            .map(|text| text.as_ref().and_then(read))
            .collect()
    }
}

/// Reads all ten; `file` gives the path of a file of a data set.
///
/// # Errors
/// A file cannot be read or is not as expected; the message names it.
pub fn read_gsm8k(file: impl Fn(&str, &str) -> Result<PathBuf>) -> Result<Gsm8k> {
    let test = lines(&file("gsm8k", "test.jsonl")?)?;
    let mut questions = Vec::new();
    let mut references = Vec::new();
    for line in &test {
        questions.push(text_of(line, "question")?);
        let answer = text_of(line, "answer")?;
        let (_, reference) = answer
            .rsplit_once("####")
            .ok_or_else(|| Error::inputs("a reference of GSM8K has no four hashes"))?;
        references.push(reference.trim().to_owned());
    }
    let mut pool = Gsm8k {
        systems: Vec::new(),
        questions,
        references,
    };
    add_gpt3(&mut pool, &file("gsm8k", "example_model_solutions.jsonl")?)?;
    for name in ["tora-70b", "tora-code-34b"] {
        let answers = lines(&file("gsm8k-tora", &format!("{name}.jsonl"))?)?;
        let of = |line: &Value| line["pred"][0].as_str().map(str::to_owned);
        add_matched(&mut pool, name, &answers, of)?;
    }
    for (name, path) in [
        ("pot-codex", "few-shot.jsonl"),
        ("pot-codex-zero", "zero-shot.jsonl"),
    ] {
        let answers = lines(&file("gsm8k-pot", path)?)?;
        // A failed program has no value.
        let of = |line: &Value| {
            let number = line["executed"].as_f64().and_then(Number::of_float)?;
            Some(number.to_string())
        };
        add_matched(&mut pool, name, &answers, of)?;
    }
    add_routellm(&mut pool, &file("gsm8k-routellm", "gsm8k_responses.csv")?)?;
    Ok(pool)
}

/// The four GPT-3 systems: the answer is on the last line, after `A:`.
fn add_gpt3(pool: &mut Gsm8k, path: &Path) -> Result<()> {
    let solutions = lines(path)?;
    for name in [
        "6b_finetuning",
        "6b_verification",
        "175b_finetuning",
        "175b_verification",
    ] {
        let mut texts = Vec::new();
        let mut flags = Vec::new();
        for (line, question) in solutions.iter().zip(&pool.questions) {
            if text_of(line, "question")? != *question {
                return Err(Error::inputs(format!(
                    "`{}` has another order",
                    path.display()
                )));
            }
            let solution = text_of(&line[name], "solution")?;
            let last = solution.rsplit('\n').next().unwrap_or_default();
            texts.push(
                last.strip_prefix("A:")
                    .map(|answer| format!("#### {answer}")),
            );
            flags.push(line[name]["is_correct"].as_bool().unwrap_or_default());
        }
        pool.systems.push(System {
            name: format!("gpt3-{}", name.replace('_', "-")),
            texts,
            flags: Some(flags),
        });
    }
    Ok(())
}

/// A system whose records are found by the question's text; a missing record is no answer.
fn add_matched(
    pool: &mut Gsm8k,
    name: &str,
    records: &[Value],
    answer: impl Fn(&Value) -> Option<String>,
) -> Result<()> {
    let mut by_question = BTreeMap::new();
    for record in records {
        // One file holds its prompt wherever the recording was started anew.
        if record.get("prompt").is_none() {
            by_question.insert(text_of(record, "question")?, answer(record));
        }
    }
    let of = |question: &String| by_question.get(question).cloned().flatten();
    let texts = pool.questions.iter().map(of).map(as_answer).collect();
    pool.systems.push(System {
        name: name.to_owned(),
        texts,
        flags: None,
    });
    Ok(())
}

/// A final answer as the text that the extractors expect. What is no number is no answer.
fn as_answer(answer: Option<String>) -> Option<String> {
    let number = answer.as_deref().and_then(Number::parse)?;
    // Whole numbers and decimals keep their spelling; a fraction has none after four hashes.
    let text = answer.filter(|text| !text.contains('/'));
    Some(format!(
        "#### {}",
        text.unwrap_or_else(|| number.to_string())
    ))
}

/// Mixtral and GPT-4: one table, in the order of the questions.
fn add_routellm(pool: &mut Gsm8k, path: &Path) -> Result<()> {
    let failed = |cause: csv::Error| {
        Error::inputs(format!("`{}` cannot be read", path.display())).caused_by(cause)
    };
    let mut table = csv::Reader::from_path(path).map_err(failed)?;
    let rows: Vec<csv::StringRecord> = table.records().collect::<Result<_, _>>().map_err(failed)?;
    if rows.len() != pool.questions.len() {
        let n = rows.len();
        return Err(Error::inputs(format!("`{}` has {n} rows", path.display())));
    }
    for (column, name) in [(1, "mixtral-8x7b"), (2, "gpt-4")] {
        let cell = |row: &csv::StringRecord, at: usize| row.get(at).unwrap_or_default().to_owned();
        pool.systems.push(System {
            name: name.to_owned(),
            texts: rows.iter().map(|row| Some(cell(row, column + 2))).collect(),
            flags: Some(rows.iter().map(|row| cell(row, column) == "True").collect()),
        });
    }
    Ok(())
}

fn lines(path: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    let parse = |(at, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|cause| {
            let place = format!("line {} of `{}`", at + 1, path.display());
            Error::inputs(format!("{place} is no JSON")).caused_by(cause)
        })
    };
    text.lines().enumerate().map(parse).collect()
}

fn text_of(value: &Value, key: &str) -> Result<String> {
    value[key]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Error::inputs(format!("a record has no text `{key}`")))
}
