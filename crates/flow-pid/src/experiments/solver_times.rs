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

use super::{condition, measured, normal_matrix, number};
use crate::atoms::Atoms;
use crate::channel::Channel;
use crate::gpid::solver::{Solution, Solver};
use crate::gpid::thin_pid::ThinPidConfig;
use crate::gpid::tilde_pid::TildePidConfig;
use crate::paper::Config;

/// The experiment's name.
pub const NAME: &str = "solver-times";

/// The paper's claim is about a smaller source of more than so many dimensions.
const LARGE_ABOVE: usize = 100;

/// Iterations after which the clock starts and stops for the published variants.
const WARM: u64 = 3;
const TIMED: u64 = 6;

/// Calls of the closed form whose mean is its time.
const CLOSED_FORM_CALLS: u32 = 20;

/// One exclusive cell per sweep, size, and seed.
pub fn cells(effort: Effort) -> Vec<Cell> {
    let (square, wide, ratio): (&[usize], &[usize], &[usize]) = match effort.scale {
        Scale::Smoke => (&[8], &[], &[20]),
        Scale::Quick => (&[8, 32, 64, 128, 256], &[100, 200, 400], &[50, 200, 400]),
        Scale::Full | Scale::Paper => (
            &[8, 32, 64, 100, 200, 400, 800],
            &[100, 200, 400, 800],
            &[50, 100, 200, 400, 800],
        ),
    };
    let n_seeds = effort.n_seeds.min(3);
    let mut cells = Vec::new();
    for (sweep, sizes) in [("square", square), ("wide", wide), ("ratio", ratio)] {
        for d in sizes {
            let (_, d2, _) = shape(sweep, *d);
            let range = if d2 > LARGE_ABOVE { "large" } else { "small" };
            for seed in 0..n_seeds {
                let cell = Cell::new(NAME, seed).with("sweep", sweep).with("d", d);
                cells.push(cell.with("range", range).exclusive());
            }
        }
    }
    cells
}

/// `(d1, d2, dy)` of a sweep at size d.
fn shape(sweep: &str, d: usize) -> (usize, usize, usize) {
    match sweep {
        "square" => (d, d, 2),
        "wide" => (d, 100, 2),
        _ => (d, d * 3 / 5, 1),
    }
}

/// Times every solver on one problem.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let (d1, d2, dy) = shape(condition(cell, "sweep")?, number(cell, "d")?);
    let mut rng = cx.rng("channel");
    let h1 = normal_matrix(d1, dy, &mut rng);
    let h2 = normal_matrix(d2, dy, &mut rng);
    let channel = Channel::with_independent_noise(h1, h2)?;
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
        let n = solution.iterations;
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
