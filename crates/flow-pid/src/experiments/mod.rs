//! The experiments: which cells there are at each scale, and how each is measured.
//!
//! | experiment | place | what is measured |
//! |---|---|---|
//! | `scalar-channels` | section 5.1, C.1 (E1) | Thin-PID against MMI on all 32 scalar settings |
//! | `planar-channels` | section 5.1, Figure 3 (E2) | error along α and θ for several `reg` |
//! | `random-channels` | Theorem 3.3, Proposition 3.4 | objective gap to the certified optimum |
//! | `doubling` | Figure C.2 (E3) | whether atoms double with the system |
//! | `growth` | Figure 4, Table 1 (E4) | iterations and time against dimension |
//! | `invariance` | Theorem 4.1, Corollary 4.2 (T4) | atoms under invertible linear maps |
//! | `published-truth` | Table 2, Table C.1 (E5) | atoms on the paper's own channels |
//! | `real-views` | section 5.3 in spirit | six views of handwritten digits |

use eval::{Cell, Cx, Effort, Error, Result, Row};
use faer::Mat;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::atoms::{ATOM_NAMES, Atoms};
use crate::error::PidError;
use crate::paper::Config;
use crate::thin_pid::ThinPid;

mod doubling;
mod growth;
mod invariance;
mod planar_channels;
mod published_truth;
mod random_channels;
mod real_views;
mod scalar_channels;

/// Every cell, in canonical order.
#[must_use]
pub fn cells(effort: Effort) -> Vec<Cell> {
    [
        scalar_channels::cells(),
        planar_channels::cells(),
        random_channels::cells(effort),
        doubling::cells(effort),
        invariance::cells(effort),
        published_truth::cells(),
        real_views::cells(effort),
        growth::cells(effort),
    ]
    .concat()
}

/// Measures one cell.
///
/// # Errors
/// The cell's experiment is unknown, its inputs are damaged, or its rows cannot be written.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    match cell.experiment.as_str() {
        scalar_channels::NAME => scalar_channels::run(cx, config, cell),
        planar_channels::NAME => planar_channels::run(cx, config, cell),
        random_channels::NAME => random_channels::run(cx, config, cell),
        doubling::NAME => doubling::run(cx, config, cell),
        invariance::NAME => invariance::run(cx, config, cell),
        published_truth::NAME => published_truth::run(cx, config, cell),
        real_views::NAME => real_views::run(cx, config, cell),
        growth::NAME => growth::run(cx, config, cell),
        other => Err(Error::internal(format!(
            "no experiment is called `{other}`"
        ))),
    }
}

/// The value of a condition's key.
fn condition<'a>(cell: &'a Cell, key: &str) -> Result<&'a str> {
    cell.get(key)
        .ok_or_else(|| Error::internal(format!("cell `{}` has no condition `{key}`", cell.id())))
}

/// The same as a number.
fn number<T: std::str::FromStr>(cell: &Cell, key: &str) -> Result<T> {
    let text = condition(cell, key)?;
    text.parse().map_err(|_| {
        Error::internal(format!(
            "condition `{key}` of cell `{}` holds `{text}`",
            cell.id()
        ))
    })
}

/// A measurement, or the reason why there is none.
fn measured(metric: &str, value: Result<f64, PidError>, unit: &str) -> Row {
    match value {
        Ok(value) => Row::new(metric, value, unit),
        Err(why) => Row::failed(metric, unit, why.to_string()),
    }
}

/// One row per atom.
fn emit_atoms(
    cx: &mut Cx,
    metric: &str,
    atoms: &Result<Atoms, PidError>,
    with: impl Fn(Row) -> Row,
) -> Result<()> {
    for (k, name) in ATOM_NAMES.into_iter().enumerate() {
        let value = atoms
            .as_ref()
            .map(|atoms| atoms.parts()[k])
            .map_err(Clone::clone);
        cx.row(with(measured(metric, value, "bits").tag("atom", name)))?;
    }
    Ok(())
}

/// What Thin-PID reports of its own run: iterations, projections, and why it ended.
fn emit_run(cx: &mut Cx, thin: &ThinPid, with: impl Fn(Row) -> Row) -> Result<()> {
    let tagged = |row: Row| with(row.tag("stop", thin.stop.as_str()));
    cx.row(tagged(Row::new("iterations", thin.iterations as f64, "1")))?;
    cx.row(tagged(Row::new(
        "projections",
        thin.projections as f64,
        "1",
    )))?;
    let on_boundary = f64::from(u8::from(thin.on_boundary()));
    cx.row(tagged(Row::new("on_boundary", on_boundary, "1")))
}

/// A matrix of independent standard normal numbers.
fn normal_matrix(rows: usize, columns: usize, rng: &mut impl Rng) -> Mat<f64> {
    Mat::from_fn(rows, columns, |_, _| StandardNormal.sample(rng))
}

/// A random orthogonal matrix: the Q factor of a normal matrix.
fn orthogonal(size: usize, rng: &mut impl Rng) -> Mat<f64> {
    normal_matrix(size, size, rng).qr().compute_Q()
}
