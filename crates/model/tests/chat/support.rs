//! Settings, requests, and one way to ask, so that every test says only what is special about it.
//!
//! When the environment holds a canary key (see `secrets`), every endpoint sends it, every report
//! and every log line goes to stderr, and caches stay on disk for the search.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Once;
use std::time::Duration;

use model::chat::{
    Asked, Attempt, ChatRequest, Endpoint, EndpointSettings, Message, RetryPolicy, Role, Timeouts,
};
use model::generate::Sampling;

/// Set by `secrets` to the canary when it starts this program again.
pub const KEY_ENV: &str = "MODEL_CHAT_TEST_KEY";
/// A folder that outlives the tests.
pub const FOLDER_ENV: &str = "MODEL_CHAT_TEST_FOLDER";

/// Long enough that no healthy exchange on a busy machine takes it.
pub const LONG_MS: u64 = 60_000;
/// Short, for silence that is to be noticed.
pub const SHORT_MS: u64 = 150;

pub fn settings(address: &str) -> EndpointSettings {
    let mut settings = EndpointSettings::new(address, "m");
    settings.timeouts = Timeouts {
        connect_ms: LONG_MS,
        first_byte_ms: LONG_MS,
        between_bytes_ms: LONG_MS,
        total_ms: LONG_MS,
    };
    settings.retry = RetryPolicy {
        n_attempts_max: 4,
        base_ms: 1,
        cap_ms: 4,
        retry_after_max_ms: 30,
        seed: 0,
    };
    if std::env::var_os(KEY_ENV).is_some() {
        log_everything();
        settings.key_env = Some(KEY_ENV.to_owned());
        settings.cache = Some(kept_folder());
    }
    settings
}

/// A new folder below the one that is searched for the key.
fn kept_folder() -> PathBuf {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static N: AtomicUsize = AtomicUsize::new(0);
    let n = N.fetch_add(1, Ordering::Relaxed);
    PathBuf::from(std::env::var_os(FOLDER_ENV).unwrap()).join(n.to_string())
}

pub fn endpoint(settings: EndpointSettings) -> Endpoint {
    Endpoint::new(settings).unwrap()
}

pub fn request(text: &str) -> ChatRequest {
    ChatRequest {
        messages: vec![Message::new(Role::User, text)],
        n_samples: 1,
        n_tokens_max: 32,
        sampling: Sampling {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            seed: 1,
        },
        stop: Vec::new(),
    }
}

/// Asks once, in bounded time; in a search for the key, prints all there is to print.
pub async fn ask(endpoint: &Endpoint, request: &ChatRequest) -> Asked {
    let asked = tokio::time::timeout(Duration::from_millis(LONG_MS), endpoint.ask(request))
        .await
        .unwrap();
    if std::env::var_os(KEY_ENV).is_some() {
        let report = match &asked.answer {
            Ok(answer) => serde_json::to_string(answer).unwrap(),
            Err(error) => format!("{}\n{error:?}", error.report()),
        };
        let mut stderr = std::io::stderr().lock();
        writeln!(stderr, "{report}\n{asked:?}\n{endpoint:?}").unwrap();
    }
    asked
}

/// The error of a request that must fail.
pub fn report(asked: &Asked) -> String {
    asked.answer.as_ref().unwrap_err().report()
}

/// Status or fault of each attempt.
pub fn outcomes(attempts: &[Attempt]) -> Vec<String> {
    attempts
        .iter()
        .map(|attempt| match (&attempt.status, &attempt.fault) {
            (Some(status), None) => status.to_string(),
            (Some(status), Some(fault)) => format!("{status} {fault}"),
            (None, Some(fault)) => fault.clone(),
            (None, None) => "nothing".to_owned(),
        })
        .collect()
}

/// Prints every event and span of every library.
fn log_everything() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Log).unwrap());
}

struct Log;

struct Line(String);

impl tracing::field::Visit for Line {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

impl Log {
    fn print(&self, line: Line) {
        writeln!(std::io::stderr().lock(), "log:{}", line.0).unwrap();
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        let mut line = Line(span.metadata().name().to_owned());
        span.record(&mut line);
        self.print(line);
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        self.print(line);
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(event.metadata().target().to_owned());
        event.record(&mut line);
        self.print(line);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
