//! What must hold for any input: no panic, no number that is not finite, and the relations that
//! tie the routines together.
#![cfg(feature = "engine")]

use eval::stats::{self, Correction, Interval, RankError, Undefined};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

fn stream(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// Lists with repeats, extremes, and values that are not finite.
fn anything() -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![
        6 => -10.0..10.0_f64,
        2 => (-3..3_i32).prop_map(f64::from),
        1 => prop_oneof![
            Just(f64::NAN),
            Just(f64::INFINITY),
            Just(f64::MAX),
            Just(-f64::MAX),
            Just(f64::MIN_POSITIVE),
            Just(5e-324),
            Just(-0.0),
        ],
    ];
    prop::collection::vec(value, 0..12)
}

fn usual(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-10.0..10.0_f64, len)
}

fn sound(found: Result<Interval, Undefined>) -> Result<(), TestCaseError> {
    if let Ok(found) = found {
        prop_assert!(
            [found.value, found.low, found.high]
                .iter()
                .all(|x| x.is_finite())
        );
        prop_assert!(found.low <= found.high);
    }
    Ok(())
}

fn holds_its_value(found: Result<Interval, Undefined>) -> Result<(), TestCaseError> {
    sound(found)?;
    if let Ok(found) = found {
        prop_assert!(found.contains(found.value), "{found:?}");
    }
    Ok(())
}

fn probability(found: Result<f64, Undefined>) -> Result<(), TestCaseError> {
    if let Ok(p) = found {
        prop_assert!((0.0..=1.0).contains(&p), "{p}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn intervals_of_means_never_panic_and_hold_their_value(
        a in anything(), b in anything(), level in -0.5..1.5_f64,
    ) {
        let clusters: Vec<usize> = (0..a.len()).map(|idx| idx / 2).collect();
        for found in [
            stats::mean_interval(&a, level),
            stats::paired_difference(&a, &b, level),
            stats::welch_difference(&a, &b, level),
            stats::clustered_mean(&a, &clusters, Correction::Cr0, level),
            stats::clustered_mean(&a, &clusters, Correction::Cr1, level),
        ] {
            holds_its_value(found.map(|found| found.interval))?;
            if let Ok(found) = found {
                probability(found.p_value(0.5))?;
            }
        }
    }

    #[test]
    fn order_sums_and_lines_never_panic(a in anything(), b in anything(), p in -0.5..1.5_f64) {
        let low = a.iter().copied().fold(f64::INFINITY, f64::min);
        let high = a.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let found = [stats::median(&a), stats::quantile(&a, p), stats::mean(&a)];
        for found in found.into_iter().flatten() {
            prop_assert!(found.is_finite() && low <= found && found <= high);
        }
        if let Ok(ranks) = stats::ranks(&a) {
            let n = a.len() as f64;
            prop_assert_eq!(stats::sum(&ranks), 0.5 * n * (n + 1.0));
        }
        if let Ok(line) = stats::log_log_line(&a, &b) {
            prop_assert!(line.slope.is_finite() && line.intercept.is_finite());
        }
    }

    #[test]
    fn correlations_never_panic_and_hold_their_value(a in anything(), b in anything()) {
        for found in [
            stats::pearson(&a, &b, 0.95),
            stats::spearman(&a, &b, RankError::Fieller, 0.95),
            stats::spearman(&a, &b, RankError::BonettWright, 0.95),
        ] {
            holds_its_value(found.map(|found| found.interval))?;
            if let Ok(found) = found {
                prop_assert!(found.interval.low >= -1.0 && found.interval.high <= 1.0);
                probability(found.p_value(0.1))?;
                probability(found.p_value_zero())?;
            }
        }
    }

    #[test]
    fn bootstraps_never_panic_and_stay_within_the_data(a in anything(), seed: u64) {
        let mean = |sample: &[f64]| stats::mean(sample).unwrap_or(f64::NAN);
        if let Ok(found) = stats::bootstrap_units(&a, 99, &mut stream(seed), mean) {
            let low = a.iter().copied().fold(f64::INFINITY, f64::min);
            let high = a.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            for interval in [found.percentile(0.95), found.bca(0.95)] {
                sound(interval)?;
                if let Ok(interval) = interval {
                    prop_assert!(low <= interval.low && interval.high <= high);
                }
            }
            probability(found.p_percentile(0.5))?;
            probability(found.p_bca(0.5))?;
            probability(found.p_percentile(f64::MAX))?;
        }
    }

    #[test]
    fn permutation_tests_never_panic(a in anything(), b in anything(), seed: u64) {
        let n = a.len().min(b.len());
        for found in [
            stats::sign_flip_test(&a[..n], &b[..n], 19, &mut stream(seed)),
            stats::two_sample_test(&a, &b, 19, &mut stream(seed)),
        ] {
            probability(found.map(|found| found.p_value))?;
            if let Ok(found) = found {
                prop_assert!(found.p_value > 0.0, "the labelling seen is one of those counted");
            }
        }
    }

    #[test]
    fn share_intervals_hold_their_value_and_agree_with_their_tests(
        n in 1..400_u64, part in 0.0..=1.0_f64, null in 0.001..0.999_f64, level in 0.5..0.999_f64,
    ) {
        let k = (part * n as f64) as u64;
        let wilson = stats::wilson(k, n, level);
        holds_its_value(wilson)?;
        holds_its_value(stats::clopper_pearson(k, n, level))?;
        let p = stats::score_test(k, n, null).unwrap();
        let edge = (p - (1.0 - level)).abs() < 1e-9;
        prop_assert!(edge || (p < 1.0 - level) != wilson.unwrap().contains(null));
        probability(stats::binomial_test(k, n, null))?;
        probability(stats::mcnemar_exact(k, n))?;
    }

    #[test]
    fn t_and_fisher_p_values_agree_with_their_intervals(
        a in usual(4..12), null in -0.9..0.9_f64, level in 0.5..0.999_f64,
    ) {
        let mean = stats::mean_interval(&a, level).unwrap();
        let p = mean.p_value(null).unwrap();
        let edge = (p - (1.0 - level)).abs() < 1e-9;
        prop_assert!(edge || (p < 1.0 - level) != mean.interval.contains(null));
        let line: Vec<f64> = (0..a.len()).map(|idx| idx as f64).collect();
        let found = stats::pearson(&line, &a, level).unwrap();
        let p = found.p_value(null).unwrap();
        let edge = (p - (1.0 - level)).abs() < 1e-9;
        prop_assert!(edge || (p < 1.0 - level) != found.interval.contains(null));
    }

    #[test]
    fn bootstrap_p_values_agree_with_their_intervals(
        a in usual(6..15), null in -10.0..10.0_f64, seed: u64,
    ) {
        let mean = |sample: &[f64]| stats::mean(sample).unwrap();
        let found = stats::bootstrap_units(&a, 499, &mut stream(seed), mean).unwrap();
        // One replicate more or less on a side moves p by 2/499; BCa stretches that.
        for (interval, p, step) in [
            (found.percentile(0.9), found.p_percentile(null), 0.01),
            (found.bca(0.9), found.p_bca(null), 0.04),
        ] {
            if let (Ok(interval), Ok(p)) = (interval, p) {
                prop_assert!((p - 0.1).abs() < step || (p < 0.1) != interval.contains(null),
                    "p = {p}, {interval:?}, null {null}");
            }
        }
    }

    #[test]
    fn holm_is_monotone_and_never_below_the_raw_value(
        p in prop::collection::vec(0.0..=1.0_f64, 0..12),
    ) {
        let adjusted = stats::holm(&p).unwrap();
        for (raw, adjusted) in p.iter().zip(&adjusted) {
            prop_assert!(raw <= adjusted && *adjusted <= 1.0);
            prop_assert!(*adjusted <= (raw * p.len() as f64).max(*raw).min(1.0)
                || p.iter().any(|other| other < raw), "Bonferroni is the largest correction");
        }
        for (one, adjusted_one) in p.iter().zip(&adjusted) {
            for (other, adjusted_other) in p.iter().zip(&adjusted) {
                prop_assert!(one > other || adjusted_one <= adjusted_other);
            }
        }
    }

    #[test]
    fn shifting_and_scaling_the_data_does_the_same_to_the_interval(
        a in usual(3..10), shift in -5.0..5.0_f64, scale in 0.1..10.0_f64,
    ) {
        let moved: Vec<f64> = a.iter().map(|x| shift + scale * x).collect();
        let before = stats::mean_interval(&a, 0.95).unwrap().interval;
        let after = stats::mean_interval(&moved, 0.95).unwrap().interval;
        let room = 1e-11 * (1.0 + scale) * (1.0 + before.high - before.low);
        prop_assert!((after.low - (shift + scale * before.low)).abs() < room);
        prop_assert!((after.high - (shift + scale * before.high)).abs() < room);
    }

    #[test]
    fn sizes_never_panic_and_grow_as_the_bound_comes_near(
        sd in -1.0..10.0_f64, distance in -3.0..3.0_f64, power in -0.2..1.2_f64,
    ) {
        if let (Ok(far), Ok(near)) = (
            stats::n_for_mean(sd, distance, 0.95, power),
            stats::n_for_mean(sd, 0.5 * distance, 0.95, power),
        ) {
            prop_assert!(2 <= far && far <= near);
        }
        let _ = stats::n_for_proportion(sd, distance, 0.95, power);
        let interval = Interval { value: 0.0, low: -1.0, high: 1.0, level: 0.95 };
        let _ = stats::n_to_exclude(&interval, 10, distance, power);
    }
}

/// With replicates placed symmetrically about the value and a jackknife without skew, nothing is
/// biased and nothing accelerates: BCa is the percentile interval.
#[test]
fn bca_of_a_symmetric_case_is_the_percentile_interval() {
    let replicates: Vec<f64> = (-50..=50).map(|k| f64::from(k) / 7.0).collect();
    let jackknife = vec![vec![-2.0, -1.0, 0.0, 1.0, 2.0]];
    let found = stats::Bootstrap::from_replicates(0.0, replicates, &jackknife).unwrap();
    for level in [0.5, 0.9, 0.95] {
        let (bca, percentile) = (found.bca(level).unwrap(), found.percentile(level).unwrap());
        // There and back through the normal distribution costs 1e-10.
        assert!((bca.low - percentile.low).abs() < 1e-9);
        assert!((bca.high - percentile.high).abs() < 1e-9);
    }
    for null in [-3.0, 0.0, 1.0] {
        let (bca, percentile) = (found.p_bca(null), found.p_percentile(null));
        assert!((bca.unwrap() - percentile.unwrap()).abs() < 1e-9);
    }
}

/// An end of an interval is the null value that is just rejected at its level, also for a biased
/// value and a skewed jackknife, where percentile and BCa intervals differ much. One of 9,999
/// replicates more or less moves p by 0.0002; BCa stretches that at most some five times here.
#[test]
fn p_values_at_an_interval_end_are_one_less_the_level() {
    let replicates: Vec<f64> = (1..10_000)
        .map(|k| (f64::from(k) / 10_000.0).powi(2))
        .collect();
    let jackknife = vec![vec![0.1, 0.2, 0.3, 0.2, 3.0]];
    let found = stats::Bootstrap::from_replicates(0.36, replicates, &jackknife).unwrap();
    for level in [0.5, 0.8, 0.95] {
        let (percentile, bca) = (found.percentile(level).unwrap(), found.bca(level).unwrap());
        // Replicates are squares of their ranks, so roots are shares cut off.
        assert!((bca.low.sqrt() - percentile.low.sqrt()).abs() > 0.005);
        for end in [percentile.low, percentile.high] {
            assert!((found.p_percentile(end).unwrap() - (1.0 - level)).abs() < 0.001);
        }
        for end in [bca.low, bca.high] {
            let p = found.p_bca(end).unwrap();
            assert!((p - (1.0 - level)).abs() < 0.001, "{level}: {p}");
        }
    }
}

/// All 5^5 resamples of five values, enumerated: the drawn distribution must have the enumerated
/// shares at every decile within five standard errors (5 · sqrt(0.25 / 20000) = 0.018).
#[test]
fn drawn_resamples_have_the_enumerated_distribution() {
    let values = [0.3, 1.0, 1.4, 2.7, 9.0];
    let mut all = Vec::new();
    for code in 0..5_usize.pow(5) {
        let sample: Vec<f64> = (0..5_u32)
            .map(|place| values[code / 5_usize.pow(place) % 5])
            .collect();
        all.push(stats::mean(&sample).unwrap());
    }
    let drawn = stats::bootstrap_units(&values, 20_000, &mut stream(1), |sample| {
        stats::mean(sample).unwrap()
    })
    .unwrap();
    for decile in 1..10 {
        let x = stats::quantile(&all, f64::from(decile) / 10.0).unwrap();
        let share =
            |list: &[f64]| list.iter().filter(|y| **y < x).count() as f64 / list.len() as f64;
        assert!(
            (share(&all) - share(drawn.replicates())).abs() < 0.018,
            "decile {decile}"
        );
    }
}

/// Resampling items one by one pretends that copies within a cluster are news; resampling clusters
/// does not: each item copied ten times leaves the standard error as it was.
#[test]
fn cluster_bootstrap_is_not_fooled_by_copies() {
    let mean = |sample: &[f64]| stats::mean(sample).unwrap();
    let items: Vec<f64> = (0..12).map(|k| f64::from(k * k % 7)).collect();
    let copies: Vec<Vec<f64>> = items.iter().map(|x| vec![*x; 10]).collect();
    let error =
        |found: Result<stats::Bootstrap, Undefined>| found.unwrap().standard_error().unwrap();
    let plain = error(stats::bootstrap_units(&items, 4_000, &mut stream(2), mean));
    let clustered = error(stats::bootstrap_clusters(
        &copies,
        4_000,
        &mut stream(2),
        mean,
    ));
    let naive = error(stats::bootstrap_units(
        &copies.concat(),
        4_000,
        &mut stream(2),
        mean,
    ));
    assert!(
        (clustered / plain - 1.0).abs() < 1e-12,
        "the same draws give the same means"
    );
    assert!((naive / plain - 0.1_f64.sqrt()).abs() < 0.05);
}

/// A stratum keeps its size in every resample, so a constant difference between strata adds no
/// spread.
#[test]
fn stratified_resamples_keep_the_sizes_of_the_strata() {
    let strata = vec![vec![0.0; 4], vec![100.0; 6]];
    let found = stats::bootstrap_strata(&strata, 200, &mut stream(3), |strata| {
        stats::mean(&strata.concat()).unwrap()
    })
    .unwrap();
    assert_eq!(
        found.percentile(0.95).map(|i| (i.low, i.high)),
        Ok((60.0, 60.0))
    );
    let lone = stats::bootstrap_strata(&[vec![1.0]], 9, &mut stream(3), |_| 0.0);
    assert_eq!(lone, Err(Undefined::TooFew { have: 1, need: 2 }));
    assert!(stats::bootstrap_strata(&[] as &[Vec<f64>], 9, &mut stream(3), |_| 0.0).is_err());
}

#[test]
fn the_same_stream_gives_the_same_bits() {
    let values = [1.0, 5.0, 2.0, 8.0, 3.0];
    let draw =
        |seed| stats::bootstrap_units(&values, 50, &mut stream(seed), |s| stats::mean(s).unwrap());
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
}

#[test]
fn a_statistic_that_often_has_no_value_has_no_interval() {
    // The correlation of a resample with one point drawn three times is undefined: 3 / 27.
    let pairs = [(1.0, 1.0), (2.0, 3.0), (3.0, 2.0)];
    let found = stats::spearman_bootstrap(&pairs, 2_000, &mut stream(9));
    assert!(
        matches!(found, Err(Undefined::Unstable { .. })),
        "{found:?}"
    );
    let flat = stats::spearman_bootstrap(&[(1.0, 2.0); 9], 99, &mut stream(9));
    assert_eq!(flat, Err(Undefined::NoSpread));
}

/// Under the null hypothesis every labelling is equally likely. Over all divisions of eight
/// distinct values in four and four, the exact p-value is at most α with probability at most α, and
/// just as often as the p-values it can take allow.
#[test]
fn exact_p_values_are_uniform_over_all_labellings() {
    let values = [0.1, 0.7, 1.9, 2.2, 3.8, 5.1, 7.7, 11.3];
    let mut p_values = Vec::new();
    for code in 0_u32..256 {
        if code.count_ones() == 4 {
            let (b, a): (Vec<f64>, Vec<f64>) = {
                let chosen = |idx: &usize| code >> idx & 1 == 1;
                let b = (0..8).filter(chosen).map(|idx| values[idx]).collect();
                (
                    b,
                    (0..8)
                        .filter(|idx| !chosen(idx))
                        .map(|idx| values[idx])
                        .collect(),
                )
            };
            p_values.push(
                stats::two_sample_test(&a, &b, 0, &mut stream(0))
                    .unwrap()
                    .p_value,
            );
        }
    }
    assert_uniform(&p_values);
}

/// The same for sign patterns.
#[test]
fn exact_sign_flip_p_values_are_uniform_over_all_signs() {
    let sizes = [0.3, 1.1, 1.7, 2.9, 4.1, 6.4, 8.8];
    let zeros = [0.0; 7];
    let p_values: Vec<f64> = (0_u32..128)
        .map(|code| {
            let b: Vec<f64> = (0..7)
                .map(|idx| {
                    if code >> idx & 1 == 1 {
                        -sizes[idx]
                    } else {
                        sizes[idx]
                    }
                })
                .collect();
            stats::sign_flip_test(&zeros, &b, 0, &mut stream(0))
                .unwrap()
                .p_value
        })
        .collect();
    assert_uniform(&p_values);
}

/// P(p ≤ α) = α at every value α that p takes.
fn assert_uniform(p_values: &[f64]) {
    for alpha in p_values {
        let as_small = p_values.iter().filter(|p| **p <= alpha + 1e-12).count() as f64;
        assert!(
            (as_small / p_values.len() as f64 - alpha).abs() < 1e-12,
            "{alpha}"
        );
    }
}

/// Drawn relabellings estimate the enumerated p-value: 20,000 draws, five standard errors 0.018.
#[test]
fn drawn_relabellings_agree_with_enumerated_ones() {
    // 17 pairs are drawn, and the same 16 pairs with a difference of 0 beside them enumerated: a
    // difference of 0 changes no mean's distance from 0 relative to the others.
    let b: Vec<f64> = (0..16).map(|k| f64::from(k % 5) - 1.4).collect();
    let exact = stats::sign_flip_test(&[0.0; 16], &b, 0, &mut stream(0)).unwrap();
    let mut longer = b.clone();
    longer.push(0.0);
    let drawn = stats::sign_flip_test(&[0.0; 17], &longer, 20_000, &mut stream(1)).unwrap();
    assert!(exact.exact && !drawn.exact);
    assert!(
        exact.p_value > 0.05 && exact.p_value < 0.95,
        "{}",
        exact.p_value
    );
    assert!((exact.p_value - drawn.p_value).abs() < 0.018);
    // 9 of 18 is 48,620 divisions, enumerated; the general helper draws the same distribution.
    let values: Vec<f64> = (0..18).map(|k| f64::from(k * k % 11)).collect();
    let (a, b) = values.split_at(9);
    let exact = stats::two_sample_test(a, b, 0, &mut stream(0)).unwrap();
    let difference = |labels: &[f64]| {
        let (a, b) = labels.split_at(9);
        (stats::mean(b).unwrap() - stats::mean(a).unwrap()).abs()
    };
    let drawn = stats::permutation_null(&values, 20_000, &mut stream(2), difference).unwrap();
    assert!(exact.exact);
    assert!((exact.p_value - drawn.p_greater()).abs() < 0.018);
    assert!((drawn.observed() - exact.value.abs()).abs() < 1e-12);
    // Two samples too large to enumerate.
    let values: Vec<f64> = (0..40).map(|k| f64::from(k * k % 23)).collect();
    let (a, b) = values.split_at(15);
    let drawn = stats::two_sample_test(a, b, 20_000, &mut stream(3)).unwrap();
    let t = stats::welch_difference(a, b, 0.95)
        .unwrap()
        .p_value(0.0)
        .unwrap();
    assert!(!drawn.exact);
    // The t test approximates the permutation test for light-tailed values of this many.
    assert!(
        (drawn.p_value - t).abs() < 0.05,
        "{} and {t}",
        drawn.p_value
    );
}

/// An effect far beyond chance has the smallest p-value there is, and never 0.
#[test]
fn a_strong_effect_has_the_smallest_possible_p_value() {
    let found = stats::sign_flip_test(&[0.0; 40], &[1.0; 40], 999, &mut stream(4)).unwrap();
    assert_eq!(found.p_value, 0.001);
    let labels: Vec<usize> = (0..30).collect();
    let in_order =
        |labels: &[usize]| labels.windows(2).filter(|pair| pair[0] < pair[1]).count() as f64;
    let null = stats::permutation_null(&labels, 999, &mut stream(5), in_order).unwrap();
    assert_eq!(
        (null.p_greater(), null.p_less(), null.p_two_sided()),
        (0.001, 1.0, 0.002)
    );
    // Half of 29 neighbours are in order by chance.
    assert!((null.quantile(0.5).unwrap() - 14.5).abs() <= 0.5);
    assert!(null.quantile(1.5).is_err());
}
