//! Drawing one panel, or one swatch of a legend, with the plotting crate.
//!
//! The plotting crate works in whole pixels, so everything is drawn ten times as large and shown
//! smaller through the `viewBox` of the `svg` element.

use eval::{Mark, Panel, Scaling};
use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, EmptyElement, PathElement, Polygon, Rectangle, Text};
use plotters::series::DashedLineSeries;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, RGBColor, ShapeStyle, TextStyle};

use super::axis::{self, Axis};
use super::style::{Colour, GRID, INK, Look, MUTED, SURFACE, Sign};
use super::tiles::{self, Grid};
use super::{Placed, PlacedPoint};
use crate::{number, text};

/// Width of a panel in units of the page.
pub(crate) const WIDTH: u32 = 480;
/// Height of a panel in units of the page.
pub(crate) const HEIGHT: u32 = 320;
/// Width of a swatch.
pub(crate) const SWATCH_WIDTH: u32 = 30;
/// Height of a swatch.
pub(crate) const SWATCH_HEIGHT: u32 = 14;
/// Pixels of a drawing per unit of the page.
pub(crate) const FINE: u32 = 10;

const FONT_SIZE: f64 = 12.5;
/// Mean width of a character over its height in common sans-serif fonts; errs on the wide side.
const CHAR_WIDTH: f64 = 0.58;
const SIGN_RADIUS: f64 = 3.9;
/// Signs are drawn at every point up to this many points; beyond, at this many places.
const SIGNS_MAX: usize = 40;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Root<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Plane = Cartesian2d<RangedCoordf64, RangedCoordf64>;
type Chart<'a, 'b> = ChartContext<'b, SVGBackend<'a>, Plane>;

/// A drawn panel.
pub(crate) struct Drawing {
    /// The inside of its `svg` element.
    pub(crate) body: String,
    /// Whether some category is shown by its number, or by the beginning of its name.
    pub(crate) names_cut: bool,
}

/// Draws a panel.
pub(crate) fn panel(panel: &Panel, series: &[Placed]) -> Result<Drawing, Failure> {
    let (x_axis, y_axis) = axes(panel, series);
    let labels = CategoryLabels::new(panel, &x_axis, &y_axis);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH * FINE, HEIGHT * FINE));
        let root = root.into_drawing_area();
        let top = if panel.y_label.is_empty() { 10 } else { 30 };
        let bottom = 10 + 15 * labels.n_lines + if panel.x_label.is_empty() { 0 } else { 20 };
        let mut chart = ChartBuilder::on(&root)
            .margin_left(labels.left * FINE)
            .margin_right(14 * FINE)
            .margin_top(top * FINE)
            .margin_bottom(bottom * FINE)
            .build_cartesian_2d(x_axis.low..x_axis.high, y_axis.low..y_axis.high)?;
        let grid = Grid::of(series);
        if grid.is_none() {
            draw_grid(&chart, panel, &x_axis, &y_axis)?;
        }
        let n_bars = series
            .iter()
            .filter(|series| series.mark == Mark::Bars)
            .count();
        let n_points = series
            .iter()
            .filter(|series| series.mark == Mark::Points)
            .count();
        let (mut bars_idx, mut points_idx) = (0, 0);
        for one in series {
            match one.mark {
                Mark::Line => draw_line(&mut chart, one, &y_axis)?,
                Mark::Reference => draw_reference(&mut chart, one, &x_axis)?,
                Mark::Tiles => {
                    if let Some(grid) = &grid {
                        draw_tiles(&chart, one, grid)?;
                    }
                }
                Mark::Bars => {
                    draw_bars(
                        &chart,
                        one,
                        &y_axis,
                        Slot::new(series, panel, bars_idx, n_bars),
                    )?;
                    bars_idx += 1;
                }
                Mark::Points => {
                    let spread = if panel.x_scaling == Scaling::Category {
                        0.14
                    } else {
                        0.0
                    };
                    let shift = (points_idx as f64 - (n_points as f64 - 1.0) / 2.0) * spread;
                    draw_points(&chart, one, &y_axis, shift)?;
                    points_idx += 1;
                }
            }
        }
        draw_labels(&root, &chart, panel, (&x_axis, &y_axis), &labels)?;
        root.present()?;
    }
    Ok(Drawing {
        body: inside(&svg),
        names_cut: labels.names_cut,
    })
}

/// The inside of a swatch's `svg` element.
pub(crate) fn swatch(mark: Mark, look: Look) -> Result<String, Failure> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (SWATCH_WIDTH * FINE, SWATCH_HEIGHT * FINE));
        let root = root.into_drawing_area();
        let (width, height) = (f64::from(SWATCH_WIDTH), f64::from(SWATCH_HEIGHT));
        let mut chart = ChartBuilder::on(&root).build_cartesian_2d(0.0..width, 0.0..height)?;
        let point = |x: f64| PlacedPoint {
            x,
            y: height / 2.0,
            interval: None,
            value: None,
        };
        let placed = |xs: &[f64]| Placed {
            mark,
            look,
            points: xs.iter().map(|x| point(*x)).collect(),
        };
        let axis = Axis {
            low: 0.0,
            high: height,
            ticks: Vec::new(),
            minor: Vec::new(),
        };
        match mark {
            Mark::Line => {
                let ends = placed(&[1.0, width - 1.0]);
                stroke(&mut chart, &ends, solid(look.colour, 2.0))?;
                draw_sign(&chart, look, (width / 2.0, height / 2.0))?;
            }
            Mark::Reference => draw_reference(&mut chart, &placed(&[1.0, width - 1.0]), &axis)?,
            Mark::Points => draw_sign(&chart, look, (width / 2.0, height / 2.0))?,
            Mark::Tiles => {
                let fill = look.colour.rgb().mix(tiles::EVEN).filled();
                let corners = [(6.0, height - 1.5), (width - 6.0, 1.5)];
                chart.plotting_area().draw(&Rectangle::new(corners, fill))?;
                draw_sign(&chart, look, (width / 2.0, height / 2.0))?;
            }
            Mark::Bars => {
                draw_bar(&chart, look, (6.0, width - 6.0), (1.5, height - 1.5))?;
            }
        }
        root.present()?;
    }
    Ok(inside(&svg))
}

/// Drops the outermost element: the page writes it with title and description.
fn inside(svg: &str) -> String {
    let start = svg.find('>').map_or(0, |end| end + 1);
    let end = svg.rfind("</svg").unwrap_or(svg.len());
    svg.get(start..end).unwrap_or_default().replace('\n', "")
}

fn axes(panel: &Panel, series: &[Placed]) -> (Axis, Axis) {
    let points = || series.iter().flat_map(|series| series.points.iter());
    let xs: Vec<f64> = points().map(|point| point.x).collect();
    let mut ys: Vec<f64> = points()
        .flat_map(|point| {
            let (low, high) = point.interval.unwrap_or_default();
            [Some(point.y), low, high].into_iter().flatten()
        })
        .collect();
    let bars = series.iter().any(|series| series.mark == Mark::Bars);
    if bars && panel.y_scaling == Scaling::Linear {
        ys.push(0.0);
    }
    let categories: Vec<String> = panel
        .categories
        .iter()
        .map(|name| text::line(name, 200))
        .collect();
    let mut x_axis = axis::axis(panel.x_scaling, &xs, &categories, 6);
    if bars && panel.x_scaling != Scaling::Category {
        let half = tiles::spacing(&xs) / 2.0;
        (x_axis.low, x_axis.high) = (x_axis.low - half, x_axis.high + half);
    }
    let mut y_axis = axis::axis(panel.y_scaling, &ys, &[], 5);
    if let Some(grid) = Grid::of(series) {
        let label = |scaling: Scaling| {
            move |place: f64| match scaling {
                Scaling::Log => number::plain(10_f64.powf(place)),
                Scaling::Linear | Scaling::Category => number::plain(place),
            }
        };
        if panel.x_scaling != Scaling::Category {
            grid.fit_x(&mut x_axis, label(panel.x_scaling));
        }
        grid.fit_y(&mut y_axis, label(panel.y_scaling));
    }
    (x_axis, y_axis)
}

fn stretch(units: f64) -> i32 {
    (units * f64::from(FINE)).round() as i32
}

fn solid(colour: Colour, width: f64) -> ShapeStyle {
    colour.rgb().stroke_width(stretch(width).unsigned_abs())
}

fn draw_grid(chart: &Chart<'_, '_>, panel: &Panel, x: &Axis, y: &Axis) -> Result<(), Failure> {
    let area = chart.plotting_area();
    let horizontal = |y_place: f64| vec![(x.low, y_place), (x.high, y_place)];
    let vertical = |x_place: f64| vec![(x_place, y.low), (x_place, y.high)];
    for (place, _) in &y.ticks {
        area.draw(&PathElement::new(horizontal(*place), solid(GRID, 1.0)))?;
    }
    for place in &y.minor {
        area.draw(&PathElement::new(horizontal(*place), solid(GRID, 0.5)))?;
    }
    if panel.x_scaling != Scaling::Category {
        for (place, _) in &x.ticks {
            area.draw(&PathElement::new(vertical(*place), solid(GRID, 1.0)))?;
        }
        for place in &x.minor {
            area.draw(&PathElement::new(vertical(*place), solid(GRID, 0.5)))?;
        }
    }
    area.draw(&PathElement::new(horizontal(y.low), solid(MUTED, 1.0)))?;
    if y.low < 0.0 && y.high > 0.0 && panel.y_scaling == Scaling::Linear {
        area.draw(&PathElement::new(horizontal(0.0), solid(MUTED, 1.0)))?;
    }
    Ok(())
}

fn stroke(chart: &mut Chart<'_, '_>, series: &Placed, style: ShapeStyle) -> Result<(), Failure> {
    let points: Vec<(f64, f64)> = series
        .points
        .iter()
        .map(|point| (point.x, point.y))
        .collect();
    chart
        .plotting_area()
        .draw(&PathElement::new(points, style))?;
    Ok(())
}

fn draw_line(chart: &mut Chart<'_, '_>, series: &Placed, y: &Axis) -> Result<(), Failure> {
    let colour = series.look.colour;
    let ends = |point: &PlacedPoint| {
        let (low, high) = point.interval.unwrap_or((Some(point.y), Some(point.y)));
        (low.unwrap_or(y.low), high.unwrap_or(y.high))
    };
    if series.points.iter().any(|point| point.interval.is_some()) {
        let upper = series.points.iter().map(|point| (point.x, ends(point).1));
        let lower = series
            .points
            .iter()
            .rev()
            .map(|point| (point.x, ends(point).0));
        let outline: Vec<(f64, f64)> = upper.chain(lower).collect();
        chart
            .plotting_area()
            .draw(&Polygon::new(outline, colour.rgb().mix(0.16)))?;
    }
    stroke(chart, series, solid(colour, 2.0))?;
    let stride = if series.points.len() <= SIGNS_MAX {
        1
    } else {
        series.points.len() / 12
    };
    for point in series.points.iter().step_by(stride) {
        draw_sign(chart, series.look, (point.x, point.y))?;
    }
    Ok(())
}

/// A reference with a single point is a level across the whole panel.
fn draw_reference(chart: &mut Chart<'_, '_>, series: &Placed, x: &Axis) -> Result<(), Failure> {
    let mut points: Vec<(f64, f64)> = series.points.iter().map(|p| (p.x, p.y)).collect();
    if let [(_, level)] = points[..] {
        points = vec![(x.low, level), (x.high, level)];
    }
    let (dash, gap) = series.look.dash;
    let style = solid(series.look.colour, 1.5);
    chart.draw_series(DashedLineSeries::new(
        points,
        dash * FINE,
        gap * FINE,
        style,
    ))?;
    Ok(())
}

fn draw_points(
    chart: &Chart<'_, '_>,
    series: &Placed,
    y: &Axis,
    shift: f64,
) -> Result<(), Failure> {
    for point in &series.points {
        let x = point.x + shift;
        if let Some((low, high)) = point.interval {
            let (low, high) = (low.unwrap_or(y.low), high.unwrap_or(y.high));
            draw_whisker(chart, x, (low, high), solid(series.look.colour, 1.5))?;
        }
        draw_sign(chart, series.look, (x, point.y))?;
    }
    Ok(())
}

/// A vertical line with caps; the crate's own error bar would add a ring at the value.
fn draw_whisker(
    chart: &Chart<'_, '_>,
    x: f64,
    (low, high): (f64, f64),
    style: ShapeStyle,
) -> Result<(), Failure> {
    let area = chart.plotting_area();
    let cap = stretch(3.5);
    area.draw(&PathElement::new(vec![(x, low), (x, high)], style))?;
    for end in [low, high] {
        let cap = PathElement::new(vec![(-cap, 0), (cap, 0)], style);
        area.draw(&(EmptyElement::at((x, end)) + cap))?;
    }
    Ok(())
}

/// The room that one bar of a group has on the x axis.
#[derive(Clone, Copy)]
struct Slot {
    offset: f64,
    width: f64,
}

impl Slot {
    fn new(series: &[Placed], panel: &Panel, bars_idx: usize, n_bars: usize) -> Self {
        const GROUP: f64 = 0.72;
        let bars = series.iter().filter(|series| series.mark == Mark::Bars);
        let xs: Vec<f64> = bars
            .flat_map(|series| series.points.iter().map(|p| p.x))
            .collect();
        let spacing = if panel.x_scaling == Scaling::Category {
            1.0
        } else {
            tiles::spacing(&xs)
        };
        let width = GROUP * spacing / n_bars.max(1) as f64;
        let offset = (bars_idx as f64 - (n_bars as f64 - 1.0) / 2.0) * width;
        Self {
            offset,
            width: width * 0.9,
        }
    }
}

fn draw_bars(chart: &Chart<'_, '_>, series: &Placed, y: &Axis, slot: Slot) -> Result<(), Failure> {
    // On a log axis bars start where the axis starts; there is no zero.
    let floor = 0.0_f64.clamp(y.low, y.high);
    for point in &series.points {
        let x = point.x + slot.offset;
        let ends = (x - slot.width / 2.0, x + slot.width / 2.0);
        let (low, high) = (floor.min(point.y), floor.max(point.y));
        draw_bar(chart, series.look, ends, (low, high))?;
        if let Some((low, high)) = point.interval {
            let (low, high) = (low.unwrap_or(y.low), high.unwrap_or(y.high));
            draw_whisker(chart, x, (low, high), solid(INK, 1.5))?;
        }
    }
    Ok(())
}

/// A bar with an outline and, from the second series on, its own hatching.
fn draw_bar(
    chart: &Chart<'_, '_>,
    look: Look,
    (left, right): (f64, f64),
    (low, high): (f64, f64),
) -> Result<(), Failure> {
    const STRIPE_STEP: i32 = 50;
    let area = chart.plotting_area();
    let colour = look.colour.rgb();
    area.draw(&Rectangle::new(
        [(left, high), (right, low)],
        colour.mix(0.55).filled(),
    ))?;
    let (x0, y0) = area.map_coordinate(&(left, high));
    let (x1, y1) = area.map_coordinate(&(right, low));
    let screen = area.use_screen_coord();
    let stripe = |from: (i32, i32), to: (i32, i32)| {
        PathElement::new(vec![from, to], solid(look.colour, 1.0))
    };
    if matches!(look.series_idx % 4, 1 | 3) {
        for y in (y0..y1).step_by(STRIPE_STEP as usize) {
            screen.draw(&stripe((x0, y), (x1, y)))?;
        }
    }
    if matches!(look.series_idx % 4, 2 | 3) {
        for x in (x0..x1).step_by(STRIPE_STEP as usize) {
            screen.draw(&stripe((x, y0), (x, y1)))?;
        }
    }
    let outline = vec![
        (left, low),
        (left, high),
        (right, high),
        (right, low),
        (left, low),
    ];
    area.draw(&PathElement::new(outline, solid(look.colour, 1.0)))?;
    Ok(())
}

/// Tiles touch; each carries its number where there is room, or the sign of its series.
fn draw_tiles(chart: &Chart<'_, '_>, series: &Placed, grid: &Grid) -> Result<(), Failure> {
    let area = chart.plotting_area();
    let colour = series.look.colour.rgb();
    for point in &series.points {
        let ((left, right), (low, high)) = (grid.column(point.x), grid.row(point.y));
        let fill = colour.mix(grid.opacity(point.value)).filled();
        area.draw(&Rectangle::new([(left, high), (right, low)], fill))?;
        let (x0, y0) = area.map_coordinate(&(left, high));
        let (x1, y1) = area.map_coordinate(&(right, low));
        let room = |from: i32, to: i32| f64::from(to - from) / f64::from(FINE);
        let n_chars = (room(x0, x1) / (FONT_SIZE * CHAR_WIDTH)) as usize;
        match point.value {
            None => draw_sign(chart, series.look, (point.x, point.y))?,
            Some(_) if room(y0, y1) < FONT_SIZE => {}
            Some(value) => {
                if let Some(text) = grid.text(value, n_chars) {
                    let style = text_style(INK, HPos::Center, VPos::Center);
                    area.draw(&Text::new(text, (point.x, point.y), style))?;
                }
            }
        }
    }
    Ok(())
}

fn draw_sign(chart: &Chart<'_, '_>, look: Look, at: (f64, f64)) -> Result<(), Failure> {
    let area = chart.plotting_area();
    let radius = stretch(SIGN_RADIUS);
    let ink: RGBColor = look.colour.rgb();
    let thick = solid(look.colour, 2.0);
    let around = |points: &[(f64, f64)], scale: f64| -> Vec<(i32, i32)> {
        let place = |v: f64| (v * scale * f64::from(radius)).round() as i32;
        points.iter().map(|(x, y)| (place(*x), place(*y))).collect()
    };
    let solid_shape = |points: &[(f64, f64)]| {
        // A ring in the page's colour keeps overlapping signs apart.
        EmptyElement::at(at)
            + Polygon::new(around(points, 1.35), SURFACE.rgb().filled())
            + Polygon::new(around(points, 1.0), ink.filled())
    };
    let strokes = |a: &[(f64, f64)], b: &[(f64, f64)]| {
        EmptyElement::at(at)
            + PathElement::new(around(a, 1.0), thick)
            + PathElement::new(around(b, 1.0), thick)
    };
    match look.sign {
        Sign::Disc | Sign::Ring => {
            let inner = if look.sign == Sign::Ring {
                SURFACE.rgb()
            } else {
                ink
            };
            let disc = EmptyElement::at(at)
                + Circle::new((0, 0), radius * 13 / 10, SURFACE.rgb().filled())
                + Circle::new((0, 0), radius, ink.filled());
            area.draw(&(disc + Circle::new((0, 0), radius / 2, inner.filled())))?;
        }
        Sign::Square => {
            area.draw(&solid_shape(&[
                (-0.9, -0.9),
                (0.9, -0.9),
                (0.9, 0.9),
                (-0.9, 0.9),
            ]))?;
        }
        Sign::Triangle => area.draw(&solid_shape(&[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)]))?,
        Sign::TriangleDown => area.draw(&solid_shape(&[(0.0, 1.2), (1.1, -0.8), (-1.1, -0.8)]))?,
        Sign::Diamond => {
            area.draw(&solid_shape(&[
                (0.0, -1.3),
                (1.3, 0.0),
                (0.0, 1.3),
                (-1.3, 0.0),
            ]))?;
        }
        Sign::Cross => {
            area.draw(&strokes(
                &[(-0.9, -0.9), (0.9, 0.9)],
                &[(-0.9, 0.9), (0.9, -0.9)],
            ))?;
        }
        Sign::Plus => area.draw(&strokes(
            &[(-1.1, 0.0), (1.1, 0.0)],
            &[(0.0, -1.1), (0.0, 1.1)],
        ))?,
    }
    Ok(())
}

/// How wide the y labels are, and the lines of each x label.
struct CategoryLabels {
    left: u32,
    n_lines: u32,
    x: Vec<(f64, Vec<String>)>,
    names_cut: bool,
}

impl CategoryLabels {
    fn new(panel: &Panel, x: &Axis, y: &Axis) -> Self {
        const LINES_MAX: usize = 3;
        let widest = y
            .ticks
            .iter()
            .map(|(_, label)| label.chars().count())
            .max()
            .unwrap_or(0);
        let left = (widest as f64 * FONT_SIZE * CHAR_WIDTH).ceil() as u32 + 16;
        let room = f64::from(WIDTH - left - 14);
        if panel.x_scaling != Scaling::Category {
            let x = x
                .ticks
                .iter()
                .map(|(place, label)| (*place, vec![label.clone()]));
            return Self {
                left,
                n_lines: 1,
                x: x.collect(),
                names_cut: false,
            };
        }
        let ticks = &x.ticks;
        let slot = room / ticks.len().max(1) as f64;
        let n_chars = ((slot - 4.0) / (FONT_SIZE * CHAR_WIDTH)).floor().max(1.0) as usize;
        let x: Vec<(f64, Vec<String>)> = if n_chars < 3 {
            // No room for words: the page lists what the numbers stand for.
            let stride = (ticks.len() as f64 * 18.0 / room).ceil().max(1.0) as usize;
            let numbered = ticks.iter().enumerate().step_by(stride);
            numbered
                .map(|(idx, (place, _))| (*place, vec![format!("{}", idx + 1)]))
                .collect()
        } else {
            ticks
                .iter()
                .map(|(place, label)| (*place, wrap(label, n_chars, LINES_MAX)))
                .collect()
        };
        let n_lines = x.iter().map(|(_, lines)| lines.len()).max().unwrap_or(1) as u32;
        let whole = |(shown, (_, label)): (&(f64, Vec<String>), &(f64, String))| {
            let letters = |text: &str| text.replace(' ', "");
            letters(&shown.1.concat()) == letters(label)
        };
        let names_cut = x.len() < ticks.len() || !x.iter().zip(ticks).all(whole);
        Self {
            left,
            n_lines,
            x,
            names_cut,
        }
    }
}

/// Breaks a label at spaces and hyphens, else anywhere; what does not fit ends in an ellipsis.
fn wrap(label: &str, n_chars: usize, n_lines_max: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in label.split_inclusive([' ', '-', '_', '/', ',']) {
        let mut rest: Vec<char> = word.chars().collect();
        while !rest.is_empty() {
            let used = lines.last().map_or(0, |line| line.chars().count());
            let free = n_chars.saturating_sub(used);
            let visible = rest
                .iter()
                .rposition(|c| *c != ' ')
                .map_or(0, |last| last + 1);
            if visible > free && used > 0 {
                lines.push(String::new());
                continue;
            }
            let taken: String = rest.drain(..rest.len().min(n_chars.max(1))).collect();
            if let Some(line) = lines.last_mut() {
                line.push_str(&taken);
            }
        }
    }
    let mut lines: Vec<String> = lines.iter().map(|line| line.trim().to_owned()).collect();
    if lines.len() > n_lines_max {
        lines.truncate(n_lines_max);
        if let Some(last) = lines.last_mut() {
            let kept: String = last.chars().take(n_chars.saturating_sub(1)).collect();
            *last = format!("{kept}…");
        }
    }
    lines
}

fn text_style(colour: Colour, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    // The backend writes the size divided by 1.24.
    let size = FONT_SIZE * f64::from(FINE) * 1.24;
    TextStyle {
        font: ("sans-serif", size).into_font(),
        color: colour.rgb().to_backend_color(),
        pos: Pos::new(horizontal, vertical),
    }
}

fn draw_labels(
    root: &Root<'_>,
    chart: &Chart<'_, '_>,
    panel: &Panel,
    (x, y): (&Axis, &Axis),
    labels: &CategoryLabels,
) -> Result<(), Failure> {
    let area = chart.plotting_area();
    for (place, label) in &y.ticks {
        let (px, py) = area.map_coordinate(&(x.low, *place));
        let at = (px - stretch(6.0), py);
        root.draw(&Text::new(
            label.clone(),
            at,
            text_style(INK, HPos::Right, VPos::Center),
        ))?;
    }
    let (left, bottom) = area.map_coordinate(&(x.low, y.low));
    for (place, lines) in &labels.x {
        let (px, _) = area.map_coordinate(&(*place, y.low));
        for (line_idx, line) in lines.iter().enumerate() {
            let at = (px, bottom + stretch(7.0 + 15.0 * line_idx as f64));
            root.draw(&Text::new(
                line.clone(),
                at,
                text_style(INK, HPos::Center, VPos::Top),
            ))?;
        }
    }
    let fits = (f64::from(WIDTH) / (FONT_SIZE * CHAR_WIDTH)) as usize - 2;
    let (right, top) = area.map_coordinate(&(x.high, y.high));
    let x_label = elide(&panel.x_label, fits);
    let below = bottom + stretch(11.0 + 15.0 * f64::from(labels.n_lines));
    let at = ((left + right) / 2, below);
    root.draw(&Text::new(
        x_label,
        at,
        text_style(MUTED, HPos::Center, VPos::Top),
    ))?;
    let at = (stretch(2.0), top - stretch(24.0));
    let y_label = elide(&panel.y_label, fits);
    root.draw(&Text::new(
        y_label,
        at,
        text_style(MUTED, HPos::Left, VPos::Top),
    ))?;
    Ok(())
}

fn elide(label: &str, n_chars: usize) -> String {
    let label = text::line(label, 400);
    if label.chars().count() <= n_chars {
        return label;
    }
    let kept: String = label.chars().take(n_chars.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_wrap_at_words_and_end_in_an_ellipsis() {
        assert_eq!(wrap("thin", 8, 3), ["thin"]);
        assert_eq!(wrap("projected gradient", 9, 3), ["projected", "gradient"]);
        assert_eq!(wrap("abcdefghij", 4, 3), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("a b c d e f g h", 3, 2), ["a b", "c …"]);
    }
}
