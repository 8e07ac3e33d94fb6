//! Processor time as a measurement for criterion: fair on a machine that others use as well.
//!
//! A benchmark takes it in with `#[path = "peers/cpu_time.rs"] mod cpu_time;` and
//! `Criterion::default().with_measurement(cpu_time::CpuTime)`. It counts what all living threads of
//! the process have spent on a processor (`/proc/self/task/*/schedstat`, nanoseconds); a thread
//! that ends while an iteration runs takes its share along, so pools must outlive iterations.
//! Where the system does not tell, it is wall time. Peers are compared by the same clock
//! (`time.process_time` in Python).

use std::time::{Duration, Instant};

use criterion::measurement::{Measurement, ValueFormatter, WallTime};

/// Processor time of this process.
#[derive(Clone, Copy, Debug)]
pub struct CpuTime;

/// The sum over the threads of the first field of `schedstat`.
fn spent() -> Option<Duration> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let of = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    let nanoseconds: u64 = tasks.flatten().filter_map(of).sum();
    (nanoseconds > 0).then(|| Duration::from_nanos(nanoseconds))
}

impl Measurement for CpuTime {
    type Intermediate = (Instant, Option<Duration>);
    type Value = Duration;

    fn start(&self) -> Self::Intermediate {
        (Instant::now(), spent())
    }

    fn end(&self, (wall, before): Self::Intermediate) -> Duration {
        match (before, spent()) {
            (Some(before), Some(after)) => after.saturating_sub(before),
            _ => wall.elapsed(),
        }
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        const WALL: WallTime = WallTime;
        WALL.formatter()
    }
}
