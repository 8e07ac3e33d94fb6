//! One recorded sample and its file: JSON lines, one sample a line.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use eval::{Error, Result};
use serde::{Deserialize, Serialize};

/// One answer of one model to one question.
///
/// The line holds whatever is needed to recompute every table without the model: the raw text, so
/// that another extractor can be tried; the parsed answer and the normalised reference, which are
/// compared as text; and the cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedSample {
    /// The question's name, unique over all tasks: `country-capital/12`.
    pub question: String,
    /// The group of questions it belongs to: `country-capital`.
    pub task: String,
    /// The half it belongs to: `validation`, `test`.
    pub split: String,
    /// The model's name in the pool: `gemma-arrow-5`.
    pub model: String,
    /// Which of the k samples, from 0.
    pub sample: u32,
    /// Sampling temperature; 0 for greedy decoding.
    pub temperature: f64,
    /// The seed of this sample.
    pub seed: u64,
    /// The text as the model wrote it.
    pub text: String,
    /// The normalised answer; none where the text has none.
    pub answer: Option<String>,
    /// The normalised reference.
    pub reference: String,
    /// Tokens of the prompt.
    pub n_prompt_tokens: u64,
    /// Tokens generated.
    pub n_generated_tokens: u64,
}

/// Reads a recording; a torn last line (without its line feed) is dropped.
///
/// # Errors
/// The file cannot be read, or a whole line is no record; the message names file and line.
pub fn read_records(path: &Path) -> Result<Vec<RecordedSample>> {
    let file = std::fs::File::open(path).map_err(|cause| Error::io("read", path, cause))?;
    let mut lines = BufReader::new(file);
    let mut records = Vec::new();
    let mut line = String::new();
    for n_line in 1u64.. {
        line.clear();
        let n_bytes = lines
            .read_line(&mut line)
            .map_err(|cause| Error::io("read", path, cause))?;
        if n_bytes == 0 || !line.ends_with('\n') {
            break;
        }
        let record = serde_json::from_str(&line).map_err(|cause| {
            let place = format!("line {n_line} of `{}`", path.display());
            Error::inputs(format!("{place} is no recorded sample")).caused_by(cause)
        })?;
        records.push(record);
    }
    Ok(records)
}

/// Writes a recording: a temporary sibling first, which then gets the name.
///
/// # Errors
/// The file cannot be written.
pub fn write_records(path: &Path, records: &[RecordedSample]) -> Result<()> {
    let sibling = path.with_extension("jsonl.part");
    let failed = |cause| Error::io("write", &sibling, cause);
    let mut file = BufWriter::new(std::fs::File::create(&sibling).map_err(failed)?);
    for record in records {
        let line = serde_json::to_string(record)
            .map_err(|cause| Error::internal("a sample has no JSON form").caused_by(cause))?;
        writeln!(file, "{line}").map_err(failed)?;
    }
    let file = file
        .into_inner()
        .map_err(|cause| failed(cause.into_error()))?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(&sibling, path).map_err(|cause| Error::io("write", path, cause))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A record with the given essentials.
    pub(crate) fn record(
        question: &str,
        model: &str,
        sample: u32,
        answer: Option<&str>,
    ) -> RecordedSample {
        RecordedSample {
            question: question.to_owned(),
            task: "task".to_owned(),
            split: "test".to_owned(),
            model: model.to_owned(),
            sample,
            temperature: 0.5,
            seed: u64::from(sample),
            text: answer.unwrap_or("?").to_owned(),
            answer: answer.map(str::to_owned),
            reference: "right".to_owned(),
            n_prompt_tokens: 10,
            n_generated_tokens: 2,
        }
    }

    #[test]
    fn a_recording_reads_back_and_a_torn_end_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.jsonl");
        let records = vec![
            record("q", "m", 0, Some("right")),
            record("q", "m", 1, None),
        ];
        write_records(&path, &records).unwrap();
        assert_eq!(read_records(&path).unwrap(), records);
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.truncate(text.len() - 3);
        std::fs::write(&path, text).unwrap();
        assert_eq!(read_records(&path).unwrap(), records[..1]);
    }

    #[test]
    fn a_line_that_is_no_record_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.jsonl");
        std::fs::write(&path, "{}\n").unwrap();
        let error = read_records(&path).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }
}
