//! Mean squared error of every mix, one panel per batch size.

use eval::{Figure, Mark, MeasuredRow, Panel, Series};

use super::select::{Range, by_number, logarithmic, mean_of, means, panel, select};

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
                  gradient, against the weight alpha of the trace gradient; geometric mean over \
                  seeds with 95 % band. Points mark the mean over seeds of each seed's optimal \
                  weight; the dashed line is the paper's 0.5. Every trace is counted."
            .to_owned(),
        panels,
    })
}

fn of_batch(rows: &[MeasuredRow], batch: &str) -> Option<Panel> {
    let mut series = Vec::new();
    let (mut bottom, mut top) = (f64::INFINITY, 0.0_f64);
    for (random, name) in RANDOM {
        let keys = [
            ("run", "start"),
            ("loss", "dpo"),
            ("silent", "empty"),
            ("batch", batch),
            ("random", random),
        ];
        let groups = by_number(select(rows, "mse_relative", &keys), "alpha");
        let Some(curve) = means(name, Range::Positive, groups) else {
            continue;
        };
        for [_, height] in &curve.points {
            (bottom, top) = (bottom.min(*height), top.max(*height));
        }
        let star = mean_of(select(rows, "alpha_star", &keys));
        let place = star.and_then(|alpha| Some([alpha, height_at(&curve.points, alpha)?]));
        series.push(curve);
        if let Some(place) = place {
            let name = format!("optimal, {name}");
            series.push(Series::new(name, Mark::Points, vec![place]));
        }
    }
    if top > 0.0 {
        let half = vec![[0.5, bottom], [0.5, top]];
        series.push(Series::new("0.5", Mark::Reference, half));
    }
    let title = format!("batch of {batch}");
    panel(
        &title,
        "weight alpha",
        "error over squared gradient",
        series,
    )
    .map(logarithmic)
}

/// The height of a curve of positive numbers at `x`, on a straight line of its logarithm between
/// two points; none outside.
fn height_at(points: &[[f64; 2]], x: f64) -> Option<f64> {
    points.windows(2).find_map(|step| {
        let ([x0, y0], [x1, y1]) = (step[0], step[1]);
        let share = (x - x0) / (x1 - x0);
        ((x0..=x1).contains(&x)).then(|| (y0.ln() + share * (y1 / y0).ln()).exp())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_lie_on_their_curves() {
        let curve = [[0.0, 100.0], [0.5, 1.0], [1.0, 4.0]];
        assert!((height_at(&curve, 0.25).unwrap() - 10.0).abs() < 1e-12);
        assert!((height_at(&curve, 1.0).unwrap() - 4.0).abs() < 1e-12);
        assert_eq!(height_at(&curve, 1.5), None);
    }
}
