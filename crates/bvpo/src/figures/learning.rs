//! Learning curves, and final rewards over the weight.

use eval::{Figure, Mark, MeasuredRow, Panel, Series};

use super::select::{by_number, mean_of, means, panel, select};

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
        let lines = METHODS.iter().filter_map(|(method, name)| {
            let mut keys = vec![("method", *method)];
            keys.extend(mode.map(|mode| ("mode", mode)));
            means(
                *name,
                Mark::Line,
                by_number(select(rows, metric, &keys), "step"),
            )
        });
        panel(title, "step", label, lines.collect())
    };
    let panels: Vec<Panel> = [
        of("ideal loss", "curve_loss_marginal", "L_m [nats]", None),
        of("trace loss", "curve_loss_trace", "L_t [nats]", None),
        of("empty-trace loss", "curve_loss_empty", "L_e [nats]", None),
        of(
            "thinking",
            "curve_reward",
            "expected reward",
            Some("thinking"),
        ),
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
            Some("thinking"),
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!panels.is_empty()).then(|| Figure {
        id: "learning-curves".to_owned(),
        title: "Learning curves of TinyThink".to_owned(),
        caption: "Exact losses on training pairs and exact reward and accuracy on validation \
                  prompts; mean over seeds with 95 % band. Fresh traces at every visit, batches of \
                  16, the same rate for every method. The optimal weight is computed exactly every \
                  20 steps; the ideal gradient counts every trace at every step, on fewer seeds."
            .to_owned(),
        panels,
    })
}

/// Final reward over the weight at two batch sizes, with the exact optimal weight at the start.
pub fn over_weights(rows: &[MeasuredRow]) -> Option<Figure> {
    let panels: Vec<Panel> = ["thinking", "no-thinking"]
        .into_iter()
        .filter_map(|mode| {
            let mut series: Vec<Series> = Vec::new();
            for batch in ["2", "16"] {
                let keys = [("group", "alphas"), ("mode", mode), ("batch", batch)];
                let groups = by_number(select(rows, "reward", &keys), "alpha");
                series.extend(means(format!("batch of {batch}"), Mark::Line, groups));
            }
            let (low, high) = series
                .iter()
                .flat_map(|series| &series.points)
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), point| {
                    (low.min(point[1]), high.max(point[1]))
                });
            let start = [
                ("run", "start"),
                ("loss", "dpo"),
                ("silent", "empty"),
                ("batch", "16"),
                ("random", "traces+data"),
            ];
            if let Some(star) = mean_of(select(rows, "alpha_star", &start))
                && low < high
            {
                let line = vec![[star, low], [star, high]];
                let name = "least error at the start, batch of 16";
                series.push(Series::new(name, Mark::Reference, line));
            }
            panel(mode, "weight alpha", "expected reward", series)
        })
        .collect();
    (!panels.is_empty()).then(|| Figure {
        id: "reward-over-weights".to_owned(),
        title: "Reward after training over the weight".to_owned(),
        caption:
            "Exact expected reward on held-out prompts after training with every weight; mean \
                  over seeds with 95 % band. The dashed line is the weight of least mean squared \
                  error at the reference policy, traces and data random."
                .to_owned(),
        panels,
    })
}
