//! Figures of the constructed worlds, the pass rates, the phase diagram, and the search.

use std::collections::BTreeMap;

use eval::stats::mean_interval;
use eval::{Figure, Mark, MeasuredRow, Panel, Scaling, Series};

use crate::experiments::{CONSTRUCTED, PASS_RATES, PHASE, SEARCHING};

const LEVEL: f64 = 0.95;
const NOISES: [&str; 3] = ["scattered", "mixed", "coherent"];

/// Every figure whose rows are there.
pub fn all(rows: &[MeasuredRow], timings: &[MeasuredRow]) -> Vec<Figure> {
    [
        samples(rows),
        models(rows),
        losses(rows),
        reliability(rows),
        bracket(rows),
        phase(rows),
        times(timings),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Rows of one experiment and metric with all these tags.
fn select<'a>(
    rows: &'a [MeasuredRow],
    experiment: &'a str,
    metric: &'a str,
    tags: &'a [(&'a str, &'a str)],
) -> impl Iterator<Item = (&'a MeasuredRow, f64)> {
    rows.iter()
        .filter(move |row| row.cell.experiment == experiment && row.row.metric == metric)
        .filter(move |row| tags.iter().all(|(key, value)| row.get(key) == Some(value)))
        .filter_map(|row| Some((row, row.row.value?)))
}

/// Means against a numeric key, with t intervals over the values at each.
fn line<'a>(
    name: &str,
    x: &str,
    rows: impl Iterator<Item = (&'a MeasuredRow, f64)>,
) -> Option<Series> {
    let mut groups: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for (row, value) in rows {
        if let Some(x) = row.get(x).and_then(|text| text.parse::<f64>().ok()) {
            groups
                .entry((x * 1e6).round() as u64)
                .or_default()
                .push(value);
        }
    }
    let mut series = Series::new(name, Mark::Line, Vec::new());
    for (x, values) in groups {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let interval = mean_interval(&values, LEVEL).map_or([mean, mean], |found| {
            [found.interval.low, found.interval.high]
        });
        series.points.push([x as f64 / 1e6, mean]);
        series.intervals.push(interval);
    }
    (!series.points.is_empty()).then_some(series)
}

/// One panel a kind of noise; none where no panel has a series.
fn panels(
    x_label: &str,
    y_label: &str,
    series: impl Fn(&str) -> Vec<Option<Series>>,
) -> Option<Vec<Panel>> {
    let panels: Vec<Panel> = NOISES
        .iter()
        .map(|noise| Panel {
            title: format!("{noise} wrong answers"),
            x_label: x_label.into(),
            y_label: y_label.into(),
            series: series(noise).into_iter().flatten().collect(),
            ..Panel::default()
        })
        .filter(|panel| !panel.series.is_empty())
        .collect();
    (!panels.is_empty()).then_some(panels)
}

fn samples(rows: &[MeasuredRow]) -> Option<Figure> {
    let methods = [
        "mux",
        "self-consistency",
        "self-consistency-same-total",
        "af-random",
        "af-support",
        "calibrated",
    ];
    let panels = panels("samples per model k", "accuracy [%]", |noise| {
        methods
            .iter()
            .map(|method| {
                let tags = [("noise", noise), ("pool", "searched"), ("method", method)];
                line(method, "k", select(rows, CONSTRUCTED, "accuracy", &tags))
            })
            .collect()
    })?;
    Some(Figure {
        id: "samples".into(),
        title: "Accuracy against the number of samples, searched pairs".into(),
        caption: "Constructed worlds of eight models, of which the search takes two on the \
                  validation half; accuracies are those of the test half, exact or averaged over \
                  sub-samples of nine recorded samples. Bands are 95 % t intervals over worlds."
            .into(),
        panels,
    })
}

fn models(rows: &[MeasuredRow]) -> Option<Figure> {
    let lines = [
        ("rule, held out", "pool_accuracy"),
        ("union, validation", "pool_union"),
        ("union, held out", "pool_union_test"),
        ("contradictions, validation", "pool_contradiction"),
        ("objective, validation", "objective"),
    ];
    let panels = panels("models in the pool K", "share of questions [%]", |noise| {
        lines
            .iter()
            .map(|(name, metric)| {
                line(
                    name,
                    "K",
                    select(rows, CONSTRUCTED, metric, &[("noise", noise)]),
                )
            })
            .collect()
    })?;
    Some(Figure {
        id: "models".into(),
        title: "The best subset of each size".into(),
        caption:
            "Union, contradictions, and plotted objective of the subset that the search takes, \
                  and what the rule makes of it with three samples per model on other questions. \
                  Bands are 95 % t intervals over worlds."
                .into(),
        panels,
    })
}

fn losses(rows: &[MeasuredRow]) -> Option<Figure> {
    let lines = [
        ("some mode is right", "oracle"),
        ("confidently wrong", "confidently_wrong"),
        ("tie lost", "tie_lost"),
    ];
    let panels = panels("samples per model k", "share of questions [%]", |noise| {
        let tags = [("noise", noise), ("pool", "all")];
        let mut found: Vec<Option<Series>> = lines
            .iter()
            .map(|(name, metric)| line(name, "k", select(rows, CONSTRUCTED, metric, &tags)))
            .collect();
        let rule = [("noise", noise), ("pool", "all"), ("method", "mux")];
        let accuracy = select(rows, CONSTRUCTED, "accuracy", &rule);
        found.push(line("rule", "k", accuracy));
        found
    })?;
    Some(Figure {
        id: "losses".into(),
        title: "What the rule loses".into(),
        caption: "All eight models. The share of questions on which some model's mode is right is \
                  the accuracy of the rule plus the two losses: to a strictly more confident model \
                  that is wrong, and to a tie. Bands are 95 % t intervals over worlds."
            .into(),
        panels,
    })
}

/// The share of right modes by modal count, all models of a world together.
fn reliability(rows: &[MeasuredRow]) -> Option<Figure> {
    let panels = panels("samples that agree, of nine", "share right", |noise| {
        let tags = [("noise", noise)];
        let sums = |metric| {
            let mut sums: BTreeMap<u32, f64> = BTreeMap::new();
            for (row, value) in select(rows, CONSTRUCTED, metric, &tags) {
                if let Some(count) = row.get("count").and_then(|text| text.parse().ok()) {
                    *sums.entry(count).or_default() += value;
                }
            }
            sums
        };
        let (right, n) = (sums("calibration_right"), sums("calibration_n"));
        let points: Vec<[f64; 2]> = n
            .iter()
            .map(|(count, n)| [f64::from(*count), right.get(count).unwrap_or(&0.0) / n])
            .collect();
        let highest = n.keys().max().copied().unwrap_or(1).max(1);
        let diagonal = vec![[0.0, 0.0], [f64::from(highest), 1.0]];
        if points.is_empty() {
            return Vec::new();
        }
        vec![
            Some(Series::new("measured", Mark::Line, points)),
            Some(Series::new(
                "as confident as right",
                Mark::Reference,
                diagonal,
            )),
        ]
    })?;
    Some(Figure {
        id: "reliability-constructed".into(),
        title: "Agreement with oneself and being right, constructed worlds".into(),
        caption: "The more a wrong answer tempts, the less a model's agreement with itself says."
            .into(),
        panels,
    })
}

fn bracket(rows: &[MeasuredRow]) -> Option<Figure> {
    let lines = [
        ("rule, four models, wrong answers the same", "mux-pool", "1"),
        (
            "rule, four models, wrong answers all different",
            "mux-pool",
            "inf",
        ),
        (
            "self-consistency, wrong answers the same",
            "self-consistency",
            "1",
        ),
        ("self-consistency, all different", "self-consistency", "inf"),
        ("best of four, one sample", "single-best", "1"),
        ("Qwen2.5-72B, one sample", "large", "1"),
    ];
    let series: Vec<Series> = lines
        .iter()
        .filter_map(|(name, method, m)| {
            let tags = [("method", *method), ("m", *m)];
            let mut series = line(name, "k", select(rows, PASS_RATES, "right", &tags))?;
            // Values are tasks, the same in every split, so an interval over rows says nothing.
            series.intervals.clear();
            Some(series)
        })
        .collect();
    (!series.is_empty()).then(|| Figure {
        id: "pass-rates".into(),
        title: "What pass rates say of the rule".into(),
        caption: "Four small models on 118 coding tasks. Pass rates do not tell which wrong \
                  programs agree, so the rule lies between two curves: all wrong samples of a \
                  model the same, and all different."
            .into(),
        panels: vec![Panel {
            x_label: "samples per model k".into(),
            y_label: "accuracy [%]".into(),
            series,
            ..Panel::default()
        }],
    })
}

fn phase(rows: &[MeasuredRow]) -> Option<Figure> {
    let panel = |m: &str, title: &str| {
        let tags = [("m", m), ("k", "5")];
        let mut cells: BTreeMap<(u64, u64), Vec<f64>> = BTreeMap::new();
        for (row, value) in select(rows, PHASE, "mux_minus_sc", &tags) {
            let number = |key| row.get(key).and_then(|text| text.parse::<f64>().ok());
            if let (Some(gap), Some(correlation)) = (number("gap"), number("correlation")) {
                let key = ((gap * 100.0) as u64, (correlation * 100.0) as u64);
                cells.entry(key).or_default().push(value);
            }
        }
        let mut series = Series::new(
            "rule minus self-consistency [points]",
            Mark::Tiles,
            Vec::new(),
        );
        for ((gap, correlation), values) in cells {
            series
                .points
                .push([gap as f64 / 100.0, correlation as f64 / 100.0]);
            series
                .values
                .push(values.iter().sum::<f64>() / values.len() as f64);
        }
        (!series.points.is_empty()).then(|| Panel {
            title: title.into(),
            x_label: "gap between the models [log odds]".into(),
            y_label: "correlation of difficulties".into(),
            series: vec![series],
            ..Panel::default()
        })
    };
    let panels: Vec<Panel> = [
        ("1", "one wrong answer"),
        ("4", "four wrong answers"),
        ("inf", "wrong answers never agree"),
    ]
    .iter()
    .filter_map(|(m, title)| panel(m, title))
    .collect();
    (!panels.is_empty()).then(|| Figure {
        id: "phase".into(),
        title: "Where the rule beats the better model's self-consistency".into(),
        caption:
            "Two models, five samples each; points of accuracy, exact given the questions and \
                  averaged over seeds. Negative: the weaker model does harm."
                .into(),
        panels,
    })
}

fn times(timings: &[MeasuredRow]) -> Option<Figure> {
    let methods = [
        "exhaustive",
        "branch-and-bound",
        "greedy",
        "greedy-swap",
        "beam",
    ];
    let panels: Vec<Panel> = ["2", "3", "5"]
        .iter()
        .map(|size| Panel {
            title: format!("K = {size}"),
            x_label: "models".into(),
            y_label: "processor time [s]".into(),
            x_scaling: Scaling::Log,
            y_scaling: Scaling::Log,
            series: methods
                .iter()
                .filter_map(|method| {
                    let tags = [("method", *method), ("K", *size), ("form", "printed")];
                    line(
                        method,
                        "n",
                        select(timings, SEARCHING, "search_cpu_s", &tags),
                    )
                })
                .collect(),
            ..Panel::default()
        })
        .filter(|panel| !panel.series.is_empty())
        .collect();
    (!panels.is_empty()).then(|| Figure {
        id: "search-times".into(),
        title: "Time of the search".into(),
        caption:
            "Printed objective, 500 questions, one thread. Branch and bound stops at a number of \
                  nodes; whether it then has a certificate stands in the rows."
                .into(),
        panels,
    })
}
