//! Gaussian PID of real data: what pairs of views of 2,000 handwritten digits tell about the digit.
//!
//! Source: UCI Multiple Features, six views. Each view is standardised and reduced to its leading
//! principal components (10; all 6 of `mor`), so that every covariance is regular; this reduction
//! is made once on all items and not repeated inside resamples. The target is the digit, coded
//! either as nine indicator columns (`one-hot`) or, as the paper does with labels, as one number
//! (`scalar`). A label is not Gaussian: what is computed is the information of a Gaussian with the
//! same second moments, which may exceed what a label can carry. So the label's entropy stands
//! beside every total.
//!
//! Rows per pair and coding: plug-in and bias-corrected atoms, bootstrap intervals over items, the
//! permutation null, and the out-of-fold accuracy of a linear classifier on each view alone.

use eval::stats::quantile;
use eval::{Cell, Cx, Effort, Error, Result, Row, Scale};
use faer::Mat;

use super::{condition, emit_atoms, number};
use crate::atoms::{ATOM_NAMES, Atoms};
use crate::data::{
    Coding, encode, label_entropy_bits, labels, principal_components, read_matrix,
    without_constant_columns,
};
use crate::discriminant;
use crate::estimate::{Samples, basic_interval};
use crate::paper::Config;

/// The experiment's name.
pub const NAME: &str = "real-views";

/// The data set's name.
const DATA: &str = "uci-multiple-features";

/// The six views.
const VIEWS: [&str; 6] = ["fou", "fac", "kar", "pix", "zer", "mor"];

/// Level of bootstrap intervals, and of the one-sided bound of the permutation null.
const LEVEL: f64 = 0.95;

/// One cell per pair of views and coding.
pub fn cells(effort: Effort) -> Vec<Cell> {
    let (n_views, resamples, shuffles) = match effort.scale {
        Scale::Smoke => (3, 40, 50),
        Scale::Quick => (VIEWS.len(), 200, 100),
        Scale::Full | Scale::Paper => (VIEWS.len(), 2000, 1000),
    };
    let mut cells = Vec::new();
    for (second, view2) in VIEWS.iter().enumerate().take(n_views) {
        for view1 in &VIEWS[..second] {
            for coding in [Coding::OneHot, Coding::Scalar] {
                let cell = Cell::new(NAME, 0)
                    .with("view1", view1)
                    .with("view2", view2)
                    .with("coding", coding.as_str())
                    .with("resamples", resamples)
                    .with("shuffles", shuffles);
                cells.push(cell.needs(DATA));
            }
        }
    }
    cells
}

/// Measures one pair of views under one coding.
pub fn run(cx: &mut Cx, config: &Config, cell: &Cell) -> Result<()> {
    let data = cx.data(DATA)?;
    let classes = labels(read_matrix(&data.file("labels.parquet")?)?.as_ref())?;
    let read = |view: &str| -> Result<Mat<f64>> {
        let raw = read_matrix(&data.file(&format!("{view}.parquet"))?)?;
        let (varying, _) = without_constant_columns(raw.as_ref());
        Ok(principal_components(varying.as_ref(), config.components)?)
    };
    let x1 = read(condition(cell, "view1")?)?;
    let x2 = read(condition(cell, "view2")?)?;
    for (view, what) in [(&x1, "view1"), (&x2, "view2")] {
        if view.nrows() != classes.len() {
            return Err(Error::inputs(format!(
                "`{}` has {} items and the labels have {}",
                condition(cell, what)?,
                view.nrows(),
                classes.len()
            )));
        }
    }
    let coding = match condition(cell, "coding")? {
        "one-hot" => Coding::OneHot,
        _ => Coding::Scalar,
    };
    let samples = Samples::new(encode(&classes, coding).as_ref(), x1.as_ref(), x2.as_ref())?;
    let debiased = samples.atoms_debiased()?;
    emit_point(cx, &samples, &debiased)?;
    emit_bootstrap(cx, cell, &samples)?;
    emit_null(cx, cell, &samples)?;
    let entropy = label_entropy_bits(&classes);
    cx.row(Row::new("label_entropy_bits", entropy, "bits"))?;
    cx.row(Row::new(
        "info12_above_entropy_bits",
        debiased.info12 - entropy,
        "bits",
    ))?;
    let accuracy1 = discriminant::accuracy(x1.as_ref(), &classes, config.folds)?;
    let accuracy2 = discriminant::accuracy(x2.as_ref(), &classes, config.folds)?;
    emit_dominance(cx, &debiased, accuracy1, accuracy2)
}

fn emit_point(cx: &mut Cx, samples: &Samples, debiased: &Atoms) -> Result<()> {
    let plug_in = samples.atoms()?;
    for (estimator, atoms) in [("plug-in", plug_in), ("debiased", *debiased)] {
        let tag = |row: Row| row.tag("estimator", estimator);
        emit_atoms(cx, "atom_bits", &Ok(atoms), tag)?;
        for (info, value) in [
            ("I1", atoms.info1),
            ("I2", atoms.info2),
            ("I12", atoms.info12),
        ] {
            cx.row(tag(Row::new("info_bits", value, "bits")).tag("info", info))?;
        }
    }
    Ok(())
}

/// The four atoms and the joint information of each resample, by name.
fn columns(resampled: &[Atoms]) -> Vec<(&'static str, Vec<f64>)> {
    let mut columns: Vec<_> = ATOM_NAMES
        .into_iter()
        .enumerate()
        .map(|(k, name)| {
            (
                name,
                resampled.iter().map(|atoms| atoms.parts()[k]).collect(),
            )
        })
        .collect();
    columns.push(("I12", resampled.iter().map(|atoms| atoms.info12).collect()));
    columns
}

fn emit_bootstrap(cx: &mut Cx, cell: &Cell, samples: &Samples) -> Result<()> {
    let n: usize = number(cell, "resamples")?;
    let mut rng = cx.rng("bootstrap");
    let resampled = samples.bootstrap(n, &mut rng, |done| {
        cx.progress(done as u64, n as u64);
        !cx.cancelled()
    })?;
    let plug_in = columns(&[samples.atoms()?]);
    for ((name, values), (_, point)) in columns(&resampled).into_iter().zip(plug_in) {
        let Some([low, high]) = basic_interval(point[0], &values, LEVEL) else {
            return Err(Error::internal("the bootstrap has no resample"));
        };
        cx.row(Row::new("bootstrap_low_bits", low, "bits").tag("atom", name))?;
        cx.row(Row::new("bootstrap_high_bits", high, "bits").tag("atom", name))?;
    }
    Ok(())
}

fn emit_null(cx: &mut Cx, cell: &Cell, samples: &Samples) -> Result<()> {
    let n: usize = number(cell, "shuffles")?;
    let mut rng = cx.rng("shuffles");
    let null = samples.permutation_null(n, &mut rng, |done| {
        cx.progress(done as u64, n as u64);
        !cx.cancelled()
    })?;
    let plug_in = columns(&[samples.atoms()?]);
    for ((name, values), (_, point)) in columns(&null).into_iter().zip(plug_in) {
        let bound = quantile(&values, LEVEL)
            .map_err(|why| Error::internal(format!("the permutation null: {why}")))?;
        let n_above = values.iter().filter(|value| **value >= point[0]).count();
        let p_value = (1 + n_above) as f64 / (1 + values.len()) as f64;
        cx.row(Row::new("null_bound_bits", bound, "bits").tag("atom", name))?;
        cx.row(Row::new("above_null_bits", point[0] - bound, "bits").tag("atom", name))?;
        cx.row(Row::new("null_p", p_value, "1").tag("atom", name))?;
    }
    Ok(())
}

/// Whether the view with more unique information is the one that classifies better alone.
fn emit_dominance(cx: &mut Cx, atoms: &Atoms, accuracy1: f64, accuracy2: f64) -> Result<()> {
    let unique = atoms.unique1 - atoms.unique2;
    let accuracy = accuracy1 - accuracy2;
    cx.row(Row::new("accuracy", accuracy1, "1").tag("view", "view1"))?;
    cx.row(Row::new("accuracy", accuracy2, "1").tag("view", "view2"))?;
    cx.row(Row::new("unique_difference_bits", unique, "bits"))?;
    cx.row(Row::new("accuracy_difference", accuracy, "1"))?;
    let agrees = unique * accuracy > 0.0;
    cx.row(Row::new(
        "dominance_agrees",
        f64::from(u8::from(agrees)),
        "1",
    ))
}
