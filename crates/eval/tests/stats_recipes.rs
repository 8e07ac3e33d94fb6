//! The stock recipes on rows as cells emit them: values worked out by hand, counts, units, and the
//! reasons for having no estimate.
#![cfg(feature = "engine")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use eval::recipe::{Estimated, estimate};
use eval::{Cell, Counts, Estimate, MeasuredRow, Recipe, Row, Test, TestKind, stats};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

fn recipe(text: &str) -> Recipe {
    toml::from_str(text).unwrap()
}

fn row(cell: &Cell, row: Row) -> MeasuredRow {
    MeasuredRow {
        cell: Arc::new(cell.clone()),
        row,
    }
}

/// Value `values[i]` of metric `m` under seed i.
fn per_seed(values: &[f64]) -> Vec<MeasuredRow> {
    (0..)
        .zip(values)
        .map(|(seed, x)| row(&Cell::new("e", seed), Row::new("m", *x, "1")))
        .collect()
}

const AT_LEAST: Test = Test {
    kind: TestKind::AtLeast,
    bound: None,
    margin: 0.0,
    null: None,
};

fn run(text: &str, bound: Option<f64>, rows: &[MeasuredRow]) -> eval::Result<Estimated> {
    estimate(
        &recipe(text),
        &AT_LEAST,
        bound,
        rows,
        &mut ChaCha20Rng::seed_from_u64(1),
    )
}

#[track_caller]
fn value(text: &str, bound: Option<f64>, rows: &[MeasuredRow]) -> Estimate {
    match run(text, bound, rows).unwrap() {
        Estimated::Value(estimate) => estimate,
        other => panic!("no estimate: {other:?}"),
    }
}

#[track_caller]
fn near(ours: f64, by_hand: f64) {
    assert!((ours - by_hand).abs() < 1e-9, "{ours} is not {by_hand}");
}

#[test]
fn extremes_are_deterministic_and_have_no_p_value() {
    let rows = per_seed(&[3.0, -1.0, 2.0]);
    for (kind, expected) in [("max", 3.0), ("min", -1.0)] {
        let found = value(
            &format!("recipe = \"{kind}\"\nmetric = \"m\""),
            Some(0.0),
            &rows,
        );
        assert_eq!(
            (found.value, found.low, found.high),
            (expected, expected, expected)
        );
        assert!(found.deterministic);
        assert_eq!((found.n, found.n_seeds, found.p_value), (3, 3, None));
    }
    assert_eq!(
        value("recipe = \"max\"\nmetric = \"m\"", None, &rows[..1]).value,
        3.0
    );
}

#[test]
fn the_mean_has_a_t_interval_over_units() {
    // Mean 2, standard error 1/sqrt(3), t(2, 0.975) = 4.302652729911275.
    let found = value(
        "recipe = \"mean\"\nmetric = \"m\"\nunit_by = [\"seed\"]",
        Some(2.0),
        &per_seed(&[1.0, 2.0, 3.0]),
    );
    near(found.value, 2.0);
    near(found.low, 2.0 - 4.302_652_729_911_275 / 3.0_f64.sqrt());
    near(found.high, 2.0 + 4.302_652_729_911_275 / 3.0_f64.sqrt());
    assert_eq!((found.n, found.n_seeds, found.deterministic), (3, 3, false));
    assert_eq!(found.p_value, Some(1.0));
    assert_eq!(found.method, "mean, t interval over 3 seeds, 95 %");
}

#[test]
fn values_of_one_unit_are_averaged_first() {
    let (a, b) = (Cell::new("e", 0), Cell::new("e", 1));
    let item = |cell: &Cell, item: &str, x: f64| row(cell, Row::new("m", x, "1").item(item));
    let rows = [
        item(&a, "q1", 0.0),
        item(&b, "q1", 4.0),
        item(&a, "q2", 5.0),
    ];
    let found = value(
        "recipe = \"mean\"\nmetric = \"m\"\nunit_by = [\"item\"]",
        None,
        &rows,
    );
    assert_eq!(
        (found.value, found.n, found.n_seeds, found.attempted),
        (3.5, 2, 2, 3)
    );
    assert!(found.method.contains("over 2 items"));
    let found = value("recipe = \"mean\"\nmetric = \"m\"", None, &rows);
    assert_eq!((found.value, found.n), (3.0, 3));
    assert!(found.method.contains("over 3 rows"));
    let by_two = "recipe = \"mean\"\nmetric = \"m\"\nunit_by = [\"experiment\", \"seed\"]";
    let found = value(by_two, None, &rows);
    assert_eq!((found.value, found.n), (3.25, 2));
    assert!(
        found.method.contains("units (experiment × seed)"),
        "{}",
        found.method
    );
}

#[test]
fn only_rows_with_metric_and_tags_count() {
    let cell = Cell::new("e", 0).with("d", 64);
    let rows = [
        row(&cell, Row::new("m", 1.0, "1").tag("split", "test")),
        row(&cell, Row::new("m", 3.0, "1").tag("split", "test")),
        row(&cell, Row::new("m", 100.0, "1").tag("split", "train")),
        row(&cell, Row::new("other", 100.0, "1").tag("split", "test")),
        row(
            &cell,
            Row::failed("m", "1", "diverged").tag("split", "test"),
        ),
        row(
            &cell,
            Row::unparsed("m", "1", "no number").tag("split", "test"),
        ),
        row(
            &cell,
            Row::failed("m", "1", "diverged").tag("split", "train"),
        ),
    ];
    let text = "recipe = \"mean\"\nmetric = \"m\"\ntags = { split = \"test\", d = \"64\" }";
    let found = value(text, None, &rows);
    assert_eq!((found.value, found.n), (2.0, 2));
    assert_eq!(
        found.counts(),
        Counts {
            attempted: 4,
            failed: 1,
            unparsed: 1
        }
    );
    let none = run(&text.replace("\"test\"", "\"dev\""), None, &rows).unwrap();
    assert_eq!(none, Estimated::NoRows);
}

#[test]
fn too_few_units_say_how_many_are_needed() {
    let arms = "arm = \"s\"\na = \"x\"\nb = \"y\"\nunit_by = [\"seed\"]";
    for (kind, more, need) in [
        ("max", "", 1),
        ("mean", "", 2),
        ("median", "", 6),
        ("proportion", "", 1),
        ("growth_exponent", "x = \"d\"", 2),
        ("paired_difference", arms, 2),
        ("ratio", arms, 6),
        ("pearson", "x = \"other\"\nunit_by = [\"seed\"]", 4),
        ("spearman", "x = \"other\"\nunit_by = [\"seed\"]", 6),
    ] {
        let text = format!("recipe = \"{kind}\"\nmetric = \"m\"\n{more}");
        let cell = Cell::new("e", 0).with("s", "x").with("d", 2);
        let lost = [row(&cell, Row::failed("m", "1", "diverged"))];
        let counts = Counts {
            attempted: 1,
            failed: 1,
            unparsed: 0,
        };
        let found = run(&text, None, &lost).unwrap();
        assert_eq!(
            found,
            Estimated::TooFewUnits {
                have: 0,
                need,
                counts
            },
            "{kind}"
        );
        assert_eq!(run(&text, None, &[]).unwrap(), Estimated::NoRows, "{kind}");
    }
    let five = run(
        "recipe = \"median\"\nmetric = \"m\"",
        None,
        &per_seed(&[1.0; 5]),
    )
    .unwrap();
    let counts = Counts {
        attempted: 5,
        failed: 0,
        unparsed: 0,
    };
    assert_eq!(
        five,
        Estimated::TooFewUnits {
            have: 5,
            need: 6,
            counts
        }
    );
}

#[test]
fn a_missing_key_names_metric_key_and_cell() {
    let cell = Cell::new("timing", 3).with("d", 64);
    let rows = [row(&cell, Row::new("m", 1.0, "1"))];
    for text in [
        "recipe = \"mean\"\nmetric = \"m\"\nunit_by = [\"item\"]",
        "recipe = \"mean\"\nmetric = \"m\"\nunit_by = [\"seed\", \"solver\"]",
        "recipe = \"growth_exponent\"\nmetric = \"m\"\nx = \"size\"",
        "recipe = \"ratio\"\nmetric = \"m\"\narm = \"arm\"\na = \"x\"\nb = \"y\"\n\
         unit_by = [\"seed\"]",
    ] {
        let error = run(text, None, &rows).unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("`m`") && said.contains(cell.id().as_str()),
            "{said}"
        );
        assert!(
            ["`item`", "`solver`", "`size`", "`arm`"]
                .iter()
                .any(|k| said.contains(k))
        );
        assert!(error.next_step().is_some());
    }
    // A failed measurement need not know its item.
    let lost = [row(&cell, Row::failed("m", "1", "crashed"))];
    let text = "recipe = \"mean\"\nmetric = \"m\"\nunit_by = [\"item\"]";
    assert!(run(text, None, &lost).is_ok());
}

#[test]
fn a_recipe_that_makes_no_sense_is_refused() {
    let error = run("recipe = \"ratio\"\nmetric = \"m\"", None, &[]).unwrap_err();
    assert_eq!(error.exit_code(), eval::exit::USAGE);
}

#[test]
fn custom_recipes_are_the_papers_own() {
    let found = run(
        "recipe = \"custom\"\nmetric = \"m\"",
        None,
        &per_seed(&[1.0]),
    )
    .unwrap();
    assert_eq!(found, Estimated::Custom);
}

#[test]
fn a_proportion_counts_zeros_and_ones() {
    let text = "recipe = \"proportion\"\nmetric = \"m\"\nunit_by = [\"seed\"]";
    let mut answers = vec![1.0; 8];
    answers.extend([0.0; 2]);
    let found = value(text, Some(0.5), &per_seed(&answers));
    // statsmodels 0.15.0: proportion_confint(8, 10, method="wilson"), and
    // proportions_ztest(8, 10, 0.5, prop_var=0.5).
    near(found.value, 0.8);
    near(found.low, 0.490_162_471_536_641_83);
    near(found.high, 0.943_317_848_545_624_7);
    near(found.p_value.unwrap(), 0.057_779_571_123_597_204);
    assert_eq!(value(text, Some(0.0), &per_seed(&answers)).p_value, None);
    let error = run(text, None, &per_seed(&[1.0, 0.5])).unwrap_err();
    assert!(error.to_string().contains("0.5"), "{error}");
    let mixed = "recipe = \"proportion\"\nmetric = \"m\"\nunit_by = [\"experiment\"]";
    let found = run(mixed, None, &per_seed(&[1.0, 0.0])).unwrap();
    assert!(matches!(found, Estimated::Undefined { .. }), "{found:?}");
}

/// Arms `x` and `y` under seeds 0, 1, …
fn arms(x: &[f64], y: &[f64]) -> Vec<MeasuredRow> {
    let mut rows = Vec::new();
    for (name, values) in [("x", x), ("y", y)] {
        for (seed, value) in (0..).zip(values) {
            let cell = Cell::new("e", seed).with("solver", name);
            rows.push(row(&cell, Row::new("m", *value, "1")));
        }
    }
    rows
}

const PAIRED: &str = "metric = \"m\"\narm = \"solver\"\na = \"x\"\nb = \"y\"\nunit_by = [\"seed\"]";

#[test]
fn a_paired_difference_is_b_less_a_over_shared_units() {
    let text = format!("recipe = \"paired_difference\"\n{PAIRED}");
    let mut rows = arms(&[1.0, 2.0, 3.0, 50.0], &[2.0, 4.0, 6.0]);
    let other = Cell::new("e", 0).with("solver", "third");
    rows.push(row(&other, Row::new("m", 1e6, "1")));
    rows.push(row(&other, Row::failed("m", "1", "of no arm")));
    let found = value(&text, Some(0.0), &rows);
    let by_hand = stats::mean_interval(&[1.0, 2.0, 3.0], 0.95).unwrap();
    near(found.value, 2.0);
    near(found.low, by_hand.interval.low);
    near(found.high, by_hand.interval.high);
    near(found.p_value.unwrap(), by_hand.p_value(0.0).unwrap());
    assert_eq!((found.n, found.attempted, found.failed), (3, 7, 0));
    assert!(
        found.method.ends_with("1 unit with one arm only left out"),
        "{}",
        found.method
    );
}

#[test]
fn a_ratio_is_of_medians() {
    let text = format!("recipe = \"ratio\"\n{PAIRED}");
    let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
    let found = value(&text, Some(1.0), &arms(&x, &x.map(|x| 3.0 * x)));
    assert_eq!(
        (found.value, found.low, found.high, found.n),
        (3.0, 3.0, 3.0, 7)
    );
    // Every resample has ratio 3: the smallest p-value of 9,999 resamples.
    near(found.p_value.unwrap(), 0.0002);
    let found = value(
        &text,
        Some(1.0),
        &arms(&x, &[9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0]),
    );
    near(found.value, 1.5);
    assert!(found.low < 1.5 && found.high > 1.5);
    let zero = run(&text, None, &arms(&[0.0; 7], &x)).unwrap();
    assert!(zero.reason().unwrap().contains("median of arm `a` is 0"));
    let often_zero = run(&text, None, &arms(&[0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0], &x)).unwrap();
    assert!(
        often_zero.reason().unwrap().contains("resamples"),
        "{often_zero:?}"
    );
}

#[test]
fn the_median_has_a_bootstrap_interval() {
    let text = "recipe = \"median\"\nmetric = \"m\"\nunit_by = [\"seed\"]";
    let values = [5.0, 1.0, 4.0, 2.0, 3.0, 9.0, 8.0, 7.0, 6.0];
    let found = value(text, Some(20.0), &per_seed(&values));
    assert_eq!(found.value, 5.0);
    // The median of a resample is at most the k-th smallest value with probability
    // P(Bin(9, k/9) ≥ 5), which is 0.0014 for k = 1 and 0.0304 for k = 2: the 2.5 % quantile is
    // the second value, and by symmetry the 97.5 % quantile the eighth.
    assert_eq!((found.low, found.high), (2.0, 8.0));
    near(found.p_value.unwrap(), 0.0002);
    assert!(
        found
            .method
            .contains("percentile bootstrap interval (9999 resamples)")
    );
}

/// One row per seed and size d.
fn curves(sizes: &[f64], n_seeds: u64, y: impl Fn(f64, u64) -> f64) -> Vec<MeasuredRow> {
    let mut rows = Vec::new();
    for seed in 0..n_seeds {
        for d in sizes {
            let cell = Cell::new("timing", seed).with("d", d);
            rows.push(row(&cell, Row::new("m", y(*d, seed), "s")));
        }
    }
    rows
}

#[test]
fn growth_gives_the_exponent_of_a_power_law() {
    let sizes = [2.0, 4.0, 8.0, 16.0];
    let exact = |d: f64, seed: u64| (1 + seed) as f64 * d.powi(3);
    let by_seed = "recipe = \"growth_exponent\"\nmetric = \"m\"\nx = \"d\"\nunit_by = [\"seed\"]";
    for (n_seeds, name) in [(3, "t interval of the slopes"), (8, "bootstrap interval")] {
        let found = value(by_seed, Some(3.0), &curves(&sizes, n_seeds, exact));
        near(found.value, 3.0);
        near(found.low, 3.0);
        near(found.high, 3.0);
        assert_eq!((found.n, found.n_seeds), (n_seeds, n_seeds));
        assert!(found.method.contains(name), "{}", found.method);
    }
    let uneven = |d: f64, seed: u64| d.powf(2.0 + 0.1 * seed as f64);
    let found = value(by_seed, Some(2.0), &curves(&sizes, 3, uneven));
    let slopes = stats::mean_interval(&[2.0, 2.1, 2.2], 0.95)
        .unwrap()
        .interval;
    near(found.value, slopes.value);
    near(found.low, slopes.low);
    let found = value(by_seed, Some(2.0), &curves(&sizes, 9, uneven));
    near(found.value, 2.4);
    assert!(2.15 < found.low && found.low < 2.4 && 2.4 < found.high && found.high < 2.65);
    assert!(found.p_value.unwrap() < 0.01);
}

#[test]
fn growth_over_points_resamples_points() {
    let text = "recipe = \"growth_exponent\"\nmetric = \"m\"\nx = \"d\"";
    let noisy = |d: f64, seed: u64| d * (1.0 + 0.1 * seed as f64);
    let found = value(text, None, &curves(&[2.0, 4.0, 8.0, 16.0], 3, noisy));
    near(found.value, 1.0);
    assert!(found.low < 1.0 && found.high > 1.0 && found.n == 12);
    let few = run(text, None, &curves(&[2.0, 4.0, 8.0], 1, noisy)).unwrap();
    assert!(
        matches!(
            few,
            Estimated::TooFewUnits {
                have: 3,
                need: 6,
                ..
            }
        ),
        "{few:?}"
    );
    let flat = run(text, None, &curves(&[2.0], 8, noisy)).unwrap();
    assert!(
        flat.reason().unwrap().contains("all values are equal"),
        "{flat:?}"
    );
    let error = run(text, None, &curves(&[2.0, 4.0], 4, |_, _| 0.0)).unwrap_err();
    assert!(error.to_string().contains("positive"), "{error}");
    let word = [row(
        &Cell::new("timing", 0).with("d", "large"),
        Row::new("m", 1.0, "s"),
    )];
    let error = run(text, None, &word).unwrap_err().to_string();
    assert!(
        error.contains("`large`") && error.contains("`d`"),
        "{error}"
    );
}

/// Metrics `u` and `m` per seed.
fn two_metrics(u: &[f64], m: &[f64]) -> Vec<MeasuredRow> {
    let mut rows = per_seed(m);
    rows.extend(per_seed(u).into_iter().map(|mut row| {
        row.row.metric = "u".to_owned();
        row
    }));
    rows
}

#[test]
fn correlations_pair_two_metrics_by_unit() {
    let u = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    let m = [1.0, 3.0, 2.0, 5.0, 4.0, 7.0, 8.0, 6.0];
    let mut rows = two_metrics(&u, &m);
    rows.push(row(&Cell::new("e", 99), Row::new("u", 0.0, "1")));
    for kind in ["pearson", "spearman"] {
        let text = format!("recipe = \"{kind}\"\nmetric = \"m\"\nx = \"u\"\nunit_by = [\"seed\"]");
        let found = value(&text, Some(0.0), &rows);
        // Both lists are permutations of 1…8: 1 − 6 · 10 / (8 · 63), ranks and values alike.
        near(found.value, 1.0 - 60.0 / 504.0);
        assert!(found.low < found.value && found.value < found.high && found.high <= 1.0);
        assert!(found.p_value.unwrap() < 0.05);
        assert_eq!((found.n, found.attempted), (8, 17));
        assert!(
            found
                .method
                .ends_with("1 unit with one metric only left out")
        );
        let flat = run(&text, None, &two_metrics(&u, &[1.0; 8])).unwrap();
        assert!(
            flat.reason().unwrap().contains("all values are equal"),
            "{flat:?}"
        );
    }
}

#[test]
fn p_values_refer_to_the_null_where_a_match_states_one() {
    let rows = per_seed(&[1.0, 2.0, 3.0]);
    let mean = recipe("recipe = \"mean\"\nmetric = \"m\"");
    let p = |kind, null, bound| {
        let test = Test {
            kind,
            bound: Some(2.0),
            margin: 0.0,
            null,
        };
        let stream = &mut ChaCha20Rng::seed_from_u64(1);
        estimate(&mean, &test, bound, &rows, stream)
            .unwrap()
            .value()
            .unwrap()
            .p_value
            .unwrap()
    };
    let of = |null| {
        stats::mean_interval(&[1.0, 2.0, 3.0], 0.95)
            .unwrap()
            .p_value(null)
            .unwrap()
    };
    assert_eq!(p(TestKind::Matches, Some(0.0), Some(2.5)), of(0.0));
    assert_eq!(p(TestKind::Matches, None, Some(2.5)), of(2.5));
    assert_eq!(p(TestKind::AtLeast, None, Some(2.5)), of(2.5));
    assert_eq!(p(TestKind::AtMost, None, None), of(2.0));
}

#[test]
fn the_same_rows_and_stream_give_the_same_bits_in_any_order_of_cells() {
    let text = "recipe = \"median\"\nmetric = \"m\"\nunit_by = [\"seed\"]";
    let mut rows = per_seed(&[5.0, 1.0, 4.0, 2.0, 3.0, 9.0, 8.5]);
    let first = value(text, Some(2.0), &rows);
    rows.reverse();
    assert_eq!(value(text, Some(2.0), &rows), first);
}
