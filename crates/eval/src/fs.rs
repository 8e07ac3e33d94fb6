//! Durable writes and forgiving reads.
//!
//! A whole file is written to a temporary sibling, flushed, synced, and renamed, so that a reader
//! sees the old bytes or the new ones and never a part. Line files are append-only; a torn last
//! line is dropped, a torn line in the middle is corruption.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Replaces `path` by `bytes` in one step that survives a crash at any instant.
///
/// # Errors
/// The folder cannot be written, or the disk is full; the old file, if any, is then untouched.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = parent(path);
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let temporary = folder.join(format!(
        ".{}.{}.tmp",
        name.unwrap_or_default(),
        std::process::id()
    ));
    let written = write_and_sync(&temporary, bytes)
        .and_then(|()| std::fs::rename(&temporary, path))
        .and_then(|()| sync_folder(&folder));
    written.map_err(|cause| {
        // The error that matters is the first one; a leftover is swept by the next writer.
        let _ = std::fs::remove_file(&temporary);
        Error::io("write", path, cause)
    })
}

/// Writes `value` as indented JSON with [`write_atomic`].
///
/// # Errors
/// As [`write_atomic`].
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::io("encode", path, std::io::Error::other(e)))?;
    text.push('\n');
    write_atomic(path, text.as_bytes())
}

/// Reads a JSON file.
///
/// # Errors
/// The file cannot be read, or is not the JSON expected; the message names file, line, and column.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    serde_json::from_str(&text).map_err(|e| {
        Error::incomplete(format!("cannot understand `{}`", path.display())).caused_by(e)
    })
}

/// Reads a file of one JSON value per line; a missing file has no lines.
///
/// A last line without its line end is torn and dropped.
///
/// # Errors
/// The file cannot be read, or a whole line is not the JSON expected.
pub fn read_json_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(Error::io("read", path, cause)),
    };
    let mut values = Vec::new();
    for (line_idx, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let Some(line) = line.strip_suffix(b"\n") else {
            break;
        };
        values.push(serde_json::from_slice(line).map_err(|cause| {
            Error::incomplete(format!(
                "`{}` is damaged at line {}",
                path.display(),
                line_idx + 1
            ))
            .caused_by(cause)
            .hint("run the paper again: cells with damaged files are measured anew")
        })?);
    }
    Ok(values)
}

/// An append-only line file.
pub struct LineWriter {
    path: PathBuf,
    file: std::io::BufWriter<File>,
    n_lines: u64,
}

impl LineWriter {
    /// Starts the file anew.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(|e| Error::io("create", path, e))?;
        Ok(Self {
            path: path.to_owned(),
            file: std::io::BufWriter::new(file),
            n_lines: 0,
        })
    }

    /// Appends one value as one complete line.
    ///
    /// # Errors
    /// The disk is full or the file cannot be written.
    pub fn push<T: Serialize>(&mut self, value: &T) -> Result<()> {
        let mut line = serde_json::to_vec(value)
            .map_err(|e| Error::io("encode a line of", &self.path, std::io::Error::other(e)))?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .map_err(|e| Error::io("append to", &self.path, e))?;
        self.n_lines += 1;
        Ok(())
    }

    /// Hands all lines to the operating system.
    ///
    /// # Errors
    /// As [`LineWriter::push`].
    pub fn flush(&mut self) -> Result<()> {
        self.file
            .flush()
            .map_err(|e| Error::io("append to", &self.path, e))
    }

    /// Flushes, syncs to disk, and returns the number of lines.
    ///
    /// # Errors
    /// As [`LineWriter::push`].
    pub fn finish(mut self) -> Result<u64> {
        self.flush()?;
        self.file
            .get_ref()
            .sync_all()
            .map_err(|e| Error::io("sync", &self.path, e))?;
        Ok(self.n_lines)
    }
}

/// Creates a folder and its parents.
///
/// # Errors
/// A parent is a file, or cannot be written.
pub fn create_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|e| Error::io("create the folder", path, e))
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn write_and_sync(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a rename in `folder` durable.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    // Folders cannot be opened for syncing on every platform; the rename is atomic all the same.
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_dropped_and_a_torn_middle_line_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        std::fs::write(&path, "1\n2\n3").unwrap();
        assert_eq!(read_json_lines::<u32>(&path).unwrap(), [1, 2]);
        std::fs::write(&path, "1\n{\"a\n3\n").unwrap();
        let error = read_json_lines::<u32>(&path).unwrap_err();
        assert!(error.to_string().contains("damaged at line 2"), "{error}");
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        write_atomic(&path, b"old").unwrap();
        let blocked = folder.path().join("f").join("below-a-file");
        assert!(write_atomic(&blocked, b"new").is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no temporary is left"
        );
    }
}
