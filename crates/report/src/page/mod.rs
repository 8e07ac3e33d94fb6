//! HTML pages that stand alone: no script, no external resource, light and dark, fit for print.
//!
//! Every text goes through the template engine, which escapes it; before that, control and
//! direction codes are made visible and lengths are capped by [`crate::text`]. The only markup that
//! is not written here comes from the plotting crate, which escapes its own text.

mod claims;
mod figures;
mod index;
mod provenance;

use eval::{Result, Verdict};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::figure::style;
use crate::number;
use crate::render::Derived;
use crate::results;
use crate::sheet::{Align, Sheet};
use crate::store::{Freshness, StoredRun};
use crate::text;

pub use claims::mind;
pub use index::index_page;

/// The page of one run.
///
/// # Errors
/// A figure cannot be drawn, or the run folder cannot be read.
pub fn run_page(run: &StoredRun, derived: &Derived) -> Result<String> {
    let body = html! {
        (top(run))
        h2 id="results" { "Results" }
        (claims::table(&run.summary))
        h2 id="claims" { "Claim by claim" }
        @for (idx, claim) in run.summary.claims.iter().enumerate() {
            (claims::section(run, claim, idx))
        }
        (figures::section(&run.figures)?)
        (experiments(derived))
        (provenance::how(run, derived))
        (provenance::inputs(run))
        (provenance::failures(&derived.finish.unfinished))
        (provenance::transcripts(run)?)
        (provenance::published(run))
        (provenance::legend())
    };
    Ok(document(
        &format!("{} · {}", run.summary.paper, run.summary.run),
        &body,
    ))
}

/// The page of a comparison.
#[must_use]
pub fn sheet_page(title: &str, sheet: &Sheet) -> String {
    let body = html! {
        header { h1 { (title) } }
        (table(sheet, "stack"))
    };
    document(title, &body)
}

/// A whole document around a body.
pub(crate) fn document(title: &str, body: &Markup) -> String {
    let title = text::line(title, text::CELL_CHARS_MAX);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Even a mistake in escaping could then neither run a script nor load anything.
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                meta name="generator" content="report";
                title { (title) }
                style { (PreEscaped(style_sheet())) }
            }
            body {
                main {
                    (body)
                    footer {
                        "Made from stored rows; the page can be deleted and rebuilt. "
                        "It loads nothing and runs no script."
                    }
                }
            }
        }
    };
    // Texts are cleaned where they are cut; this catches any that needs no cutting.
    text::visible(&page.into_string())
}

/// The style sheet, with the dark twins of the plots' colours.
fn style_sheet() -> String {
    let mut css = include_str!("style.css").to_owned();
    css.push_str("@media screen and (prefers-color-scheme: dark) {\n");
    for colour in style::all() {
        for property in ["fill", "stroke"] {
            let rule = format!(
                "svg [{property}=\"{}\"] {{ {property}: {}; }}\n",
                colour.light, colour.dark
            );
            css.push_str(&rule);
        }
    }
    css.push_str("}\n");
    css
}

/// Sections of a page and their titles.
const CONTENTS: [(&str, &str); 8] = [
    ("results", "Results"),
    ("claims", "Claims"),
    ("figures", "Figures"),
    ("tables", "Tables"),
    ("how", "How it was run"),
    ("inputs", "Inputs"),
    ("failures", "Failures"),
    ("legend", "What the verdicts mean"),
];

fn top(run: &StoredRun) -> Markup {
    let paper = run.manifest.as_ref().map(|manifest| &manifest.paper);
    html! {
        header {
            p.kicker { "Reproduction report · " (run.summary.paper) }
            h1.isolate { (run.title()) }
            @if let Some(paper) = paper {
                p.byline {
                    (text::line(&paper.authors.join(", "), text::CELL_CHARS_MAX)) " · "
                    @let address = format!("{}{}", url(&paper.arxiv), url(&paper.version));
                    a href=(format!("https://arxiv.org/abs/{address}")) {
                        "arXiv:" (text::line(&paper.arxiv, 40)) (text::line(&paper.version, 10))
                    }
                }
                p.idea.isolate { (text::block(&paper.idea, text::BLOCK_CHARS_MAX)) }
            }
            p.headline { (claims::headline(&run.summary)) }
            (notices(run))
            (claims::matrix(&run.summary))
            @if let Some(paper) = paper {
                p.isolate {
                    strong { "What this cannot show. " }
                    (text::block(&paper.limits, text::BLOCK_CHARS_MAX))
                }
            }
            p.small {
                "Run " span.mono { (run.summary.run) } " · scale " (run.summary.scale) " · "
                (number::plural(run.record.effort.n_seeds, "seed", "seeds"))
                " · started " (text::line(&run.record.started, 40))
            }
            nav.toc {
                @for (id, title) in CONTENTS { a href=(format!("#{id}")) { (title) } }
            }
        }
    }
}

/// What a reader must know before the first number.
fn notices(run: &StoredRun) -> Markup {
    let stale = run.freshness != Freshness::Fresh;
    let smoke = run.summary.scale == eval::Scale::Smoke;
    let dirty = run.record.dirty == Some(true);
    html! {
        @if stale {
            p.notice {
                strong { "Stale. " }
                "The code has changed since this was measured, so no verdict below counts. "
                "The verdict of that time is given with each reason. Measure again with "
                code { "cargo xtask reproduce " (run.summary.paper) } "."
            }
        }
        @if run.manifest.is_none() {
            p.notice {
                strong { "No `paper.toml`. " }
                "It is absent or cannot be understood, so title, authors, and limits are missing."
            }
        }
        @if smoke {
            p.notice {
                strong { "Smoke run. " } "It shows that everything runs and issues no verdicts."
            }
        }
        @if dirty {
            p.notice {
                strong { "Uncommitted changes. " }
                "The code differed from the recorded commit when this was measured."
            }
        }
    }
}

fn experiments(derived: &Derived) -> Markup {
    const LINES_MAX: usize = 200;
    let groups = [("measured", &derived.tables), ("timings", &derived.timings)];
    html! {
        h2 id="tables" { "Tables of experiments" }
        @if derived.tables.is_empty() && derived.timings.is_empty() {
            p { "There are no rows." }
        } @else {
            p.small {
                "Every row of the run, added up per metric and condition. Numbers in full are in "
                code { "tables/" } " and " code { "rows.parquet" } "."
            }
        }
        @for (kind, tables) in groups {
            @for one in tables {
                details {
                    summary {
                        strong.isolate { (text::line(&one.experiment, 200)) } " · " (kind) " · "
                        (number::plural(one.lines.len() as u64, "line", "lines"))
                    }
                    (table(&one.sheet(LINES_MAX), "compact"))
                }
            }
        }
    }
}

/// A sheet as a table; `class` is one of the style sheet's.
pub(crate) fn table(sheet: &Sheet, class: &str) -> Markup {
    let number = |idx: usize| (sheet.columns[idx].align == Align::Right).then_some("num");
    html! {
        div.scroll {
            table class=(class) {
                caption { (text::line(&sheet.caption, text::CELL_CHARS_MAX)) }
                thead {
                    tr {
                        @for (idx, column) in sheet.columns.iter().enumerate() {
                            th class=[number(idx)] scope="col" { (text::line(&column.title, 200)) }
                        }
                    }
                }
                tbody {
                    @for row in &sheet.rows {
                        tr {
                            @for (idx, cell) in row.iter().enumerate() {
                                @let label = text::line(&sheet.columns[idx].title, 200);
                                td class=[number(idx)] data-label=(label) {
                                    (lines(cell))
                                }
                            }
                        }
                    }
                }
            }
        }
        @for note in &sheet.notes { p.small.isolate { (text::line(note, text::CELL_CHARS_MAX)) } }
    }
}

/// The first line of a cell as it is, further lines small below it.
fn lines(cell: &str) -> Markup {
    let cell = text::block(cell, text::CELL_CHARS_MAX);
    let mut parts = cell.lines();
    let first = parts.next().unwrap_or_default().to_owned();
    html! { span { (first) @for line in parts { span.sub { (line) } } } }
}

/// A verdict as sign, word, and colour; the colour says nothing that the word does not.
pub(crate) fn badge(verdict: Verdict) -> Markup {
    let tone = match verdict {
        Verdict::Reproduced | Verdict::Supported => "good",
        Verdict::Approximate | Verdict::Stale | Verdict::Incomplete => "mid",
        Verdict::NotObserved | Verdict::NotReproduced | Verdict::InvalidRun => "bad",
        Verdict::Inconclusive | Verdict::NotAttempted => "flat",
    };
    html! {
        span class=(format!("badge {tone}")) {
            span.sign aria-hidden="true" { (results::sign(verdict)) } (verdict)
        }
    }
}

/// A name usable as an element's id: unique because of `idx`, readable because of `name`.
pub(crate) fn anchor(kind: &str, name: &str, idx: usize) -> String {
    let safe: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(24)
        .collect();
    format!("{kind}-{}-{safe}", idx + 1)
}

/// Part of an address: everything that could change its meaning is dropped.
fn url(part: &str) -> String {
    part.chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '/'))
        .collect()
}
