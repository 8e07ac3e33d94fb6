//! What is tried again and after which pause: pure decisions, without a clock or a network.

use std::time::{Duration, SystemTime};

use eval::digest::{Digest, Hasher};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::settings::RetryPolicy;

/// Why no complete answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No connection: refused, unreachable, name unknown, or no secure channel.
    Connect,
    /// No connection in time.
    TimeoutConnect,
    /// No head of an answer in time.
    TimeoutFirstByte,
    /// The body stopped coming.
    TimeoutBetweenBytes,
    /// The attempt took too long as a whole.
    TimeoutTotal,
    /// The connection ended, or spoke something else than HTTP, before the answer was complete.
    Broken,
}

impl Fault {
    /// The name in logs of attempts.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::TimeoutConnect => "timeout_connect",
            Self::TimeoutFirstByte => "timeout_first_byte",
            Self::TimeoutBetweenBytes => "timeout_between_bytes",
            Self::TimeoutTotal => "timeout_total",
            Self::Broken => "broken",
        }
    }

    /// The fault in words.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Connect => "the connection was not made",
            Self::TimeoutConnect => "the connection was not made in time",
            Self::TimeoutFirstByte => "no answer began in time",
            Self::TimeoutBetweenBytes => "the answer stopped coming",
            Self::TimeoutTotal => "the answer was not complete in time",
            Self::Broken => "the connection broke or spoke no HTTP before the answer was complete",
        }
    }

    /// Whether the server may have worked on the question, and may charge for it.
    pub(super) fn may_be_billed(self) -> bool {
        match self {
            Self::Connect | Self::TimeoutConnect => false,
            Self::TimeoutFirstByte
            | Self::TimeoutBetweenBytes
            | Self::TimeoutTotal
            | Self::Broken => true,
        }
    }
}

/// Whether a status asks for another attempt: 408 and 425 say that the server did not read the
/// request, 409 and 429 that it was busy (RFC 9110, RFC 8470, RFC 6585), 5xx that it failed.
pub(super) fn status_is_retried(status: u16) -> bool {
    matches!(status, 408 | 409 | 425 | 429 | 500..=599)
}

/// The pause that `Retry-After` asks for (RFC 9110, section 10.2.3): seconds, or a date.
/// `None` for anything else; a date that has passed asks for no pause.
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a u64 holds mean "very long"; the caller's cap applies.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

impl RetryPolicy {
    /// The pause after attempt `attempt_idx` (from 0) of `request`, in milliseconds.
    pub(super) fn wait_ms(
        &self,
        request: &Digest,
        attempt_idx: u32,
        asked: Option<Duration>,
    ) -> u64 {
        let doubled = 1_u64.checked_shl(attempt_idx).unwrap_or(u64::MAX);
        let upper_ms = self.base_ms.saturating_mul(doubled).min(self.cap_ms);
        let mut hasher = Hasher::new();
        hasher.update(b"chat retry jitter");
        hasher.update(&self.seed.to_le_bytes());
        hasher.update(&request.to_bytes());
        hasher.update(&attempt_idx.to_le_bytes());
        let mut stream = ChaCha20Rng::from_seed(hasher.finish().to_bytes());
        // The upper half of the product of two 64-bit numbers: even over 0..=upper_ms up to a bias
        // of upper_ms / 2^64.
        let scaled = u128::from(stream.next_u64()) * (u128::from(upper_ms) + 1);
        let jittered_ms = (scaled >> 64) as u64;
        let asked_ms = asked.map_or(0, |asked| {
            u64::try_from(asked.as_millis())
                .unwrap_or(u64::MAX)
                .min(self.retry_after_max_ms)
        });
        jittered_ms.max(asked_ms)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        // 784111777 s is RFC 9110's own example of a date, section 5.6.7.
        let example = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let before = example - Duration::from_secs(90);
        let check = |value: &str, expected: Option<u64>| {
            let asked = retry_after(value, before);
            assert_eq!(asked, expected.map(Duration::from_secs), "{value}");
        };
        check("120", Some(120));
        check(" 0 ", Some(0));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(90));
        check("Sunday, 06-Nov-94 08:49:37 GMT", Some(90));
        check("Sun Nov  6 08:49:37 1994", Some(90));
        check("Sun, 06 Nov 1994 08:00:00 GMT", Some(0));
        check("99999999999999999999999999", Some(u64::MAX));
        for nonsense in [
            "",
            "-1",
            "1.5",
            "soon",
            "1e3",
            "Sun, 99 Nov 1994 08:49:37 GMT",
        ] {
            check(nonsense, None);
        }
    }

    #[test]
    fn pauses_fill_their_range_and_double_up_to_the_cap() {
        let policy = RetryPolicy {
            n_attempts_max: 10,
            base_ms: 100,
            cap_ms: 1000,
            retry_after_max_ms: 5000,
            seed: 7,
        };
        let upper = [100, 200, 400, 800, 1000, 1000];
        for (attempt_idx, upper_ms) in upper.into_iter().enumerate() {
            let waits: Vec<u64> = (0_u64..400)
                .map(|i| Digest::of(&i.to_le_bytes()))
                .map(|request| policy.wait_ms(&request, attempt_idx as u32, None))
                .collect();
            let mean = waits.iter().sum::<u64>() as f64 / 400.0;
            // Even on 0..=u: mean u/2, standard error u/√(12·400); five of them never miss.
            let slack = 5.0 * upper_ms as f64 / (12.0_f64 * 400.0).sqrt();
            assert!((mean - upper_ms as f64 / 2.0).abs() < slack, "{mean}");
            assert!(waits.iter().all(|wait| *wait <= upper_ms));
        }
        let request = Digest::of(b"r");
        assert!(policy.wait_ms(&request, 200, None) <= 1000);
    }

    #[test]
    fn pauses_repeat_and_depend_on_seed_and_request() {
        let policy = RetryPolicy::default();
        let other = RetryPolicy { seed: 1, ..policy };
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let wait = policy.wait_ms(&a, 3, None);
        assert_eq!(wait, policy.wait_ms(&a, 3, None));
        assert_ne!(wait, policy.wait_ms(&b, 3, None));
        assert_ne!(wait, other.wait_ms(&a, 3, None));
    }

    #[test]
    fn the_server_is_obeyed_up_to_the_cap() {
        let policy = RetryPolicy::default();
        let request = Digest::of(b"r");
        let minute = policy.wait_ms(&request, 0, Some(Duration::from_secs(60)));
        assert_eq!(minute, 60_000);
        let for_ever = policy.wait_ms(&request, 0, Some(Duration::from_secs(u64::MAX)));
        assert_eq!(for_ever, policy.retry_after_max_ms);
    }

    #[test]
    fn exactly_these_statuses_are_retried() {
        let retried: Vec<u16> = (100..600).filter(|s| status_is_retried(*s)).collect();
        let expected: Vec<u16> = [408, 409, 425, 429].into_iter().chain(500..600).collect();
        assert_eq!(retried, expected);
    }
}
