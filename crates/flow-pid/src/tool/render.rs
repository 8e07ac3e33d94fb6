//! A report as text, JSON, or a picture.

use std::fmt::Write as _;

use eval::{Error, Result};

use super::picture;
use super::report::{AtomReport, Report};

/// The report as JSON.
///
/// # Errors
/// A number is not finite.
pub fn json(report: &Report) -> Result<String> {
    serde_json::to_string_pretty(report)
        .map(|text| text + "\n")
        .map_err(|e| Error::internal("the report cannot be written as JSON").caused_by(e))
}

/// The report as a picture: bars with intervals and null bounds, in SVG.
#[must_use]
pub fn svg(report: &Report) -> String {
    picture::svg(report)
}

/// The report as text for a terminal.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    head(&mut out, report);
    let percent = 100.0 * report.level;
    let _ = writeln!(
        out,
        "\n{:<5} {:>9}  {:<22} {:>10} {:>8}",
        "atom",
        "bits",
        format!("{percent:.0} % interval"),
        format!("null {percent:.0} %"),
        "p"
    );
    for atom in &report.atoms {
        if atom.name == "I1" {
            out.push('\n');
        }
        line(&mut out, atom);
    }
    if let Some(entropy) = report.target.entropy_bits {
        let _ = writeln!(
            out,
            "{:<5} {entropy:>9.4}  ceiling: nothing tells more about the label",
            "H(Y)"
        );
    }
    if let Some([r, u1, u2, s]) = report.debiased_bits {
        let _ = writeln!(
            out,
            "\nless the bias of finite samples: R {r:.4}, U1 {u1:.4}, U2 {u2:.4}, S {s:.4}"
        );
    }
    diagnostics(&mut out, report);
    for warning in &report.warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    out
}

fn head(out: &mut String, report: &Report) {
    let _ = writeln!(out, "method     {}: {}", report.method, report.method_note);
    let mut items = report.n_items.to_string();
    if report.n_items_dropped > 0 {
        let _ = write!(items, ", {} dropped", report.n_items_dropped);
    }
    if report.n_values_imputed > 0 {
        let _ = write!(items, ", {} values imputed", report.n_values_imputed);
    }
    let _ = writeln!(out, "items      {items}");
    let target = &report.target;
    let mut told = target.kind.to_owned();
    if let (Some(classes), Some(coding)) = (target.n_classes, target.coding) {
        let _ = write!(told, " of {classes} classes, coded {coding}");
    }
    let [d1, d2] = report.n_columns;
    let _ = writeln!(out, "target     {told}, columns: {}", target.n_columns);
    let _ = writeln!(out, "sources    columns: {d1} and {d2}");
}

fn line(out: &mut String, atom: &AtomReport) {
    let interval = atom.interval.map_or_else(
        || "-".to_owned(),
        |[low, high]| format!("[{low:.4}, {high:.4}]"),
    );
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
    let _ = writeln!(
        out,
        "{:<5} {:>9.4}  {interval:<22} {:>10} {:>8}",
        atom.name,
        atom.bits,
        number(atom.null_bound),
        number(atom.null_p)
    );
}

fn diagnostics(out: &mut String, report: &Report) {
    let d = &report.diagnostics;
    let mut parts = Vec::new();
    if let Some(value) = d.marginal_distance {
        parts.push(format!("largest marginal distance from normal {value:.3}"));
    }
    if let Some(value) = d.kurtosis_excess {
        parts.push(format!("joint kurtosis {:+.1} %", 100.0 * value));
    }
    if let Some(value) = d.held_out_nats {
        parts.push(format!("held-out likelihood {value:.3} nats"));
    }
    if let Some(value) = d.steps {
        parts.push(format!("{value} training steps"));
    }
    if let Some(value) = d.gap_bits {
        parts.push(format!("certified within {value:.1e} bits"));
    }
    if !parts.is_empty() {
        let _ = writeln!(out, "diagnostics: {}", parts.join("; "));
    }
}
