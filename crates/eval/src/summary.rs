//! `summary.json`: what a run found, claim by claim. Written last; derived files come from it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::scale::{Scale, Tier};
use crate::verdict::Verdict;

/// The format version of `summary.json` and `baseline.json`.
pub const FORMAT: u32 = 1;

/// What a run found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Format version.
    pub format: u32,
    /// The paper's id.
    pub paper: String,
    /// The run's folder name.
    pub run: String,
    /// How much work was done.
    pub scale: Scale,
    /// Digest over the code that measured: the paper's crate, the shared crates it uses, the
    /// lock file.
    pub source: String,
    /// Digest over all rows in plan order; equal for equal inputs and seeds.
    pub rows: String,
    /// One entry per selected claim, in the order of `paper.toml`.
    pub claims: Vec<ClaimSummary>,
}

/// One line of the result table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClaimSummary {
    /// The claim's id.
    pub id: String,
    /// The claim's sentence.
    pub says: String,
    /// Its place in the paper.
    #[serde(rename = "where")]
    pub place: String,
    /// The kind of evidence.
    pub tier: Tier,
    /// The published number.
    pub published: Option<f64>,
    /// The test in words: `at most 1e-8, margin 9e-8`.
    pub test: String,
    /// The unit of both numbers.
    pub unit: String,
    /// What was measured, in words.
    pub measures: String,
    /// What was measured, in numbers.
    pub estimate: Option<Estimate>,
    /// The p-value after Holm's correction over the run's claims, where the test has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_holm: Option<f64>,
    /// The control's sentence, estimate, and whether it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlSummary>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why this verdict, in one sentence.
    pub reason: String,
    /// Whether `--gate` watches the claim.
    pub gate: bool,
}

/// How a positive control came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ControlSummary {
    /// What must come out.
    pub says: String,
    /// What came out.
    pub estimate: Option<Estimate>,
    /// Whether it is as known.
    pub passed: bool,
}

impl Summary {
    /// Reads `summary.json` or `baseline.json`.
    ///
    /// # Errors
    /// The file cannot be read, or is not in this format.
    pub fn read(path: &Path) -> Result<Self> {
        let summary: Self = crate::fs::read_json(path)?;
        if summary.format == FORMAT {
            return Ok(summary);
        }
        Err(Error::internal(format!(
            "`{}` has format {}, this program reads format {FORMAT}",
            path.display(),
            summary.format
        )))
    }
}
