//! Plots of the real model: variance against trace length, optimal weight against batch size.

use std::collections::BTreeMap;

use eval::{Figure, Mark, MeasuredRow, Panel, Scaling, Series};

/// Rows of the tree of traces.
const EXPERIMENT: &str = "real-tree";

/// The figures whose rows are there.
pub fn all(rows: &[MeasuredRow]) -> Vec<Figure> {
    let rows: Vec<&MeasuredRow> = rows
        .iter()
        .filter(|row| row.cell.experiment == EXPERIMENT)
        .collect();
    [lengths(&rows), weights(&rows)]
        .into_iter()
        .flatten()
        .collect()
}

/// Values by item, over a key that is a number; only rows with these values of keys.
fn by_item(
    rows: &[&MeasuredRow],
    metric: &str,
    x: &str,
    wanted: &[(&str, &str)],
) -> BTreeMap<String, Vec<[f64; 2]>> {
    let mut found: BTreeMap<String, Vec<[f64; 2]>> = BTreeMap::new();
    for row in rows {
        let fits = wanted
            .iter()
            .all(|(key, value)| row.get(key) == Some(value));
        let at = row.get(x).and_then(|text| text.parse::<f64>().ok());
        if row.row.metric == metric
            && fits
            && let (Some(item), Some(at), Some(value)) = (&row.row.item, at, row.row.value)
        {
            found.entry(item.clone()).or_default().push([at, value]);
        }
    }
    for points in found.values_mut() {
        points.sort_by(|a, b| a[0].total_cmp(&b[0]));
    }
    found
}

/// Medians over items at each place.
fn medians(by_item: &BTreeMap<String, Vec<[f64; 2]>>) -> Vec<[f64; 2]> {
    let mut places: Vec<(f64, Vec<f64>)> = Vec::new();
    for [x, y] in by_item.values().flatten() {
        match places.iter_mut().find(|(at, _)| at == x) {
            Some((_, values)) => values.push(*y),
            None => places.push((*x, vec![*y])),
        }
    }
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        let n = values.len();
        0.5 * (values[(n - 1) / 2] + values[n / 2])
    };
    places
        .into_iter()
        .map(|(x, values)| [x, median(values)])
        .collect()
}

/// Each item as points, and the median as a line.
fn panel(rows: &[&MeasuredRow], metric: &str, x: &str, wanted: &[(&str, &str)]) -> Vec<Series> {
    let found = by_item(rows, metric, x, wanted);
    let middle = medians(&found);
    let points = found.into_values().flatten().collect();
    vec![
        Series::new("questions", Mark::Points, points),
        Series::new("median", Mark::Line, middle),
    ]
}

fn lengths(rows: &[&MeasuredRow]) -> Option<Figure> {
    let panels: Vec<Panel> = [
        ("reference", "at the reference"),
        ("moved", "after some steps"),
    ]
    .into_iter()
    .map(|(point, title)| Panel {
        title: title.to_owned(),
        x_label: "tokens of a trace T (k^T traces)".to_owned(),
        y_label: "V_r / |mu|² [1]".to_owned(),
        y_scaling: Scaling::Log,
        series: panel(rows, "variance_to_ideal", "depth", &[("point", point)]),
        ..Panel::default()
    })
    .collect();
    let is_empty = panels[0].series[0].points.is_empty();
    (!is_empty).then(|| Figure {
        id: "real-variance".to_owned(),
        title: "Variance that traces make in a real model's gradient".to_owned(),
        caption: "SmolLM2-135M on GSM8K questions, exact over all traces of a frozen top-k tree. \
                  Above 1 the noise of one sampled trace is larger than the ideal gradient itself."
            .to_owned(),
        panels,
    })
}

fn weights(rows: &[&MeasuredRow]) -> Option<Figure> {
    let deepest = rows
        .iter()
        .filter_map(|row| row.get("depth")?.parse::<u32>().ok())
        .max()?
        .to_string();
    let panels: Vec<Panel> = [
        ("reference", "at the reference"),
        ("moved", "after some steps"),
    ]
    .into_iter()
    .map(|(point, title)| {
        let wanted = [
            ("point", point),
            ("depth", deepest.as_str()),
            ("random", "traces"),
        ];
        let mut series = panel(rows, "alpha_star", "batch", &wanted);
        let ends = series[1].points.clone();
        if let (Some(first), Some(last)) = (ends.first(), ends.last()) {
            let half = vec![[first[0], 0.5], [last[0], 0.5]];
            series.push(Series::new("the paper's 0.5", Mark::Reference, half));
        }
        Panel {
            title: title.to_owned(),
            x_label: "batch size B".to_owned(),
            y_label: "alpha* [1]".to_owned(),
            x_scaling: Scaling::Log,
            series,
            ..Panel::default()
        }
    })
    .collect();
    Some(Figure {
        id: "real-weights".to_owned(),
        title: "The weight of least mean squared error on a real model".to_owned(),
        caption: format!(
            "SmolLM2-135M, traces of {deepest} tokens, given the data (random: traces). At the \
             reference the trace gradient has no bias, so its best weight tends to 1 as the batch \
             grows; one fixed weight can be best at one batch size only."
        ),
        panels,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use eval::{Cell, Row};

    use super::*;

    #[test]
    fn medians_run_over_questions_at_each_length() {
        let row = |depth: u32, item: &str, value: f64| MeasuredRow {
            cell: Arc::new(Cell::new(EXPERIMENT, 0).with("depth", depth)),
            row: Row::new("variance_to_ideal", value, "1")
                .item(item)
                .tag("point", "reference"),
        };
        let rows = [
            row(1, "a", 1.0),
            row(2, "a", 4.0),
            row(1, "b", 3.0),
            row(2, "b", 5.0),
            row(2, "c", 9.0),
        ];
        let figures = all(&rows);
        assert_eq!(figures[0].id, "real-variance");
        let median = &figures[0].panels[0].series[1];
        assert_eq!(median.points, [[1.0, 2.0], [2.0, 5.0]]);
        assert!(all(&[]).is_empty());
    }
}
