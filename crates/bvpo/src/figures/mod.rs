//! Data for the report's plots.

mod error;
mod learning;
mod real;
mod regimes;
mod select;

use eval::{Figure, MeasuredRow};

/// Every figure of the report for which there are rows.
pub fn all(rows: &[MeasuredRow]) -> Vec<Figure> {
    [
        error::of_mixes(rows),
        learning::curves(rows),
        learning::paths(rows),
        learning::frontier(rows),
        learning::over_weights(rows),
        regimes::phase(rows),
        regimes::weights(rows),
    ]
    .into_iter()
    .flatten()
    .chain(real::all(rows))
    .collect()
}
