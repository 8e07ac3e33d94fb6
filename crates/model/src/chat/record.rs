//! Conversations written down as they happen: one complete JSON line each.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use eval::{Error, Result};
use serde::{Deserialize, Serialize};

use super::attempts::{AttemptRecord, Attempts};
use super::interface::{BoxFuture, ChatAnswer, ChatModel, ChatRequest};

/// Version of the lines.
pub(super) const FORMAT: u32 = 1;

/// One line of a transcript: a request and its answer, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Version of the line.
    pub format: u32,
    /// The role that was played, where a paper has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Name of whoever was asked.
    pub model: String,
    /// The question.
    pub request: ChatRequest,
    /// The answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<ChatAnswer>,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Record {
    /// The line for one outcome.
    pub fn new(
        role: Option<&str>,
        model: &str,
        request: &ChatRequest,
        outcome: &Result<ChatAnswer>,
    ) -> Self {
        Self {
            format: FORMAT,
            role: role.map(str::to_owned),
            model: model.to_owned(),
            request: request.clone(),
            answer: outcome.as_ref().ok().cloned(),
            error: outcome.as_ref().err().map(Error::to_string),
        }
    }
}

/// Lets a model answer and appends every outcome to a file that [`super::Replay`] reads.
///
/// Lines come in the order in which answers come. One recorder writes to one file.
pub struct Recorder<M> {
    model: M,
    path: PathBuf,
    file: Mutex<File>,
}

impl<M: ChatModel> Recorder<M> {
    /// Goes on with the file at `path`, or begins it. A torn last line, left by a crash, is cut off
    /// so that it does not run into the next one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn open(model: M, path: &Path) -> Result<Self> {
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)
            .map_err(|cause| Error::io("open", path, cause))?;
        cut_torn_line(&mut file).map_err(|cause| Error::io("mend", path, cause))?;
        Ok(Self {
            model,
            path: path.to_owned(),
            file: Mutex::new(file),
        })
    }

    fn append(&self, record: &Record) -> Result<()> {
        let mut line = serde_json::to_vec(record)
            .map_err(|e| Error::io("encode a line of", &self.path, std::io::Error::other(e)))?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line)
            .map_err(|cause| Error::io("append to", &self.path, cause))
    }
}

impl<M: ChatModel> ChatModel for Recorder<M> {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn chat<'a>(&'a self, request: &'a ChatRequest) -> BoxFuture<'a, Result<ChatAnswer>> {
        Box::pin(async move {
            let outcome = self.model.chat(request).await;
            self.append(&Record::new(None, self.name(), request, &outcome))?;
            outcome
        })
    }

    fn attempts(&self) -> Option<&Attempts> {
        self.model.attempts()
    }
}

/// Cuts the file after its last line end, reading backwards in pieces.
fn cut_torn_line(file: &mut File) -> std::io::Result<()> {
    const PIECE_BYTES: u64 = 1 << 16;
    let mut end = file.seek(SeekFrom::End(0))?;
    let n_bytes = end;
    let mut piece = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(PIECE_BYTES);
        file.seek(SeekFrom::Start(start))?;
        piece.clear();
        file.take(end - start).read_to_end(&mut piece)?;
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            end = start + at as u64 + 1;
            break;
        }
        end = start;
    }
    if end < n_bytes {
        file.set_len(end)?;
    }
    Ok(())
}

/// A line of the log of attempts, as it stands in a transcript beside [`Record`]s of failures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttemptsLine {
    pub(super) format: u32,
    pub(super) role: String,
    pub(super) attempts: AttemptRecord,
}
