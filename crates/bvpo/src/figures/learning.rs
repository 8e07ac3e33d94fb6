//! Learning curves, and final rewards over the weight.

use eval::{Figure, Mark, MeasuredRow, Panel, Series};

use super::select::{Range, by_number, logarithmic, mean, mean_of, means, panel, select};

const METHODS: [(&str, &str); 5] = [
    ("trace", "DPO (alpha = 1)"),
    ("mix-0.5", "BVPO (0.5)"),
    ("empty", "alpha = 0"),
    ("oracle", "optimal alpha"),
    ("marginal", "ideal gradient"),
];

/// Exact losses and rewards along training, with bands over seeds.
pub fn curves(rows: &[MeasuredRow]) -> Option<Figure> {
    let of = |title: &str, metric: &str, label: &str, mode: Option<&str>| {
        let range = match metric {
            "curve_accuracy" => Range::Share,
            "curve_reward" => Range::Any,
            _ => Range::Positive,
        };
        let lines = METHODS.iter().filter_map(|(method, name)| {
            let mut keys = vec![("method", *method)];
            keys.extend(mode.map(|mode| ("mode", mode)));
            means(*name, range, by_number(select(rows, metric, &keys), "step"))
        });
        panel(title, "step", label, lines.collect())
    };
    let thinking = Some("thinking");
    let panels: Vec<Panel> = [
        of("ideal loss", "curve_loss_marginal", "L_m [nats]", None),
        of("trace loss", "curve_loss_trace", "L_t [nats]", None),
        of("empty-trace loss", "curve_loss_empty", "L_e [nats]", None),
        of("thinking", "curve_reward", "expected reward", thinking),
        of(
            "no thinking",
            "curve_reward",
            "expected reward",
            Some("no-thinking"),
        ),
        of(
            "thinking",
            "curve_accuracy",
            "probability of the correct value",
            thinking,
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!panels.is_empty()).then(|| Figure {
        id: "learning-curves".to_owned(),
        title: "Learning curves of TinyThink".to_owned(),
        caption: "Exact losses on training pairs and exact reward and accuracy on validation \
                  prompts; mean over seeds (of losses the geometric one) with 95 % band. Fresh \
                  traces at every visit, batches of 16, the same rate for every method. The \
                  optimal weight is computed exactly every 20 steps. The ideal gradient counts \
                  every trace at every step, on fewer seeds: a line without a band has too few \
                  seeds for one, and its seeds are not those of the others."
            .to_owned(),
        panels,
    })
}

/// Squared biases relative to a squared gradient below this are rounding.
const ROUNDING: f64 = 1e-20;

/// Variance and biases of the gradients at the start, the middle, and the end of training.
pub fn paths(rows: &[MeasuredRow]) -> Option<Figure> {
    const RUNS: [(&str, &str); 3] = [
        ("trace", "DPO (alpha = 1)"),
        ("mix-0.5", "BVPO (0.5)"),
        ("empty", "alpha = 0"),
    ];
    let of = |title: &str, metric: &str| {
        let lines = RUNS.iter().filter_map(|(run, name)| {
            let keys = [("run", *run), ("loss", "dpo")];
            let mut groups = by_number(select(rows, metric, &keys), "checkpoint");
            // What is zero up to rounding has no place on a logarithmic axis.
            for (_, values) in &mut groups {
                values.retain(|value| *value > ROUNDING);
            }
            means(*name, Range::Positive, groups)
        });
        panel(
            title,
            "step",
            "over squared ideal gradient",
            lines.collect(),
        )
        .map(logarithmic)
    };
    let panels: Vec<Panel> = [
        of("variance that traces make, V_r", "path_variance"),
        of("squared bias of the trace gradient", "path_trace_bias"),
        of(
            "squared bias of the empty-trace gradient",
            "path_empty_bias",
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!panels.is_empty()).then(|| Figure {
        id: "moments-along-runs".to_owned(),
        title: "Variance and bias of the gradients along training".to_owned(),
        caption: "TinyThink, DPO, given the data, every trace counted, in units of the squared \
                  ideal gradient at the same point; geometric mean over seeds with 95 % band. At \
                  the start the trace gradient has no bias, so its lines begin later."
            .to_owned(),
        panels,
    })
}

/// Accuracy over the divergence from the base model, method by method: each point is a rate.
pub fn frontier(rows: &[MeasuredRow]) -> Option<Figure> {
    const ARMS: [(&str, &str); 4] = [
        ("trace", "DPO (alpha = 1)"),
        ("mix-0.5", "BVPO (0.5)"),
        ("empty", "alpha = 0"),
        ("simpo-trace", "SimPO"),
    ];
    let of = |group: &str, title: &str, metric: &str, label: &str| {
        let series = ARMS.iter().filter_map(|(arm, name)| {
            let keys = [("group", group), ("mode", "thinking"), ("arm", *arm)];
            let by_rate = |metric| by_number(select(rows, metric, &keys), "rate");
            let across = by_rate("divergence");
            let points: Vec<[f64; 2]> = across
                .into_iter()
                .zip(by_rate(metric))
                .map(|((_, x), (_, y))| [mean(&x), mean(&y)])
                .collect();
            let base = [("group", group), ("mode", "thinking"), ("arm", "base")];
            let start = mean_of(select(rows, metric, &base)).map(|y| [0.0, y]);
            let points: Vec<[f64; 2]> = start.into_iter().chain(points).collect();
            (points.len() > 1).then(|| Series::new(*name, Mark::Line, points))
        });
        panel(
            title,
            "divergence of answers [nats]",
            label,
            series.collect(),
        )
    };
    let style = "reward of style only";
    let panels: Vec<Panel> = [
        of("style", style, "accuracy", "accuracy [points]"),
        of("style", style, "reward", "expected reward"),
        of("core", "reward of both", "accuracy", "accuracy [points]"),
        of("core", "reward of both", "reward", "expected reward"),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!panels.is_empty()).then(|| Figure {
        id: "accuracy-over-divergence".to_owned(),
        title: "What alignment costs in accuracy".to_owned(),
        caption: "TinyThink with thinking, held-out prompts, means over seeds. From the base \
                  model at divergence 0 each line goes through the four learning rates in rising \
                  order. Where the reward sees style alone, the rate that is best by it is chosen \
                  without regard to accuracy."
            .to_owned(),
        panels,
    })
}

/// Final reward over the weight at several batch sizes, with the exact optimal weight at the start.
pub fn over_weights(rows: &[MeasuredRow]) -> Option<Figure> {
    const GROUPS: [(&str, &[&str]); 2] = [
        ("alphas", &["2", "16"]),
        ("batches", &["1", "4", "64", "256"]),
    ];
    let panels: Vec<Panel> = ["thinking", "no-thinking"]
        .into_iter()
        .filter_map(|mode| {
            let mut series: Vec<Series> = Vec::new();
            for (group, batches) in GROUPS {
                for batch in batches {
                    let keys = [("group", group), ("mode", mode), ("batch", *batch)];
                    let groups = by_number(select(rows, "reward", &keys), "alpha");
                    series.extend(means(format!("batch of {batch}"), Range::Any, groups));
                }
            }
            series.extend(optimum(rows, &series));
            panel(mode, "weight alpha", "expected reward", series)
        })
        .collect();
    (!panels.is_empty()).then(|| Figure {
        id: "reward-over-weights".to_owned(),
        title: "Reward after training over the weight".to_owned(),
        caption:
            "Exact expected reward on held-out prompts after training with every weight; mean \
                  over seeds with 95 % band. Batches of 2 and 16 have every seed and eleven \
                  weights, the others fewer seeds (without a band) and five. The dashed line is \
                  the weight of least mean squared error at the reference policy for batches of \
                  16, traces and data random."
                .to_owned(),
        panels,
    })
}

/// A line at the mean `α*` of the start, as high as the other series.
fn optimum(rows: &[MeasuredRow], others: &[Series]) -> Option<Series> {
    let heights = others.iter().flat_map(|series| &series.points);
    let (low, high) = heights.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), point| {
        (low.min(point[1]), high.max(point[1]))
    });
    let start = [
        ("run", "start"),
        ("loss", "dpo"),
        ("silent", "empty"),
        ("batch", "16"),
        ("random", "traces+data"),
    ];
    let star = mean_of(select(rows, "alpha_star", &start)).filter(|_| low < high)?;
    let name = "least error at the start, batch of 16";
    Some(Series::new(
        name,
        Mark::Reference,
        vec![[star, low], [star, high]],
    ))
}
