//! Data of the report's plots. Nothing is measured here.

use std::collections::BTreeMap;

use eval::stats::median;
use eval::{Figure, Mark, MeasuredRow, Panel, Scaling, Series};

use crate::atoms::ATOM_NAMES;

mod flows;
mod theory;

/// Every figure whose rows are there.
pub fn all(rows: &[MeasuredRow], timings: &[MeasuredRow]) -> Vec<Figure> {
    [
        accuracy(rows),
        growth(rows, timings),
        planar(rows),
        doubling(rows),
        theory::times(rows, timings),
        theory::truth(rows),
        theory::path(rows),
        theory::additive(rows),
        real_views(rows),
        flows::learning(rows),
        flows::errors(rows),
        flows::fusion(rows),
        flows::selection(rows),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The rows of one experiment and metric that carry all the given keys.
fn select<'a>(
    rows: &'a [MeasuredRow],
    experiment: &'a str,
    metric: &'a str,
    keys: &'a [(&'a str, &'a str)],
) -> impl Iterator<Item = &'a MeasuredRow> {
    rows.iter().filter(move |row| {
        row.cell.experiment == experiment
            && row.row.metric == metric
            && keys.iter().all(|(key, value)| row.get(key) == Some(value))
    })
}

/// Values by the number that a key holds, in increasing order of the number.
fn by_number<'a>(rows: impl Iterator<Item = &'a MeasuredRow>, key: &str) -> Vec<(f64, Vec<f64>)> {
    let mut groups: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for row in rows {
        let x = row.get(key).and_then(|text| text.parse::<f64>().ok());
        if let (Some(x), Some(value)) = (x.filter(|x| *x >= 0.0), row.row.value) {
            // The bits of non-negative floats have the order of the floats.
            groups.entry((x + 0.0).to_bits()).or_default().push(value);
        }
    }
    groups
        .into_iter()
        .map(|(bits, values)| (f64::from_bits(bits), values))
        .collect()
}

fn largest(groups: Vec<(f64, Vec<f64>)>) -> Vec<[f64; 2]> {
    let max = |values: Vec<f64>| values.into_iter().fold(f64::NEG_INFINITY, f64::max);
    groups
        .into_iter()
        .map(|(x, values)| [x, max(values)])
        .collect()
}

fn series(name: impl Into<String>, mark: Mark, points: Vec<[f64; 2]>) -> Option<Series> {
    let name = name.into();
    (!points.is_empty()).then_some(Series {
        name,
        mark,
        points,
        intervals: Vec::new(),
        values: Vec::new(),
    })
}

fn log_log(title: &str, x_label: &str, y_label: &str, series: Vec<Series>) -> Panel {
    Panel {
        title: title.to_owned(),
        x_label: x_label.to_owned(),
        y_label: y_label.to_owned(),
        x_scaling: Scaling::Log,
        y_scaling: Scaling::Log,
        categories: Vec::new(),
        series,
    }
}

fn figure(id: &str, title: &str, caption: &str, panels: Vec<Panel>) -> Option<Figure> {
    let panels: Vec<Panel> = panels
        .into_iter()
        .filter(|panel| !panel.series.is_empty())
        .collect();
    (!panels.is_empty()).then(|| Figure {
        id: id.to_owned(),
        title: title.to_owned(),
        caption: caption.to_owned(),
        panels,
    })
}

fn accuracy(rows: &[MeasuredRow]) -> Option<Figure> {
    let gap = |solver: &str, name: &str| {
        let keys = [("solver", solver)];
        let rows = select(rows, "random-channels", "gap_bits", &keys);
        series(name, Mark::Line, largest(by_number(rows, "d")))
    };
    let width = select(rows, "random-channels", "certificate_gap_bits", &[]);
    let lines = [
        gap("closed-form", "closed form"),
        gap("published", "Thin-PID, published constants"),
        gap("tight", "Thin-PID, tight constants"),
        gap("reduced", "reduced Thin-PID, tight constants"),
        gap("tilde", "Tilde-PID"),
        gap("mmi", "MMI"),
        series(
            "width of the certificate",
            Mark::Points,
            largest(by_number(width, "d")),
        ),
    ];
    let panel = log_log(
        "random channels",
        "dimension d",
        "objective gap [bits]",
        lines.into_iter().flatten().collect(),
    );
    figure(
        "accuracy",
        "Error of every solver against dimension",
        "Each point is the largest distance between the union information that a solver \
         returns and the \
         certified lower bound, over all shapes and seeds of that dimension. The \
         certificate encloses the optimum from both sides without using any iteration; its own \
         width shows the rounding that no comparison can go below. Gaps of exactly zero \
         cannot be drawn on this axis.",
        vec![panel],
    )
}

fn growth(rows: &[MeasuredRow], timings: &[MeasuredRow]) -> Option<Figure> {
    const SWEEPS: [(&str, &str); 3] = [
        ("square", "d2 = d"),
        ("wide", "d2 = 100"),
        ("ratio", "d2 = 0.6 d"),
    ];
    let middles = |rows: &[MeasuredRow], sweep: &str, metric: &str, name: &str| {
        let converged = [("sweep", sweep), ("stop", "converged")];
        // One iteration takes as long in a run that was cut off.
        let keys = if metric == "iteration_cpu_ms_median" {
            &converged[..1]
        } else {
            &converged
        };
        let groups = by_number(select(rows, "growth", metric, keys), "d");
        let middle = |(x, values): (f64, Vec<f64>)| Some([x, median(&values).ok()?]);
        series(
            name,
            Mark::Line,
            groups.into_iter().filter_map(middle).collect(),
        )
    };
    let of = |rows: &[MeasuredRow], metric: &str| -> Vec<Series> {
        let lines = SWEEPS
            .iter()
            .map(|(sweep, name)| middles(rows, sweep, metric, name));
        lines.flatten().collect()
    };
    let mut iteration = of(timings, "iteration_cpu_ms_median");
    let reference = iteration
        .first()
        .and_then(|square| cubic_reference(&square.points));
    iteration.extend(reference);
    let panels = vec![
        log_log(
            "one iteration",
            "dimension d = d1",
            "processor time [ms]",
            iteration,
        ),
        log_log(
            "until it stops",
            "dimension d = d1",
            "time [s]",
            of(timings, "total_s_median"),
        ),
        log_log(
            "iterations",
            "dimension d = d1",
            "iterations",
            of(rows, "iterations"),
        ),
    ];
    figure(
        "growth",
        "Time and iterations of Thin-PID against dimension",
        "Channels have independent normal entries; each point is the median over seeds of \
         the median over repeats, in one thread on the machine of this run. The dashed line \
         grows with the cube of d and touches the square sweep at its largest size; at \
         small sizes fixed costs outweigh arithmetic, so that the curves are flatter there. \
         Runs that were cut off before they converged, which happens where the optimum lies \
         close to the boundary, count in the first panel only.",
        panels,
    )
}

/// A line of slope 3 through the last point.
fn cubic_reference(points: &[[f64; 2]]) -> Option<Series> {
    let [x_last, y_last] = *points.last()?;
    let line = points
        .iter()
        .map(|[x, _]| [*x, y_last * (x / x_last).powi(3)])
        .collect();
    series("slope 3", Mark::Reference, line)
}

fn planar(rows: &[MeasuredRow]) -> Option<Figure> {
    let panel = |part: &str, gain: &str, title: &str, x_label: &str| {
        let keys = [
            ("part", part),
            ("gain", gain),
            ("degenerate", "no"),
            ("solver", "thin"),
        ];
        let mut by_reg: BTreeMap<&str, Vec<&MeasuredRow>> = BTreeMap::new();
        for row in select(rows, "planar-channels", "error_bits", &keys) {
            by_reg
                .entry(row.get("reg").unwrap_or_default())
                .or_default()
                .push(row);
        }
        let lines = by_reg.into_iter().map(|(reg, rows)| {
            let points = largest(by_number(rows.into_iter(), "parameter"));
            series(format!("reg = {reg}"), Mark::Line, points)
        });
        let series = lines.flatten().collect();
        Panel {
            x_scaling: Scaling::Linear,
            ..log_log(title, x_label, "error [bits]", series)
        }
    };
    figure(
        "planar",
        "Error of Thin-PID on two-dimensional channels",
        "Each point is the largest error over the four atoms against the closed form. `reg` \
         is the constant of the official code that is ridge and stopping tolerance at once. \
         The right angle of part ii, where both channels are equal and the objective is \
         0/0, is left out.",
        vec![
            panel("i", "3", "part i, gain 3", "gain α"),
            panel("ii", "3", "part ii, gain 3", "angle θ [rad]"),
        ],
    )
}

fn doubling(rows: &[MeasuredRow]) -> Option<Figure> {
    let names = [
        ("closed-form", "closed form"),
        ("published", "Thin-PID"),
        ("tight", "Thin-PID, tight"),
        ("tilde", "Tilde-PID"),
    ];
    let lines = names.into_iter().map(|(solver, name)| {
        let keys = [("solver", solver)];
        let rows = select(rows, "doubling", "error_bits", &keys);
        series(name, Mark::Line, largest(by_number(rows, "d")))
    });
    let panel = log_log(
        "rotated copies",
        "dimension d",
        "error [bits]",
        lines.flatten().collect(),
    );
    figure(
        "doubling",
        "Whether atoms double with the system",
        "A two-dimensional system is put beside copies of itself and rotated at random. \
         Each point is the largest difference between an atom and d/2 times the atom of the \
         single system.",
        vec![panel],
    )
}

fn real_views(rows: &[MeasuredRow]) -> Option<Figure> {
    figure(
        "real-views",
        "What pairs of views tell about a handwritten digit",
        "Points are bias-corrected atoms of the Gaussian decomposition on the leading \
         principal components of each view; whiskers are basic bootstrap intervals over the \
         2,000 items. The last two series show the permutation null's 95 % bound of the \
         joint information and the entropy of the label, which no true information can \
         exceed.",
        vec![
            views_panel(rows, "one-hot", "digit as nine indicators"),
            views_panel(rows, "scalar", "digit as one number"),
        ],
    )
}

fn views_panel(rows: &[MeasuredRow], coding: &str, title: &str) -> Panel {
    let keys = [("coding", coding)];
    let pair = |row: &MeasuredRow| {
        format!(
            "{} {}",
            row.get("view1").unwrap_or("?"),
            row.get("view2").unwrap_or("?")
        )
    };
    let mut categories: Vec<String> = Vec::new();
    for row in select(rows, "real-views", "label_entropy_bits", &keys) {
        categories.push(pair(row));
    }
    let values = |metric: &str, atom: Option<&str>, estimator: Option<&str>| {
        let mut found = BTreeMap::new();
        for row in select(rows, "real-views", metric, &keys) {
            let fits = |key: &str, wanted: Option<&str>| {
                wanted.is_none_or(|wanted| row.get(key) == Some(wanted))
            };
            let place = categories.iter().position(|name| *name == pair(row));
            if fits("atom", atom)
                && fits("estimator", estimator)
                && let (Some(place), Some(value)) = (place, row.row.value)
            {
                found.insert(place, value);
            }
        }
        found
    };
    let mut all = Vec::new();
    for name in ATOM_NAMES {
        let points = values("atom_bits", Some(name), Some("debiased"));
        let low = values("bootstrap_low_bits", Some(name), None);
        let high = values("bootstrap_high_bits", Some(name), None);
        let interval = |place: &usize| Some([*low.get(place)?, *high.get(place)?]);
        let intervals: Option<Vec<[f64; 2]>> = points.keys().map(interval).collect();
        let points = points
            .into_iter()
            .map(|(place, value)| [place as f64, value])
            .collect();
        if let Some(line) = series(name, Mark::Points, points) {
            all.push(Series {
                intervals: intervals.unwrap_or_default(),
                ..line
            });
        }
    }
    let flat = |metric: &str, atom: Option<&str>| -> Vec<[f64; 2]> {
        let found = values(metric, atom, None).into_iter();
        found.map(|(place, value)| [place as f64, value]).collect()
    };
    all.extend(series(
        "null of I12, 95 %",
        Mark::Reference,
        flat("null_bound_bits", Some("I12")),
    ));
    all.extend(series(
        "entropy of the label",
        Mark::Reference,
        flat("label_entropy_bits", None),
    ));
    Panel {
        title: title.to_owned(),
        x_label: "pair of views".to_owned(),
        y_label: "information [bits]".to_owned(),
        x_scaling: Scaling::Category,
        y_scaling: Scaling::Linear,
        categories,
        series: all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eval::{Cell, Row};
    use std::sync::Arc;

    fn row(cell: Cell, row: Row) -> MeasuredRow {
        MeasuredRow {
            cell: Arc::new(cell),
            row,
        }
    }

    #[test]
    fn no_rows_make_no_figures() {
        assert!(all(&[], &[]).is_empty());
    }

    #[test]
    fn sizes_are_ordered_as_numbers_and_the_worst_case_is_drawn() {
        let gap = |d: u32, seed: u64, value: f64| {
            let cell = Cell::new("random-channels", seed).with("d", d);
            row(
                cell,
                Row::new("gap_bits", value, "bits").tag("solver", "tight"),
            )
        };
        let rows = [gap(16, 0, 3.0), gap(2, 0, 1.0), gap(2, 1, 2.0)];
        let figures = all(&rows, &[]);
        assert_eq!(figures.len(), 1);
        assert_eq!(
            figures[0].panels[0].series[0].points,
            [[2.0, 2.0], [16.0, 3.0]]
        );
    }

    #[test]
    fn the_reference_line_has_slope_three_through_the_last_point() {
        let line = cubic_reference(&[[1.0, 9.0], [2.0, 16.0]]).unwrap();
        assert_eq!(line.points, [[1.0, 2.0], [2.0, 16.0]]);
    }

    #[test]
    fn intervals_belong_to_their_points() {
        let cell = || {
            Cell::new("real-views", 0)
                .with("view1", "a")
                .with("view2", "b")
                .with("coding", "one-hot")
        };
        let rows = [
            row(cell(), Row::new("label_entropy_bits", 3.0, "bits")),
            row(
                cell(),
                Row::new("atom_bits", 1.0, "bits")
                    .tag("atom", "R")
                    .tag("estimator", "debiased"),
            ),
            row(
                cell(),
                Row::new("bootstrap_low_bits", 0.5, "bits").tag("atom", "R"),
            ),
            row(
                cell(),
                Row::new("bootstrap_high_bits", 1.5, "bits").tag("atom", "R"),
            ),
        ];
        let figures = all(&rows, &[]);
        let panel = &figures[0].panels[0];
        assert_eq!(panel.categories, ["a b"]);
        assert_eq!(panel.series[0].points, [[0.0, 1.0]]);
        assert_eq!(panel.series[0].intervals, [[0.5, 1.5]]);
    }
}
