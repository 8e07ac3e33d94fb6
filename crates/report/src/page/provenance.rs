//! Where a run comes from: command, code, machine, inputs, failures, transcripts, and the legend.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use eval::inputs::InputState;
use eval::{Error, Result, Verdict};
use maud::{Markup, html};

use super::{badge, table};
use crate::number;
use crate::published;
use crate::render::Derived;
use crate::store::{Freshness, StoredRun, UnfinishedCell};
use crate::text;

/// Failed cells shown with their error output.
const FAILURES_MAX: usize = 20;
/// Cells whose transcripts are excerpted.
const TRANSCRIPTS_MAX: usize = 3;
/// Entries shown of one transcript.
const ENTRIES_MAX: usize = 3;
/// Most bytes of a transcript that are read.
const TRANSCRIPT_BYTES_MAX: u64 = 1 << 18;

fn line(words: &str) -> String {
    text::line(words, text::CELL_CHARS_MAX)
}

/// How the run was made.
pub(super) fn how(run: &StoredRun, derived: &Derived) -> Markup {
    let record = &run.record;
    let argv: Vec<String> = record.argv.iter().map(|word| shell_word(word)).collect();
    let commit = match &record.commit {
        Some(commit) => line(commit),
        None => "unknown".to_owned(),
    };
    let dirty = if record.dirty == Some(true) {
        ", with uncommitted changes"
    } else {
        ""
    };
    let machine = &record.machine;
    let jobs = number::plural(record.n_jobs, "cell at a time", "cells at a time");
    let seeds = number::plural(record.effort.n_seeds, "seed", "seeds");
    let ended = record
        .ended
        .as_deref()
        .map_or_else(|| "unknown".to_owned(), line);
    let cells = number::plural(run.plan.cells.len() as u64, "cell", "cells");
    let config = serde_json::to_string_pretty(&record.config).unwrap_or_default();
    html! {
        h2 id="how" { "How it was run" }
        dl {
            dt { "Command" } dd { code { (text::line(&argv.join(" "), 2000)) } }
            dt { "Again" }
            dd {
                code {
                    "cargo xtask reproduce " (run.summary.paper) " --scale " (run.summary.scale)
                }
            }
            dt { "Code" }
            dd {
                "commit " span.mono { (commit) } (dirty)
                span.sub {
                    "source digest " span.mono { (short_digest(&run.summary.source)) }
                    (freshness(run))
                }
            }
            dt { "Rows" } dd { "digest " span.mono { (short_digest(&run.summary.rows)) } }
            dt { "Toolchain" } dd { (line(&record.toolchain)) span.sub { (line(&record.target)) } }
            dt { "Machine" }
            dd {
                (line(&machine.cpu)) ", " (number::plural(machine.n_cores, "core", "cores")) ", "
                (number::bytes(machine.ram_bytes)) span.sub { (line(&machine.os)) }
            }
            dt { "Work" } dd { (cells) ", " (seeds) ", " (jobs) " at most" }
            dt { "Started" } dd { (line(&record.started)) }
            dt { "Ended" } dd { (ended) }
            @if let Some(seconds) = wall_seconds(&record.started, record.ended.as_deref()) {
                dt { "Wall time" } dd { (number::duration(seconds)) }
            }
            @if let Some(cpu_s) = derived.cpu_s {
                dt { "Processor time" } dd { (number::duration(cpu_s)) ", all cells together" }
            }
        }
        details {
            summary.small { "Configuration" }
            pre { (text::block(&config, text::BLOCK_CHARS_MAX)) }
        }
    }
}

fn freshness(run: &StoredRun) -> String {
    match &run.freshness {
        Freshness::Fresh => ", unchanged since".to_owned(),
        Freshness::Stale { now } => format!(", changed since: now {}", short_digest(now)),
    }
}

fn short_digest(digest: &str) -> String {
    let start: String = digest.chars().take(16).collect();
    text::line(&start, 16)
}

/// A word of a command line, quoted where a shell would split or expand it.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Seconds between two times in RFC 3339 and UTC, as the engine writes them.
pub(crate) fn wall_seconds(started: &str, ended: Option<&str>) -> Option<f64> {
    let seconds = unix_seconds(ended?)? - unix_seconds(started)?;
    (seconds >= 0.0).then_some(seconds)
}

/// `2026-11-22T18:25:53Z` as seconds; only UTC, which is all the engine writes.
fn unix_seconds(stamp: &str) -> Option<f64> {
    let stamp = stamp
        .strip_suffix('Z')
        .or_else(|| stamp.strip_suffix("+00:00"))?;
    let (date, time) = stamp.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.splitn(3, ':').map(|part| part.parse::<f64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(1..=9999).contains(&year) {
        return None;
    }
    // Days from the civil calendar (H. Hinnant, "chrono-compatible low-level date algorithms").
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let year_of_era = year.rem_euclid(400);
    let days =
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some((days - 719_468) as f64 * 86_400.0 + hour * 3600.0 + minute * 60.0 + second)
}

/// The inputs with licences and digests.
pub(super) fn inputs(run: &StoredRun) -> Markup {
    let inputs = run.inputs.iter().flat_map(|inputs| &inputs.inputs);
    let inputs: Vec<_> = inputs.collect();
    html! {
        h2 id="inputs" { "Inputs" }
        @if inputs.is_empty() {
            p { "The run used no data sets and no weights." }
        } @else {
            @for (name, input) in inputs {
                details open[input.files.len() <= 3] {
                    summary {
                        strong.isolate { (line(name)) } " · version " (line(&input.version))
                        " · licence " (line(&input.licence))
                    }
                    @match &input.state {
                        InputState::Present => {},
                        InputState::Missing { reason, fetch } => p {
                            strong { "Missing: " } (line(reason))
                            ". To fetch it: " code { (line(fetch)) }
                        },
                        InputState::Mismatch { reason, fetch } => p {
                            strong { "Other bytes: " } (line(reason))
                            ". To replace it: " code { (line(fetch)) }
                        },
                    }
                    @if !input.files.is_empty() {
                        div.scroll {
                            table.compact {
                                thead {
                                    tr {
                                        th scope="col" { "file" }
                                        th.num scope="col" { "size" }
                                        th scope="col" { "sha256" }
                                    }
                                }
                                tbody {
                                    @for (file, known) in input.files.iter().take(200) {
                                        tr {
                                            td { (line(file)) }
                                            td.num { (number::bytes(known.bytes)) }
                                            td.mono { (known.sha256.as_hex()) }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Cells without a result, with the end of what they wrote to their standard error.
pub(super) fn failures(cells: &[UnfinishedCell]) -> Markup {
    let how_many = number::plural(cells.len() as u64, "planned cell has", "planned cells have");
    let ended = |cell: &UnfinishedCell| {
        let ended = cell.failed.as_ref().map(|failed| line(&failed.ended));
        ended.unwrap_or_else(|| "not finished".to_owned())
    };
    html! {
        h2 id="failures" { "Failures" }
        @if cells.is_empty() {
            p { "Every planned cell has a result." }
        } @else {
            p { (how_many) " no result." }
            @for cell in cells.iter().take(FAILURES_MAX) {
                details {
                    summary { code { (line(&cell.id)) } " · " (ended(cell)) }
                    @if let Some(failed) = &cell.failed {
                        pre { (text::tail(&failed.stderr, text::BLOCK_CHARS_MAX)) }
                    }
                }
            }
            @if cells.len() > FAILURES_MAX { p.small { "The first " (FAILURES_MAX) " are shown." } }
        }
    }
}

/// The start of the first transcripts: raw text of models.
pub(super) fn transcripts(run: &StoredRun) -> Result<Markup> {
    let mut shown = Vec::new();
    for cell in &run.plan.cells {
        if shown.len() == TRANSCRIPTS_MAX {
            break;
        }
        let path = run.folder.cell(&cell.id()).join("transcript.jsonl");
        let entries = excerpt(&path)?;
        if !entries.is_empty() {
            shown.push((cell.id(), entries));
        }
    }
    Ok(html! {
        @if !shown.is_empty() {
            h2 id="transcripts" { "Transcripts, excerpts" }
            p.small {
                "Raw text as models wrote it; control codes are made visible and long texts are "
                "cut. All of it is in " code { "cells/*/transcript.jsonl" } "."
            }
            @for (id, entries) in &shown {
                details { summary { code { (id) } } @for entry in entries { pre { (entry) } } }
            }
        }
    })
}

fn excerpt(path: &Path) -> Result<Vec<String>> {
    const ENTRY_CHARS_MAX: usize = 1500;
    let file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(Error::io("open", path, cause)),
    };
    let mut reader = BufReader::new(file.take(TRANSCRIPT_BYTES_MAX));
    let mut entries = Vec::new();
    let mut bytes = Vec::new();
    while entries.len() < ENTRIES_MAX {
        bytes.clear();
        let n_bytes = reader
            .read_until(b'\n', &mut bytes)
            .map_err(|e| Error::io("read", path, e))?;
        if n_bytes == 0 {
            break;
        }
        let raw = String::from_utf8_lossy(&bytes);
        let value: Option<serde_json::Value> = serde_json::from_str(&raw).ok();
        let pretty = value.and_then(|value| serde_json::to_string_pretty(&value).ok());
        entries.push(text::block(
            pretty.as_deref().unwrap_or(&raw),
            ENTRY_CHARS_MAX,
        ));
    }
    Ok(entries)
}

/// The numbers of `published.csv`, folded.
pub(super) fn published(run: &StoredRun) -> Markup {
    const LINES_MAX: usize = 400;
    let Some(sheet) = published::sheet(run, LINES_MAX) else {
        return html! {};
    };
    html! {
        h2 id="published" { "Numbers the paper prints" }
        details {
            summary.small { "All numbers of " code { "published.csv" } }
            (table(&sheet, "compact"))
        }
    }
}

/// What each verdict means, with its rule.
pub(super) fn legend() -> Markup {
    html! {
        h2 id="legend" { "What the verdicts mean" }
        p {
            "One function turns claim, estimate, and evidence into a verdict. Intervals are paired "
            "where items are shared, clustered where items are related, and corrected by Holm's "
            "method over the claims of a run. Evidence from a smaller or constructed setting never "
            "says that a paper is wrong."
        }
        div.scroll {
            table.stack {
                thead {
                    tr {
                        th scope="col" { "verdict" }
                        th scope="col" { "evidence" }
                        th scope="col" { "rule" }
                    }
                }
                tbody {
                    @for verdict in Verdict::ALL {
                        @let (evidence, rule) = rule(verdict);
                        tr {
                            td data-label="verdict" { span { (badge(verdict)) } }
                            td data-label="evidence" { span { (evidence) } }
                            td data-label="rule" { span { (rule) } }
                        }
                    }
                }
            }
        }
    }
}

/// Evidence tiers and rule of a verdict.
fn rule(verdict: Verdict) -> (&'static str, &'static str) {
    const STRONG: &str = "theory, exact, recorded";
    const WEAK: &str = "scaled, analog";
    match verdict {
        Verdict::Reproduced => (
            STRONG,
            "The published value lies inside our interval, or the bound, identity, or ordering \
             holds with margin.",
        ),
        Verdict::Approximate => (STRONG, "Outside, but within the claim's stated margin."),
        Verdict::Supported => (
            WEAK,
            "Direction or shape holds, and the interval excludes the null.",
        ),
        Verdict::Inconclusive => (
            "any",
            "The interval contains both; the reason names the sample size that would decide.",
        ),
        Verdict::NotObserved => (
            WEAK,
            "The interval excludes the claimed direction. It never means that the paper is wrong.",
        ),
        Verdict::NotReproduced => (
            STRONG,
            "At least 3 seeds or a deterministic computation, the same wrong side beyond the \
             margin, and the positive control passed.",
        ),
        Verdict::InvalidRun => ("any", "The positive control failed: the run means nothing."),
        Verdict::Incomplete => (
            "any",
            "Cells failed, or too few measurements gave a number.",
        ),
        Verdict::Stale => ("any", "Code or inputs have changed since the measurement."),
        Verdict::NotAttempted => (
            "–",
            "Needs data, a model, or hardware that is absent; the reason names the command that \
             would do it.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_crosses_days_and_leap_years() {
        let cases = [
            ("2026-11-22T18:25:53Z", "2026-11-22T18:26:03Z", Some(10.0)),
            (
                "2024-02-28T23:59:59Z",
                "2024-03-01T00:00:01Z",
                Some(86_402.0),
            ),
            (
                "2023-12-31T23:59:59.5Z",
                "2024-01-01T00:00:00+00:00",
                Some(0.5),
            ),
            ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", None),
            ("yesterday", "2026-01-01T00:00:00Z", None),
        ];
        for (started, ended, want) in cases {
            assert_eq!(
                wall_seconds(started, Some(ended)),
                want,
                "{started} {ended}"
            );
        }
        // `date -u -d @1795371953` prints 2026-11-22T18:25:53.
        assert_eq!(unix_seconds("2026-11-22T18:25:53Z"), Some(1_795_371_953.0));
    }

    #[test]
    fn shell_words_are_quoted() {
        assert_eq!(shell_word("--scale=quick"), "--scale=quick");
        assert_eq!(shell_word("a'; rm x"), "'a'\\''; rm x'");
    }
}
