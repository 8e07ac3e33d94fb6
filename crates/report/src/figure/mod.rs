//! Figures: data for plots drawn as SVG by the plotting crate.
//!
//! Each panel is one drawing of its own, so that panels can stand side by side on a wide page and
//! below each other on a narrow one. Legends are left to the page, with swatches drawn here by the
//! same code as the marks. A series has the same colour and the same sign in every panel of a
//! figure; the sign alone tells series apart. What cannot be drawn is counted, never dropped in
//! silence.

pub mod axis;
mod draw;
pub mod style;
mod tiles;

use eval::{Error, Figure, Mark, Panel, Result, Scaling, Series};

pub(crate) use draw::{FINE, HEIGHT, SWATCH_HEIGHT, SWATCH_WIDTH, WIDTH};
pub use style::Look;

/// A panel, drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawnPanel {
    /// What is inside the `svg` element; `None` where no point can be drawn.
    pub body: Option<String>,
    /// Whether some category is shown by its number, or by the beginning of its name.
    pub names_cut: bool,
    /// What the drawing shows, for those who cannot see it.
    pub description: String,
    /// Sentences on what tints mean and on what is not drawn.
    pub remarks: Vec<String>,
}

/// An entry of a figure's legend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegendEntry {
    /// The series' name.
    pub name: String,
    /// What is inside the swatch's `svg` element.
    pub swatch: String,
}

/// A figure, drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawnFigure {
    /// The panels, left to right.
    pub panels: Vec<DrawnPanel>,
    /// The legend, in the order of the series.
    pub legend: Vec<LegendEntry>,
}

/// Most points of one series that are drawn; a page must stay a page.
pub const POINTS_MAX: usize = 2000;
/// Most series of one panel that are drawn.
pub const SERIES_MAX: usize = 24;

/// Draws a figure.
///
/// # Errors
/// The plotting crate fails.
pub fn draw(figure: &Figure) -> Result<DrawnFigure> {
    let mut looks: Vec<(String, Mark, Look)> = Vec::new();
    let mut panels = Vec::new();
    for panel in &figure.panels {
        for series in panel.series.iter().take(SERIES_MAX) {
            if find_look(&looks, series).is_none() {
                let n_alike = looks
                    .iter()
                    .filter(|look| alike(look.1, series.mark))
                    .count();
                let look = Look::new(series.mark, n_alike);
                looks.push((series.name.clone(), series.mark, look));
            }
        }
        panels.push(draw_panel(panel, &looks)?);
    }
    // The numbers of a map explain themselves; its regions need a legend.
    let is_scale = |name: &str| {
        let all = figure.panels.iter().flat_map(|panel| &panel.series);
        let named = all.filter(|series| series.name == name);
        named.into_iter().any(|series| !series.values.is_empty())
    };
    let named = looks
        .iter()
        .filter(|(name, _, _)| !name.is_empty() && !is_scale(name));
    let legend = named.map(|(name, mark, look)| {
        Ok(LegendEntry {
            name: name.clone(),
            swatch: draw::swatch(*mark, *look).map_err(broken)?,
        })
    });
    Ok(DrawnFigure {
        legend: legend.collect::<Result<_>>()?,
        panels,
    })
}

/// A series keeps its look in every panel, whether it is a line there or points.
fn find_look(looks: &[(String, Mark, Look)], series: &Series) -> Option<Look> {
    let same = |look: &&(String, Mark, Look)| look.0 == series.name && alike(look.1, series.mark);
    looks.iter().find(same).map(|look| look.2)
}

/// Reference lines are numbered apart from data, which keeps the first colours for data.
fn alike(a: Mark, b: Mark) -> bool {
    (a == Mark::Reference) == (b == Mark::Reference)
}

fn draw_panel(panel: &Panel, looks: &[(String, Mark, Look)]) -> Result<DrawnPanel> {
    let mut tally = Tally::default();
    let series = panel.series.iter().take(SERIES_MAX);
    let placed: Vec<Placed> = series
        .filter_map(|series| {
            let placed = place_series(panel, series, find_look(looks, series)?, &mut tally);
            (!placed.points.is_empty()).then_some(placed)
        })
        .collect();
    tally.series = panel.series.len().saturating_sub(SERIES_MAX);
    let drawing = if placed.is_empty() {
        None
    } else {
        Some(draw::panel(panel, &placed).map_err(broken)?)
    };
    let scale = tiles::Grid::of(&placed).and_then(|grid| grid.remark());
    let remarks = scale.into_iter().chain(tally.sentences()).collect();
    Ok(DrawnPanel {
        names_cut: drawing.as_ref().is_some_and(|drawing| drawing.names_cut),
        body: drawing.map(|drawing| drawing.body),
        description: describe(panel),
        remarks,
    })
}

fn broken(cause: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::internal("cannot draw a figure").caused_by(cause)
}

/// A series in mapped coordinates.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) mark: Mark,
    pub(crate) look: Look,
    pub(crate) points: Vec<PlacedPoint>,
}

/// A point in mapped coordinates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlacedPoint {
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// The interval; an end that has no place is absent and drawn at the axis.
    pub(crate) interval: Option<(Option<f64>, Option<f64>)>,
    /// The number of a tile.
    pub(crate) value: Option<f64>,
}

/// What could not be drawn.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    log: usize,
    elsewhere: usize,
    thinned: usize,
    intervals: usize,
    values: usize,
    series: usize,
}

impl Tally {
    fn sentences(self) -> Vec<String> {
        let mut said = Vec::new();
        let mut say = |count: usize, one: &str, many: &str| {
            if count > 0 {
                said.push(crate::number::plural(count as u64, one, many));
            }
        };
        say(
            self.log,
            "point at or below zero cannot be drawn on a log axis.",
            "points at or below zero cannot be drawn on a log axis.",
        );
        say(
            self.elsewhere,
            "point lies outside what can be drawn.",
            "points lie outside what can be drawn.",
        );
        say(
            self.thinned,
            "point is left out for size.",
            "points are left out for size, evenly.",
        );
        say(
            self.intervals,
            "series has intervals that do not fit its points; they are not drawn.",
            "series have intervals that do not fit their points; they are not drawn.",
        );
        say(
            self.values,
            "series has numbers that do not fit its tiles; they are not drawn.",
            "series have numbers that do not fit their tiles; they are not drawn.",
        );
        say(
            self.series,
            "further series is not drawn.",
            "further series are not drawn.",
        );
        said
    }
}

fn place_series(panel: &Panel, series: &Series, look: Look, tally: &mut Tally) -> Placed {
    let n_categories = panel.categories.len();
    let place_x = |x| axis::place(panel.x_scaling, n_categories, x);
    let place_y = |y| axis::place(panel.y_scaling, 0, y);
    let fits = series.intervals.len() == series.points.len();
    if !fits && !series.intervals.is_empty() {
        tally.intervals += 1;
    }
    let valued = series.values.len() == series.points.len();
    if !valued && !series.values.is_empty() {
        tally.values += 1;
    }
    let stride = series.points.len().div_ceil(POINTS_MAX).max(1);
    let value = |idx: usize| {
        let value = series.values.get(idx).filter(|_| valued).copied();
        value.filter(|value: &f64| value.is_finite())
    };
    let mut points = Vec::new();
    for (idx, [x, y]) in series.points.iter().enumerate() {
        let (Some(px), Some(py)) = (place_x(*x), place_y(*y)) else {
            let on_log = |scaling, value: f64| scaling == Scaling::Log && value <= 0.0;
            if on_log(panel.x_scaling, *x) || on_log(panel.y_scaling, *y) {
                tally.log += 1;
            } else {
                tally.elsewhere += 1;
            }
            continue;
        };
        if idx % stride != 0 {
            tally.thinned += 1;
            continue;
        }
        let interval = series.intervals.get(idx).filter(|_| fits);
        let interval = interval.map(|[low, high]| (place_y(*low), place_y(*high)));
        points.push(PlacedPoint {
            x: px,
            y: py,
            interval,
            value: value(idx),
        });
    }
    Placed {
        mark: series.mark,
        look,
        points,
    }
}

/// The panel in words: axes, and each series with its range.
fn describe(panel: &Panel) -> String {
    let axis = |label: &str, scaling: Scaling| match scaling {
        Scaling::Linear => label.to_owned(),
        Scaling::Log => format!("{label} (log scale)"),
        Scaling::Category => format!("{label} (categories)"),
    };
    let mut words = format!(
        "Horizontal: {}. Vertical: {}.",
        axis(&panel.x_label, panel.x_scaling),
        axis(&panel.y_label, panel.y_scaling)
    );
    for series in panel.series.iter().take(SERIES_MAX) {
        let heights: Vec<f64> = series.points.iter().map(|point| point[1]).collect();
        let shown = if series.values.is_empty() {
            &heights
        } else {
            &series.values
        };
        let values = || shown.iter().copied();
        let low = values().fold(f64::INFINITY, f64::min);
        let high = values().fold(f64::NEG_INFINITY, f64::max);
        let n = crate::number::plural(series.points.len() as u64, "point", "points");
        words.push_str(&format!(" {}: {n}", series.name));
        if low <= high {
            let range = [low, high].map(crate::number::plain);
            words.push_str(&format!(" from {} to {}", range[0], range[1]));
        }
        words.push('.');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(series: Vec<Series>) -> Panel {
        Panel {
            title: "t".into(),
            x_label: "x".into(),
            y_label: "y [s]".into(),
            x_scaling: Scaling::Linear,
            y_scaling: Scaling::Log,
            categories: Vec::new(),
            series,
        }
    }

    fn series(mark: Mark, points: Vec<[f64; 2]>) -> Series {
        Series::new("s", mark, points)
    }

    fn drawn(panel: Panel) -> DrawnFigure {
        let (id, title, caption) = ("f".into(), "t".into(), "c".into());
        draw(&Figure {
            id,
            title,
            caption,
            panels: vec![panel],
        })
        .unwrap()
    }

    #[test]
    fn points_without_a_logarithm_are_counted() {
        let points = vec![[1.0, 1.0], [2.0, 0.0], [3.0, -1.0], [4.0, 10.0]];
        let figure = drawn(panel(vec![series(Mark::Points, points)]));
        let want = ["2 points at or below zero cannot be drawn on a log axis."];
        assert_eq!(figure.panels[0].remarks, want);
        assert!(figure.panels[0].body.is_some());
    }

    #[test]
    fn a_panel_without_points_is_empty_and_says_so() {
        for series in [Vec::new(), vec![series(Mark::Line, Vec::new())]] {
            assert_eq!(drawn(panel(series)).panels[0].body, None);
        }
    }

    #[test]
    fn every_mark_draws_at_every_extreme() {
        for mark in [
            Mark::Line,
            Mark::Points,
            Mark::Bars,
            Mark::Reference,
            Mark::Tiles,
        ] {
            for y in [1e-140, 1e-9, 1.0, 1e140] {
                let mut one = series(mark, vec![[0.0, y], [1.0, y * 3.0]]);
                one.intervals = vec![[-1.0, y * 2.0], [y, f64::MAX]];
                one.values = vec![-y, f64::NAN];
                let figure = drawn(panel(vec![one.clone()]));
                assert!(
                    figure.panels[0]
                        .body
                        .as_ref()
                        .is_some_and(|body| !body.contains("NaN"))
                );
                let linear = Panel {
                    y_scaling: Scaling::Linear,
                    ..panel(vec![one])
                };
                assert!(drawn(linear).panels[0].body.is_some());
            }
        }
    }

    #[test]
    fn large_series_are_thinned_and_the_thinning_is_said() {
        let points: Vec<[f64; 2]> = (0..10_001).map(|i| [f64::from(i), 1.0]).collect();
        let figure = drawn(panel(vec![series(Mark::Line, points)]));
        assert!(figure.panels[0].remarks[0].ends_with("points are left out for size, evenly."));
        assert!(figure.panels[0].body.as_ref().unwrap().len() < 200_000);
    }

    #[test]
    fn names_are_called_cut_only_where_the_axis_has_no_room_for_them() {
        let cut = |names: &[&str]| {
            let points = (0..names.len()).map(|i| [i as f64, 1.0]).collect();
            let mut panel = panel(vec![series(Mark::Bars, points)]);
            panel.categories = names.iter().map(ToString::to_string).collect();
            panel.x_scaling = Scaling::Category;
            drawn(panel).panels[0].names_cut
        };
        assert!(!cut(&["thin pid", "tilde pid"]));
        assert!(!cut(&["a name of several words that wraps", "b"]));
        assert!(cut(&[
            "a name so long that no axis can hold it in three lines "
                .repeat(9)
                .as_str()
        ]));
        assert!(cut(&["name"; 90]));
    }

    #[test]
    fn text_in_drawings_is_escaped() {
        let mut hostile = panel(vec![series(Mark::Bars, vec![[0.0, 1.0]])]);
        hostile.categories = vec!["<script>x</script>\"'&]]>\u{1b}".into()];
        hostile.x_scaling = Scaling::Category;
        hostile.y_label = "<img onerror=x>".into();
        let body = drawn(hostile).panels.remove(0).body.unwrap();
        assert!(!body.contains("<script") && !body.contains("<img") && !body.contains('\u{1b}'));
    }
}
