//! Figures on a page: panels as inline SVG, legend, caption, and the numbers behind them.

use eval::{Figure, Panel, Result, Scaling};
use maud::{Markup, PreEscaped, html};

use super::anchor;
use crate::figure::{self, DrawnFigure, DrawnPanel, HEIGHT, SWATCH_HEIGHT, SWATCH_WIDTH, WIDTH};
use crate::number;
use crate::text;

/// Numbers of one panel that are listed.
const POINTS_LISTED_MAX: usize = 200;

/// The section with all figures.
pub(super) fn section(figures: &[Figure]) -> Result<Markup> {
    let drawn: Vec<DrawnFigure> = figures.iter().map(figure::draw).collect::<Result<_>>()?;
    Ok(html! {
        h2 id="figures" { "Figures" }
        @if figures.is_empty() { p { "This paper defines no figures." } }
        @for (idx, (figure, drawn)) in figures.iter().zip(&drawn).enumerate() {
            (one(figure, drawn, idx))
        }
    })
}

fn one(figure: &Figure, drawn: &DrawnFigure, idx: usize) -> Markup {
    let id = anchor("figure", &figure.id, idx);
    let panels = figure.panels.iter().zip(&drawn.panels);
    let class = if figure.panels.len() == 1 {
        "panels one"
    } else {
        "panels"
    };
    let line = |words: &str| text::line(words, text::CELL_CHARS_MAX);
    html! {
        figure id=(id) {
            h3.isolate { (line(&figure.title)) }
            @if !drawn.legend.is_empty() {
                ul.legend {
                    @for entry in &drawn.legend {
                        li {
                            svg viewBox=(view(SWATCH_WIDTH, SWATCH_HEIGHT)) aria-hidden="true" {
                                (PreEscaped(&entry.swatch))
                            }
                            span.isolate { (text::line(&entry.name, 200)) }
                        }
                    }
                }
            }
            div class=(class) {
                @for (panel_idx, (panel, drawn)) in panels.enumerate() {
                    (panel_box(figure, panel, drawn, &format!("{id}-{}", panel_idx + 1)))
                }
            }
            @if figure.panels.is_empty() { p { "The figure is empty: it has no panels." } }
            figcaption.isolate {
                (text::block(&figure.caption, text::BLOCK_CHARS_MAX))
                @for panel in &drawn.panels {
                    @for remark in &panel.remarks { " " (remark) }
                }
            }
            (numbers(figure))
        }
    }
}

fn view(width: u32, height: u32) -> String {
    format!("0 0 {} {}", width * figure::FINE, height * figure::FINE)
}

fn panel_box(figure: &Figure, panel: &Panel, drawn: &DrawnPanel, id: &str) -> Markup {
    let title = if panel.title.is_empty() {
        &figure.title
    } else {
        &panel.title
    };
    let title = text::line(title, text::CELL_CHARS_MAX);
    html! {
        div.panel {
            @if !panel.title.is_empty() { h4.isolate { (title) } }
            @match &drawn.body {
                Some(body) => {
                    svg.plot viewBox=(view(WIDTH, HEIGHT)) role="img"
                        aria-labelledby=(format!("{id}-title {id}-desc")) {
                        title id=(format!("{id}-title")) { (title) }
                        desc id=(format!("{id}-desc")) { (text::line(&drawn.description, 2000)) }
                        (PreEscaped(body))
                    }
                    @if drawn.names_cut {
                        ol.categories {
                            @for name in panel.categories.iter().take(POINTS_LISTED_MAX) {
                                li { (text::line(name, 200)) }
                            }
                        }
                    }
                }
                None => p.small { "The figure is empty: there is no point to draw." },
            }
        }
    }
}

/// The numbers behind a figure, folded.
fn numbers(figure: &Figure) -> Markup {
    let series = || figure.panels.iter().flat_map(|panel| &panel.series);
    if series().all(|series| series.points.is_empty()) {
        return html! {};
    }
    html! {
        details {
            summary.small { "Numbers of this figure" }
            @for panel in &figure.panels {
                @let n_points: usize = panel.series.iter().map(|series| series.points.len()).sum();
                div.scroll {
                    table.compact {
                        caption { (text::line(&panel.title, 200)) }
                        thead {
                            tr {
                                th scope="col" { "series" }
                                th.num scope="col" { (text::line(&panel.x_label, 200)) }
                                th.num scope="col" { (text::line(&panel.y_label, 200)) }
                                th.num scope="col" { "interval" }
                            }
                        }
                        tbody { (number_rows(panel)) }
                    }
                }
                @if n_points > POINTS_LISTED_MAX {
                    p.small {
                        "The first " (POINTS_LISTED_MAX) " of " (n_points) " points are listed."
                    }
                }
            }
        }
    }
}

fn number_rows(panel: &Panel) -> Markup {
    let points = panel.series.iter().flat_map(|series| {
        let fits = series.intervals.len() == series.points.len();
        series.points.iter().enumerate().map(move |(idx, point)| {
            (
                &series.name,
                point,
                series.intervals.get(idx).filter(|_| fits),
            )
        })
    });
    let x = |value: f64| match panel.x_scaling {
        Scaling::Category => {
            let name = panel
                .categories
                .get(value as usize)
                .filter(|_| value >= 0.0);
            name.map_or_else(|| number::plain(value), |name| text::line(name, 200))
        }
        Scaling::Linear | Scaling::Log => number::plain(value),
    };
    html! {
        @for (name, [px, py], interval) in points.take(POINTS_LISTED_MAX) {
            tr {
                td { (text::line(name, 200)) }
                td.num { (x(*px)) }
                td.num { (number::plain(*py)) }
                td.num {
                    @if let Some([low, high]) = interval {
                        "[" (number::plain(*low)) ", " (number::plain(*high)) "]"
                    }
                }
            }
        }
    }
}
