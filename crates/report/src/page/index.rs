//! The index: the newest report of each paper.

use std::path::Path;

use eval::{Result, Summary};
use maud::{Markup, html};

use super::{badge, claims, document};
use crate::store::{self, Freshness};
use crate::text;

/// The page that links the newest report of every paper of a workspace.
///
/// # Errors
/// Results cannot be listed, or a summary is damaged.
pub fn index_page(root: &Path) -> Result<String> {
    let mut entries = Vec::new();
    for paper in store::papers(root)? {
        entries.push(entry(root, &paper)?);
    }
    let body = html! {
        header {
            p.kicker { "Reproductions" }
            h1 { "What the papers claim, and what we measured" }
        }
        @if entries.is_empty() { p { "There is no paper yet." } }
        @for entry in &entries { (entry) }
    };
    Ok(document("Reproductions", &body))
}

fn entry(root: &Path, paper: &str) -> Result<Markup> {
    let manifest = store::manifest(root, paper);
    let title = manifest
        .as_ref()
        .map_or(paper, |manifest| manifest.paper.title.as_str());
    let title = text::line(title, text::CELL_CHARS_MAX);
    let Some(run) = store::latest(root, paper)? else {
        return Ok(html! {
            section.claim {
                p.kicker { (paper) }
                h3.isolate { (title) }
                p.small { "Not measured yet: " code { "cargo xtask reproduce " (paper) } }
            }
        });
    };
    let summary = Summary::read(&run.file("summary.json"))?;
    let stale = store::freshness(root, &summary)? != Freshness::Fresh;
    let page = run.file("report.html").is_file();
    let href = format!("{}/{}/report.html", encode(paper), encode(&run.name()));
    Ok(html! {
        section.claim {
            p.kicker { (paper) }
            h3.isolate { @if page { a href=(href) { (title) } } @else { (title) } }
            p { (claims::headline(&summary)) }
            @if stale {
                p {
                    (badge(eval::Verdict::Stale))
                    " The code has changed since; the counts are those of that time."
                }
            }
            p.small {
                "Run " span.mono { (run.name()) } " · scale " (summary.scale)
                @if !page { " · no page yet: " code { "cargo xtask report " (paper) } }
            }
        }
    })
}

/// A path's component as part of an address.
fn encode(component: &str) -> String {
    let mut encoded = String::new();
    for byte in component.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
