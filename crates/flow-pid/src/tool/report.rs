//! What an estimate found, ready to be written down.

use serde::Serialize;

/// The whole result; all amounts are bits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Version of this document's shape.
    pub format: u32,
    /// The method used; never `auto`.
    pub method: &'static str,
    /// What the method does, and why it was chosen where that was left open.
    pub method_note: String,
    /// Items that entered.
    pub n_items: usize,
    /// Items left out for missing values.
    pub n_items_dropped: usize,
    /// Missing values replaced by means.
    pub n_values_imputed: usize,
    /// Columns of source 1 and source 2 that entered, after any reduction.
    pub n_columns: [usize; 2],
    /// The target.
    pub target: TargetReport,
    /// Level of intervals and null bounds.
    pub level: f64,
    /// R, U1, U2, S, then I1, I2, I12.
    pub atoms: Vec<AtomReport>,
    /// R, U1, U2, S after subtracting the expected excess of finite samples, where the method has
    /// such a correction.
    pub debiased_bits: Option<[f64; 4]>,
    /// How far the method's assumption is from the data.
    pub diagnostics: Diagnostics,
    /// What a reader should know before believing the numbers.
    pub warnings: Vec<String>,
}

/// The target as it was understood.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetReport {
    /// `label` or `number`.
    pub kind: &'static str,
    /// `one-hot` or `scalar` for a label.
    pub coding: Option<&'static str>,
    /// Number of classes of a label.
    pub n_classes: Option<usize>,
    /// Entropy of a label: nothing can tell more about it.
    pub entropy_bits: Option<f64>,
    /// Columns that entered.
    pub n_columns: usize,
}

/// One amount of information.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AtomReport {
    /// `R`, `U1`, `U2`, `S`, `I1`, `I2`, or `I12`.
    pub name: &'static str,
    /// The plug-in estimate.
    pub bits: f64,
    /// Bootstrap interval over items.
    pub interval: Option<[f64; 2]>,
    /// Upper bound, at the level, of what shuffled targets give.
    pub null_bound: Option<f64>,
    /// Share of shuffles that give at least as much, this one counted in.
    pub null_p: Option<f64>,
}

/// How far the method's assumption is from the data.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Diagnostics {
    /// Largest distance of a column's distribution from a normal one with its mean and variance.
    pub marginal_distance: Option<f64>,
    /// Mardia's kurtosis over a Gaussian's, minus 1, of what the closed form saw.
    pub kurtosis_excess: Option<f64>,
    /// Negative log-likelihood of held-out items under the flows, nats.
    pub held_out_nats: Option<f64>,
    /// Training steps.
    pub steps: Option<u64>,
    /// Certified gap of a discrete optimum.
    pub gap_bits: Option<f64>,
}
