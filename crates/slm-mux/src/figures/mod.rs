//! Data for the report's plots.

mod live;
mod offline;

use eval::{Figure, MeasuredRow};

/// Every figure that the rows of a run allow.
pub fn all(rows: &[MeasuredRow], timings: &[MeasuredRow]) -> Vec<Figure> {
    let mut figures = offline::all(rows, timings);
    figures.extend(live::all(rows));
    figures
}
