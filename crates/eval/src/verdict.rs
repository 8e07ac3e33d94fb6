//! The verdict: one pure function from claim, estimate, and circumstances.
//!
//! The decision has two steps. [`find`] compares an interval with a test and says where it lies;
//! [`judge`] turns that finding, the evidence tier, and the circumstances of the run into a
//! [`Judgement`]. The table of `ARCHITECTURE.md` is enumerated in `tests/verdict.rs`.

use serde::{Deserialize, Serialize};

use crate::claim::{Claim, Test, TestKind};
use crate::estimate::Estimate;

/// What a measurement means for a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    /// The published value lies inside our interval, or the bound holds.
    #[serde(rename = "reproduced")]
    Reproduced,
    /// Outside, but within the claim's stated margin.
    #[serde(rename = "approximate")]
    Approximate,
    /// A scaled or constructed experiment shows the claimed direction.
    #[serde(rename = "supported at this scale")]
    Supported,
    /// The interval contains both outcomes.
    #[serde(rename = "inconclusive")]
    Inconclusive,
    /// A scaled or constructed experiment excludes the claimed direction.
    #[serde(rename = "not observed at this scale")]
    NotObserved,
    /// Wrong beyond the margin, repeatedly, with the control passed.
    #[serde(rename = "not reproduced")]
    NotReproduced,
    /// The positive control failed: the run means nothing.
    #[serde(rename = "invalid run")]
    InvalidRun,
    /// Cells failed, or too few measurements gave a number.
    #[serde(rename = "incomplete")]
    Incomplete,
    /// Code or inputs changed since the measurement.
    #[serde(rename = "stale")]
    Stale,
    /// Needs data, a model, hardware, or a scale that was absent.
    #[serde(rename = "not attempted")]
    NotAttempted,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 10] = [
        Self::Reproduced,
        Self::Approximate,
        Self::Supported,
        Self::Inconclusive,
        Self::NotObserved,
        Self::NotReproduced,
        Self::InvalidRun,
        Self::Incomplete,
        Self::Stale,
        Self::NotAttempted,
    ];

    /// The words used in files and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reproduced => "reproduced",
            Self::Approximate => "approximate",
            Self::Supported => "supported at this scale",
            Self::Inconclusive => "inconclusive",
            Self::NotObserved => "not observed at this scale",
            Self::NotReproduced => "not reproduced",
            Self::InvalidRun => "invalid run",
            Self::Incomplete => "incomplete",
            Self::Stale => "stale",
            Self::NotAttempted => "not attempted",
        }
    }

    /// How well the claim stands, for the gate: a claim falls when its rank falls.
    ///
    /// 3 stands, 2 stands approximately, 1 undecided, 0 measured and not found, or not measured.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Reproduced | Self::Supported => 3,
            Self::Approximate => 2,
            Self::Inconclusive => 1,
            Self::NotObserved
            | Self::NotReproduced
            | Self::InvalidRun
            | Self::Incomplete
            | Self::Stale
            | Self::NotAttempted => 0,
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where an interval lies with respect to a test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Finding {
    /// The test holds for the whole interval; for `matches`, the bound lies inside it and nothing
    /// beyond the margin does.
    Holds,
    /// Wholly within the margin, and not wholly on the right side of the bound.
    WithinMargin {
        /// Whether the interval contains the bound itself.
        contains_bound: bool,
    },
    /// Wholly beyond the margin.
    Beyond,
    /// The interval contains both; `shrink` is the factor by which it would have to shrink.
    Both {
        /// Half-width needed over half-width measured, in (0, 1]; `None` where the value sits on
        /// the boundary itself, so that no sample size would decide.
        shrink: Option<f64>,
    },
}

/// Everything besides the estimate that bears on a verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circumstances<'a> {
    /// Why the claim was not attempted, with the command that would do it.
    pub absent: Option<&'a str>,
    /// Whether code or inputs changed since the measurement.
    pub stale: bool,
    /// Cells of the claim that were planned and have no result.
    pub cells_missing: u64,
    /// Why there are rows and no estimate.
    pub no_estimate: Option<&'a str>,
    /// How the positive control came out.
    pub control: ControlOutcome,
    /// False at scale `smoke`, which shows only that everything runs.
    pub issues_verdicts: bool,
    /// Whether Holm's correction over the run's claims takes the decision back.
    pub lost_to_holm: bool,
}

/// How a positive control came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ControlOutcome {
    /// The claim declares none.
    #[default]
    None,
    /// As known.
    Passed,
    /// Not as known, or not measured.
    Failed,
}

/// A verdict with its reason in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
}

/// Fewest seeds with which a random measurement may contradict a paper.
pub const SEEDS_TO_REFUTE_MIN: u64 = 3;

/// The verdict on a claim.
///
/// The order of the checks is the order of the reasons: what was not attempted cannot be stale,
/// what is stale needs no counting, a failed control outweighs any value.
#[must_use]
pub fn judge(claim: &Claim, estimate: Option<&Estimate>, now: &Circumstances) -> Judgement {
    let say = |verdict, reason: String| Judgement { verdict, reason };
    if let Some(why) = now.absent {
        return say(Verdict::NotAttempted, why.to_owned());
    }
    if now.stale {
        return say(
            Verdict::Stale,
            "code or inputs changed since this was measured".to_owned(),
        );
    }
    if let Some(why) = incomplete(claim, estimate, now) {
        return say(Verdict::Incomplete, why);
    }
    if !now.issues_verdicts {
        let reason = "scale smoke shows that it runs and issues no verdicts; `--scale quick` does";
        return say(Verdict::NotAttempted, reason.to_owned());
    }
    if now.control == ControlOutcome::Failed {
        return say(
            Verdict::InvalidRun,
            "the positive control did not come out as known".to_owned(),
        );
    }
    let Some(estimate) = estimate else {
        let why = now
            .no_estimate
            .unwrap_or("no row carries the claim's metric");
        return say(Verdict::Incomplete, why.to_owned());
    };
    let Some(bound) = claim.test.bound.or(claim.published) else {
        return say(
            Verdict::Inconclusive,
            "the claim states no bound and no number".to_owned(),
        );
    };
    let finding = find(
        &claim.test,
        bound,
        claim.resolution.unwrap_or(0.0),
        estimate,
    );
    from_finding(claim, bound, estimate, finding, now)
}

fn incomplete(claim: &Claim, estimate: Option<&Estimate>, now: &Circumstances) -> Option<String> {
    if now.cells_missing > 0 {
        let cells = if now.cells_missing == 1 {
            "cell has"
        } else {
            "cells have"
        };
        return Some(format!("{} {cells} no result", now.cells_missing));
    }
    let estimate = estimate?;
    (estimate.coverage() < claim.coverage).then(|| {
        format!(
            "{} of {} measurements gave a number, {:.0} % needed",
            estimate.attempted - (estimate.failed + estimate.unparsed).min(estimate.attempted),
            estimate.attempted,
            100.0 * claim.coverage
        )
    })
}

fn from_finding(
    claim: &Claim,
    bound: f64,
    estimate: &Estimate,
    finding: Finding,
    now: &Circumstances,
) -> Judgement {
    let say = |verdict, reason: String| Judgement { verdict, reason };
    let refutes = claim.tier.can_refute();
    let measured = describe(&claim.test, bound, &claim.unit);
    if now.lost_to_holm && matches!(finding, Finding::Holds | Finding::Beyond) {
        let reason = "decided alone, not after Holm's correction over the run's claims";
        return say(Verdict::Inconclusive, reason.to_owned());
    }
    match finding {
        Finding::Holds if refutes => say(Verdict::Reproduced, format!("{measured}: holds")),
        Finding::Holds => say(Verdict::Supported, format!("{measured}: holds")),
        Finding::WithinMargin { contains_bound } if refutes => {
            let how = if contains_bound {
                "holds only with the margin, the interval contains the bound"
            } else {
                "missed by less than the margin"
            };
            say(Verdict::Approximate, format!("{measured}: {how}"))
        }
        // A margin makes nothing approximate where only the direction counts.
        Finding::WithinMargin {
            contains_bound: true,
        } => say(
            Verdict::Inconclusive,
            undecided(estimate, shrink_to(estimate, bound)),
        ),
        Finding::WithinMargin {
            contains_bound: false,
        } => say(
            Verdict::NotObserved,
            format!("{measured}: the interval excludes it"),
        ),
        Finding::Beyond if !refutes => say(
            Verdict::NotObserved,
            format!("{measured}: the interval excludes it"),
        ),
        Finding::Beyond => beyond(estimate, now.control, &measured),
        Finding::Both { shrink } => say(Verdict::Inconclusive, undecided(estimate, shrink)),
    }
}

/// A miss beyond the margin counts against a paper only if it was repeated and controlled.
fn beyond(estimate: &Estimate, control: ControlOutcome, measured: &str) -> Judgement {
    let say = |verdict, reason: String| Judgement { verdict, reason };
    if control != ControlOutcome::Passed {
        let reason =
            format!("{measured}: missed, but no positive control shows that the setup works");
        return say(Verdict::Inconclusive, reason);
    }
    if !estimate.deterministic && estimate.n_seeds < SEEDS_TO_REFUTE_MIN {
        let reason = format!(
            "{measured}: missed with {} seeds; {SEEDS_TO_REFUTE_MIN} are needed to decide",
            estimate.n_seeds
        );
        return say(Verdict::Inconclusive, reason);
    }
    say(
        Verdict::NotReproduced,
        format!("{measured}: missed beyond the margin"),
    )
}

fn undecided(estimate: &Estimate, shrink: Option<f64>) -> String {
    match shrink {
        Some(shrink) => {
            // A half-width shrinks with the root of the sample size.
            let needed = (estimate.n as f64 / (shrink * shrink)).ceil();
            format!(
                "the interval contains both; about n = {needed:.0} would decide (now {})",
                estimate.n
            )
        }
        None => "the interval contains both; the value lies on the boundary itself".to_owned(),
    }
}

/// A test in words: `at most 1e-8 bits, margin 9e-8`.
#[must_use]
pub fn describe(test: &Test, bound: f64, unit: &str) -> String {
    let relation = match test.kind {
        TestKind::Matches => "equal to",
        TestKind::AtMost => "at most",
        TestKind::AtLeast => "at least",
    };
    let unit = if unit == "1" {
        String::new()
    } else {
        format!(" {unit}")
    };
    let bound = number(bound);
    if test.margin == 0.0 {
        format!("{relation} {bound}{unit}")
    } else {
        format!("{relation} {bound}{unit}, margin {}", number(test.margin))
    }
}

/// A number as a person would write it: very small and very large ones with an exponent.
fn number(value: f64) -> String {
    const PLAIN: std::ops::Range<f64> = 1e-3..1e6;
    if value == 0.0 || PLAIN.contains(&value.abs()) {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}

/// Where the estimate's interval lies with respect to the test.
///
/// `resolution` is one unit of the last printed digit: the published number stands for the
/// half-open range of values that print as it, whether the paper rounds or truncates.
#[must_use]
pub fn find(test: &Test, bound: f64, resolution: f64, estimate: &Estimate) -> Finding {
    let (low, high) = (estimate.low, estimate.high);
    match test.kind {
        TestKind::AtLeast => one_sided(low, high, estimate.value, bound, test.margin),
        TestKind::AtMost => one_sided(-high, -low, -estimate.value, -bound, test.margin),
        TestKind::Matches => two_sided(test, bound, resolution, estimate),
    }
}

/// `at least bound` on the interval `[low, high]`.
fn one_sided(low: f64, high: f64, value: f64, bound: f64, margin: f64) -> Finding {
    let acceptable = bound - margin;
    if low >= bound {
        return Finding::Holds;
    }
    if low >= acceptable {
        return Finding::WithinMargin {
            contains_bound: high >= bound,
        };
    }
    if high < acceptable {
        return Finding::Beyond;
    }
    let reach = if value >= acceptable {
        value - low
    } else {
        high - value
    };
    let room = (value - acceptable).abs();
    let shrink = (reach > 0.0 && room > 0.0).then(|| (room / reach).min(1.0));
    Finding::Both { shrink }
}

/// `matches`: the bound lies in the interval, and the interval leaves out the null and everything
/// beyond the margin. An interval that is wide enough to hold them too decides nothing.
fn two_sided(test: &Test, bound: f64, resolution: f64, estimate: &Estimate) -> Finding {
    let (low, high) = (estimate.low, estimate.high);
    let room = test.margin + resolution;
    let contains_bound =
        low < bound + resolution && bound - resolution < high || low <= bound && bound <= high;
    if !contains_bound {
        return two_sided_miss(room, bound, estimate);
    }
    if let Some(null) = test.null.filter(|null| low <= *null && *null <= high) {
        return Finding::Both {
            shrink: shrink_to(estimate, null),
        };
    }
    let edges = [bound - room, bound + room];
    match edges
        .into_iter()
        .find(|edge| test.margin > 0.0 && low < *edge && *edge < high)
    {
        Some(edge) => Finding::Both {
            shrink: shrink_to(estimate, edge),
        },
        None => Finding::Holds,
    }
}

/// `matches` where the interval does not contain the published value.
fn two_sided_miss(room: f64, bound: f64, estimate: &Estimate) -> Finding {
    let (nearest, farthest) = if estimate.low > bound {
        (estimate.low - bound, estimate.high - bound)
    } else {
        (bound - estimate.high, bound - estimate.low)
    };
    if farthest <= room {
        Finding::WithinMargin {
            contains_bound: false,
        }
    } else if nearest > room {
        Finding::Beyond
    } else {
        let edge = if estimate.low > bound {
            bound + room
        } else {
            bound - room
        };
        Finding::Both {
            shrink: shrink_to(estimate, edge),
        }
    }
}

/// The factor by which the interval must shrink around its value to exclude `edge`.
fn shrink_to(estimate: &Estimate, edge: f64) -> Option<f64> {
    let reach = if edge < estimate.value {
        estimate.value - estimate.low
    } else {
        estimate.high - estimate.value
    };
    let room = (edge - estimate.value).abs();
    (reach > 0.0 && room > 0.0).then(|| (room / reach).min(1.0))
}
