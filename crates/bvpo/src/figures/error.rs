//! Mean squared error of every mix, one panel per batch size.

use eval::{Figure, Mark, MeasuredRow, Panel, Series};

use super::select::{by_number, mean_of, means, panel, select};

const BATCHES: [&str; 5] = ["1", "4", "16", "64", "256"];
const RANDOM: [(&str, &str); 2] = [
    ("traces", "traces random"),
    ("traces+data", "traces and data random"),
];

/// `MSE(α)/‖μ‖²` at the reference policy with `α*` and 0.5 marked.
pub fn of_mixes(rows: &[MeasuredRow]) -> Option<Figure> {
    let panels: Vec<Panel> = BATCHES
        .iter()
        .filter_map(|batch| of_batch(rows, batch))
        .collect();
    (!panels.is_empty()).then(|| Figure {
        id: "mse-of-mixes".to_owned(),
        title: "Mean squared error of every mix, TinyThink at the reference policy".to_owned(),
        caption: "Exact error of the mixed DPO gradient over the squared length of the ideal \
                  gradient, against the weight alpha of the trace gradient; mean over seeds with \
                  95 % band. Points are the optimal weight of each curve; the dashed line is the \
                  paper's 0.5. Every trace is counted."
            .to_owned(),
        panels,
    })
}

fn of_batch(rows: &[MeasuredRow], batch: &str) -> Option<Panel> {
    let mut series = Vec::new();
    let mut top: f64 = 0.0;
    for (random, name) in RANDOM {
        let keys = [
            ("run", "start"),
            ("loss", "dpo"),
            ("silent", "empty"),
            ("batch", batch),
            ("random", random),
        ];
        let curve = means(
            name,
            Mark::Line,
            by_number(select(rows, "mse_relative", &keys), "alpha"),
        );
        top = curve
            .iter()
            .flat_map(|c| &c.points)
            .map(|point| point[1])
            .fold(top, f64::max);
        series.extend(curve);
        let star = mean_of(select(rows, "alpha_star", &keys));
        let least = mean_of(select(rows, "star_mse", &keys));
        if let (Some(alpha), Some(error)) = (star, least) {
            let name = format!("optimal, {name}");
            series.push(Series::new(name, Mark::Points, vec![[alpha, error]]));
        }
    }
    if top > 0.0 {
        let half = vec![[0.5, 0.0], [0.5, top]];
        series.push(Series::new("0.5", Mark::Reference, half));
    }
    panel(
        &format!("batch of {batch}"),
        "weight alpha",
        "error over squared gradient",
        series,
    )
}
