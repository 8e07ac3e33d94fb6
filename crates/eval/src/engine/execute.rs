//! Keeps as many cell processes going as the machine carries.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::cell_progress;
use super::interrupt::Interrupts;
use super::journal::Event;
use super::open::OpenRun;
use super::progress::{Costs, Progress, Status};
use crate::cell::{Cell, CellId};
use crate::error::{Error, Result};
use crate::fs::{create_folder, write_json};
use crate::run::{CellFailed, FORMAT};
use crate::{Scale, env};

/// How long an interrupted cell may take to end by itself.
const GRACE: Duration = Duration::from_secs(10);
/// How often interrupts and time limits are looked at.
const TICK: Duration = Duration::from_millis(100);

/// How to execute.
pub struct Settings {
    /// Cells measured at the same time at most.
    pub n_jobs: u64,
    /// Threads of each cell.
    pub threads: u64,
    /// Longest time of one cell; `None` is unlimited.
    pub limit: Option<Duration>,
}

/// The longest a cell may take at a scale before it counts as hanging.
pub fn limit_of(scale: Scale) -> Option<Duration> {
    match scale {
        Scale::Smoke => Some(Duration::from_secs(5 * 60)),
        Scale::Quick => Some(Duration::from_secs(60 * 60)),
        Scale::Full | Scale::Paper => None,
    }
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Cells whose process ended without a result.
    pub n_failed: u64,
    /// Whether it was interrupted.
    pub interrupted: bool,
}

/// What a cell process tells.
enum News {
    Progress(CellId, u64, u64),
    Exit(CellId, std::io::Result<ExitStatus>),
}

/// A cell process.
struct Running {
    cell: Cell,
    group: Pid,
    start: Instant,
    progress: Option<(u64, u64)>,
    stopping: Option<&'static str>,
}

/// Measures `cells` (which have no result yet) in the order given; exclusive ones alone, last.
///
/// # Errors
/// The run folder cannot be written, or a process cannot be started. Running cells are then
/// killed; finished ones are kept.
pub fn execute(
    run: &mut OpenRun,
    cells: Vec<Cell>,
    settings: &Settings,
    costs: Costs,
    interrupts: &Interrupts,
) -> Result<Ended> {
    let (sender, receiver) = channel();
    let n_finished_before = run.plan.cells.len() as u64 - cells.len() as u64;
    let (exclusive, shared): (Vec<Cell>, Vec<Cell>) =
        cells.into_iter().partition(|cell| cell.exclusive);
    let mut engine = Execution {
        progress: Progress::start(run.plan.cells.len() as u64),
        run,
        settings,
        costs,
        sender,
        waiting: shared.into_iter().chain(exclusive).rev().collect(),
        running: BTreeMap::new(),
        n_done: n_finished_before,
        ended: Ended::default(),
        interrupted_at: None,
    };
    let ended = engine.all(&receiver, interrupts);
    if ended.is_err() {
        engine.signal_all(Signal::SIGKILL);
    }
    engine.progress.end();
    ended
}

struct Execution<'a> {
    run: &'a mut OpenRun,
    settings: &'a Settings,
    costs: Costs,
    progress: Progress,
    sender: Sender<News>,
    /// Next cell last.
    waiting: Vec<Cell>,
    running: BTreeMap<CellId, Running>,
    n_done: u64,
    ended: Ended,
    interrupted_at: Option<(Instant, usize)>,
}

impl Execution<'_> {
    fn all(&mut self, receiver: &Receiver<News>, interrupts: &Interrupts) -> Result<Ended> {
        loop {
            while !self.ended.interrupted && self.has_room() {
                self.start_next()?;
            }
            if self.running.is_empty() {
                return Ok(self.ended);
            }
            match receiver.recv_timeout(TICK) {
                Ok(news) => self.hear(news)?,
                // The engine keeps a sender itself, so the channel is never closed.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            self.heed(interrupts)?;
            self.stop_hanging();
            self.show(false);
        }
    }

    /// Whether the next cell may start beside the running ones.
    fn has_room(&self) -> bool {
        let Some(next) = self.waiting.last() else {
            return false;
        };
        let alone = next.exclusive || self.running.values().any(|running| running.cell.exclusive);
        let n_places = if alone { 1 } else { self.settings.n_jobs };
        (self.running.len() as u64) < n_places
    }

    fn start_next(&mut self) -> Result<()> {
        let Some(cell) = self.waiting.pop() else {
            return Ok(());
        };
        let id = cell.id();
        let folder = self.run.folder.cell(&id);
        create_folder(&folder)?;
        let log = folder.join("stderr.log");
        let log_file = File::create(&log).map_err(|e| Error::io("create", &log, e))?;
        let program = std::env::current_exe()
            .map_err(|e| Error::internal("cannot find this program's own file").caused_by(e))?;
        self.run
            .journal
            .push(Event::Measuring, Some(id.as_str()), None)?;
        let threads = self.settings.threads.to_string();
        let mut child = Command::new(&program)
            .arg("cell")
            .arg(self.run.folder.path())
            .arg(id.as_str())
            .env(env::CELL_THREADS, &threads)
            .env("RAYON_NUM_THREADS", &threads)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file)
            // An own group: an interrupt from the terminal reaches cells through the engine only.
            .process_group(0)
            .spawn()
            .map_err(|e| Error::io("start", &program, e))?;
        let group = Pid::from_raw(child.id().cast_signed());
        let (stdout, sender) = (child.stdout.take(), self.sender.clone());
        let thread_id = id.clone();
        std::thread::spawn(move || {
            // A closed channel means that the engine ended; then nobody listens.
            if let Some(stdout) = stdout {
                cell_progress::read_progress(stdout, |done, total| {
                    let _ = sender.send(News::Progress(thread_id.clone(), done, total));
                });
            }
            let _ = sender.send(News::Exit(thread_id, child.wait()));
        });
        let start = Instant::now();
        let running = Running {
            cell,
            group,
            start,
            progress: None,
            stopping: None,
        };
        self.running.insert(id, running);
        Ok(())
    }

    fn hear(&mut self, news: News) -> Result<()> {
        match news {
            News::Progress(id, done, total) => {
                if let Some(running) = self.running.get_mut(&id) {
                    running.progress = Some((done, total));
                }
                Ok(())
            }
            News::Exit(id, status) => self.end(&id, status),
        }
    }

    /// A process ended: its marker, not its exit code, says whether the cell is finished.
    fn end(&mut self, id: &CellId, status: std::io::Result<ExitStatus>) -> Result<()> {
        let Some(running) = self.running.remove(id) else {
            return Ok(());
        };
        let wall_s = running.start.elapsed().as_secs_f64();
        if self.run.folder.done(id).is_some() {
            self.n_done += 1;
            self.costs.learn(&running.cell, wall_s);
            return self
                .run
                .journal
                .push(Event::Finished, Some(id.as_str()), Some(wall_s));
        }
        if self.ended.interrupted {
            return Ok(());
        }
        let ended = match (running.stopping, status) {
            (Some(why), _) => why.to_owned(),
            (None, Ok(status)) => describe(status),
            (None, Err(cause)) => format!("lost: {cause}"),
        };
        self.ended.n_failed += 1;
        let stderr = tail(&self.run.folder.cell(id).join("stderr.log"));
        let last_words = stderr
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        self.progress
            .note(&format!("cell `{id}` failed ({ended}): {last_words}"));
        let failed = CellFailed {
            format: FORMAT,
            ended,
            stderr,
        };
        write_json(&self.run.folder.cell(id).join("failed.json"), &failed)?;
        self.run
            .journal
            .push(Event::Failed, Some(id.as_str()), Some(wall_s))
    }

    fn heed(&mut self, interrupts: &Interrupts) -> Result<()> {
        let count = interrupts.count();
        let signal = match self.interrupted_at {
            None if count > 0 => {
                self.ended.interrupted = true;
                self.interrupted_at = Some((Instant::now(), count));
                self.run.journal.push(Event::Interrupted, None, None)?;
                let n = self.running.len();
                self.progress.note(&format!(
                    "interrupted: ending {n} running cells; once more stops at once"
                ));
                Signal::SIGTERM
            }
            Some((at, first)) if count > first || at.elapsed() > GRACE => Signal::SIGKILL,
            None | Some(_) => return Ok(()),
        };
        self.signal_all(signal);
        Ok(())
    }

    fn stop_hanging(&mut self) {
        let Some(limit) = self.settings.limit else {
            return;
        };
        for running in self
            .running
            .values_mut()
            .filter(|running| running.start.elapsed() > limit)
        {
            running.stopping = Some("stopped: it took longer than a cell may at this scale");
            signal(running.group, Signal::SIGKILL);
        }
    }

    fn signal_all(&self, which: Signal) {
        for running in self.running.values() {
            signal(running.group, which);
        }
    }

    fn show(&mut self, due: bool) {
        let left = self
            .waiting
            .iter()
            .chain(self.running.values().map(|running| &running.cell));
        let left = self.costs.expect_all(left, self.settings.n_jobs);
        let name = |running: &'_ Running| running.progress;
        let running = self
            .running
            .iter()
            .map(|(id, cell)| (id.as_str(), name(cell)))
            .collect();
        let status = Status {
            n_done: self.n_done,
            n_failed: self.ended.n_failed,
            running,
            left,
        };
        self.progress.show(&status, due);
    }
}

fn signal(group: Pid, which: Signal) {
    // The group may have ended in the meantime, which is what was wanted.
    let _ = killpg(group, which);
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(9)) => "killed by signal 9, perhaps for memory".to_owned(),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended without a status".to_owned(),
    }
}

/// The last bytes of a log, from the start of a line.
fn tail(path: &std::path::Path) -> String {
    const TAIL_BYTES: u64 = 8 * 1024;
    let read = || -> std::io::Result<Vec<u8>> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    // A log that cannot be read must not hide the failure it belongs to.
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}
