//! The stock recipes of [`RecipeKind`], one function each.
//!
//! | recipe | value | interval (95 %) | p-value | units needed |
//! |---|---|---|---|---|
//! | `max`, `min` | largest, smallest unit | the value itself | none | 1 |
//! | `mean` | mean | t | t | 2 |
//! | `median` | median | bootstrap, percentile | bootstrap | 6 |
//! | `proportion` | share of ones | Wilson | score test, for a null within (0, 1) | 1 |
//! | `paired_difference` | mean of b − a | t | t | 2 |
//! | `ratio` | median of b / median of a | bootstrap, percentile | bootstrap | 6 |
//! | `growth_exponent` | slope of ln value on ln x | bootstrap, BCa; below 6 units t over the units' slopes | as the interval | 6; 2 where each unit spans several sizes |
//! | `pearson` | correlation | Fisher | Fisher | 4 |
//! | `spearman` | rank correlation | bootstrap, BCa | bootstrap | 6 |
//!
//! Each p-value is two-sided and falls below 0.05 where the interval excludes the null value
//! (up to the ties of a bootstrap). It refers to the test's bound, or, for `matches` with a
//! `null`, to that null. BCa falls back to percentiles where it has no finite correction; the
//! method says so.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha20Rng;

use super::check::check;
use super::outcome::Estimated;
use super::select::{Measured, Selection, Unit, average, key_of};
use crate::claim::{Recipe, RecipeKind, Test, TestKind};
use crate::error::{Error, Result};
use crate::estimate::{Counts, Estimate};
use crate::row::MeasuredRow;
use crate::stats::{self, Bootstrap, Interval, TInterval, Undefined};

/// Confidence level of every interval.
pub const LEVEL: f64 = 0.95;

/// Fewest units for a bootstrap interval. An interval that stays between the smallest and the
/// largest of n values misses the centre of a symmetric distribution with probability at least
/// `2^(1 − n)`, whatever is resampled; 6 is the first n for which that is below 5 %.
pub const UNITS_FOR_BOOTSTRAP_MIN: usize = 6;

/// Resamples of a bootstrap: 2.5 % of 9,999 + 1 is a whole number.
const RESAMPLES: usize = 9_999;
/// Fewest resamples, for very many units.
const RESAMPLES_MIN: usize = 999;
/// At most so many units are drawn in all resamples together: some seconds.
const DRAWS_MAX: usize = 200_000_000;

/// Computes a recipe on the rows of a claim's experiments (of the recipe's source). The same
/// rows and stream give the same bits.
///
/// `bound` is the resolved bound of the test; the p-value refers to it, or to [`Test::null`].
///
/// # Errors
/// The recipe does not make sense (see [`check`]); or a row lacks a key that the recipe names, or
/// holds a value that the recipe cannot use: the message names metric, key, and cell.
pub fn estimate(
    recipe: &Recipe,
    test: &Test,
    bound: Option<f64>,
    rows: &[MeasuredRow],
    stream: &mut ChaCha20Rng,
) -> Result<Estimated> {
    check(recipe).map_err(Error::usage)?;
    let null = null_of(test, bound);
    let units = || UnitList::of(recipe, rows);
    match recipe.recipe {
        RecipeKind::Max => Ok(units()?.extreme("largest", f64::max)),
        RecipeKind::Min => Ok(units()?.extreme("smallest", f64::min)),
        RecipeKind::Mean => Ok(units()?.mean(null)),
        RecipeKind::Median => Ok(units()?.median(null, stream)),
        RecipeKind::Proportion => units()?.proportion(null),
        RecipeKind::PairedDifference => Ok(Pairs::of_arms(recipe, rows)?.difference(null)),
        RecipeKind::Ratio => Ok(Pairs::of_arms(recipe, rows)?.ratio(null, stream)),
        RecipeKind::GrowthExponent => growth(recipe, null, rows, stream),
        RecipeKind::Pearson => Ok(Pairs::of_metrics(recipe, rows)?.pearson(null)),
        RecipeKind::Spearman => Ok(Pairs::of_metrics(recipe, rows)?.spearman(null, stream)),
        RecipeKind::Custom => Ok(Estimated::Custom),
    }
}

/// The value that the p-value refers to.
fn null_of(test: &Test, bound: Option<f64>) -> Option<f64> {
    let bound = bound.or(test.bound);
    match test.kind {
        TestKind::Matches => test.null.or(bound),
        TestKind::AtMost | TestKind::AtLeast => bound,
    }
}

/// Which interval of a bootstrap.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Percentile,
    Bca,
}

/// Everything of an estimate besides value and interval.
struct Basis {
    counts: Counts,
    n: usize,
    n_seeds: u64,
    /// What the units are: `seeds`, `items`, `units (seed × d)`.
    units: String,
}

impl Basis {
    fn new(recipe: &Recipe, n: usize, selections: &[&Selection]) -> Self {
        let mut counts = Counts::default();
        let mut seeds = BTreeSet::new();
        for selection in selections {
            counts.attempted += selection.counts.attempted;
            counts.failed += selection.counts.failed;
            counts.unparsed += selection.counts.unparsed;
            seeds.extend(selection.seeds());
        }
        let keys: Vec<&str> = recipe.unit_by.iter().map(String::as_str).collect();
        let units = match keys.as_slice() {
            [] => "rows".to_owned(),
            ["seed"] => "seeds".to_owned(),
            ["item"] => "items".to_owned(),
            keys => format!("units ({})", keys.join(" × ")),
        };
        Self {
            counts,
            n,
            n_seeds: seeds.len() as u64,
            units,
        }
    }

    /// The reason why there is no estimate, where units are missing.
    fn lacks(&self, need: usize) -> Option<Estimated> {
        if self.counts.attempted == 0 {
            return Some(Estimated::NoRows);
        }
        (self.n < need).then_some(Estimated::TooFewUnits {
            have: self.n as u64,
            need: need as u64,
            counts: self.counts,
        })
    }

    fn undefined(&self, why: impl Into<String>) -> Estimated {
        Estimated::Undefined {
            why: why.into(),
            counts: self.counts,
        }
    }

    fn value(&self, interval: &Interval, p_value: Option<f64>, method: String) -> Estimated {
        Estimated::Value(Estimate {
            value: interval.value,
            low: interval.low,
            high: interval.high,
            n: self.n as u64,
            attempted: self.counts.attempted,
            failed: self.counts.failed,
            unparsed: self.counts.unparsed,
            n_seeds: self.n_seeds,
            deterministic: false,
            method,
            p_value,
        })
    }

    /// `mean, t interval over 5 seeds, 95 %`.
    fn method(&self, what: &str, interval: &str) -> String {
        format!(
            "{what}, {interval} over {} {}, {:.0} %",
            self.n,
            self.units,
            100.0 * LEVEL
        )
    }

    /// An estimate with a t interval.
    fn with_t(
        &self,
        found: Result<TInterval, Undefined>,
        null: Option<f64>,
        method: String,
    ) -> Estimated {
        match found {
            Ok(found) => {
                let p_value = null.and_then(|null| found.p_value(null).ok());
                self.value(&found.interval, p_value, method)
            }
            Err(why) => self.undefined(why.to_string()),
        }
    }

    /// An estimate with a bootstrap interval.
    fn with_bootstrap(
        &self,
        found: Result<Bootstrap, Undefined>,
        ends: Ends,
        null: Option<f64>,
        what: &str,
    ) -> Estimated {
        let found = match found {
            Ok(found) => found,
            Err(why) => return self.undefined(format!("{what}: {why}")),
        };
        let n = found.replicates().len();
        if ends == Ends::Bca
            && let Ok(interval) = found.bca(LEVEL)
        {
            let p_value = null.and_then(|null| found.p_bca(null).ok());
            let method = self.method(what, &format!("BCa bootstrap interval ({n} resamples)"));
            return self.value(&interval, p_value, method);
        }
        match found.percentile(LEVEL) {
            Ok(interval) => {
                let p_value = null.and_then(|null| found.p_percentile(null).ok());
                let name = format!("percentile bootstrap interval ({n} resamples)");
                self.value(&interval, p_value, self.method(what, &name))
            }
            Err(why) => self.undefined(format!("{what}: {why}")),
        }
    }
}

/// One value per unit.
struct UnitList<'a> {
    selection: Selection<'a>,
    values: Vec<f64>,
    basis: Basis,
}

impl<'a> UnitList<'a> {
    fn of(recipe: &Recipe, rows: &'a [MeasuredRow]) -> Result<Self> {
        let selection = Selection::of(recipe, &recipe.metric, rows, |_| Ok(true))?;
        let values: Vec<f64> = selection.unit_means()?.into_values().collect();
        let basis = Basis::new(recipe, values.len(), &[&selection]);
        Ok(Self {
            selection,
            values,
            basis,
        })
    }

    fn extreme(&self, which: &str, choose: fn(f64, f64) -> f64) -> Estimated {
        let basis = &self.basis;
        let Some(value) = self.values.iter().copied().reduce(choose) else {
            return basis.lacks(1).unwrap_or(Estimated::NoRows);
        };
        let method = format!("{which} of {} {}", basis.n, basis.units);
        Estimated::Value(Estimate {
            n_seeds: basis.n_seeds,
            ..Estimate::deterministic(value, basis.n as u64, basis.counts, method)
        })
    }

    fn mean(&self, null: Option<f64>) -> Estimated {
        self.basis.lacks(2).unwrap_or_else(|| {
            let found = stats::mean_interval(&self.values, LEVEL);
            self.basis
                .with_t(found, null, self.basis.method("mean", "t interval"))
        })
    }

    fn median(&self, null: Option<f64>, stream: &mut ChaCha20Rng) -> Estimated {
        self.basis
            .lacks(UNITS_FOR_BOOTSTRAP_MIN)
            .unwrap_or_else(|| {
                let draws = n_resamples(self.values.len());
                let found = stats::bootstrap_units(&self.values, draws, stream, |sample| {
                    stats::median(sample).unwrap_or(f64::NAN)
                });
                self.basis
                    .with_bootstrap(found, Ends::Percentile, null, "median")
            })
    }

    fn proportion(&self, null: Option<f64>) -> Result<Estimated> {
        let is_binary = |value: f64| value == 0.0 || value == 1.0;
        if let Some(wrong) = self.selection.measured.iter().find(|m| !is_binary(m.value)) {
            return Err(bad_value(wrong, "a proportion counts zeros and ones"));
        }
        if let Some(lacking) = self.basis.lacks(1) {
            return Ok(lacking);
        }
        if !self.values.iter().all(|value| is_binary(*value)) {
            let why = "a unit has both zeros and ones, so units are no yes or no; use `mean`";
            return Ok(self.basis.undefined(why));
        }
        let successes = self.values.iter().filter(|value| **value == 1.0).count() as u64;
        let n = self.values.len() as u64;
        Ok(match stats::wilson(successes, n, LEVEL) {
            Ok(interval) => {
                let p_value = null.and_then(|null| stats::score_test(successes, n, null).ok());
                let method = self.basis.method("share of ones", "Wilson interval");
                self.basis.value(&interval, p_value, method)
            }
            Err(why) => self.basis.undefined(why.to_string()),
        })
    }
}

/// Two values per unit.
struct Pairs {
    /// Arms `(a, b)`, or metrics `(x, metric)`.
    pairs: Vec<(f64, f64)>,
    basis: Basis,
    /// What the method says of units with one value only; usually nothing.
    left_out: String,
}

impl Pairs {
    fn of_arms(recipe: &Recipe, rows: &[MeasuredRow]) -> Result<Self> {
        let key = recipe.arm.as_deref().unwrap_or_default();
        let arm = |name: &Option<String>| {
            let name = name.as_deref().unwrap_or_default();
            Selection::of(recipe, &recipe.metric, rows, |row| {
                Ok(key_of(row, key)? == name)
            })
        };
        Self::of(recipe, &arm(&recipe.a)?, &arm(&recipe.b)?, "arm")
    }

    fn of_metrics(recipe: &Recipe, rows: &[MeasuredRow]) -> Result<Self> {
        let other = recipe.x.as_deref().unwrap_or_default();
        let of_x = Selection::of(recipe, other, rows, |_| Ok(true))?;
        let of_y = Selection::of(recipe, &recipe.metric, rows, |_| Ok(true))?;
        Self::of(recipe, &of_x, &of_y, "metric")
    }

    fn of(recipe: &Recipe, first: &Selection, second: &Selection, side: &str) -> Result<Self> {
        let (of_first, of_second) = (first.unit_means()?, second.unit_means()?);
        let pairs: Vec<(f64, f64)> = of_first
            .iter()
            .filter_map(|(unit, a)| of_second.get(unit).map(|b| (*a, *b)))
            .collect();
        let left_out = match of_first.len() + of_second.len() - 2 * pairs.len() {
            0 => String::new(),
            1 => format!("; 1 unit with one {side} only left out"),
            n => format!("; {n} units with one {side} only left out"),
        };
        let basis = Basis::new(recipe, pairs.len(), &[first, second]);
        Ok(Self {
            pairs,
            basis,
            left_out,
        })
    }

    fn difference(&self, null: Option<f64>) -> Estimated {
        self.basis.lacks(2).unwrap_or_else(|| {
            let (a, b) = self.columns();
            let method = self.basis.method("mean of b − a", "paired t interval") + &self.left_out;
            self.basis
                .with_t(stats::paired_difference(&a, &b, LEVEL), null, method)
        })
    }

    fn ratio(&self, null: Option<f64>, stream: &mut ChaCha20Rng) -> Estimated {
        if let Some(lacking) = self.basis.lacks(UNITS_FOR_BOOTSTRAP_MIN) {
            return lacking;
        }
        if stats::median(&self.columns().0) == Ok(0.0) {
            return self
                .basis
                .undefined("the median of arm `a` is 0, so there is no ratio");
        }
        let draws = n_resamples(self.pairs.len());
        let found = stats::bootstrap_units(&self.pairs, draws, stream, ratio_of_medians);
        let what = "ratio of medians b / a";
        self.noted(
            self.basis
                .with_bootstrap(found, Ends::Percentile, null, what),
        )
    }

    fn pearson(&self, null: Option<f64>) -> Estimated {
        const PAIRS_FOR_FISHER_MIN: usize = 4;
        if let Some(lacking) = self.basis.lacks(PAIRS_FOR_FISHER_MIN) {
            return lacking;
        }
        let (x, y) = self.columns();
        match stats::pearson(&x, &y, LEVEL) {
            Ok(found) => {
                let p_value = null.and_then(|null| found.p_value(null).ok());
                let method = self
                    .basis
                    .method("Pearson's correlation", "Fisher interval");
                self.noted(self.basis.value(&found.interval, p_value, method))
            }
            Err(why) => self.basis.undefined(why.to_string()),
        }
    }

    fn spearman(&self, null: Option<f64>, stream: &mut ChaCha20Rng) -> Estimated {
        if let Some(lacking) = self.basis.lacks(UNITS_FOR_BOOTSTRAP_MIN) {
            return lacking;
        }
        let found = stats::spearman_bootstrap(&self.pairs, n_resamples(self.pairs.len()), stream);
        let what = "Spearman's rank correlation";
        self.noted(self.basis.with_bootstrap(found, Ends::Bca, null, what))
    }

    fn columns(&self) -> (Vec<f64>, Vec<f64>) {
        self.pairs.iter().copied().unzip()
    }

    fn noted(&self, found: Estimated) -> Estimated {
        match found {
            Estimated::Value(mut estimate) => {
                estimate.method.push_str(&self.left_out);
                Estimated::Value(estimate)
            }
            Estimated::NoRows
            | Estimated::TooFewUnits { .. }
            | Estimated::Undefined { .. }
            | Estimated::Custom => found,
        }
    }
}

fn ratio_of_medians(pairs: &[(f64, f64)]) -> f64 {
    let (a, b): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    match (stats::median(&a), stats::median(&b)) {
        (Ok(a), Ok(b)) => b / a,
        (Err(_), _) | (_, Err(_)) => f64::NAN,
    }
}

/// The points of one unit, ascending in x, values at the same x averaged.
type Curve = Vec<(f64, f64)>;

/// `growth_exponent`.
fn growth(
    recipe: &Recipe,
    null: Option<f64>,
    rows: &[MeasuredRow],
    stream: &mut ChaCha20Rng,
) -> Result<Estimated> {
    let selection = Selection::of(recipe, &recipe.metric, rows, |_| Ok(true))?;
    let curves = curves_of(recipe, &selection)?;
    let basis = Basis::new(recipe, curves.len(), &[&selection]);
    let what = "slope of ln value on ln x";
    if curves.len() < UNITS_FOR_BOOTSTRAP_MIN {
        let slopes: Option<Vec<f64>> = curves.iter().map(|curve| slope(curve).ok()).collect();
        // Where every unit has a slope of its own, few of them still have a t interval.
        let need = if slopes.is_some() {
            2
        } else {
            UNITS_FOR_BOOTSTRAP_MIN
        };
        if let Some(lacking) = basis.lacks(need) {
            return Ok(lacking);
        }
        let found = stats::mean_interval(&slopes.unwrap_or_default(), LEVEL);
        return Ok(basis.with_t(found, null, basis.method(what, "t interval of the slopes")));
    }
    let points: Curve = curves.concat();
    if let Err(why) = slope(&points) {
        return Ok(basis.undefined(format!("no slope: {why}")));
    }
    let draws = n_resamples(points.len());
    let found = stats::bootstrap_clusters(&curves, draws, stream, |p| slope(p).unwrap_or(f64::NAN));
    Ok(basis.with_bootstrap(found, Ends::Bca, null, what))
}

fn slope(points: &[(f64, f64)]) -> Result<f64, Undefined> {
    let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    Ok(stats::log_log_line(&x, &y)?.slope)
}

fn curves_of(recipe: &Recipe, selection: &Selection) -> Result<Vec<Curve>> {
    let key = recipe.x.as_deref().unwrap_or_default();
    // Positive floats sort like their bits, so the bits serve as an ordered key.
    let mut curves: BTreeMap<&Unit, BTreeMap<u64, Vec<f64>>> = BTreeMap::new();
    for measured in &selection.measured {
        let text = key_of(measured.row, key)?;
        let x = text
            .parse::<f64>()
            .ok()
            .filter(|x| x.is_finite() && *x > 0.0)
            .ok_or_else(|| {
                bad_value(
                    measured,
                    &format!("key `{key}` holds `{text}`, which is no positive number"),
                )
            })?;
        if measured.value <= 0.0 {
            return Err(bad_value(measured, "growth is measured on positive values"));
        }
        let points = curves.entry(&measured.unit).or_default();
        points.entry(x.to_bits()).or_default().push(measured.value);
    }
    let curve = |points: BTreeMap<u64, Vec<f64>>| {
        points
            .into_iter()
            .map(|(x, y)| Ok((f64::from_bits(x), average(&y)?)))
            .collect()
    };
    curves.into_values().map(curve).collect()
}

fn n_resamples(n_units: usize) -> usize {
    (DRAWS_MAX / n_units.max(1)).clamp(RESAMPLES_MIN, RESAMPLES)
}

fn bad_value(measured: &Measured, why: &str) -> Error {
    Error::usage(format!(
        "the value {} of metric `{}` in cell `{}` does not fit the recipe: {why}",
        measured.value,
        measured.row.row.metric,
        measured.row.cell.id()
    ))
    .hint("choose another recipe or metric in `paper.toml`, or emit what the recipe expects")
}
