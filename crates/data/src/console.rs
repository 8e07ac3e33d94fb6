//! Where messages for a person go, and how long work shows that it is alive.

use std::time::{Duration, Instant};

/// Work shorter than this says nothing about its progress.
const QUIET: Duration = Duration::from_secs(2);
/// How often a line is written where no line can be overwritten.
const PLAIN_EVERY: Duration = Duration::from_secs(30);
/// How often the line on a terminal is overwritten.
const TERMINAL_EVERY: Duration = Duration::from_millis(200);

/// Receives messages for a person; data never goes here.
pub trait Console {
    /// One whole line.
    fn line(&self, text: &str);
    /// A line that the next one replaces; only called where [`Console::is_terminal`].
    fn status(&self, text: &str);
    /// Whether a line can be replaced.
    fn is_terminal(&self) -> bool;
}

/// How far some long work is.
pub(crate) struct Progress<'a> {
    console: &'a dyn Console,
    what: String,
    total: u64,
    started: Instant,
    shown: Option<Instant>,
}

impl<'a> Progress<'a> {
    /// Starts the clock on work of `total` bytes.
    pub(crate) fn start(console: &'a dyn Console, what: &str, total: u64) -> Self {
        Self {
            console,
            what: what.to_owned(),
            total,
            started: Instant::now(),
            shown: None,
        }
    }

    /// Says that `done` bytes are there, if it is time to say so.
    pub(crate) fn at(&mut self, done: u64) {
        let elapsed = self.started.elapsed();
        let line = progress_line(&self.what, done, self.total, elapsed);
        self.show(elapsed, &line);
    }

    /// Says that work of unknown extent goes on.
    pub(crate) fn alive(&mut self) {
        let elapsed = self.started.elapsed();
        let line = format!(
            "  {}: still at work after {} s",
            self.what,
            elapsed.as_secs()
        );
        self.show(elapsed, &line);
    }

    fn show(&mut self, elapsed: Duration, line: &str) {
        let every = if self.console.is_terminal() {
            TERMINAL_EVERY
        } else {
            PLAIN_EVERY
        };
        if elapsed < QUIET || self.shown.is_some_and(|shown| shown.elapsed() < every) {
            return;
        }
        self.shown = Some(Instant::now());
        if self.console.is_terminal() {
            self.console.status(line);
        } else {
            self.console.line(line);
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if self.shown.is_some() && self.console.is_terminal() {
            self.console.status("");
        }
    }
}

/// `4.2 MB`; powers of 1000, as the units say.
///
/// ```
/// assert_eq!(data::console::human_bytes(999), "999 B");
/// assert_eq!(data::console::human_bytes(98_362_432), "98.4 MB");
/// ```
#[must_use]
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        // 999.95 would be shown as 1000.0.
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}

fn progress_line(what: &str, done: u64, total: u64, elapsed: Duration) -> String {
    let shown = format!("  {what}: {} of {}", human_bytes(done), human_bytes(total));
    let rate = done as f64 / elapsed.as_secs_f64().max(1e-3);
    if done == 0 || done >= total {
        return shown;
    }
    let left = (total - done) as f64 / rate;
    format!(
        "{shown}, {}/s, {} left",
        human_bytes(rate as u64),
        human_seconds(left)
    )
}

fn human_seconds(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    match seconds {
        0..=99 => format!("{seconds} s"),
        100..=5999 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_tells_rate_and_time_left() {
        let line = progress_line("weights", 25_000_000, 100_000_000, Duration::from_secs(5));
        assert_eq!(line, "  weights: 25.0 MB of 100.0 MB, 5.0 MB/s, 15 s left");
        let line = progress_line("weights", 0, 100, Duration::from_secs(5));
        assert_eq!(line, "  weights: 0 B of 100 B");
    }

    #[test]
    fn units_change_where_the_shown_digits_would_overflow() {
        assert_eq!(human_bytes(1000), "1.0 kB");
        assert_eq!(human_bytes(999_949), "999.9 kB");
        assert_eq!(human_bytes(999_950), "1.0 MB");
        assert_eq!(human_bytes(u64::MAX), "18446744.1 TB");
        assert_eq!(human_seconds(99.5), "2 min");
    }
}
