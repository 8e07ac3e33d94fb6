//! The verdict table of `ARCHITECTURE.md`, enumerated: every tier, finding, and circumstance.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use eval::verdict::{Circumstances, ControlOutcome, Finding, describe, find, judge};
use eval::{Claim, Counts, Estimate, Test, TestKind, Tier, Verdict};

const CONTROLS: [ControlOutcome; 3] = [
    ControlOutcome::None,
    ControlOutcome::Passed,
    ControlOutcome::Failed,
];

fn claim(tier: Tier, test: Test) -> Claim {
    let text = r#"
        id = "C"
        says = "s"
        where = "w"
        tier = "theory"
        unit = "bits"
        measures = "m"
        experiments = ["e"]
        estimate = { recipe = "mean", metric = "m" }
        test = { kind = "at_least" }
    "#;
    Claim {
        tier,
        test,
        ..toml::from_str(text).unwrap()
    }
}

fn at_least(bound: f64, margin: f64) -> Test {
    Test {
        kind: TestKind::AtLeast,
        bound: Some(bound),
        margin,
        null: None,
    }
}

fn between(low: f64, high: f64, n_seeds: u64) -> Estimate {
    let counts = Counts {
        attempted: 10,
        failed: 0,
        unparsed: 0,
    };
    let value = 0.5 * (low + high);
    let deterministic = low == high;
    Estimate {
        low,
        high,
        n_seeds,
        deterministic,
        ..Estimate::deterministic(value, 10, counts, "m")
    }
}

/// An estimate for `at least 1, margin 0.5` of each finding.
fn of_finding(finding: &str, n_seeds: u64) -> Estimate {
    match finding {
        "holds" => between(1.1, 1.3, n_seeds),
        "within margin" => between(0.6, 0.8, n_seeds),
        "beyond" => between(0.1, 0.3, n_seeds),
        "straddles" => between(0.6, 1.2, n_seeds),
        "both" => between(0.2, 1.2, n_seeds),
        other => unreachable!("{other}"),
    }
}

fn calm(control: ControlOutcome) -> Circumstances<'static> {
    Circumstances {
        issues_verdicts: true,
        control,
        ..Circumstances::default()
    }
}

#[test]
fn every_tier_finding_and_control_has_its_verdict() {
    let mut n_checked = 0;
    for tier in Tier::ALL {
        for finding in ["holds", "within margin", "straddles", "beyond", "both"] {
            for control in CONTROLS {
                for (n_seeds, lost_to_holm) in [(2, false), (3, false), (3, true)] {
                    let claim = claim(tier, at_least(1.0, 0.5));
                    let now = Circumstances {
                        lost_to_holm,
                        ..calm(control)
                    };
                    let estimate = of_finding(finding, n_seeds);
                    let refutes = matches!(tier, Tier::Theory | Tier::Exact | Tier::Recorded);
                    let repeated = n_seeds >= 3 && control == ControlOutcome::Passed;
                    let wanted = match (finding, refutes) {
                        _ if control == ControlOutcome::Failed => Verdict::InvalidRun,
                        ("holds" | "beyond", _) if lost_to_holm => Verdict::Inconclusive,
                        ("both", _) => Verdict::Inconclusive,
                        ("holds", true) => Verdict::Reproduced,
                        ("holds", false) => Verdict::Supported,
                        ("within margin" | "straddles", true) => Verdict::Approximate,
                        ("straddles", false) => Verdict::Inconclusive,
                        ("beyond", true) if repeated => Verdict::NotReproduced,
                        ("beyond", true) => Verdict::Inconclusive,
                        (_, false) => Verdict::NotObserved,
                        (other, true) => unreachable!("{other}"),
                    };
                    let judged = judge(&claim, Some(&estimate), &now);
                    assert_eq!(
                        judged.verdict, wanted,
                        "{tier} {finding} {control:?} {n_seeds}"
                    );
                    assert!(!judged.reason.is_empty());
                    n_checked += 1;
                }
            }
        }
    }
    assert_eq!(n_checked, 5 * 5 * 3 * 3);
}

#[test]
fn a_proxy_never_refutes_a_paper() {
    for tier in [Tier::Scaled, Tier::Analog] {
        for finding in ["holds", "within margin", "straddles", "beyond", "both"] {
            for control in CONTROLS {
                let claim = claim(tier, at_least(1.0, 0.5));
                let judged = judge(&claim, Some(&of_finding(finding, 9)), &calm(control));
                assert_ne!(judged.verdict, Verdict::NotReproduced);
                assert_ne!(judged.verdict, Verdict::Reproduced);
            }
        }
    }
}

#[test]
fn circumstances_come_before_the_value_in_their_order() {
    let claim = claim(Tier::Exact, at_least(1.0, 0.0));
    let good = of_finding("holds", 3);
    let poor = Estimate {
        failed: 2,
        unparsed: 1,
        ..good.clone()
    };
    let bad = Circumstances {
        absent: Some("no data"),
        stale: true,
        cells_missing: 2,
        no_estimate: None,
        control: ControlOutcome::Failed,
        issues_verdicts: false,
        lost_to_holm: true,
    };
    let check = |now: Circumstances, estimate: Option<&Estimate>, wanted: Verdict, why: &str| {
        let judged = judge(&claim, estimate, &now);
        assert_eq!(judged.verdict, wanted);
        assert!(
            judged.reason.contains(why),
            "`{why}` in `{}`",
            judged.reason
        );
    };
    check(bad, Some(&good), Verdict::NotAttempted, "no data");
    let bad = Circumstances {
        absent: None,
        ..bad
    };
    check(bad, Some(&good), Verdict::Stale, "changed");
    let bad = Circumstances {
        stale: false,
        ..bad
    };
    check(
        bad,
        Some(&good),
        Verdict::Incomplete,
        "2 cells have no result",
    );
    let bad = Circumstances {
        cells_missing: 0,
        ..bad
    };
    check(
        bad,
        Some(&poor),
        Verdict::Incomplete,
        "7 of 10 measurements",
    );
    check(bad, Some(&good), Verdict::NotAttempted, "smoke");
    let bad = Circumstances {
        issues_verdicts: true,
        ..bad
    };
    check(bad, Some(&good), Verdict::InvalidRun, "positive control");
    let bad = Circumstances {
        control: ControlOutcome::None,
        ..bad
    };
    check(bad, Some(&good), Verdict::Inconclusive, "Holm");
    let bad = Circumstances {
        lost_to_holm: false,
        ..bad
    };
    check(bad, None, Verdict::Incomplete, "no row");
    check(bad, Some(&good), Verdict::Reproduced, "holds");
}

#[test]
fn a_deterministic_miss_needs_no_seeds_but_a_control() {
    let claim = claim(Tier::Theory, at_least(1.0, 0.0));
    let miss = between(0.5, 0.5, 1);
    let judged = judge(&claim, Some(&miss), &calm(ControlOutcome::Passed));
    assert_eq!(judged.verdict, Verdict::NotReproduced);
    let judged = judge(&claim, Some(&miss), &calm(ControlOutcome::None));
    assert_eq!(judged.verdict, Verdict::Inconclusive);
    assert!(judged.reason.contains("no positive control"));
}

#[test]
fn an_undecided_claim_says_the_sample_size_that_would_decide() {
    let claim = claim(Tier::Exact, at_least(1.0, 0.0));
    // Value 1.25, half-width 0.5, bound 0.25 away: the half-width must halve, so n times four.
    let judged = judge(
        &claim,
        Some(&between(0.75, 1.75, 3)),
        &calm(ControlOutcome::Passed),
    );
    assert_eq!(judged.verdict, Verdict::Inconclusive);
    assert!(judged.reason.contains("n = 40"), "{}", judged.reason);
}

#[test]
fn one_sided_tests_find_where_the_interval_lies() {
    let check = |low: f64, high: f64, wanted: &str| {
        for kind in [TestKind::AtLeast, TestKind::AtMost] {
            let mirrored = kind == TestKind::AtMost;
            let (low, high) = if mirrored { (-high, -low) } else { (low, high) };
            let bound = if mirrored { -1.0 } else { 1.0 };
            let test = Test {
                kind,
                bound: Some(bound),
                margin: 0.5,
                null: None,
            };
            let found = match find(&test, bound, 0.0, &between(low, high, 3)) {
                Finding::Holds => "holds",
                Finding::WithinMargin { .. } => "within",
                Finding::Beyond => "beyond",
                Finding::Both { .. } => "both",
            };
            assert_eq!(found, wanted, "{kind:?} [{low}, {high}]");
        }
    };
    check(1.0, 2.0, "holds");
    check(0.5, 0.9, "within");
    check(0.5, 1.5, "within");
    check(0.4, 0.45, "beyond");
    check(0.4, 0.6, "both");
    check(0.4, 1.5, "both");
}

#[test]
fn matches_knows_resolution_margin_and_null() {
    let check = |null: Option<f64>, resolution: f64, low: f64, high: f64, wanted: &str| {
        let test = Test {
            kind: TestKind::Matches,
            bound: Some(0.79),
            margin: 0.1,
            null,
        };
        let found = match find(&test, 0.79, resolution, &between(low, high, 3)) {
            Finding::Holds => "holds",
            Finding::WithinMargin { .. } => "within",
            Finding::Beyond => "beyond",
            Finding::Both { .. } => "both",
        };
        assert_eq!(found, wanted, "{null:?} {resolution} [{low}, {high}]");
    };
    check(None, 0.0, 0.7, 0.8, "holds");
    check(None, 0.0, 0.79, 0.79, "holds");
    check(None, 0.0, 0.794, 0.794, "within");
    check(None, 0.01, 0.794, 0.794, "holds");
    check(None, 0.01, 0.801, 0.801, "within");
    check(None, 0.0, 0.95, 0.99, "beyond");
    check(None, 0.0, 0.5, 0.6, "beyond");
    check(None, 0.0, 0.85, 0.95, "both");
    check(Some(0.0), 0.0, -0.1, 0.9, "both");
    check(Some(0.0), 0.0, 0.7, 0.85, "holds");
    check(None, 0.0, 0.5, 0.85, "both");
    check(None, 0.0, 0.75, 1.5, "both");
}

#[test]
fn a_test_reads_as_a_person_would_write_it() {
    let test = |kind, margin| Test {
        kind,
        bound: None,
        margin,
        null: None,
    };
    let check = |kind, bound, margin, unit: &str, wanted: &str| {
        assert_eq!(describe(&test(kind, margin), bound, unit), wanted);
    };
    check(
        TestKind::AtMost,
        1e-8,
        9e-8,
        "bits",
        "at most 1e-8 bits, margin 9e-8",
    );
    check(TestKind::AtLeast, 0.0, 0.0, "1", "at least 0");
    check(
        TestKind::Matches,
        0.79,
        0.1,
        "bits",
        "equal to 0.79 bits, margin 0.1",
    );
}

#[test]
fn every_verdict_is_spelled_the_same_in_json_and_in_tables() {
    for verdict in Verdict::ALL {
        assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.as_str());
    }
}
