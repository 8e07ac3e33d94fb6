//! Data of the report's plots. Nothing is measured here.

use std::collections::BTreeMap;

use eval::{Figure, Mark, MeasuredRow, Panel, Scaling, Series};

use crate::experiments::{GRID, LADDER, POPULATION};

/// Every figure whose rows are there.
pub fn all(rows: &[MeasuredRow]) -> Vec<Figure> {
    [ladder(rows), abilities(rows), scatter(rows)]
        .into_iter()
        .flatten()
        .collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Values of a metric by two keys of their cells.
fn by_keys(
    rows: &[MeasuredRow],
    experiment: &str,
    metric: &str,
    keys: [&str; 2],
) -> BTreeMap<(String, String), Vec<f64>> {
    let mut groups: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.cell.experiment == experiment) {
        if row.row.metric == metric
            && let (Some(a), Some(b), Some(value)) =
                (row.get(keys[0]), row.get(keys[1]), row.row.value)
        {
            groups.entry((a.into(), b.into())).or_default().push(value);
        }
    }
    groups
}

/// One line per value of the first key, over the second.
fn lines(groups: &BTreeMap<(String, String), Vec<f64>>, label: &str) -> Vec<Series> {
    let mut series: BTreeMap<&str, Vec<[f64; 2]>> = BTreeMap::new();
    for ((name, x), values) in groups {
        if let Ok(x) = x.parse() {
            series.entry(name).or_default().push([x, mean(values)]);
        }
    }
    series
        .into_iter()
        .map(|(name, points)| Series {
            name: format!("{label}{name}"),
            mark: Mark::Line,
            points,
            intervals: Vec::new(),
        })
        .collect()
}

fn ladder(rows: &[MeasuredRow]) -> Option<Figure> {
    let groups = by_keys(rows, LADDER, "score_points", ["policy", "players"]);
    (!groups.is_empty()).then(|| Figure {
        id: "ladder".into(),
        title: "The ladder of reference policies".into(),
        caption: "Mean points of tables of one policy. Whatever a language model scores stands \
                  on this axis; standard errors are below 0.03 points."
            .into(),
        panels: vec![Panel {
            title: String::new(),
            x_label: "players".into(),
            y_label: "mean points".into(),
            x_scaling: Scaling::Linear,
            y_scaling: Scaling::Linear,
            categories: Vec::new(),
            series: lines(&groups, ""),
        }],
    })
}

fn abilities(rows: &[MeasuredRow]) -> Option<Figure> {
    let panel = |metric: &str, title: &str| {
        let groups = by_keys(rows, GRID, metric, ["t1", "t2"]);
        (!groups.is_empty()).then(|| Panel {
            title: title.into(),
            x_label: "second-order ability t2".into(),
            y_label: "mean".into(),
            x_scaling: Scaling::Linear,
            y_scaling: Scaling::Linear,
            categories: Vec::new(),
            series: lines(&groups, "t1 = "),
        })
    };
    let panels: Vec<Panel> = [
        panel("score_points", "Score: sum of fireworks"),
        panel("score_strict", "Score: zero when all lives are lost"),
        panel("first_order", "First-order theory of mind"),
        panel("second_order", "Second-order theory of mind"),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!panels.is_empty()).then(|| Figure {
        id: "abilities".into(),
        title: "What each ability does when nothing else changes".into(),
        caption: "Teams of five with the same abilities and perfect skill. In self-play the \
                  second-order score follows the first-order ability as much as its own."
            .into(),
        panels,
    })
}

/// Score against both measured orders, one population.
fn scatter(rows: &[MeasuredRow]) -> Option<Figure> {
    let mut players: BTreeMap<(String, &str), BTreeMap<&str, f64>> = BTreeMap::new();
    let wanted = |row: &&MeasuredRow| {
        row.cell.experiment == POPULATION && row.get("loading") == Some("0") && row.cell.seed == 0
    };
    for row in rows.iter().filter(wanted) {
        if let (Some(item), Some(value)) = (&row.row.item, row.row.value) {
            let unit = (row.cell.id().to_string(), item.as_str());
            players
                .entry(unit)
                .or_default()
                .insert(&row.row.metric, value);
        }
    }
    let panel = |metric: &str, title: &str| {
        let points: Vec<[f64; 2]> = players
            .values()
            .filter_map(|player| Some([*player.get(metric)?, *player.get("score_points")?]))
            .collect();
        Panel {
            title: title.into(),
            x_label: "mean agreement over hints".into(),
            y_label: "mean points".into(),
            x_scaling: Scaling::Linear,
            y_scaling: Scaling::Linear,
            categories: Vec::new(),
            series: vec![Series {
                name: "player".into(),
                mark: Mark::Points,
                points,
                intervals: Vec::new(),
            }],
        }
    };
    (!players.is_empty()).then(|| Figure {
        id: "scatter".into(),
        title: "Theory of mind and score across players".into(),
        caption: "One population whose abilities are independent; every point is a player in \
                  self-play."
            .into(),
        panels: vec![
            panel("first_order", "First order"),
            panel("second_order", "Second order"),
        ],
    })
}
