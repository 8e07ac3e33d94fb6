//! What was sent, how it ended, and how long the client waited before it tried again.

use std::sync::{Arc, Mutex, PoisonError};

use eval::digest::Digest;
use serde::{Deserialize, Serialize};

/// One time a question was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// When it began, counted from the first attempt. For people and transcripts, never for rows.
    pub offset_ms: u64,
    /// The status of the answer, where one came.
    pub status: Option<u16>,
    /// The fault, where no usable answer came: `connect`, `timeout_first_byte`, `broken`, …
    pub fault: Option<String>,
    /// The pause that followed; 0 after the last attempt.
    pub wait_ms: u64,
}

/// The attempts that one request took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptRecord {
    /// Digest of what was sent, the same as in the cache.
    pub request: Digest,
    /// First to last. The request got an answer if the last one has a status and no fault.
    pub attempts: Vec<Attempt>,
}

/// A log of attempts that clones share. It holds answered and failed requests alike.
#[derive(Clone, Debug, Default)]
pub struct Attempts(Arc<Mutex<Vec<AttemptRecord>>>);

impl Attempts {
    /// Empties the log, sorted by digest so that it does not tell in which order requests ended.
    #[must_use]
    pub fn take(&self) -> Vec<AttemptRecord> {
        let mut records = std::mem::take(&mut *self.lock());
        records.sort_by(|a, b| a.request.cmp(&b.request));
        records
    }

    /// Adds what one request took.
    pub(super) fn push(&self, record: AttemptRecord) {
        self.lock().push(record);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<AttemptRecord>> {
        // A push cannot leave the vector half-changed, so a poisoned lock is still good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
