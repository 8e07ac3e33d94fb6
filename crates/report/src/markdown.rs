//! `report.md`: the short version of a report, for places that show Markdown.

use crate::number;
use crate::page::mind;
use crate::render::Derived;
use crate::results;
use crate::store::{Freshness, StoredRun};
use crate::text;

/// The report as Markdown.
#[must_use]
pub fn report(run: &StoredRun, derived: &Derived) -> String {
    let summary = &run.summary;
    let say = |words: &str| text::markdown(&text::line(words, text::CELL_CHARS_MAX));
    let mut page = format!("# {}\n\n", say(&run.title()));
    if run.freshness != Freshness::Fresh {
        page.push_str("**Stale.** The code has changed since this was measured.\n\n");
    }
    page.push_str(&results::sheet(summary).markdown());
    page.push_str("\n## What would change our mind\n\n");
    for claim in &summary.claims {
        page.push_str(&format!(
            "- {}: {}\n",
            say(&claim.id),
            say(&mind(&summary.paper, claim))
        ));
    }
    let record = &run.record;
    let commit = record.commit.as_deref().unwrap_or("unknown");
    let dirty = if record.dirty == Some(true) {
        " with uncommitted changes"
    } else {
        ""
    };
    page.push_str("\n## How it was run\n\n");
    let mut facts = vec![
        format!("run {}, scale {}", summary.run, summary.scale),
        format!("command: {}", record.argv.join(" ")),
        format!("commit {commit}{dirty}, source digest {}", summary.source),
        format!("{}, {}", record.toolchain, record.target),
        format!(
            "{}, {} cores, {}",
            record.machine.cpu, record.machine.n_cores, record.machine.os
        ),
        format!("started {}", record.started),
    ];
    if let Some(cpu_s) = derived.cpu_s {
        facts.push(format!(
            "processor time of all cells: {}",
            number::duration(cpu_s)
        ));
    }
    let n_unfinished = derived.finish.unfinished.len() as u64;
    if n_unfinished > 0 {
        facts.push(number::plural(
            n_unfinished,
            "cell has no result",
            "cells have no result",
        ));
    }
    for fact in facts {
        page.push_str(&format!("- {}\n", say(&fact)));
    }
    page
}
