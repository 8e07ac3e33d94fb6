//! The phase diagram of tier 0, and predicted against measured weights.

use std::collections::BTreeMap;

use eval::{Figure, Mark, MeasuredRow, Panel, Series};

use super::select::{panel, select};

const WINNERS: [(&str, &str); 5] = [
    ("alpha-star", "mix at alpha*"),
    ("half", "mix at 0.5"),
    ("trace", "trace alone"),
    ("empty", "empty trace alone"),
    ("mean-2", "mean of two traces"),
];

/// Width of a bin of the noise ratio, in powers of ten.
const BIN: f64 = 0.5;

/// Which estimator converges best most often, over noise and batch size.
pub fn phase(rows: &[MeasuredRow]) -> Option<Figure> {
    let panels: Vec<Panel> = ["1", "0.1"]
        .into_iter()
        .filter_map(|step| phase_of_step(rows, step))
        .collect();
    (!panels.is_empty()).then(|| Figure {
        id: "phase-diagram".to_owned(),
        title: "Which estimator converges best".to_owned(),
        caption: "Tabular worlds. For every bin of V_r over the squared bias of the empty-trace \
                  gradient (at the reference policy, given the data) and every batch size, the \
                  estimator with the smallest mean squared gradient norm in most worlds. One panel \
                  per eta L."
            .to_owned(),
        panels,
    })
}

fn phase_of_step(rows: &[MeasuredRow], step: &str) -> Option<Panel> {
    let keys = [("step", step)];
    let name = |row: &MeasuredRow| {
        let batch = row.get("batch").unwrap_or_default().to_owned();
        (
            row.cell.seed,
            row.row.item.clone().unwrap_or_default(),
            batch,
        )
    };
    let mut noise = BTreeMap::new();
    for row in select(rows, "noise_ratio", &keys) {
        if let Some(ratio) = row.row.value.filter(|ratio| *ratio > 0.0) {
            noise.insert(name(row), ratio.log10());
        }
    }
    let mut wins: BTreeMap<(i64, i64), BTreeMap<&str, u32>> = BTreeMap::new();
    for row in select(rows, "star_wins", &keys) {
        let (Some(ratio), Some(winner)) = (noise.get(&name(row)), row.get("winner")) else {
            continue;
        };
        let batch: f64 = row
            .get("batch")
            .and_then(|batch| batch.parse().ok())
            .unwrap_or(1.0);
        let place = ((ratio / BIN).floor() as i64, batch.log2().round() as i64);
        *wins.entry(place).or_default().entry(winner).or_default() += 1;
    }
    let mut tiles: BTreeMap<&str, Vec<[f64; 2]>> = BTreeMap::new();
    for ((bin, batch), counts) in &wins {
        // The first of equals in the order of the legend.
        let count = |key: &str| counts.get(key).copied().unwrap_or(0);
        let most = WINNERS.iter().map(|(key, _)| count(key)).max().unwrap_or(0);
        if let Some((key, _)) = WINNERS.iter().find(|(key, _)| count(key) == most) {
            let centre = (*bin as f64 + 0.5) * BIN;
            tiles.entry(key).or_default().push([centre, *batch as f64]);
        }
    }
    let series = WINNERS
        .iter()
        .filter_map(|(key, name)| Some(Series::new(*name, Mark::Tiles, tiles.get(key)?.clone())));
    panel(
        &format!("eta L = {step}"),
        "log10 of V_r over squared bias",
        "log2 of the batch size",
        series.collect(),
    )
}

/// Best measured weight against the predicted one, per step size.
pub fn weights(rows: &[MeasuredRow]) -> Option<Figure> {
    let mut series = Vec::new();
    for step in ["1", "0.3", "0.1", "0.03"] {
        let keys = [("step", step)];
        let name = |row: &MeasuredRow| (row.cell.seed, row.row.item.clone());
        let predicted: BTreeMap<_, f64> = select(rows, "alpha_predicted", &keys)
            .filter_map(|row| Some((name(row), row.row.value?)))
            .collect();
        let points: Vec<[f64; 2]> = select(rows, "alpha_measured", &keys)
            .filter_map(|row| Some([*predicted.get(&name(row))?, row.row.value?]))
            .collect();
        if !points.is_empty() {
            series.push(Series::new(format!("eta L = {step}"), Mark::Points, points));
        }
    }
    if series.is_empty() {
        return None;
    }
    series.push(Series::new(
        "equal",
        Mark::Reference,
        vec![[0.0, 0.0], [1.0, 1.0]],
    ));
    let panels = panel(
        "",
        "weight of least error term at the start",
        "best measured weight",
        series,
    );
    Some(Figure {
        id: "predicted-weights".to_owned(),
        title: "Predicted and best measured weights".to_owned(),
        caption: "Tabular worlds, batches of 4, traces and data random. The prediction minimises \
                  squared bias plus eta L times variance at the reference policy; the measured \
                  weight has the smallest mean squared gradient norm among eleven."
            .to_owned(),
        panels: panels.into_iter().collect(),
    })
}
