//! Data of the report's plots. Nothing is measured here.

use std::collections::BTreeMap;

use eval::{Figure, Mark, MeasuredRow, Panel, Scaling, Series};

use crate::experiments::{GRID, JUDGES, LADDER, POPULATION};
use crate::judges::{Order, calibrate};

/// Every figure whose rows are there.
pub fn all(rows: &[MeasuredRow]) -> Vec<Figure> {
    [
        ladder(rows),
        heat(rows),
        abilities(rows),
        misreadings(rows),
        scatter(rows),
        tracked(rows),
        calibration(rows),
    ]
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
        .map(|(name, points)| Series::new(format!("{label}{name}"), Mark::Line, points))
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
        panel("struck_out", "Share of games in which all lives are lost"),
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

/// Both abilities on the axes, the mean score in each tile.
fn heat(rows: &[MeasuredRow]) -> Option<Figure> {
    let panel = |metric: &str, title: &str| {
        let groups = by_keys(rows, GRID, metric, ["t2", "t1"]);
        let tiles = groups.iter().filter_map(|((second, first), values)| {
            let place = [second.parse().ok()?, first.parse().ok()?];
            Some((place, mean(values)))
        });
        let (points, means): (Vec<[f64; 2]>, Vec<f64>) = tiles.unzip();
        Panel {
            title: title.into(),
            x_label: "second-order ability t2".into(),
            y_label: "first-order ability t1".into(),
            series: vec![Series::new("mean score", Mark::Tiles, points).with_values(means)],
            ..Panel::default()
        }
    };
    let panels = vec![
        panel("score_points", "Sum of fireworks"),
        panel("score_strict", "Zero when all lives are lost"),
    ];
    panels
        .iter()
        .any(|panel| panel.series.iter().any(|series| !series.points.is_empty()))
        .then(|| Figure {
            id: "heat".into(),
            title: "Score over both abilities".into(),
            caption:
                "Mean points by the two abilities of a whole team of five with perfect skill. \
                      The lines of the next figure show the same numbers."
                    .into(),
            panels,
        })
}

/// How hints are misread, and how often they can be read otherwise than they are meant.
fn misreadings(rows: &[MeasuredRow]) -> Option<Figure> {
    const SECOND: &str = "0.5";
    let kinds = [
        ("read_literally", "read as mere information"),
        ("read_of_another_slot", "read of another slot"),
        ("read_as_another_kind", "read as another kind"),
        (
            "hint_ambiguous",
            "an ideal reader would not read what was meant",
        ),
    ];
    let mut levels: Vec<String> = Vec::new();
    let mut series = Vec::new();
    for (metric, name) in kinds {
        let groups = by_keys(rows, GRID, metric, ["t2", "t1"]);
        let at_level = groups
            .into_iter()
            .filter(|((second, _), _)| second == SECOND);
        let shares: Vec<(String, f64)> = at_level
            .map(|((_, first), values)| (first, mean(&values)))
            .collect();
        levels = shares
            .iter()
            .map(|(first, _)| format!("t1 = {first}"))
            .collect();
        let points = shares.iter().enumerate();
        let points = points.map(|(place, (_, share))| [place as f64, *share]);
        series.push(Series::new(name, Mark::Bars, points.collect()));
    }
    (!levels.is_empty()).then(|| Figure {
        id: "misreadings".into(),
        title: "How hints go wrong".into(),
        caption: "Share of all hints, second-order ability one half, perfect skill. The first \
                  three are misreadings by the one who is told, the last is the doing of the one \
                  who tells."
            .into(),
        panels: vec![Panel {
            title: String::new(),
            x_label: "first-order ability".into(),
            y_label: "share of hints".into(),
            x_scaling: Scaling::Category,
            y_scaling: Scaling::Linear,
            categories: levels,
            series,
        }],
    })
}

/// What the second-order score follows in self-play.
fn tracked(rows: &[MeasuredRow]) -> Option<Figure> {
    let panels = vec![
        players(
            rows,
            ["ability_second_order", "second_order"],
            "Its own ability",
        ),
        players(
            rows,
            ["ability_first_order", "second_order"],
            "The other ability",
        ),
    ];
    let panels = panels
        .into_iter()
        .zip(["second-order ability t2", "first-order ability t1"]);
    let panels: Vec<Panel> = panels
        .map(|(panel, x_label)| Panel {
            x_label: x_label.into(),
            y_label: "second-order score".into(),
            ..panel
        })
        .collect();
    (!panels[0].series[0].points.is_empty()).then(|| Figure {
        id: "tracked".into(),
        title: "What the second-order score tells".into(),
        caption: "The same population: in self-play the hinter's prediction is compared with the \
                  reading of a partner who has the hinter's own first-order ability."
            .into(),
        panels,
    })
}

/// Score against both measured orders, one population.
fn scatter(rows: &[MeasuredRow]) -> Option<Figure> {
    let panels = vec![
        players(rows, ["first_order", "score_points"], "First order"),
        players(rows, ["second_order", "score_points"], "Second order"),
    ];
    (!panels[0].series[0].points.is_empty()).then(|| Figure {
        id: "scatter".into(),
        title: "Theory of mind and score across players".into(),
        caption: "One population whose abilities are independent; every point is a player in \
                  self-play."
            .into(),
        panels,
    })
}

/// One population, a point per player.
fn players(rows: &[MeasuredRow], [x, y]: [&str; 2], title: &str) -> Panel {
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
    let points = players
        .values()
        .filter_map(|player| Some([*player.get(x)?, *player.get(y)?]));
    Panel {
        title: title.into(),
        x_label: "mean agreement over hints".into(),
        y_label: "mean points".into(),
        x_scaling: Scaling::Linear,
        y_scaling: Scaling::Linear,
        categories: Vec::new(),
        series: vec![Series::new("player", Mark::Points, points.collect())],
    }
}

/// Fewer pairs with one score have no mean worth drawing.
const CURVE_PAIRS_MIN: usize = 5;

/// Mean known agreement at each score of a judge.
fn calibration(rows: &[MeasuredRow]) -> Option<Figure> {
    let score_max = Order::First.score_max();
    let series: Vec<Series> = judged(rows)
        .into_iter()
        .filter_map(|(judge, (scores, agreements))| {
            let curve = calibrate(&scores, &agreements, score_max).ok()?.curve;
            let points: Vec<[f64; 2]> = curve
                .iter()
                .filter(|point| point.n >= CURVE_PAIRS_MIN)
                .map(|point| [f64::from(point.score), point.agreement])
                .collect();
            (!points.is_empty()).then(|| Series::new(judge, Mark::Line, points))
        })
        .collect();
    let ideal = vec![[0.0, 0.0], [f64::from(score_max), 1.0]];
    (!series.is_empty()).then(|| Figure {
        id: "calibration".into(),
        title: "What a judge's score is worth".into(),
        caption: format!(
            "Mean known agreement of the pairs of statements that got a score, judged plainly; \
             scores given to fewer than {CURVE_PAIRS_MIN} pairs are left out. A calibrated judge \
             lies on the dashed line."
        ),
        panels: vec![Panel {
            x_label: "score of the judge".into(),
            y_label: "mean known agreement".into(),
            series: series
                .into_iter()
                .chain([Series::new("calibrated", Mark::Reference, ideal)])
                .collect(),
            ..Panel::default()
        }],
    })
}

/// Scores and known agreements by judge, of the pairs that were judged plainly.
fn judged(rows: &[MeasuredRow]) -> BTreeMap<String, (Vec<u8>, Vec<f64>)> {
    let mut pairs: BTreeMap<(String, String, &str), BTreeMap<&str, f64>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.get("probe") == Some("plain")) {
        let Some(model) = row.cell.experiment.strip_prefix(JUDGES) else {
            continue;
        };
        let judge = row.get("judge").unwrap_or(model.trim_start_matches('-'));
        if let (Some(item), Some(value)) = (&row.row.item, row.row.value) {
            let pair = (judge.to_owned(), row.cell.id().to_string(), item.as_str());
            pairs
                .entry(pair)
                .or_default()
                .insert(&row.row.metric, value);
        }
    }
    let mut judges: BTreeMap<String, (Vec<u8>, Vec<f64>)> = BTreeMap::new();
    for ((judge, _, _), pair) in pairs {
        if let (Some(score), Some(agreement)) = (pair.get("judge_score"), pair.get("agreement")) {
            let (scores, agreements) = judges.entry(judge).or_default();
            scores.push(*score as u8);
            agreements.push(*agreement);
        }
    }
    judges
}
