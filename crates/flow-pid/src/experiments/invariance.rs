//! T4: the atoms do not change when target and sources are each mapped by an invertible linear map.

use eval::{Cell, Cx, Effort, Result, Row};
use faer::Mat;
use rand::{Rng, RngExt};

use super::{condition, measured, normal_matrix, orthogonal};
use crate::atoms::Atoms;
use crate::channel::{Channel, Dims};
use crate::linalg::{block_diagonal, scale_columns};
use crate::paper::Config;
use crate::thin_pid::ThinPid;

/// The experiment's name.
pub const NAME: &str = "invariance";

/// Sizes (dy, d1, d2) by their names in conditions.
const SHAPES: [(&str, Dims); 4] = [
    ("2x2x2", Dims { y: 2, x1: 2, x2: 2 }),
    ("3x5x4", Dims { y: 3, x1: 5, x2: 4 }),
    ("1x6x8", Dims { y: 1, x1: 6, x2: 8 }),
    (
        "8x10x3",
        Dims {
            y: 8,
            x1: 10,
            x2: 3,
        },
    ),
];

/// Largest and smallest singular value of a map are `STRETCH` and `1/STRETCH`: enough to change
/// every entry, and well enough conditioned that a difference is not rounding.
const STRETCH: f64 = 3.0;

/// One cell per shape and seed.
pub fn cells(effort: Effort) -> Vec<Cell> {
    let cell = |shape: &str, seed| Cell::new(NAME, seed).with("shape", shape);
    SHAPES
        .iter()
        .flat_map(|(shape, _)| effort.seeds().map(move |s| cell(shape, s)))
        .collect()
}

/// Compares the atoms before and after random maps.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let name = condition(cell, "shape")?;
    let Some((_, dims)) = SHAPES.iter().find(|(known, _)| *known == name) else {
        return Err(eval::Error::internal(format!(
            "no shape is called `{name}`"
        )));
    };
    let covariance = random_covariance(*dims, &mut cx.rng("covariance"));
    let mut rng = cx.rng("maps");
    let sources = block_diagonal(
        stretched(dims.x1, &mut rng).as_ref(),
        stretched(dims.x2, &mut rng).as_ref(),
    );
    let map = block_diagonal(stretched(dims.y, &mut rng).as_ref(), sources.as_ref());
    let mapped = symmetric(&(&map * &covariance * map.transpose()));
    let before = Channel::from_covariance(covariance.as_ref(), *dims)?;
    let after = Channel::from_covariance(mapped.as_ref(), *dims)?;
    let moved = (mapped - covariance).norm_max();
    cx.row(Row::new("covariance_change", moved, "1"))?;
    let closed = Atoms::of_channel(&before)?.distance_max(&Atoms::of_channel(&after)?);
    cx.row(Row::new("difference_bits", closed, "bits").tag("solver", "closed-form"))?;
    for (solver, constants) in [("published", config.thin), ("tight", config.tight())] {
        let atoms = |channel: &Channel| ThinPid::run(channel, &constants)?.atoms(channel);
        let difference = atoms(&before).and_then(|a| Ok(a.distance_max(&atoms(&after)?)));
        cx.row(measured("difference_bits", difference, "bits").tag("solver", solver))?;
    }
    Ok(())
}

/// `AAᵀ/k + I/2`: regular, with all blocks correlated.
fn random_covariance(dims: Dims, rng: &mut impl Rng) -> Mat<f64> {
    let n = dims.total();
    let a = normal_matrix(n, 2 * n, rng);
    let scatter = &a * a.transpose();
    symmetric(&Mat::from_fn(n, n, |i, j| {
        scatter[(i, j)] / (2 * n) as f64 + if i == j { 0.5 } else { 0.0 }
    }))
}

fn stretched(size: usize, rng: &mut impl Rng) -> Mat<f64> {
    let stretch: Vec<f64> = (0..size)
        .map(|_| STRETCH.powf(2.0 * rng.random::<f64>() - 1.0))
        .collect();
    let left = orthogonal(size, rng);
    scale_columns(left.as_ref(), |k| stretch[k]) * orthogonal(size, rng)
}

/// The mean of a matrix and its transpose, symmetric to the last bit.
fn symmetric(a: &Mat<f64>) -> Mat<f64> {
    Mat::from_fn(a.nrows(), a.ncols(), |i, j| 0.5 * (a[(i, j)] + a[(j, i)]))
}
