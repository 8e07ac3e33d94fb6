//! Claims on a page: headline, matrix of verdicts, results table, and one section per claim.

use eval::{ClaimSummary, Summary, Tier, Verdict};
use maud::{Markup, html};

use super::{anchor, badge};
use crate::number;
use crate::store::StoredRun;
use crate::text;

/// The run in one sentence.
pub(super) fn headline(summary: &Summary) -> String {
    let n_claims = summary.claims.len() as u64;
    let counts = Verdict::ALL.iter().filter_map(|verdict| {
        let count = summary
            .claims
            .iter()
            .filter(|claim| claim.verdict == *verdict)
            .count();
        (count > 0).then(|| format!("{count} {verdict}"))
    });
    let counts: Vec<String> = counts.collect();
    if counts.is_empty() {
        return "No claim was selected.".to_owned();
    }
    format!(
        "{}: {}.",
        number::plural(n_claims, "claim", "claims"),
        counts.join(", ")
    )
}

/// How many claims of each tier have each verdict; only tiers and verdicts that occur.
pub(super) fn matrix(summary: &Summary) -> Markup {
    let count = |tier: Option<Tier>, verdict: Verdict| {
        let claims = summary
            .claims
            .iter()
            .filter(|claim| claim.verdict == verdict);
        claims
            .filter(|claim| tier.is_none_or(|tier| claim.tier == tier))
            .count()
    };
    let verdicts: Vec<Verdict> = Verdict::ALL
        .into_iter()
        .filter(|verdict| count(None, *verdict) > 0)
        .collect();
    let has = |tier: &Tier| summary.claims.iter().any(|claim| claim.tier == *tier);
    let tiers: Vec<Tier> = Tier::ALL.into_iter().filter(has).collect();
    let shown = |count: usize| {
        html! { @if count == 0 { span.zero { "0" } } @else { (count) } }
    };
    html! {
        @if !verdicts.is_empty() {
            table.matrix {
                caption { "Claims by verdict and kind of evidence" }
                thead {
                    tr {
                        th scope="col" { "verdict" }
                        @for tier in &tiers { th class="num tier" scope="col" { (tier) } }
                        th.num scope="col" { "all" }
                    }
                }
                tbody {
                    @for verdict in &verdicts {
                        tr {
                            th scope="row" { (badge(*verdict)) }
                            @for tier in &tiers {
                                td class="num tier" { (shown(count(Some(*tier), *verdict))) }
                            }
                            td.num { strong { (count(None, *verdict)) } }
                        }
                    }
                }
            }
        }
    }
}

/// The results table.
pub(super) fn table(summary: &Summary) -> Markup {
    html! {
        div.scroll {
            table class="results stack" {
                thead {
                    tr {
                        @for title in ["claim", "paper says", "we measured", "tier", "verdict"] {
                            th scope="col" { (title) }
                        }
                    }
                }
                tbody {
                    @for (idx, claim) in summary.claims.iter().enumerate() {
                        tr {
                            td data-label="claim" {
                                span {
                                    a href=(format!("#{}", anchor("claim", &claim.id, idx))) {
                                        (line(&claim.id))
                                    }
                                    " " (line(&claim.says))
                                }
                            }
                            td data-label="paper says" { span { (paper_says(claim)) } }
                            td data-label="we measured" {
                                span { (measured(claim)) }
                            }
                            td data-label="tier" { span { (claim.tier) } }
                            td data-label="verdict" {
                                span { (badge(claim.verdict)) span.sub { (prose(&claim.reason)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn line(words: &str) -> String {
    text::line(words, text::CELL_CHARS_MAX)
}

/// A sentence in which backticks mark code, as they do in reasons.
fn prose(words: &str) -> Markup {
    let words = line(words);
    html! {
        @for (idx, part) in words.split('`').enumerate() {
            @if idx % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn paper_says(claim: &ClaimSummary) -> Markup {
    html! {
        @if claim.published.is_some() {
            span.figure-value { (number::published(claim.published, &claim.unit)) }
        } @else {
            (line(&claim.test))
        }
        span.sub { (line(&claim.place)) }
    }
}

fn measured(claim: &ClaimSummary) -> Markup {
    let Some(estimate) = &claim.estimate else {
        return html! { "nothing measured" };
    };
    let unit = number::unit_suffix(&line(&claim.unit));
    let [value, low, high] = if estimate.deterministic {
        [
            number::beside(estimate.value, claim.published),
            String::new(),
            String::new(),
        ]
    } else {
        number::with_interval(estimate.value, estimate.low, estimate.high)
    };
    html! {
        span.whole {
            span.figure-value { (value) }
            @if estimate.deterministic { (unit) } @else { " [" (low) ", " (high) "]" (unit) }
        }
        @if estimate.deterministic { ", no interval" }
        " " span.whole { "(n = " (estimate.n) ")" }
        span.sub { (number::counts(estimate)) }
    }
}

/// One claim with everything that bears on it.
pub(super) fn section(run: &StoredRun, claim: &ClaimSummary, idx: usize) -> Markup {
    let id = anchor("claim", &claim.id, idx);
    html! {
        section.claim id=(id) aria-labelledby=(format!("{id}-title")) {
            header {
                h3 id=(format!("{id}-title")) { span.id { (line(&claim.id)) } (line(&claim.says)) }
                (badge(claim.verdict))
            }
            dl {
                dt { "In the paper" }
                dd {
                    (line(&claim.place))
                    @if claim.published.is_some() {
                        ": " span.figure-value { (number::published(claim.published, &claim.unit)) }
                    } @else { " (no single number)" }
                }
                dt { "What we measure" } dd { (line(&claim.measures)) }
                dt { "Test" } dd { (line(&claim.test)) }
                dt { "What came out" }
                dd {
                    (measured(claim))
                    @if let Some(estimate) = &claim.estimate {
                        span.sub {
                            (line(&estimate.method))
                            @if !estimate.deterministic {
                                "; " (number::plural(estimate.n_seeds, "seed", "seeds"))
                            }
                            @if let Some(p) = estimate.p_value { "; p = " (number::plain(p)) }
                            @if let Some(p) = claim.p_holm {
                                ", after Holm's correction " (number::plain(p))
                            }
                        }
                    }
                }
                dt { "Evidence" } dd { (claim.tier) ": " (tier_words(claim.tier)) }
                dt { "Control" } dd { (control(claim)) }
                dt { "Verdict" }
                dd {
                    strong { (claim.verdict) } ": " (prose(&claim.reason))
                    @if !claim.gate { span.sub { "The gate does not watch this claim." } }
                }
                dt { "What would change our mind" }
                dd { (prose(&mind(&run.summary.paper, claim))) }
            }
        }
    }
}

fn control(claim: &ClaimSummary) -> Markup {
    let Some(control) = &claim.control else {
        return html! { "none declared" };
    };
    html! {
        strong { @if control.passed { "passed" } @else { "failed" } } ": " (line(&control.says))
        @if let Some(estimate) = &control.estimate {
            span.sub { "came out as " (number::measured(estimate, "1", None)) }
        }
    }
}

/// What a tier is, in words.
pub(super) fn tier_words(tier: Tier) -> &'static str {
    match tier {
        Tier::Theory => "an identity or bound, checked numerically",
        Tier::Exact => "the paper's own experiment on the same inputs",
        Tier::Recorded => "recomputed from outputs that someone published",
        Tier::Scaled => "the same method with a smaller real model or data set",
        Tier::Analog => "a constructed world in which the mechanism is at work",
    }
}

/// What evidence would change the verdict.
#[must_use]
pub fn mind(paper: &str, claim: &ClaimSummary) -> String {
    let more = format!(
        "`cargo xtask reproduce {paper} --claims {} --scale full`",
        claim.id
    );
    let exact = claim
        .estimate
        .as_ref()
        .is_some_and(|estimate| estimate.deterministic);
    match claim.verdict {
        Verdict::Reproduced | Verdict::Approximate if exact => {
            format!(
                "One valid input on which the test ({}) fails beyond the margin.",
                claim.test
            )
        }
        Verdict::Reproduced | Verdict::Approximate => {
            format!("A repetition with an interval beyond the margin; to try: {more}")
        }
        Verdict::Supported => {
            "The same test at the paper's own scale, with an interval that excludes the claim."
                .to_owned()
        }
        Verdict::Inconclusive => format!("More data: {}. To try: {more}", claim.reason),
        Verdict::NotObserved => {
            "A larger or closer setting in which the interval excludes the opposite; the paper's \
             own scale is untested here."
                .to_owned()
        }
        Verdict::NotReproduced => {
            "A deviation from the paper in our method that explains the difference, or a \
             repetition inside the margin."
                .to_owned()
        }
        Verdict::InvalidRun => {
            "Nothing can be learnt before the positive control comes out as known.".to_owned()
        }
        Verdict::Incomplete => format!("The measurements that are missing: {}", claim.reason),
        Verdict::Stale => {
            format!("A measurement with the present code: `cargo xtask reproduce {paper}`")
        }
        Verdict::NotAttempted => format!("An attempt: {}", claim.reason),
    }
}
