//! Figures of parts B and C: price against accuracy, every method at three samples, reliability of
//! each model, learning curves.

use std::collections::BTreeMap;

use eval::stats::{mean_interval, wilson};
use eval::{Figure, Mark, MeasuredRow, Panel, Scaling, Series};

const LEVEL: f64 = 0.95;

/// A point and its interval.
type Point = ([f64; 2], [f64; 2]);

/// Every figure whose rows are there.
pub fn all(rows: &[MeasuredRow]) -> Vec<Figure> {
    let reliability = [
        ("live", "two small models"),
        ("trained", "models trained here"),
    ];
    [plane(rows), methods(rows), curves(rows)]
        .into_iter()
        .chain(reliability.map(|(pool, what)| reliable(rows, pool, what)))
        .flatten()
        .collect()
}

/// Values of the trio's rows by a key.
fn by<'a>(
    rows: &'a [MeasuredRow],
    metric: &'a str,
    tags: &[(&str, &str)],
    keys: [&str; 2],
) -> BTreeMap<(String, String), Vec<f64>> {
    let mut groups: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.row.metric == metric) {
        let matches = tags.iter().all(|(key, value)| row.get(key) == Some(value));
        if matches
            && let (Some(a), Some(b), Some(value)) =
                (row.get(keys[0]), row.get(keys[1]), row.row.value)
        {
            groups.entry((a.into(), b.into())).or_default().push(value);
        }
    }
    groups
}

/// Mean with its interval, where there are values enough for one.
fn point(x: f64, values: &[f64]) -> Point {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let interval = mean_interval(values, LEVEL).map_or([mean, mean], |found| {
        [found.interval.low, found.interval.high]
    });
    ([x, mean], interval)
}

fn series(name: String, mark: Mark, points: Vec<Point>) -> Series {
    let (points, intervals) = points.into_iter().unzip();
    Series {
        intervals,
        ..Series::new(name, mark, points)
    }
}

/// Accuracy against tokens: the rule and self-consistency for each k, the others as points.
fn plane(rows: &[MeasuredRow]) -> Option<Figure> {
    let trio = [("pool", "trio")];
    let tokens = by(rows, "tokens_mean", &trio, ["method", "k"]);
    let right = by(rows, "right", &trio, ["method", "k"]);
    let mut found = Vec::new();
    for method in ["mux", "self-consistency"] {
        let mut points: Vec<Point> = tokens
            .iter()
            .filter(|((name, _), _)| name == method)
            .filter_map(|(key, tokens)| Some(point(*tokens.first()?, right.get(key)?)))
            .collect();
        points.sort_by(|a, b| a.0[0].total_cmp(&b.0[0]));
        found.push(series(method.to_owned(), Mark::Line, points));
    }
    for ((method, k), spent) in by(rows, "tokens", &trio, ["method", "k"]) {
        let mean = spent.iter().sum::<f64>() / spent.len() as f64;
        if let Some(values) = right.get(&(method.clone(), k)) {
            found.push(series(method, Mark::Points, vec![point(mean, values)]));
        }
    }
    found.retain(|series| !series.points.is_empty());
    (!found.is_empty()).then(|| Figure {
        id: "live-tokens".into(),
        title: "Accuracy against price, two small models live".into(),
        caption: "Share of test questions answered rightly against tokens read and written per \
                  question, each sample counted as a call of its own. Lines run over one to nine \
                  samples per model; whiskers and bands are 95 % t intervals over questions."
            .into(),
        panels: vec![Panel {
            x_label: "tokens per question".into(),
            y_label: "accuracy".into(),
            x_scaling: Scaling::Log,
            series: found,
            ..Panel::default()
        }],
    })
}

/// Every method at three samples.
fn methods(rows: &[MeasuredRow]) -> Option<Figure> {
    let right = by(
        rows,
        "right",
        &[("pool", "trio"), ("k", "3")],
        ["method", "k"],
    );
    let categories: Vec<String> = right.keys().map(|(method, _)| method.clone()).collect();
    let points: Vec<Point> = right
        .values()
        .enumerate()
        .map(|(place, values)| point(place as f64, values))
        .collect();
    (!points.is_empty()).then(|| Figure {
        id: "live-methods".into(),
        title: "Methods on the same questions, three samples per model".into(),
        caption: "Two small models, one of them in two layouts, on twenty word tasks; 95 % t \
                  intervals over questions. Intervals of single methods overlap where paired \
                  differences, which the claims test, may not."
            .into(),
        panels: vec![Panel {
            x_label: "method".into(),
            y_label: "accuracy".into(),
            x_scaling: Scaling::Category,
            categories,
            series: vec![series("accuracy".into(), Mark::Bars, points)],
            ..Panel::default()
        }],
    })
}

/// How often a mode is right by its count.
fn reliable(rows: &[MeasuredRow], pool: &str, what: &str) -> Option<Figure> {
    let groups = by(rows, "mode_right", &[("pool", pool)], ["model", "count"]);
    let mut models: BTreeMap<&str, Vec<Point>> = BTreeMap::new();
    let mut highest = 0.0f64;
    for ((model, count), values) in &groups {
        let Ok(count) = count.parse::<f64>() else {
            continue;
        };
        highest = highest.max(count);
        let n_right = values.iter().filter(|value| **value == 1.0).count() as u64;
        let n = values.len() as u64;
        let interval = wilson(n_right, n, LEVEL).map_or([0.0, 1.0], |i| [i.low, i.high]);
        let share = n_right as f64 / n.max(1) as f64;
        models
            .entry(model)
            .or_default()
            .push(([count, share], interval));
    }
    let mut found: Vec<Series> = models
        .into_iter()
        .map(|(model, mut points)| {
            points.sort_by(|a, b| a.0[0].total_cmp(&b.0[0]));
            series(model.to_owned(), Mark::Line, points)
        })
        .collect();
    (!found.is_empty()).then(|| {
        let diagonal = vec![[0.0, 0.0], [highest, 1.0]];
        found.push(Series::new(
            "as confident as right",
            Mark::Reference,
            diagonal,
        ));
        Figure {
            id: format!("reliability-{pool}"),
            title: format!("Is a model that agrees with itself right? {what}"),
            caption:
                "Share of test questions on which a model's most frequent answer is right, by \
                      how many of its nine samples gave it; 95 % Wilson intervals."
                    .into(),
            panels: vec![Panel {
                x_label: "samples that gave the answer".into(),
                y_label: "share right".into(),
                series: found,
                ..Panel::default()
            }],
        }
    })
}

/// Training losses of the pool.
fn curves(rows: &[MeasuredRow]) -> Option<Figure> {
    let groups = by(rows, "training_loss_nats", &[], ["member", "step"]);
    let mut members: BTreeMap<&str, Vec<[f64; 2]>> = BTreeMap::new();
    for ((member, step), values) in &groups {
        if let (Ok(step), Some(loss)) = (step.parse(), values.first()) {
            members.entry(member).or_default().push([step, *loss]);
        }
    }
    let found: Vec<Series> = members
        .into_iter()
        .map(|(member, mut points)| {
            points.sort_by(|a, b| a[0].total_cmp(&b[0]));
            Series::new(member, Mark::Line, points)
        })
        .collect();
    (!found.is_empty()).then(|| Figure {
        id: "training".into(),
        title: "Learning curves of the pool trained here".into(),
        caption:
            "Mean loss per answer token over the steps since the point before, each member on \
                  its own mixture of skills. First pool."
                .into(),
        panels: vec![Panel {
            x_label: "step".into(),
            y_label: "loss [nats]".into(),
            series: found,
            ..Panel::default()
        }],
    })
}
