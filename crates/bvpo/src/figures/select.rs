//! Rows to points: selection by metric and keys, groups by a number, means with intervals.

use eval::stats::mean_interval;
use eval::{Mark, MeasuredRow, Panel, Series};

/// Rows of a metric that have all these values.
pub fn select<'a>(
    rows: &'a [MeasuredRow],
    metric: &'a str,
    keys: &'a [(&'a str, &'a str)],
) -> impl Iterator<Item = &'a MeasuredRow> {
    rows.iter().filter(move |row| {
        row.row.metric == metric && keys.iter().all(|(key, value)| row.get(key) == Some(value))
    })
}

/// Values by the number under `key`, in ascending order.
pub fn by_number<'a>(
    rows: impl Iterator<Item = &'a MeasuredRow>,
    key: &str,
) -> Vec<(f64, Vec<f64>)> {
    let mut groups: Vec<(f64, Vec<f64>)> = Vec::new();
    for row in rows {
        let (Some(x), Some(value)) = (row.get(key).and_then(|x| x.parse().ok()), row.row.value)
        else {
            continue;
        };
        match groups.iter_mut().find(|(known, _)| *known == x) {
            Some((_, values)) => values.push(value),
            None => groups.push((x, vec![value])),
        }
    }
    groups.sort_by(|a, b| a.0.total_cmp(&b.0));
    groups
}

/// Mean and 95 % interval of every group; the mean alone where there is one value.
pub fn means(name: impl Into<String>, mark: Mark, groups: Vec<(f64, Vec<f64>)>) -> Option<Series> {
    if groups.is_empty() {
        return None;
    }
    let points = groups
        .iter()
        .map(|(x, values)| [*x, mean(values)])
        .collect();
    let intervals = groups
        .iter()
        .map(|(_, values)| match mean_interval(values, 0.95) {
            Ok(found) => [found.interval.low, found.interval.high],
            Err(_) => [mean(values); 2],
        });
    let intervals = intervals.collect();
    Some(Series::new(name, mark, points).with_intervals(intervals))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The mean of the values of some rows; none where there are none.
pub fn mean_of<'a>(rows: impl Iterator<Item = &'a MeasuredRow>) -> Option<f64> {
    let values: Vec<f64> = rows.filter_map(|row| row.row.value).collect();
    (!values.is_empty()).then(|| mean(&values))
}

/// A panel with linear axes; none without series.
pub fn panel(title: &str, x_label: &str, y_label: &str, series: Vec<Series>) -> Option<Panel> {
    (!series.is_empty()).then(|| Panel {
        title: title.to_owned(),
        x_label: x_label.to_owned(),
        y_label: y_label.to_owned(),
        series,
        ..Panel::default()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use eval::{Cell, Row};

    use super::*;

    #[test]
    fn groups_are_sorted_and_averaged() {
        let cell = Arc::new(Cell::new("e", 0));
        let row = |step: &str, value| MeasuredRow {
            cell: cell.clone(),
            row: Row::new("m", value, "1").tag("step", step),
        };
        let rows = [row("20", 1.0), row("3", 5.0), row("20", 3.0), row("x", 9.0)];
        let groups = by_number(select(&rows, "m", &[]), "step");
        assert_eq!(groups, [(3.0, vec![5.0]), (20.0, vec![1.0, 3.0])]);
        let series = means("s", Mark::Line, groups).unwrap();
        assert_eq!(series.points, [[3.0, 5.0], [20.0, 2.0]]);
        assert_eq!(series.intervals[0], [5.0, 5.0]);
        assert!(means("s", Mark::Line, Vec::new()).is_none());
        assert_eq!(mean_of(select(&rows, "m", &[("step", "20")])), Some(2.0));
    }
}
