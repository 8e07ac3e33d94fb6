//! How far a run is, for a person: a bar on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cell::{Cell, CellId};
use crate::output;

/// Seconds between plain lines.
const LINE_PAUSE: Duration = Duration::from_secs(30);

/// Expected seconds of cells: what earlier runs took, else the mean of this run's experiment.
#[derive(Default)]
pub struct Costs {
    earlier: BTreeMap<CellId, f64>,
    measured: BTreeMap<String, (f64, u64)>,
}

impl Costs {
    /// Costs known from earlier runs.
    pub fn new(earlier: BTreeMap<CellId, f64>) -> Self {
        Self {
            earlier,
            measured: BTreeMap::new(),
        }
    }

    /// Learns from a finished cell.
    pub fn learn(&mut self, cell: &Cell, wall_s: f64) {
        let (total_s, n) = self.measured.entry(cell.experiment.clone()).or_default();
        *total_s += wall_s;
        *n += 1;
    }

    /// Seconds the cell should take, where anything is known.
    pub fn expect(&self, cell: &Cell) -> Option<f64> {
        let mean = |(total_s, n): &(f64, u64)| total_s / *n as f64;
        self.earlier
            .get(&cell.id())
            .copied()
            .or_else(|| self.measured.get(&cell.experiment).map(mean))
    }

    /// Seconds that `cells` should take side by side on `n_jobs` places, and how many of them
    /// nothing is known about.
    pub fn expect_all<'a>(&self, cells: impl Iterator<Item = &'a Cell>, n_jobs: u64) -> (f64, u64) {
        let (mut shared_s, mut alone_s, mut n_unknown) = (0.0, 0.0, 0);
        for cell in cells {
            match self.expect(cell) {
                Some(wall_s) if cell.exclusive => alone_s += wall_s,
                Some(wall_s) => shared_s += wall_s,
                None => n_unknown += 1,
            }
        }
        (shared_s / n_jobs.max(1) as f64 + alone_s, n_unknown)
    }
}

/// The display.
pub struct Progress {
    bar: Option<ProgressBar>,
    last_line: Instant,
    start: Instant,
    n_total: u64,
}

impl Progress {
    /// Starts the display for a run of `n_total` cells.
    pub fn start(n_total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(n_total), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:32} {pos}/{len} cells · {msg}");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self {
            bar,
            last_line: Instant::now(),
            start: Instant::now(),
            n_total,
        }
    }

    /// Shows where the run stands; plain lines only every 30 seconds, or when `now` is due.
    pub fn show(&mut self, status: &Status, due: bool) {
        let text = status.text(self.start.elapsed());
        if let Some(bar) = &self.bar {
            bar.set_position(status.n_done);
            bar.set_message(text);
        } else if due || self.last_line.elapsed() >= LINE_PAUSE {
            self.last_line = Instant::now();
            output::note(&format!(
                "{}/{} cells · {text}",
                status.n_done, self.n_total
            ));
        }
    }

    /// Prints a line without breaking the bar.
    pub fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::note(text)),
            None => output::note(text),
        }
    }

    /// Removes the bar.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Where a run stands.
pub struct Status<'a> {
    /// Cells with a result.
    pub n_done: u64,
    /// Cells that failed in this attempt.
    pub n_failed: u64,
    /// The cells being measured and how far each is.
    pub running: Vec<(&'a str, Option<(u64, u64)>)>,
    /// Expected seconds to go, and cells about which nothing is known.
    pub left: (f64, u64),
}

impl Status<'_> {
    fn text(&self, elapsed: Duration) -> String {
        let mut text = format!("{} elapsed", seconds(elapsed.as_secs_f64()));
        match self.left {
            (left_s, 0) => text.push_str(&format!(", about {} left", seconds(left_s))),
            (left_s, n_unknown) => text.push_str(&format!(
                ", {} and {n_unknown} cells of unknown length left",
                seconds(left_s)
            )),
        }
        if self.n_failed > 0 {
            text.push_str(&format!(", {} failed", self.n_failed));
        }
        for (name, progress) in &self.running {
            match progress {
                Some((done, total)) => text.push_str(&format!(" · {name} {done}/{total}")),
                None => text.push_str(&format!(" · {name}")),
            }
        }
        text
    }
}

/// A duration for a person.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
