//! Rows to points: selection by metric and keys, groups by a number, means with intervals.

use eval::stats::mean_interval;
use eval::{Mark, MeasuredRow, Panel, Scaling, Series};

/// Fewer values than these say too little of their spread for a band.
const VALUES_FOR_BAND_MIN: usize = 4;

/// Where values of a metric can lie, so that no band reaches beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Any number: mean and t interval.
    Any,
    /// Probabilities: the same, cut to 0 and 1.
    Share,
    /// Positive numbers over orders of magnitude: geometric mean and the t interval of the
    /// logarithms.
    Positive,
}

impl Range {
    /// The scale on which values are averaged.
    fn to_scale(self, value: f64) -> f64 {
        match self {
            Self::Any | Self::Share => value,
            Self::Positive => value.ln(),
        }
    }

    /// Back from that scale, into the range.
    fn of_scale(self, value: f64) -> f64 {
        match self {
            Self::Any => value,
            Self::Share => value.clamp(0.0, 1.0),
            Self::Positive => value.exp(),
        }
    }
}

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

/// Mean and 95 % interval of every group; no intervals where a group has too few values for one.
pub fn means(
    name: impl Into<String>,
    range: Range,
    groups: Vec<(f64, Vec<f64>)>,
) -> Option<Series> {
    let found: Vec<(f64, Middle)> = groups
        .iter()
        .filter_map(|(x, values)| Some((*x, middle(values, range)?)))
        .collect();
    if found.is_empty() {
        return None;
    }
    let points = found.iter().map(|(x, middle)| [*x, middle.value]).collect();
    let series = Series::new(name, Mark::Line, points);
    let intervals: Option<Vec<[f64; 2]>> = found.iter().map(|(_, m)| m.interval).collect();
    Some(match intervals {
        Some(intervals) => series.with_intervals(intervals),
        None => series,
    })
}

/// The middle of some values and its interval.
struct Middle {
    value: f64,
    interval: Option<[f64; 2]>,
}

/// None where no value is in the range.
fn middle(values: &[f64], range: Range) -> Option<Middle> {
    let values: Vec<f64> = values
        .iter()
        .map(|value| range.to_scale(*value))
        .filter(|value| value.is_finite())
        .collect();
    if values.is_empty() {
        return None;
    }
    let interval = (values.len() >= VALUES_FOR_BAND_MIN)
        .then(|| mean_interval(&values, 0.95).ok())
        .flatten();
    Some(Middle {
        value: range.of_scale(mean(&values)),
        interval: interval
            .map(|found| [found.interval.low, found.interval.high].map(|end| range.of_scale(end))),
    })
}

/// The mean; 0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
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

/// The panel with a logarithmic ordinate.
pub fn logarithmic(panel: Panel) -> Panel {
    Panel {
        y_scaling: Scaling::Log,
        ..panel
    }
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
        let series = means("s", Range::Any, groups).unwrap();
        assert_eq!(series.points, [[3.0, 5.0], [20.0, 2.0]]);
        assert!(series.intervals.is_empty(), "two seeds make no band");
        assert!(means("s", Range::Any, Vec::new()).is_none());
        assert_eq!(mean_of(select(&rows, "m", &[("step", "20")])), Some(2.0));
    }

    #[test]
    fn bands_stay_where_values_can_lie() {
        let values = vec![(0.0, vec![0.02, 0.5, 9.0, 0.1]), (1.0, vec![1.0; 4])];
        let plain = means("s", Range::Any, values.clone()).unwrap();
        assert!(plain.intervals[0][0] < 0.0, "{:?}", plain.intervals);
        let positive = means("s", Range::Positive, values.clone()).unwrap();
        let [low, high] = positive.intervals[0];
        let centre = (0.02_f64 * 0.5 * 9.0 * 0.1).powf(0.25);
        assert!((positive.points[0][1] - centre).abs() < 1e-12);
        assert!(0.0 < low && low < centre && centre < high);
        assert!((low * high / (centre * centre) - 1.0).abs() < 1e-9);
        let shares = vec![(0.0, vec![0.99, 0.6, 1.0, 1.0])];
        let share = means("s", Range::Share, shares).unwrap();
        assert_eq!(share.intervals[0][1], 1.0);
    }
}
