//! Answers kept on disk, one JSON file per question.
//!
//! A file's name is the SHA-256 of address, path, and body as they are sent; the file repeats them,
//! and an entry that answers another question, is torn, or is of another format is dropped and
//! asked anew. Files appear whole or not at all, so any number of processes may share a folder.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use eval::digest::{Digest, Hasher};
use eval::fs::{create_folder, write_atomic};
use eval::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of the files; readers drop others.
pub(super) const FORMAT: u32 = 1;

/// No entry is larger: twice the default limit on an answer, whose text is escaped at most so far.
const ENTRY_BYTES_MAX: u64 = 256 << 20;

/// What is sent, and so what an answer is kept under.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// Address of the endpoint.
    pub(super) address: String,
    /// Path below it.
    pub(super) path: String,
    /// The body as it is sent.
    pub(super) body: Value,
}

/// One file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry<R, A> {
    pub(super) format: u32,
    pub(super) question: Question,
    /// The request in our own words, from which the question was made.
    pub(super) request: R,
    pub(super) answer: A,
}

/// A folder of answers.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
}

/// The name under which a body's answer is kept: every part preceded by its length.
pub(super) fn key(address: &str, path: &str, body: &[u8]) -> Digest {
    let mut hasher = Hasher::new();
    let format = FORMAT.to_string();
    for part in [format.as_bytes(), address.as_bytes(), path.as_bytes(), body] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finish()
}

impl Cache {
    pub(super) fn open(folder: &Path) -> Result<Self> {
        create_folder(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    fn path(&self, key: &Digest) -> PathBuf {
        self.folder.join(format!("{key}.json"))
    }

    /// The answer to `question`, if a whole and fitting one is there.
    pub(super) fn get<A: DeserializeOwned>(&self, key: &Digest, question: &Question) -> Option<A> {
        let path = self.path(key);
        let entry: Entry<serde::de::IgnoredAny, A> = match read_entry(&path) {
            Ok(entry) => entry?,
            Err(error) => {
                tracing::warn!(%error, "a damaged cache entry is dropped and asked anew");
                return None;
            }
        };
        if entry.question != *question {
            tracing::warn!(
                path = %path.display(),
                "a cache entry answers another question; it is dropped and asked anew"
            );
            return None;
        }
        Some(entry.answer)
    }

    /// Keeps an answer; an entry of the same name is replaced in one step.
    pub(super) fn put<R: Serialize, A: Serialize>(
        &self,
        key: &Digest,
        entry: &Entry<R, A>,
    ) -> Result<()> {
        static N_WRITTEN: AtomicU64 = AtomicU64::new(0);
        let path = self.path(key);
        let mut text = serde_json::to_vec_pretty(entry)
            .map_err(|e| Error::io("encode", &path, std::io::Error::other(e)))?;
        text.push(b'\n');
        // A name of its own for each writer, of this process and of others: two that answer the
        // same question never write into one file.
        let n = N_WRITTEN.fetch_add(1, Ordering::Relaxed);
        let own = self.folder.join(format!(
            ".{}.{}.{n}.part",
            &key.as_hex()[..16],
            std::process::id()
        ));
        write_atomic(&own, &text)?;
        std::fs::rename(&own, &path).map_err(|cause| {
            let _ = std::fs::remove_file(&own);
            Error::io("write", &path, cause)
        })
    }
}

/// One file; `None` where there is none.
pub(super) fn read_entry<R: DeserializeOwned, A: DeserializeOwned>(
    path: &Path,
) -> Result<Option<Entry<R, A>>> {
    let n_bytes = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(Error::io("read", path, cause)),
    };
    let damaged = |what: &str| Error::inputs(format!("`{}` {what}", path.display()));
    if n_bytes > ENTRY_BYTES_MAX {
        return Err(damaged("is larger than any cache entry"));
    }
    let bytes = std::fs::read(path).map_err(|cause| Error::io("read", path, cause))?;
    let entry: Entry<R, A> = serde_json::from_slice(&bytes)
        .map_err(|cause| damaged("is no cache entry").caused_by(cause))?;
    if entry.format != FORMAT {
        return Err(damaged(&format!("has format {}", entry.format)));
    }
    Ok(Some(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(body: &str) -> Question {
        Question {
            address: "http://h/v1/".to_owned(),
            path: "p".to_owned(),
            body: Value::from(body),
        }
    }

    fn entry(body: &str, answer: &str) -> Entry<u32, String> {
        Entry {
            format: FORMAT,
            question: question(body),
            request: 1,
            answer: answer.to_owned(),
        }
    }

    #[test]
    fn damaged_entries_are_dropped_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let key = key("a", "p", b"b");
        let get = || cache.get::<String>(&key, &question("b"));
        assert_eq!(get(), None);
        cache.put(&key, &entry("b", "yes")).unwrap();
        assert_eq!(get().as_deref(), Some("yes"));
        let path = cache.path(&key);
        let whole = std::fs::read(&path).unwrap();
        for n_bytes in 0..whole.len() - 1 {
            std::fs::write(&path, &whole[..n_bytes]).unwrap();
            assert_eq!(get(), None, "torn after {n_bytes} bytes");
        }
        let other = String::from_utf8(whole).unwrap();
        std::fs::write(&path, other.replace("\"format\": 1", "\"format\": 2")).unwrap();
        assert_eq!(get(), None, "another format");
        cache.put(&key, &entry("b", "again")).unwrap();
        assert_eq!(get().as_deref(), Some("again"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_entry_under_the_wrong_name_is_no_answer() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let key = key("a", "p", b"b");
        cache.put(&key, &entry("another", "no")).unwrap();
        assert_eq!(cache.get::<String>(&key, &question("b")), None);
    }

    #[test]
    fn parts_of_a_question_do_not_run_together() {
        assert_ne!(key("a", "bc", b""), key("ab", "c", b""));
        assert_ne!(key("a", "b", b"c"), key("a", "bc", b""));
    }

    #[test]
    fn many_writers_leave_one_whole_entry() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let key = key("a", "p", b"b");
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let (cache, key) = (&cache, &key);
                scope.spawn(move || {
                    for _ in 0..10 {
                        let long = format!("{writer}").repeat(20_000);
                        cache.put(key, &entry("b", &long)).unwrap();
                        let read: String = cache.get(key, &question("b")).unwrap();
                        assert_eq!(read.len(), 20_000);
                        assert!(read.bytes().all(|byte| byte == read.as_bytes()[0]));
                    }
                });
            }
        });
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
