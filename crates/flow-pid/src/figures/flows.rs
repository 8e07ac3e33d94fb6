//! Plots of the flow half: learning curves with Gaussianity, errors by estimator, real data.

use std::collections::BTreeMap;

use eval::{Figure, Mark, MeasuredRow, Panel, Scaling, Series};

use super::{by_number, figure, select, series};
use crate::fusion::Fusion;

const DISTORTED: [(&str, &str); 3] = [
    ("dims", "2x2x2"),
    ("distortion", "elementwise"),
    ("n", "10000"),
];

/// Condition words and legend names of the flows.
const FLOWS: [(&str, &str); 5] = [
    ("realnvp-2", "RealNVP, 2 blocks"),
    ("realnvp-6", "RealNVP, 6 blocks (the paper's)"),
    ("realnvp-12", "RealNVP, 12 blocks"),
    ("realnvp-6-ml", "RealNVP, 6 blocks, maximum likelihood"),
    ("spline", "splines behind linear maps"),
];

fn means(groups: Vec<(f64, Vec<f64>)>) -> Vec<[f64; 2]> {
    groups
        .into_iter()
        .map(|(x, values)| [x, values.iter().sum::<f64>() / values.len() as f64])
        .collect()
}

fn linear(title: &str, x_label: &str, y_label: &str, series: Vec<Series>) -> Panel {
    Panel {
        title: title.to_owned(),
        x_label: x_label.to_owned(),
        y_label: y_label.to_owned(),
        series,
        ..Panel::default()
    }
}

pub(super) fn learning(rows: &[MeasuredRow]) -> Option<Figure> {
    let lines = |metric: &str| -> Vec<Series> {
        let line = |(word, name): (&str, &str)| {
            let mut keys = DISTORTED.to_vec();
            keys.push(("estimator", word));
            let rows = select(rows, "distortions", metric, &keys);
            series(name, Mark::Line, means(by_number(rows, "step")))
        };
        FLOWS.into_iter().filter_map(line).collect()
    };
    figure(
        "flow-learning",
        "Learning curves of Flow-PID",
        "Means over seeds on 10,000 elementwise distorted samples of the (2,2,2) system, a fifth \
         held out. Left: negative log-likelihood of held-out pairs under Gaussians fitted to the \
         training latents. Right: the largest distance of a latent coordinate from a normal \
         distribution, which is 0 where the flows have done their work.",
        vec![
            linear(
                "held-out pairs",
                "step",
                "negative log-likelihood [nats]",
                lines("curve_held_out_nats"),
            ),
            linear(
                "Gaussianity of the latents",
                "step",
                "largest marginal distance",
                lines("marginal_distance"),
            ),
        ],
    )
}

pub(super) fn errors(rows: &[MeasuredRow]) -> Option<Figure> {
    const ESTIMATORS: [(&str, &str); 7] = [
        ("identity", "none"),
        ("copula", "ranks"),
        FLOWS[0],
        FLOWS[1],
        FLOWS[2],
        FLOWS[3],
        FLOWS[4],
    ];
    let panel = |distortion: &str| {
        let mean_of = |(word, _): (&str, &str)| {
            let keys = [
                ("dims", "2x2x2"),
                ("distortion", distortion),
                ("n", "10000"),
                ("estimator", word),
            ];
            let found: Vec<f64> = select(rows, "distortions", "error_bits", &keys)
                .filter_map(|row| row.row.value)
                .collect();
            let low = found.iter().copied().fold(f64::INFINITY, f64::min);
            let high = found.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let mean = found.iter().sum::<f64>() / found.len() as f64;
            (!found.is_empty()).then_some((mean, [low, high]))
        };
        let found: Vec<(usize, f64, [f64; 2])> = ESTIMATORS
            .into_iter()
            .enumerate()
            .filter_map(|(k, name)| mean_of(name).map(|(mean, range)| (k, mean, range)))
            .collect();
        let points = found
            .iter()
            .map(|(k, mean, _)| [*k as f64, *mean])
            .collect();
        let bars = series("largest error of an atom", Mark::Bars, points).map(|bars| Series {
            intervals: found.iter().map(|(.., range)| *range).collect(),
            ..bars
        });
        Panel {
            title: distortion.to_owned(),
            x_label: "transform of each variable".to_owned(),
            y_label: "error [bits]".to_owned(),
            x_scaling: Scaling::Category,
            categories: ESTIMATORS.map(|(_, name)| name.to_owned()).to_vec(),
            series: bars.into_iter().collect(),
            ..Panel::default()
        }
    };
    figure(
        "flow-errors",
        "What each transform recovers of a distorted Gaussian system",
        "Largest error of an atom on 10,000 distorted samples of the (2,2,2) system: mean, and \
         range over seeds. The paper's distortion acts on single coordinates, which ranks undo \
         without any training; the other two do not.",
        vec![panel("elementwise"), panel("rotated"), panel("coupled")],
    )
}

pub(super) fn fusion(rows: &[MeasuredRow]) -> Option<Figure> {
    let sets = sets_of(real(rows, "label_entropy_bits"));
    let values = |metric: &str, estimator: Option<&str>| {
        let fits =
            |row: &&MeasuredRow| estimator.is_none_or(|word| row.get("estimator") == Some(word));
        means_by_set(real(rows, metric).filter(fits), &sets)
    };
    let totals = [
        ("flow", "Flow-PID, label as one number"),
        (
            "copula-debiased",
            "copula, indicator columns, bias-corrected",
        ),
        ("clusters", "clusters, exact discrete"),
    ];
    let mut lines: Vec<Series> = totals
        .into_iter()
        .filter_map(|(word, name)| series(name, Mark::Points, values("total_bits", Some(word))))
        .collect();
    lines.extend(series(
        "entropy of the label",
        Mark::Reference,
        values("label_entropy_bits", None),
    ));
    let panel = Panel {
        title: "joint information".to_owned(),
        x_label: "set".to_owned(),
        y_label: "information [bits]".to_owned(),
        x_scaling: Scaling::Category,
        categories: sets.clone(),
        series: lines,
        ..Panel::default()
    };
    figure(
        "real-fusion",
        "Real data with two sources",
        "Joint information about the label by three estimators, and the label's entropy, which no \
         true information exceeds.",
        vec![panel],
    )
}

pub(super) fn selection(rows: &[MeasuredRow]) -> Option<Figure> {
    let accuracies = || select(rows, "model-selection", "accuracy", &[]);
    let sets = sets_of(accuracies());
    let line = |model: Fusion| {
        let of_model = accuracies().filter(|row| row.get("model") == Some(model.as_str()));
        series(model.as_str(), Mark::Points, means_by_set(of_model, &sets))
    };
    let panel = Panel {
        title: "accuracy on unseen items".to_owned(),
        x_label: "set".to_owned(),
        y_label: "share told correctly".to_owned(),
        x_scaling: Scaling::Category,
        categories: sets.clone(),
        series: Fusion::ALL.into_iter().filter_map(line).collect(),
        ..Panel::default()
    };
    figure(
        "model-selection",
        "Fusion models on synthetic sets and on real targets",
        "Where models hardly differ, any recommendation is a good one; a choice shows its worth on \
         sets that spread them.",
        vec![panel],
    )
}

/// The sets that rows are about, in the order of the rows.
fn sets_of<'a>(rows: impl Iterator<Item = &'a MeasuredRow>) -> Vec<String> {
    let mut sets: Vec<String> = Vec::new();
    for row in rows {
        let set = row.get("set").unwrap_or("?").to_owned();
        if !sets.contains(&set) {
            sets.push(set);
        }
    }
    sets
}

/// Place of the set and mean of its values.
fn means_by_set<'a>(rows: impl Iterator<Item = &'a MeasuredRow>, sets: &[String]) -> Vec<[f64; 2]> {
    let mut found: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for row in rows {
        let place = sets.iter().position(|set| row.get("set") == Some(set));
        if let (Some(place), Some(value)) = (place, row.row.value) {
            found.entry(place).or_default().push(value);
        }
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    found
        .iter()
        .map(|(place, values)| [*place as f64, mean(values)])
        .collect()
}

fn real<'a>(rows: &'a [MeasuredRow], metric: &'a str) -> impl Iterator<Item = &'a MeasuredRow> {
    select(rows, "real-fusion", metric, &[]).chain(select(rows, "real-omics", metric, &[]))
}
