//! The claim: one falsifiable sentence and how it is tested.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::scale::Tier;

/// One falsifiable sentence of a paper, in our words, with its place, its number, and its test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Short name, unique in the paper: `C4`.
    pub id: String,
    /// The sentence.
    pub says: String,
    /// Table, figure, section, or theorem.
    #[serde(rename = "where")]
    pub place: String,
    /// What kind of evidence our measurement is.
    pub tier: Tier,
    /// The published number, where there is one.
    #[serde(default)]
    pub published: Option<f64>,
    /// One unit of the last printed digit; a published 0.79 with resolution 0.01 means any value
    /// that prints as 0.79. Absent: the number is taken as exact.
    #[serde(default)]
    pub resolution: Option<f64>,
    /// The unit of the published and of the measured number.
    pub unit: String,
    /// What we measure, in words.
    pub measures: String,
    /// The experiments (of [`crate::Cell::experiment`]) whose cells the claim rests on.
    pub experiments: Vec<String>,
    /// Smallest share of attempted measurements that must give a number; 1 unless said.
    #[serde(default = "one")]
    pub coverage: f64,
    /// Whether `--gate` watches this claim against the committed baseline.
    #[serde(default = "yes")]
    pub gate: bool,
    /// Why the claim cannot be attempted at a scale below [`Claim::scale_min`], and the command
    /// that would do it.
    #[serde(default)]
    pub beyond: Option<String>,
    /// The smallest scale at which the claim is attempted; smoke unless said.
    #[serde(default)]
    pub scale_min: Option<crate::scale::Scale>,
    /// How rows become the estimate.
    pub estimate: Recipe,
    /// What the estimate is tested against.
    pub test: Test,
    /// The positive control: a measurement that must come out as known, so that a null result
    /// means something.
    #[serde(default)]
    pub control: Option<Control>,
}

fn one() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}

/// Where a recipe's rows come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowSource {
    /// `rows.jsonl`: deterministic measurements.
    #[default]
    Rows,
    /// `timing.jsonl`: durations, which differ from run to run.
    Timing,
}

/// The stock ways from rows to an estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecipeKind {
    /// The largest value; a deterministic worst case.
    Max,
    /// The smallest value; a deterministic worst case.
    Min,
    /// The mean over units, with a t interval.
    Mean,
    /// The median over units, with a bootstrap interval; at least 6 units.
    Median,
    /// The share of ones among zeros and ones, with Wilson's interval.
    Proportion,
    /// The mean of `b − a` over units present in both arms, with a t interval.
    PairedDifference,
    /// The ratio of medians `b / a` over units present in both arms, with a bootstrap interval; at
    /// least 6 units.
    Ratio,
    /// The slope of log value on log `x`, with a bootstrap interval over units; below 6 units a t
    /// interval over the slopes of the units.
    GrowthExponent,
    /// Pearson's correlation of two metrics over units, with Fisher's interval.
    Pearson,
    /// Spearman's rank correlation of two metrics over units, with a bootstrap interval; at least 6
    /// units.
    Spearman,
    /// The paper's own [`crate::Paper::estimate`].
    Custom,
}

/// A named way from rows to an estimate, with its selectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Which.
    pub recipe: RecipeKind,
    /// The metric of the rows that count.
    pub metric: String,
    /// Where the rows come from.
    #[serde(default)]
    pub source: RowSource,
    /// Only rows whose tags or condition have all these values.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The keys that make up one independent unit: `seed`, `item`, `experiment`, a tag, or a key
    /// of the condition. Values of one unit are averaged first. Empty: every row is a unit.
    #[serde(default)]
    pub unit_by: Vec<String>,
    /// `paired_difference`, `ratio`: the key whose value tells the two arms apart.
    #[serde(default)]
    pub arm: Option<String>,
    /// The arm that is subtracted, or divided by.
    #[serde(default)]
    pub a: Option<String>,
    /// The other arm.
    #[serde(default)]
    pub b: Option<String>,
    /// `growth_exponent`: the key that holds the size. `pearson`, `spearman`: the other metric.
    #[serde(default)]
    pub x: Option<String>,
}

/// What an estimate is tested against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestKind {
    /// The estimate agrees with the bound (the published value unless said): the interval contains
    /// it and nothing beyond the margin.
    Matches,
    /// The estimate is at most the bound.
    AtMost,
    /// The estimate is at least the bound.
    AtLeast,
}

/// The test of a claim or of a control.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// Which.
    pub kind: TestKind,
    /// The bound; for a claim the published number unless said.
    #[serde(default)]
    pub bound: Option<f64>,
    /// How far beyond the bound still counts as approximate, in the claim's unit.
    #[serde(default)]
    pub margin: f64,
    /// `matches`: the value of "no effect". An interval that holds both it and the bound decides
    /// nothing.
    #[serde(default)]
    pub null: Option<f64>,
}

/// A positive control.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// What must come out, in words.
    pub says: String,
    /// How rows become the control's estimate.
    pub estimate: Recipe,
    /// What it is tested against; its bound must be given.
    pub test: Test,
}
