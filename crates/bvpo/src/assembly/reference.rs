//! Reference log-probabilities kept on disk.
//!
//! The reference policy never changes, so `log π_ref` of a sequence is computed once per model. An
//! entry is keyed by the digest of the weights, the ids, and where scoring starts; a file of the
//! cache is written whole or not at all, so a kill loses at most the newest entries.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use eval::digest::{Digest, Hasher};
use eval::{Error, Result};
use serde::{Deserialize, Serialize};

use super::assembler::Sequence;

/// Format version of a file of the cache.
const FORMAT: u32 = 1;
/// Entries of a file.
const N_ENTRIES: usize = 64;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    format: u32,
    model: Digest,
    /// Sum of log-probabilities in nats, by key.
    entries: BTreeMap<String, f64>,
}

/// Reference log-probabilities of one model.
#[derive(Debug)]
pub struct ReferenceCache {
    folder: PathBuf,
    model: Digest,
    known: BTreeMap<String, f64>,
    fresh: BTreeMap<String, f64>,
    n_parts: usize,
}

impl ReferenceCache {
    /// Opens the cache of the model with this digest below `folder`, which is made when something
    /// is kept.
    ///
    /// # Errors
    /// A file cannot be read or is damaged.
    pub fn open(folder: &Path, model: Digest) -> Result<Self> {
        let folder = folder.join(&model.as_hex()[..16]);
        let mut cache = Self {
            folder,
            model,
            known: BTreeMap::new(),
            fresh: BTreeMap::new(),
            n_parts: 0,
        };
        while cache.part().is_file() {
            let path = cache.part();
            let part: Part = eval::fs::read_json(&path)?;
            if part.format != FORMAT || part.model != cache.model {
                let path = path.display();
                return Err(Error::inputs(format!(
                    "`{path}` holds log-probabilities of another model or format"
                ))
                .hint("remove the file: its entries are computed again"));
            }
            cache.known.extend(part.entries);
            cache.n_parts += 1;
        }
        Ok(cache)
    }

    /// `log π_ref` of the scored tokens, in nats, if it is known.
    #[must_use]
    pub fn get(&self, sequence: &Sequence) -> Option<f64> {
        let key = self.key(sequence);
        self.known
            .get(&key)
            .or_else(|| self.fresh.get(&key))
            .copied()
    }

    /// Keeps the log-probability of a sequence.
    ///
    /// # Errors
    /// It is not finite, or the disk refuses.
    pub fn put(&mut self, sequence: &Sequence, logprob: f64) -> Result<()> {
        if !logprob.is_finite() {
            return Err(Error::internal(format!(
                "the reference policy gives a sequence the log-probability {logprob}"
            )));
        }
        self.fresh.insert(self.key(sequence), logprob);
        if self.fresh.len() < N_ENTRIES {
            return Ok(());
        }
        self.flush()
    }

    /// Writes what is not on disk yet.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn flush(&mut self) -> Result<()> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        eval::fs::create_folder(&self.folder)?;
        let part = Part {
            format: FORMAT,
            model: self.model.clone(),
            entries: std::mem::take(&mut self.fresh),
        };
        eval::fs::write_json(&self.part(), &part)?;
        self.known.extend(part.entries);
        self.n_parts += 1;
        Ok(())
    }

    fn part(&self) -> PathBuf {
        self.folder.join(format!("part-{:06}.json", self.n_parts))
    }

    fn key(&self, sequence: &Sequence) -> String {
        let mut hasher = Hasher::new();
        hasher.update(self.model.as_hex().as_bytes());
        hasher.update(&(sequence.start as u64).to_le_bytes());
        for id in &sequence.ids {
            hasher.update(&id.to_le_bytes());
        }
        hasher.finish().as_hex().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(last: u32, start: usize) -> Sequence {
        Sequence {
            ids: vec![1, 2, last],
            start,
        }
    }

    #[test]
    fn entries_come_back_by_model_ids_and_start() {
        let folder = tempfile::tempdir().unwrap();
        let open = |model: &[u8]| ReferenceCache::open(folder.path(), Digest::of(model)).unwrap();
        let mut cache = open(b"a");
        let n = N_ENTRIES as u32 + 5;
        for last in 0..n {
            cache
                .put(&sequence(last, 1), -0.1 * f64::from(last))
                .unwrap();
        }
        assert_eq!(
            cache.get(&sequence(n - 1, 1)),
            Some(-0.1 * f64::from(n - 1))
        );
        // A kill here: what was not flushed is gone, the rest is there.
        drop(cache);
        let mut cache = open(b"a");
        assert_eq!(cache.get(&sequence(0, 1)), Some(0.0));
        assert_eq!(cache.get(&sequence(n - 1, 1)), None);
        cache.put(&sequence(n, 1), -1.0 / 3.0).unwrap();
        cache.flush().unwrap();
        let cache = open(b"a");
        assert_eq!(cache.get(&sequence(n, 1)), Some(-1.0 / 3.0), "to the bit");
        assert_eq!(cache.get(&sequence(n, 2)), None, "another start");
        assert_eq!(open(b"b").get(&sequence(0, 1)), None, "another model");
    }

    #[test]
    fn what_is_no_number_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut cache = ReferenceCache::open(folder.path(), Digest::of(b"a")).unwrap();
        assert!(cache.put(&sequence(1, 1), f64::NAN).is_err());
    }
}
