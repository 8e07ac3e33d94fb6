//! The library call behind `flow-pid estimate`.

use eval::stats::quantile;
use eval::{Error, Result};

use super::methods::{Found, run};
use super::options::{LabelCoding, Options};
use super::report::{AtomReport, Report, TargetReport};
use super::table::Table;
use super::variables::{Variables, variables};
use crate::atoms::{ATOM_NAMES, Atoms};
use crate::data::label_entropy_bits;
use crate::estimate::basic_interval;

/// Decomposes what two sources tell about a target; row `k` of all three tables is one item.
///
/// The result is a pure function of tables and options.
///
/// ```
/// use flow_pid::tool::{Column, Options, Table, Values, estimate};
///
/// let table = |name: &str, values: Vec<f64>| {
///     let values = Values::Numbers(values.into_iter().map(Some).collect());
///     Table::new(name.to_owned(), vec![Column { name: "v".to_owned(), values }])
/// };
/// // Two noisy readings of one number.
/// let truth: Vec<f64> = (0..500).map(|k| (0.7 * f64::from(k)).sin()).collect();
/// let noisy = |turn: f64| {
///     let noise = (0..500).map(move |k| (turn * f64::from(k)).cos());
///     truth.iter().zip(noise).map(|(t, n)| t + 0.3 * n).collect::<Vec<f64>>()
/// };
/// let (x1, x2) = (table("x1", noisy(2.3))?, table("x2", noisy(4.9))?);
/// let report = estimate(&table("y", truth.clone())?, &x1, &x2, &Options::default())?;
/// let redundancy = &report.atoms[0];
/// assert_eq!(redundancy.name, "R");
/// assert!(redundancy.bits > 0.5);
/// # Ok::<(), eval::Error>(())
/// ```
///
/// # Errors
/// An option makes no sense, tables do not fit together, values are missing, text, infinite, or
/// constant where they may not be, or the decomposition is not defined; the message names file,
/// column, and item.
pub fn estimate(y: &Table, x1: &Table, x2: &Table, options: &Options) -> Result<Report> {
    options.check()?;
    let variables = variables(y, x1, x2, options)?;
    let found = run(&variables, options)?;
    let entropy_bits = variables.classes.as_deref().map(label_entropy_bits);
    let mut warnings = found.warnings.clone();
    warnings.extend(doubts(&variables, &found, entropy_bits, options));
    Ok(Report {
        format: 1,
        method: found.method.as_str(),
        method_note: found.note.clone(),
        n_items: variables.y.nrows(),
        n_items_dropped: variables.n_items_dropped,
        n_values_imputed: variables.n_values_imputed,
        n_columns: found.n_columns,
        target: target(&variables, entropy_bits, options),
        level: options.level,
        atoms: amounts(&found, options)?,
        debiased_bits: found.debiased.map(|atoms| atoms.parts()),
        diagnostics: found.diagnostics,
        warnings,
    })
}

fn target(variables: &Variables, entropy_bits: Option<f64>, options: &Options) -> TargetReport {
    let is_label = variables.classes.is_some();
    let last = variables.classes.iter().flatten().max();
    TargetReport {
        kind: if is_label { "label" } else { "number" },
        coding: is_label.then_some(match options.coding {
            LabelCoding::OneHot => "one-hot",
            LabelCoding::Scalar => "scalar",
        }),
        n_classes: last.map(|last| last + 1),
        entropy_bits,
        n_columns: variables.y.ncols(),
    }
}

/// The seven amounts by name, in the order of a report.
fn named(atoms: &Atoms) -> [(&'static str, f64); 7] {
    let [r, u1, u2, s] = ATOM_NAMES;
    let [redundancy, unique1, unique2, synergy] = atoms.parts();
    [
        (r, redundancy),
        (u1, unique1),
        (u2, unique2),
        (s, synergy),
        ("I1", atoms.info1),
        ("I2", atoms.info2),
        ("I12", atoms.info12),
    ]
}

fn amounts(found: &Found, options: &Options) -> Result<Vec<AtomReport>> {
    let column = |draws: &[Atoms], k: usize| -> Vec<f64> {
        draws.iter().map(|atoms| named(atoms)[k].1).collect()
    };
    named(&found.atoms)
        .into_iter()
        .enumerate()
        .map(|(k, (name, bits))| {
            if !bits.is_finite() {
                return Err(Error::inputs(format!("{name} is not finite"))
                    .hint("check whether a source contains the target itself"));
            }
            let resampled = column(&found.resampled, k);
            let shuffled = column(&found.shuffled, k);
            let n_above = shuffled.iter().filter(|value| **value >= bits).count();
            let null_p = (1 + n_above) as f64 / (1 + shuffled.len()) as f64;
            Ok(AtomReport {
                name,
                bits,
                interval: basic_interval(bits, &resampled, options.level),
                null_bound: quantile(&shuffled, options.level).ok(),
                null_p: (!shuffled.is_empty()).then_some(null_p),
            })
        })
        .collect()
}

/// What a reader should know before believing the numbers.
fn doubts(
    variables: &Variables,
    found: &Found,
    entropy_bits: Option<f64>,
    options: &Options,
) -> Vec<String> {
    let mut doubts = Vec::new();
    let total = found.atoms.info12;
    if let Some(entropy) = entropy_bits.filter(|entropy| total > *entropy) {
        doubts.push(format!(
            "the joint information, {total:.3} bits, exceeds the label's entropy, {entropy:.3} \
             bits: a label is not Gaussian, and these are no amounts of information about it"
        ));
    }
    let n_classes = variables
        .classes
        .iter()
        .flatten()
        .max()
        .map_or(0, |k| k + 1);
    if options.coding == LabelCoding::Scalar
        && n_classes > 2
        && found.method != super::options::Method::Discrete
    {
        doubts.push(format!(
            "{n_classes} classes are coded as one number: the order of the classes is taken \
             literally"
        ));
    }
    let n_features: usize = found.n_columns.iter().sum();
    let n_items = variables.y.nrows();
    if n_items < 10 * n_features {
        doubts.push(format!(
            "{n_items} items for {n_features} source columns: plug-in amounts are inflated, read \
             them against the null"
        ));
    }
    if let Some(debiased) = found.debiased
        && total > 0.0
        && debiased.info12 < 0.8 * total
    {
        doubts.push(format!(
            "finite samples explain {:.0} % of the joint information",
            100.0 * (1.0 - debiased.info12 / total)
        ));
    }
    doubts
}
