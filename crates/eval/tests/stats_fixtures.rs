//! Every routine of `eval::stats` against values computed once with scipy, statsmodels, and numpy.
//!
//! `fixtures/stats.py` made `fixtures/stats.json`; both say with which versions. A tolerance of
//! 1e-9 relative to the larger of 1 and the value leaves room for the different incomplete beta
//! functions alone; where a case deserves more or less, it says why.
#![cfg(feature = "engine")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use eval::stats::{self, Bootstrap, Correction, RankError};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde::de::DeserializeOwned;

const TOLERANCE: f64 = 1e-9;

fn section<T: DeserializeOwned>(name: &str) -> T {
    let all: serde_json::Value =
        serde_json::from_str(include_str!("../fixtures/stats.json")).unwrap();
    serde_json::from_value(all[name].clone()).unwrap()
}

#[track_caller]
fn close(ours: f64, theirs: f64, what: &str) {
    near(ours, theirs, TOLERANCE, what);
}

#[track_caller]
fn near(ours: f64, theirs: f64, tolerance: f64, what: &str) {
    assert!(
        (ours - theirs).abs() <= tolerance * theirs.abs().max(1.0),
        "{what}: ours {ours}, theirs {theirs}"
    );
}

#[track_caller]
fn close_interval(ours: &stats::Interval, value: f64, ends: [f64; 2], what: &str) {
    close(ours.value, value, &format!("{what}, value"));
    close(ours.low, ends[0], &format!("{what}, low"));
    close(ours.high, ends[1], &format!("{what}, high"));
}

fn stream(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

#[derive(serde::Deserialize)]
struct OneSample {
    values: Vec<f64>,
    level: f64,
    null: f64,
    value: f64,
    low: f64,
    high: f64,
    p: f64,
    df: f64,
}

#[test]
fn mean_interval_agrees_with_scipy() {
    for case in section::<Vec<OneSample>>("t") {
        let ours = stats::mean_interval(&case.values, case.level).unwrap();
        let what = format!("n = {}, level {}", case.values.len(), case.level);
        close_interval(&ours.interval, case.value, [case.low, case.high], &what);
        close(ours.p_value(case.null).unwrap(), case.p, &what);
        assert_eq!(ours.df, case.df);
    }
}

#[derive(serde::Deserialize)]
struct TwoSamples {
    a: Vec<f64>,
    b: Vec<f64>,
    level: f64,
    value: f64,
    low: f64,
    high: f64,
    p: f64,
    df: f64,
}

#[test]
fn paired_and_welch_differences_agree_with_scipy() {
    let check = |name: &str, ours: fn(&[f64], &[f64], f64) -> _| {
        for case in section::<Vec<TwoSamples>>(name) {
            let ours: stats::TInterval =
                Result::<_, stats::Undefined>::unwrap(ours(&case.a, &case.b, case.level));
            let what = format!("{name}, n = {} and {}", case.a.len(), case.b.len());
            close_interval(&ours.interval, case.value, [case.low, case.high], &what);
            close(ours.p_value(0.0).unwrap(), case.p, &what);
            close(ours.df, case.df, &what);
        }
    };
    check("paired", stats::paired_difference);
    check("welch", stats::welch_difference);
}

#[derive(serde::Deserialize)]
struct ClusteredMean {
    values: Vec<f64>,
    clusters: Vec<u32>,
    cr1: bool,
    value: f64,
    se: f64,
    low: f64,
    high: f64,
    p: f64,
    null: f64,
}

#[test]
fn clustered_mean_agrees_with_statsmodels() {
    for case in section::<Vec<ClusteredMean>>("clustered_mean") {
        let correction = if case.cr1 {
            Correction::Cr1
        } else {
            Correction::Cr0
        };
        let ours = stats::clustered_mean(&case.values, &case.clusters, correction, 0.95).unwrap();
        let what = format!("{correction:?}, {} items", case.values.len());
        close(ours.standard_error, case.se, &what);
        close_interval(&ours.interval, case.value, [case.low, case.high], &what);
        close(ours.p_value(case.null).unwrap(), case.p, &what);
        let zeros = vec![0.0; case.values.len()];
        let paired = stats::clustered_paired_difference(
            &zeros,
            &case.values,
            &case.clusters,
            correction,
            0.95,
        );
        assert_eq!(paired, Ok(ours));
    }
}

#[derive(serde::Deserialize)]
struct ClusteredDifference {
    a: Vec<f64>,
    a_clusters: Vec<u32>,
    b: Vec<f64>,
    b_clusters: Vec<u32>,
    value: f64,
    se: f64,
    low: f64,
    high: f64,
    p: f64,
}

#[test]
fn clustered_difference_agrees_with_statsmodels() {
    for case in section::<Vec<ClusteredDifference>>("clustered_difference") {
        let a = (case.a.as_slice(), case.a_clusters.as_slice());
        let b = (case.b.as_slice(), case.b_clusters.as_slice());
        let ours = stats::clustered_difference(a, b, Correction::Cr0, 0.95).unwrap();
        close(ours.standard_error, case.se, "standard error");
        close_interval(
            &ours.interval,
            case.value,
            [case.low, case.high],
            "interval",
        );
        close(ours.p_value(0.0).unwrap(), case.p, "p");
        let cr1 = stats::clustered_difference(a, b, Correction::Cr1, 0.95).unwrap();
        close(
            cr1.standard_error,
            case.se * (6.0_f64 / 5.0).sqrt(),
            "CR1 of six clusters",
        );
    }
}

#[derive(serde::Deserialize)]
struct Share {
    k: u64,
    n: u64,
    level: f64,
    wilson: [f64; 2],
    exact: [f64; 2],
}

#[test]
fn share_intervals_agree_with_statsmodels() {
    for case in section::<Vec<Share>>("share") {
        let (k, n, level) = (case.k, case.n, case.level);
        let value = k as f64 / n as f64;
        let what = format!("{k} of {n}, level {level}");
        let wilson = stats::wilson(k, n, level).unwrap();
        close_interval(&wilson, value, case.wilson, &format!("Wilson, {what}"));
        let exact = stats::clopper_pearson(k, n, level).unwrap();
        close_interval(
            &exact,
            value,
            case.exact,
            &format!("Clopper-Pearson, {what}"),
        );
    }
}

#[derive(serde::Deserialize)]
struct BinomialTest {
    k: u64,
    n: u64,
    null: f64,
    p: f64,
    score_p: f64,
}

#[test]
fn binomial_and_score_tests_agree_with_scipy_and_statsmodels() {
    for case in section::<Vec<BinomialTest>>("binomial") {
        let what = format!("{} of {} against {}", case.k, case.n, case.null);
        close(
            stats::binomial_test(case.k, case.n, case.null).unwrap(),
            case.p,
            &what,
        );
        close(
            stats::score_test(case.k, case.n, case.null).unwrap(),
            case.score_p,
            &what,
        );
    }
}

#[derive(serde::Deserialize)]
struct Mcnemar {
    b: u64,
    c: u64,
    p: f64,
}

#[test]
fn exact_mcnemar_agrees_with_statsmodels() {
    for case in section::<Vec<Mcnemar>>("mcnemar") {
        let ours = stats::mcnemar_exact(case.b, case.c).unwrap();
        close(ours, case.p, &format!("{} against {}", case.b, case.c));
    }
}

#[derive(serde::Deserialize)]
struct Order {
    values: Vec<f64>,
    median: f64,
    ps: Vec<f64>,
    quantiles: Vec<f64>,
    ranks: Vec<f64>,
    sum: f64,
}

#[test]
fn order_statistics_and_sums_agree_with_numpy() {
    for case in section::<Vec<Order>>("order") {
        // Interpolating from one side or the other differs in the last bits only.
        near(
            stats::median(&case.values).unwrap(),
            case.median,
            1e-15,
            "median",
        );
        for (p, theirs) in case.ps.iter().zip(&case.quantiles) {
            near(
                stats::quantile(&case.values, *p).unwrap(),
                *theirs,
                1e-15,
                "quantile",
            );
        }
        assert_eq!(stats::ranks(&case.values).unwrap(), case.ranks);
        near(stats::sum(&case.values), case.sum, 1e-13, "sum");
    }
}

#[derive(serde::Deserialize)]
struct BootstrapCase {
    statistic: String,
    strata: Vec<Vec<f64>>,
    replicates: Vec<f64>,
    value: f64,
    intervals: Vec<BootstrapEnds>,
}

#[derive(serde::Deserialize)]
struct BootstrapEnds {
    level: f64,
    percentile: [f64; 2],
    bca: [f64; 2],
}

fn statistic(name: &str, strata: &[Vec<f64>]) -> f64 {
    match name {
        "mean" => stats::mean(&strata[0]).unwrap(),
        "sd" => stats::sample_sd(&strata[0]).unwrap(),
        _ => stats::mean(&strata[1]).unwrap() - stats::mean(&strata[0]).unwrap(),
    }
}

/// scipy's replicates go in, so the ends must be scipy's ends, without any sampling noise.
#[test]
fn bootstrap_intervals_agree_with_scipy_on_its_own_replicates() {
    for case in section::<Vec<BootstrapCase>>("bootstrap") {
        let jackknife: Vec<Vec<f64>> = (0..case.strata.len())
            .map(|stratum_idx| {
                (0..case.strata[stratum_idx].len())
                    .map(|left_out| {
                        let mut strata = case.strata.clone();
                        strata[stratum_idx].remove(left_out);
                        statistic(&case.statistic, &strata)
                    })
                    .collect()
            })
            .collect();
        let ours = Bootstrap::from_replicates(case.value, case.replicates, &jackknife).unwrap();
        for ends in case.intervals {
            let what = format!("{} at {}", case.statistic, ends.level);
            let percentile = ours.percentile(ends.level).unwrap();
            close_interval(
                &percentile,
                case.value,
                ends.percentile,
                &format!("percentile, {what}"),
            );
            let bca = ours.bca(ends.level).unwrap();
            close_interval(&bca, case.value, ends.bca, &format!("BCa, {what}"));
        }
        // The same jackknife is made inside: one stratum as units, several as strata.
        let inside = stats::bootstrap_strata(&case.strata, 99, &mut stream(1), |strata| {
            statistic(&case.statistic, strata)
        })
        .unwrap();
        let outside =
            Bootstrap::from_replicates(case.value, inside.replicates().to_vec(), &jackknife);
        let (inside, outside) = (inside.bca(0.9).unwrap(), outside.unwrap().bca(0.9).unwrap());
        close_interval(
            &inside,
            outside.value,
            [outside.low, outside.high],
            "jackknife",
        );
    }
}

#[derive(serde::Deserialize)]
struct BootstrapLarge {
    x: Vec<f64>,
    y: Vec<f64>,
    mean: LargeEnds,
    median: LargeEnds,
    spearman: LargeEnds,
}

#[derive(serde::Deserialize)]
struct LargeEnds {
    percentile: [f64; 2],
    bca: [f64; 2],
}

/// scipy drew 200,000 resamples, we draw 20,000: the share of ours below its ends must be the
/// nominal one within five standard errors (5 · sqrt(0.025 · 0.975 / 20000) = 0.0055), and its BCa
/// ends must cut off the same shares as ours.
#[test]
fn bootstrap_distributions_agree_with_scipy_up_to_sampling_noise() {
    const NOISE: f64 = 0.0055;
    let large: BootstrapLarge = section("bootstrap_large");
    let pairs: Vec<(f64, f64)> = large
        .x
        .iter()
        .copied()
        .zip(large.y.iter().copied())
        .collect();
    let mean = stats::bootstrap_units(&large.x, 20_000, &mut stream(2), |sample| {
        stats::mean(sample).unwrap()
    });
    let median = stats::bootstrap_units(&large.x, 20_000, &mut stream(3), |sample| {
        stats::median(sample).unwrap()
    });
    let spearman = stats::spearman_bootstrap(&pairs, 20_000, &mut stream(4));
    let below = |found: &Bootstrap, x: f64| {
        // Ties count half: the median of a resample is one of few values.
        let n = found.replicates().len() as f64;
        let strictly = found
            .replicates()
            .iter()
            .filter(|value| **value < x)
            .count() as f64;
        let up_to = found
            .replicates()
            .iter()
            .filter(|value| **value <= x)
            .count() as f64;
        (strictly / n, up_to / n)
    };
    for (name, found, ends) in [
        ("mean", mean, large.mean),
        ("median", median, large.median),
        ("spearman", spearman, large.spearman),
    ] {
        let found = found.unwrap();
        for (end, nominal) in ends.percentile.into_iter().zip([0.025, 0.975]) {
            let (strictly, up_to) = below(&found, end);
            assert!(
                strictly <= nominal + NOISE && nominal - NOISE <= up_to,
                "{name}: {strictly} to {up_to} of ours below scipy's end at {nominal}"
            );
        }
        let ours = found.bca(0.95).unwrap();
        for (ours, theirs) in [ours.low, ours.high].into_iter().zip(ends.bca) {
            let (ours, theirs) = (below(&found, ours), below(&found, theirs));
            assert!(
                theirs.0 <= ours.1 + NOISE && ours.0 <= theirs.1 + NOISE,
                "{name}: BCa cuts off {ours:?}, scipy's {theirs:?}"
            );
        }
    }
}

#[derive(serde::Deserialize)]
struct Permutation {
    a: Vec<f64>,
    b: Vec<f64>,
    p: f64,
    #[serde(default)]
    divisions: u64,
}

#[test]
fn permutation_tests_agree_with_complete_enumeration_in_numpy() {
    for case in section::<Vec<Permutation>>("sign_flip") {
        let ours = stats::sign_flip_test(&case.a, &case.b, 0, &mut stream(5)).unwrap();
        close(ours.p_value, case.p, "sign flip");
        assert_eq!((ours.exact, ours.n_relabellings), (true, 1 << case.a.len()));
    }
    for case in section::<Vec<Permutation>>("two_sample") {
        let ours = stats::two_sample_test(&case.a, &case.b, 0, &mut stream(5)).unwrap();
        close(ours.p_value, case.p, "two samples");
        assert_eq!((ours.exact, ours.n_relabellings), (true, case.divisions));
    }
}

#[derive(serde::Deserialize)]
struct CorrelationCase {
    x: Vec<f64>,
    y: Vec<f64>,
    r: f64,
    interval: [f64; 2],
    p_zero: f64,
    null: f64,
    p_null: f64,
    rho: f64,
    fieller: [f64; 2],
    bonett_wright: [f64; 2],
}

#[test]
fn correlations_agree_with_scipy() {
    for case in section::<Vec<CorrelationCase>>("correlation") {
        let what = format!("n = {}", case.x.len());
        let pearson = stats::pearson(&case.x, &case.y, 0.95).unwrap();
        close_interval(
            &pearson.interval,
            case.r,
            case.interval,
            &format!("Pearson, {what}"),
        );
        close(pearson.p_value_zero().unwrap(), case.p_zero, &what);
        close(pearson.p_value(case.null).unwrap(), case.p_null, &what);
        for (error, ends) in [
            (RankError::Fieller, case.fieller),
            (RankError::BonettWright, case.bonett_wright),
        ] {
            let spearman = stats::spearman(&case.x, &case.y, error, 0.95).unwrap();
            close_interval(
                &spearman.interval,
                case.rho,
                ends,
                &format!("{error:?}, {what}"),
            );
        }
        close(
            stats::spearman_coefficient(&case.x, &case.y).unwrap(),
            case.rho,
            &what,
        );
    }
}

#[derive(serde::Deserialize)]
struct Holm {
    p: Vec<f64>,
    adjusted: Vec<f64>,
}

#[test]
fn holm_agrees_with_statsmodels() {
    for case in section::<Vec<Holm>>("holm") {
        let ours = stats::holm(&case.p).unwrap();
        for (ours, theirs) in ours.into_iter().zip(case.adjusted) {
            near(ours, theirs, 1e-15, "Holm");
        }
    }
}

#[derive(serde::Deserialize)]
struct Power {
    effect: f64,
    n: u64,
    level: f64,
    power: f64,
}

#[derive(serde::Deserialize)]
struct SampleSize {
    sd: f64,
    distance: f64,
    power: f64,
    n: u64,
}

#[test]
fn power_of_the_t_interval_agrees_with_statsmodels() {
    for case in section::<Vec<Power>>("power") {
        let ours = stats::mean_power(case.n, case.effect, case.level).unwrap();
        near(
            ours,
            case.power,
            1e-8,
            &format!("n = {}, effect {}", case.n, case.effect),
        );
    }
    for case in section::<Vec<SampleSize>>("sample_size") {
        assert_eq!(
            stats::n_for_mean(case.sd, case.distance, 0.95, case.power),
            Ok(case.n)
        );
    }
}

#[derive(serde::Deserialize)]
struct ProportionSize {
    share: f64,
    bound: f64,
    power: f64,
    n: u64,
    exact_power: f64,
}

/// The exact power of the score test at the size found, by summing binomial probabilities, is the
/// one asked for up to the lattice of counts: one count weighs at most 3 % at these sizes.
#[test]
fn size_for_a_proportion_has_the_exact_power_asked_for() {
    for case in section::<Vec<ProportionSize>>("proportion_size") {
        let ours = stats::n_for_proportion(case.share, case.bound, 0.95, case.power);
        assert_eq!(ours, Ok(case.n));
        assert!((case.exact_power - case.power).abs() < 0.03);
    }
}

#[derive(serde::Deserialize)]
struct LineCase {
    x: Vec<f64>,
    y: Vec<f64>,
    slope: f64,
    intercept: f64,
}

#[test]
fn log_log_line_agrees_with_scipy() {
    for case in section::<Vec<LineCase>>("line") {
        let ours = stats::log_log_line(&case.x, &case.y).unwrap();
        close(ours.slope, case.slope, "slope");
        close(ours.intercept, case.intercept, "intercept");
    }
}
