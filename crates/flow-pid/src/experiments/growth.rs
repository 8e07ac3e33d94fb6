//! E4: iterations and time of Thin-PID against dimension, channels with independent normal entries.
//!
//! Iteration counts are rows; durations go to the timings, once per repeat and as
//! the median of a cell's repeats. The time of one iteration is processor time, which other load on
//! the machine disturbs less; a whole run's is by the clock on the wall. At small dimensions a
//! call's overhead outweighs its arithmetic, so exponents are fitted to cells with `range = large`.
//!
//! Where some generalised eigenvalue lies close to 1 the optimum lies close to the boundary and the
//! published loop may need thousands of iterations. So a run here ends after
//! `timing_iterations_max`, which the tag `stop` tells, and each cell reports how close to zero the
//! logarithm of an eigenvalue comes.

use eval::stats::median;
use eval::{Cell, Cx, Effort, Error, Result, Row, Scale};

use super::sweeps::{self, Sizes};
use super::{emit_run, normal_matrix};
use crate::closed_form::Optimum;
use crate::gpid::descent::Stop;
use crate::paper::Config;
use crate::thin_pid::{ThinPid, ThinPidConfig};

/// The experiment's name.
pub const NAME: &str = "growth";

/// From this size of the smaller source on a cell is `large`: one iteration then does some 10⁶
/// multiplications, a hundred times the fixed cost of its dozen calls.
const LARGE_MIN: usize = 100;

/// Products of two `d1 × d1` matrices whose mean duration is the reference: their cost is known to
/// be cubic.
const REFERENCE_PRODUCTS: u32 = 4;

/// One exclusive cell per sweep, size, and seed.
pub fn cells(effort: Effort) -> Vec<Cell> {
    let sizes = match effort.scale {
        Scale::Smoke => Sizes {
            square: &[16, 32, 64],
            wide: &[100],
            ratio: &[50],
        },
        Scale::Quick => Sizes {
            square: &[16, 32, 64, 128, 256, 512],
            wide: &[100, 200, 400],
            ratio: &[50, 100, 200, 400],
        },
        Scale::Full | Scale::Paper => Sizes {
            square: &[16, 32, 64, 128, 256, 512, 1000],
            wide: &[100, 200, 400, 700, 1000],
            ratio: &[50, 100, 200, 400, 700, 1000],
        },
    };
    sweeps::cells(NAME, &sizes, effort.n_seeds, LARGE_MIN)
}

/// Times one problem several times.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let channel = sweeps::channel(cx, cell)?;
    let dims = channel.dims();
    let optimum = Optimum::of(&channel)?;
    let nearest = optimum.eigenvalues.iter().map(|value| value.log2().abs());
    let nearest = nearest.fold(f64::INFINITY, f64::min);
    let tag = |row: Row| row.tag("d_min", dims.x1.min(dims.x2));
    cx.row(tag(Row::new("log2_eigenvalue_nearest_zero", nearest, "1")))?;
    let constants = ThinPidConfig {
        iterations_max: config.timing_iterations_max,
        ..config.thin
    };
    let (mut iteration_ms, mut total_s) = (Vec::new(), Vec::new());
    let mut reference_ms = Vec::new();
    let mut stop = Stop::Converged;
    let reference = normal_matrix(dims.x1, dims.x1, &mut cx.rng("reference"));
    for repeat in 0..config.timing_repeats {
        let watch = cx.stopwatch();
        let thin = ThinPid::run(&channel, &constants)?;
        let elapsed = watch.elapsed();
        let watch = cx.stopwatch();
        let products: f64 = (0..REFERENCE_PRODUCTS)
            .map(|_| (&reference * &reference)[(0, 0)])
            .sum();
        std::hint::black_box(products);
        reference_ms.push(1e3 * watch.elapsed().cpu_s / f64::from(REFERENCE_PRODUCTS));
        iteration_ms.push(1e3 * elapsed.cpu_s / thin.iterations as f64);
        total_s.push(elapsed.wall_s);
        stop = thin.stop;
        if repeat == 0 {
            emit_run(cx, &thin, tag)?;
        }
        cx.timing(tag(Row::new("total_s", elapsed.wall_s, "s")).tag("repeat", repeat))?;
        cx.progress(repeat as u64 + 1, config.timing_repeats as u64);
        if cx.cancelled() {
            return Ok(());
        }
    }
    let middle = |values: &[f64]| {
        median(values).map_err(|why| Error::internal(format!("no median duration: {why}")))
    };
    let timing = |metric: &str, value: f64, unit: &str| {
        tag(Row::new(metric, value, unit)).tag("stop", stop.as_str())
    };
    cx.timing(timing(
        "iteration_cpu_ms_median",
        middle(&iteration_ms)?,
        "ms",
    ))?;
    cx.timing(timing("reference_cpu_ms", middle(&reference_ms)?, "ms"))?;
    cx.timing(timing("total_s_median", middle(&total_s)?, "s"))
}
