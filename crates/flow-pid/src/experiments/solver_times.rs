//! E4: Thin-PID against Tilde-PID, both on the same loop and the same matrix routines, and against
//! the closed form.
//!
//! Each iterative solver is timed in two variants. `published` projects in every iteration,
//! Tilde-PID with the sources in the order given, as the published codes do. `lean` orders the
//! sources by size and projects only where a Cholesky factor does not prove the projection idle;
//! both solvers take the same shortcuts. The two variants of a solver visit the same points up to
//! rounding, so iterations are counted in the lean run, which runs until it stops or until
//! `timing_iterations_max`; the published variant is timed over six iterations in its middle, and
//! its total is the product. Sweeps are those of the paper at sizes that two cores carry.
//!
//! Rows: iterations and gaps. Timings: processor time per iteration and in total.

use eval::{Cell, Cx, Effort, Result, Row, Scale};

use super::measured;
use super::sweeps::{self, Sizes};
use crate::atoms::Atoms;
use crate::channel::Channel;
use crate::gpid::solver::{Solution, Solver};
use crate::gpid::thin_pid::ThinPidConfig;
use crate::gpid::tilde_pid::TildePidConfig;
use crate::paper::Config;

/// The experiment's name.
pub const NAME: &str = "solver-times";

/// The paper's claim is about a smaller source of more than 100 dimensions.
const LARGE_MIN: usize = 101;

/// Iterations after which the clock starts and stops for the published variants.
const WARM: u64 = 3;
const TIMED: u64 = 6;

/// Calls of the closed form whose mean is its time.
const CLOSED_FORM_CALLS: u32 = 20;

/// One exclusive cell per sweep, size, and seed.
pub fn cells(effort: Effort) -> Vec<Cell> {
    let sizes = match effort.scale {
        Scale::Smoke => Sizes {
            square: &[8],
            wide: &[],
            ratio: &[20],
        },
        Scale::Quick => Sizes {
            square: &[8, 32, 64, 128, 256],
            wide: &[100, 200, 400],
            ratio: &[50, 200, 400],
        },
        Scale::Full | Scale::Paper => Sizes {
            square: &[8, 32, 64, 100, 200, 400, 800],
            wide: &[100, 200, 400, 800],
            ratio: &[50, 100, 200, 400, 800],
        },
    };
    sweeps::cells(NAME, &sizes, effort.n_seeds.min(3), LARGE_MIN)
}

/// Times every solver on one problem.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let channel = sweeps::channel(cx, cell)?;
    let capped = |constants: ThinPidConfig| ThinPidConfig {
        iterations_max: config.timing_iterations_max.min(constants.iterations_max),
        ..constants
    };
    let tilde = |published: TildePidConfig| TildePidConfig {
        descent: capped(published.descent),
        ..published
    };
    let thin = capped(config.thin);
    for (name, lean, published) in [
        (
            "thin",
            Solver::ThinPid(thin),
            Some(Solver::ThinPid(ThinPidConfig {
                always_project: true,
                ..thin
            })),
        ),
        (
            "tilde",
            Solver::TildePid(tilde(TildePidConfig::lean())),
            Some(Solver::TildePid(tilde(TildePidConfig::published()))),
        ),
        ("reduced-thin", Solver::ReducedThinPid(thin), None),
    ] {
        let (solution, total_s) = timed(cx, &lean, &channel)?;
        let n = solution.descent().map_or(0, |found| found.iterations);
        let with = |row: Row| row.tag("solver", name).tag("variant", "lean");
        cx.row(with(Row::new("iterations", n as f64, "1")))?;
        let gap = solution.gap_bits().map(f64::abs);
        cx.row(with(measured("gap_bits", gap, "bits")))?;
        emit_times(cx, with, total_s / n as f64, total_s)?;
        if let Some(published) = published {
            let each_s = per_iteration(cx, &published, &channel)?;
            let with = |row: Row| row.tag("solver", name).tag("variant", "published");
            emit_times(cx, with, each_s, each_s * n as f64)?;
        }
        if cx.cancelled() {
            return Ok(());
        }
    }
    let watch = cx.stopwatch();
    for _ in 0..CLOSED_FORM_CALLS {
        std::hint::black_box(Atoms::of_channel(std::hint::black_box(&channel))?);
    }
    let each_s = watch.elapsed().cpu_s / f64::from(CLOSED_FORM_CALLS);
    let with = |row: Row| row.tag("solver", "closed-form").tag("variant", "lean");
    emit_times(cx, with, each_s, each_s)
}

/// A whole run and its processor time, certificate not counted.
fn timed(cx: &Cx, solver: &Solver, channel: &Channel) -> Result<(Solution, f64)> {
    let watch = cx.stopwatch();
    let solution = solver.solve_timed(channel, &mut || watch.elapsed().cpu_s)?;
    let seconds = solution.seconds.unwrap_or(f64::NAN);
    Ok((solution, seconds))
}

/// Processor time of one iteration, start and end of a run subtracted.
fn per_iteration(cx: &Cx, solver: &Solver, channel: &Channel) -> Result<f64> {
    let until = |iterations_max: u64| {
        let short = |constants: ThinPidConfig| ThinPidConfig {
            patience: 2,
            tolerance_bits: f64::MIN_POSITIVE,
            iterations_max,
            ..constants
        };
        let solver = match solver {
            Solver::ThinPid(constants) => Solver::ThinPid(short(*constants)),
            Solver::TildePid(constants) => Solver::TildePid(TildePidConfig {
                descent: short(constants.descent),
                ..*constants
            }),
            other => *other,
        };
        timed(cx, &solver, channel).map(|(_, seconds)| seconds)
    };
    Ok((until(WARM + TIMED)? - until(WARM)?) / TIMED as f64)
}

fn emit_times(cx: &mut Cx, with: impl Fn(Row) -> Row, each_s: f64, total_s: f64) -> Result<()> {
    cx.timing(with(Row::new("iteration_cpu_ms", 1e3 * each_s, "ms")))?;
    cx.timing(with(Row::new("total_cpu_ms", 1e3 * total_s, "ms")))
}
