//! `metrics.jsonl`: one line per step, free of clocks, so that a continued run has the same bytes.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use eval::{Error, Result};
use serde::{Deserialize, Serialize};

use super::objective::{Diagnostics, Moving};

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepMetrics {
    /// Number of the step, from 1.
    pub step: u64,
    /// The learning rate.
    pub rate: f64,
    /// The loss descended on: `α J_t + (1 − α) J_e`.
    pub loss: f64,
    /// Mean loss of pairs with traces.
    pub loss_trace: Option<f64>,
    /// Mean loss of pairs without.
    pub loss_empty: Option<f64>,
    /// Mean difference of implicit rewards, pairs with traces.
    pub margin_trace: Option<f64>,
    /// The same, pairs without.
    pub margin_empty: Option<f64>,
    /// Share of pairs with traces whose chosen response has the higher implicit reward.
    pub accuracy_trace: Option<f64>,
    /// The same, pairs without.
    pub accuracy_empty: Option<f64>,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Weight of the trace gradient, where two kinds are mixed.
    pub alpha: Option<f64>,
    /// F8 at this step.
    pub diagnostics: Option<Diagnostics>,
    /// Moving averages of F8 after this step.
    pub moving: Moving,
}

/// The file, appended to.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    file: File,
}

impl MetricsLog {
    /// Opens the file with its first `n_steps` lines, dropping what a killed run wrote after its
    /// last save; the last line kept is the second part.
    ///
    /// # Errors
    /// The file cannot be read or written, or has fewer lines.
    pub fn open(path: &Path, n_steps: u64) -> Result<(Self, Option<StepMetrics>)> {
        let mut known: Vec<StepMetrics> = eval::fs::read_json_lines(path)?;
        if (known.len() as u64) < n_steps {
            return Err(Error::incomplete(format!(
                "`{}` has {} lines, the newest save was made after step {n_steps}",
                path.display(),
                known.len()
            ))
            .hint("remove the output folder to train from the start"));
        }
        known.truncate(n_steps as usize);
        super::rows::write_lines(path, &known)?;
        let file = OpenOptions::new().append(true).open(path);
        let file = file.map_err(|e| Error::io("open", path, e))?;
        let path = path.to_owned();
        Ok((Self { path, file }, known.pop()))
    }

    /// Appends a line.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn push(&mut self, metrics: &StepMetrics) -> Result<()> {
        let mut line = serde_json::to_vec(metrics)
            .map_err(|e| Error::internal("metrics cannot be encoded").caused_by(e))?;
        line.push(b'\n');
        let written = self.file.write_all(&line);
        written.map_err(|e| Error::io("append to", &self.path, e))
    }

    /// Makes every line durable.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn sync(&mut self) -> Result<()> {
        self.file
            .sync_all()
            .map_err(|e| Error::io("sync", &self.path, e))
    }
}
