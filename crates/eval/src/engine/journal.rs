//! `journal.jsonl`: what happened in a run, and when. Append-only; never part of a digest.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::provenance::now;
use crate::error::{Error, Result};

/// One entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// UTC, RFC 3339.
    pub at: String,
    /// What happened.
    pub event: Event,
    /// The cell it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<String>,
    /// How long it took, for the end of a cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_s: Option<f64>,
}

/// What can happen in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// The run was started for the first time.
    Started,
    /// The run was taken up again.
    Resumed,
    /// A cell's process was started.
    Measuring,
    /// A cell was finished.
    Finished,
    /// A cell's process ended without finishing the cell.
    Failed,
    /// The run was interrupted.
    Interrupted,
    /// All is done.
    Completed,
}

/// The open journal.
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens the journal for appending; a torn last line is cut off first.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn open(path: &Path) -> Result<Self> {
        let at_path = |e| Error::io("open", path, e);
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(at_path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(at_path)?;
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |last| last + 1);
        file.set_len(whole as u64).map_err(at_path)?;
        file.seek(SeekFrom::End(0)).map_err(at_path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Appends an entry in one write.
    ///
    /// # Errors
    /// The disk is full or the file cannot be written.
    pub fn push(&mut self, event: Event, cell: Option<&str>, wall_s: Option<f64>) -> Result<()> {
        let entry = Entry {
            at: now(),
            event,
            cell: cell.map(str::to_owned),
            wall_s,
        };
        let mut line = serde_json::to_vec(&entry)
            .map_err(|e| Error::internal("cannot encode a journal entry").caused_by(e))?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .map_err(|e| Error::io("append to", &self.path, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_cut_off_before_appending() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        Journal::open(&path)
            .unwrap()
            .push(Event::Started, None, None)
            .unwrap();
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend_from_slice(b"{\"at\":\"20");
        std::fs::write(&path, torn).unwrap();
        Journal::open(&path)
            .unwrap()
            .push(Event::Resumed, Some("c"), None)
            .unwrap();
        let entries: Vec<Entry> = crate::fs::read_json_lines(&path).unwrap();
        let events: Vec<Event> = entries.iter().map(|entry| entry.event).collect();
        assert_eq!(events, [Event::Started, Event::Resumed]);
    }
}
