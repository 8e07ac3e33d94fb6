//! Maps: a rectangle around each point of a grid, tinted by a number or by what holds there.
//!
//! A tint alone is never what tells two numbers apart: where there is room the number stands in
//! its rectangle, and the page says what the faintest and the strongest tint mean. Rectangles
//! without numbers carry the sign of their series.

use eval::Mark;

use super::axis::Axis;
use super::{Placed, PlacedPoint};
use crate::number;

/// Up to this many columns or rows each has its own tick.
const TICKS_MAX: usize = 12;
/// Opacity of the strongest tint: text on it must stay readable.
const STRONGEST: f64 = 0.6;
/// Opacity of the faintest tint, which must differ from a place where nothing was measured.
const FAINTEST: f64 = 0.06;
/// Opacity of tiles without numbers.
pub(super) const EVEN: f64 = 0.45;

/// The grid of a panel's tiles, in mapped coordinates.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Grid {
    /// The columns, in order.
    columns: Vec<f64>,
    /// The rows, in order.
    rows: Vec<f64>,
    /// The smallest and the largest number of the panel's tiles, where there is one.
    range: Option<(f64, f64)>,
}

impl Grid {
    /// The grid that the tiles of these series lie on; `None` without tiles.
    pub(super) fn of(series: &[Placed]) -> Option<Self> {
        let points: Vec<PlacedPoint> = tiles(series).copied().collect();
        if points.is_empty() {
            return None;
        }
        let values = || points.iter().filter_map(|point| point.value);
        let (low, high) = (
            values().fold(f64::INFINITY, f64::min),
            values().fold(f64::NEG_INFINITY, f64::max),
        );
        Some(Self {
            columns: distinct(points.iter().map(|point| point.x)),
            rows: distinct(points.iter().map(|point| point.y)),
            range: (low <= high).then_some((low, high)),
        })
    }

    /// Left and right end of the tile at this place.
    pub(super) fn column(&self, x: f64) -> (f64, f64) {
        ends(&self.columns, x)
    }

    /// Lower and upper end of the tile at this place.
    pub(super) fn row(&self, y: f64) -> (f64, f64) {
        ends(&self.rows, y)
    }

    /// Fits both axes to the tiles, given what their places are called.
    pub(super) fn fit_x(&self, axis: &mut Axis, label: impl Fn(f64) -> String) {
        fit(axis, &self.columns, label);
    }

    /// As [`Self::fit_x`], for the vertical axis.
    pub(super) fn fit_y(&self, axis: &mut Axis, label: impl Fn(f64) -> String) {
        fit(axis, &self.rows, label);
    }

    /// The opacity of a tile with this number.
    pub(super) fn opacity(&self, value: Option<f64>) -> f64 {
        let (Some(value), Some((low, high))) = (value, self.range) else {
            return EVEN;
        };
        if high <= low {
            return EVEN;
        }
        FAINTEST + (STRONGEST - FAINTEST) * (value - low) / (high - low)
    }

    /// The number of a tile in at most `n_chars` characters, as fine as the panel's range asks for.
    pub(super) fn text(&self, value: f64, n_chars: usize) -> Option<String> {
        const DIGITS: i32 = 3;
        let (low, high) = self.range?;
        let largest = (high - low).max(low.abs()).max(high.abs());
        let power = if largest > 0.0 { largest.log10() } else { 0.0 };
        let n_decimals = (DIGITS - 1 - power.floor() as i32).clamp(0, 6);
        (0..=n_decimals)
            .rev()
            .map(|n| format!("{value:.*}", n as usize))
            .find(|text| text.chars().count() <= n_chars)
            .filter(|text| value == 0.0 || text.chars().any(|c| ('1'..='9').contains(&c)))
    }

    /// What the tints mean.
    pub(super) fn remark(&self) -> Option<String> {
        let (low, high) = self.range?;
        let [low, high] = [low, high].map(number::plain);
        Some(format!("Tint from {low} (faint) to {high} (strong)."))
    }
}

fn distinct(places: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = places.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.dedup();
    sorted
}

/// A tile reaches half-way to its neighbours, and as far outwards as inwards where it has one only.
fn ends(places: &[f64], place: f64) -> (f64, f64) {
    let at = places.partition_point(|other| *other < place);
    let below = at.checked_sub(1).map(|idx| place - places[idx]);
    let above = places.get(at + 1).map(|next| next - place);
    let (below, above) = match (below, above) {
        (None, None) => (1.0, 1.0),
        (Some(step), None) | (None, Some(step)) => (step, step),
        (Some(below), Some(above)) => (below, above),
    };
    (place - below / 2.0, place + above / 2.0)
}

/// An axis that ends at the borders of the outermost tiles, since padding beyond them would look
/// like tiles that were not measured, and has a tick for each of few places.
fn fit(axis: &mut Axis, places: &[f64], label: impl Fn(f64) -> String) {
    let (Some(first), Some(last)) = (places.first(), places.last()) else {
        return;
    };
    axis.low = ends(places, *first).0;
    axis.high = ends(places, *last).1;
    if places.len() <= TICKS_MAX {
        axis.ticks = places.iter().map(|place| (*place, label(*place))).collect();
        axis.minor = Vec::new();
    }
}

/// The smallest distance between neighbours; 1 where there is one place only.
pub(super) fn spacing(places: &[f64]) -> f64 {
    let mut sorted = places.to_vec();
    sorted.sort_by(f64::total_cmp);
    let steps = sorted
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .filter(|step| *step > 0.0);
    let smallest = steps.fold(f64::INFINITY, f64::min);
    if smallest.is_finite() { smallest } else { 1.0 }
}

/// The points of all series of tiles.
pub(super) fn tiles(series: &[Placed]) -> impl Iterator<Item = &PlacedPoint> {
    series
        .iter()
        .filter(|series| series.mark == Mark::Tiles)
        .flat_map(|series| series.points.iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        Grid {
            columns: vec![0.0],
            rows: vec![0.0],
            range: Some((0.0, 25.0)),
        }
    }

    #[test]
    fn tints_grow_with_the_number_and_stay_readable() {
        assert!((grid().opacity(Some(0.0)) - FAINTEST).abs() < 1e-12);
        assert!((grid().opacity(Some(25.0)) - STRONGEST).abs() < 1e-12);
        assert!(grid().opacity(Some(10.0)) < grid().opacity(Some(11.0)));
        assert!((grid().opacity(None) - EVEN).abs() < 1e-12);
    }

    #[test]
    fn numbers_are_as_fine_as_their_room_allows() {
        assert_eq!(grid().text(17.345, 5).as_deref(), Some("17.3"));
        assert_eq!(grid().text(17.345, 3).as_deref(), Some("17"));
        assert_eq!(grid().text(17.345, 1), None);
        // A number that would be shown as zero is not shown.
        assert_eq!(grid().text(0.012, 4), None);
        assert_eq!(grid().text(0.0, 4).as_deref(), Some("0.0"));
    }

    #[test]
    fn tiles_touch_and_reach_the_ends_of_the_axis() {
        let mut axis = Axis {
            low: 0.0,
            high: 1.06,
            ticks: Vec::new(),
            minor: Vec::new(),
        };
        let places = distinct([0.0, 2.0, 0.5, 0.0].into_iter());
        assert_eq!(ends(&places, 0.0), (-0.25, 0.25));
        assert_eq!(ends(&places, 0.5), (0.25, 1.25));
        assert_eq!(ends(&places, 2.0), (1.25, 2.75));
        fit(&mut axis, &places, |place| format!("{place}"));
        assert_eq!((axis.low, axis.high), (-0.25, 2.75));
        let labels: Vec<&str> = axis.ticks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels, ["0", "0.5", "2"]);
        assert_eq!(ends(&[3.0], 3.0), (2.5, 3.5));
        assert_eq!(spacing(&[0.0, 2.0, 0.5, 0.0]), 0.5);
    }
}
