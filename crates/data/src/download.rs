//! Downloads over HTTP(S): bounded in bytes, time, and attempts.
//!
//! The hub's own client could download too, but it neither stops at the manifest's length nor
//! checks a digest before the file gets its name; so one routine serves the hub and git hosts.

use std::time::Duration;

use ureq::Agent;
use ureq::config::RedirectAuthHeaders;

use crate::console::Progress;
use crate::places::Secret;
use crate::sink::{CopyError, Sink};

/// Attempts in all; then the next source is tried.
const ATTEMPTS_MAX: u32 = 3;
/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(20);
/// How long the server may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// The slowest acceptable connection; with it the whole download is bounded in time.
const BYTES_PER_SECOND_MIN: u64 = 20_000;

/// What to download, and how to ask.
pub(crate) struct Request<'a> {
    /// The address.
    pub(crate) url: String,
    /// Access token, sent to this host alone.
    pub(crate) token: Option<&'a Secret>,
    /// Whether the answer is the whole file rather than a part of it.
    pub(crate) is_whole: bool,
    /// The pause before the second attempt.
    pub(crate) pause: Duration,
}

/// Appends what `request` names to `sink`.
///
/// # Errors
/// Why it could not be had, after the last attempt.
pub(crate) fn append(
    request: &Request<'_>,
    sink: &mut Sink,
    progress: &mut Progress<'_>,
) -> Result<(), String> {
    let mark = sink.written();
    let agent = agent(&request.url, sink.room());
    let mut pause = request.pause;
    for attempt in 1..=ATTEMPTS_MAX {
        match once(&agent, request, sink, progress) {
            Ok(()) => return Ok(()),
            Err(trouble) if attempt < ATTEMPTS_MAX && trouble.may_pass => {
                sink.rewind(mark)
                    .map_err(|cause| format!("cannot start again: {cause}"))?;
                std::thread::sleep(pause);
                pause *= 4;
            }
            Err(trouble) => {
                let times = if attempt > 1 {
                    format!(" ({attempt} attempts)")
                } else {
                    String::new()
                };
                return Err(format!("`{}`: {}{times}", request.url, trouble.reason));
            }
        }
    }
    // The last attempt returns above.
    Err(format!("`{}`: no attempt was made", request.url))
}

/// Why an attempt failed, and whether another one may do better.
struct Trouble {
    may_pass: bool,
    reason: String,
}

fn once(
    agent: &Agent,
    request: &Request<'_>,
    sink: &mut Sink,
    progress: &mut Progress<'_>,
) -> Result<(), Trouble> {
    let lasting = |reason: String| Trouble {
        may_pass: false,
        reason,
    };
    let passing = |reason: String| Trouble {
        may_pass: true,
        reason,
    };
    let mut call = agent.get(&request.url);
    if let Some(token) = request.token {
        call = call.header("Authorization", format!("Bearer {}", token.expose()));
    }
    let mut response = call.call().map_err(|cause| Trouble {
        may_pass: may_pass(&cause),
        reason: cause.to_string(),
    })?;
    let is_page = response.body().mime_type() == Some("text/html") && !sink.is_page_wanted();
    if let Some(told) = response.body().content_length()
        && (told > sink.room() || request.is_whole && told != sink.room())
    {
        let reason = format!("it offers {told} bytes, {} are expected", sink.room());
        return Err(lasting(if is_page {
            CopyError::WebPage.to_string()
        } else {
            reason
        }));
    }
    // The sink has its own cap; the reader's default one is lower than some weights.
    let mut reader = response.body_mut().with_config().limit(u64::MAX).reader();
    let copied = sink.copy(&mut reader, &mut |done| progress.at(done));
    copied.map_err(|error| match error {
        CopyError::Read(_) => passing(error.to_string()),
        CopyError::TooLong(_) if is_page => lasting(CopyError::WebPage.to_string()),
        CopyError::Write(..) | CopyError::TooLong(_) | CopyError::WebPage => {
            lasting(error.to_string())
        }
    })
}

/// Whether the same question may be answered a moment later.
fn may_pass(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::StatusCode(status) => matches!(status, 408 | 425 | 429 | 500 | 502..=504),
        ureq::Error::Io(_)
        | ureq::Error::Timeout(_)
        | ureq::Error::Protocol(_)
        | ureq::Error::ConnectionFailed => true,
        _ => false,
    }
}

fn agent(url: &str, bytes: u64) -> Agent {
    let whole = SILENCE_MAX + Duration::from_secs(bytes / BYTES_PER_SECOND_MIN);
    let is_remote = url.starts_with("https://");
    let config = Agent::config_builder();
    // Without TLS an address is on this machine, where no proxy of the environment leads.
    let config = if is_remote {
        config
    } else {
        config.proxy(None)
    };
    config
        .https_only(is_remote)
        .redirect_auth_headers(RedirectAuthHeaders::SameHost)
        // Lengths are compared with the manifest's, so the bytes must come as they are.
        .accept_encoding("identity")
        .timeout_connect(Some(CONNECT_MAX))
        .timeout_recv_response(Some(SILENCE_MAX))
        .timeout_per_read(Some(SILENCE_MAX))
        .timeout_recv_body(Some(whole))
        .build()
        .into()
}
