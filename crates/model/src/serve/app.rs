//! What the server serves, under which name, and within which limits.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use eval::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::engine::Engine;
use super::{ApiError, Codec, ServedModel};

/// How a server answers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name that requests must give in `model`.
    pub model_id: String,
    /// The bearer key that requests must carry, where one is asked for.
    pub key: Option<Key>,
    /// The server is reached through the loopback interface only: requests whose `Host` header
    /// names anything else come from a page that a browser was led to, and are refused.
    pub is_loopback: bool,
    /// Seed of requests that give none: the same question then has the same answer.
    pub seed: u64,
    /// Bounds on what a request may cost.
    pub limits: Limits,
}

/// Bounds on what a request may cost. They refuse requests and change no answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Bytes of a body.
    pub n_body_bytes_max: usize,
    /// Tokens of a prompt; the context of the model is a limit of its own.
    pub n_prompt_tokens_max: usize,
    /// Answers to one request: `n` times the number of prompts.
    pub n_samples_max: usize,
    /// Requests being answered or waiting; one more is refused with 429.
    pub n_requests_max: usize,
    /// Open connections; further ones wait to be accepted.
    pub n_connections_max: usize,
    /// From the arrival of a request to the end of its answer.
    pub answer_wait: Duration,
    /// For a body to arrive.
    pub body_wait: Duration,
    /// For running answers to end after the server was asked to stop.
    pub stop_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            n_body_bytes_max: 4 << 20,
            n_prompt_tokens_max: usize::MAX,
            n_samples_max: 64,
            n_requests_max: 64,
            n_connections_max: 256,
            answer_wait: Duration::from_secs(600),
            body_wait: Duration::from_secs(20),
            stop_wait: Duration::from_secs(10),
        }
    }
}

/// A bearer key. It cannot be printed.
#[derive(Clone)]
pub struct Key(String);

impl Key {
    /// A key of at least one visible ASCII character and no other kind.
    ///
    /// # Errors
    /// The text could not stand in a header.
    pub fn new(text: String) -> Result<Self> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Self(text));
        }
        Err(Error::usage(format!(
            "the key in `{}` is empty or has characters that a header cannot carry",
            super::KEY_VARIABLE
        ))
        .hint("use letters, digits, and punctuation, or unset the variable"))
    }

    /// The key in the environment variable [`KEY_VARIABLE`](super::KEY_VARIABLE), where it is set.
    ///
    /// # Errors
    /// As [`Key::new`].
    pub fn from_env() -> Result<Option<Self>> {
        let value = std::env::var_os(super::KEY_VARIABLE);
        let text = value.map(|value| value.to_string_lossy().into_owned());
        text.map(Self::new).transpose()
    }

    /// Whether a request gave this key. The time taken does not tell how much of it was right.
    pub(super) fn is(&self, given: &str) -> bool {
        let pairs = self.0.bytes().zip(given.bytes());
        let differing = pairs.fold(0, |seen, (ours, theirs)| seen | (ours ^ theirs));
        self.0.len() == given.len() && differing == 0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(hidden)")
    }
}

/// A model ready to be served. Clones share everything.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    engine: Engine,
    codec: Arc<dyn Codec>,
    settings: Settings,
    n_context: usize,
    started_s: u64,
    n_answers: AtomicU64,
    places: Arc<Semaphore>,
}

impl App {
    /// Starts the engine's thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn new(
        model: Arc<dyn ServedModel>,
        codec: Arc<dyn Codec>,
        settings: Settings,
    ) -> Result<Self> {
        let n_context = model.n_context();
        let places = Arc::new(Semaphore::new(settings.limits.n_requests_max));
        Ok(Self(Arc::new(Inner {
            engine: Engine::start(model)?,
            codec,
            n_context,
            started_s: now_s(),
            n_answers: AtomicU64::new(0),
            places,
            settings,
        })))
    }

    /// How it answers.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.0.settings.limits
    }

    pub(super) fn codec(&self) -> &Arc<dyn Codec> {
        &self.0.codec
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(super) fn n_context(&self) -> usize {
        self.0.n_context
    }

    /// When the server started, in seconds since 1970: the protocol wants it of every model.
    pub(super) fn started_s(&self) -> u64 {
        self.0.started_s
    }

    /// A place among the requests being answered; it is free again when the permit is dropped.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        const RETRY_AFTER_S: u64 = 1;
        Arc::clone(&self.0.places)
            .try_acquire_owned()
            .map_err(|_| ApiError::busy(self.limits().n_requests_max, RETRY_AFTER_S))
    }

    /// Identity of one answer.
    pub(super) fn new_answer(&self, prefix: &str) -> AnswerId {
        let number = self.0.n_answers.fetch_add(1, Ordering::Relaxed);
        AnswerId {
            id: format!("{prefix}-{:08x}{number:08x}", self.0.started_s),
            created_s: now_s(),
            model: self.0.settings.model_id.clone(),
        }
    }
}

/// What every document of one answer repeats.
#[derive(Clone, Debug)]
pub(super) struct AnswerId {
    /// Unique within the server's life.
    pub id: String,
    /// Seconds since 1970.
    pub created_s: u64,
    /// The model's name.
    pub model: String,
}

fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_compared_whole_and_never_printed() {
        let key = Key::new("canary-7431".to_owned()).unwrap();
        assert!(key.is("canary-7431"));
        for other in ["canary-743", "canary-74311", "canary-7432", ""] {
            assert!(!key.is(other), "{other}");
        }
        assert!(!format!("{key:?}").contains("canary"));
        for bad in ["", "two words", "line\nbreak", "größe"] {
            assert!(Key::new(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
