//! A finished run in the place of models: its recorded samples are read again, and nobody is asked
//! or trained.
//!
//! What a cell kept in its transcript is computed on anew. What only a model could tell (learning
//! curves, adopted hints, prompt tokens) is taken over from the rows of the recorded cell.

use eval::{Cell, Error, Result, Row, RunFolder};
use serde::de::DeserializeOwned;

use crate::paper::Config;

/// The recordings of one run.
#[derive(Clone, Debug)]
pub struct Recordings(RunFolder);

impl Recordings {
    /// The run that the knob `replay` names, if any.
    pub fn of(config: &Config) -> Option<Self> {
        let folder = &config.replay;
        (!folder.is_empty()).then(|| Self(RunFolder::new(folder)))
    }

    /// Refuses a folder that holds no run of this paper.
    ///
    /// # Errors
    /// As said.
    pub fn check(&self) -> Result<()> {
        let shown = self.0.path().display();
        let hint = "name the folder of a finished run: `--set replay=results/slm-mux/<run>`";
        let record = self.0.record().map_err(|cause| {
            Error::usage(format!("`replay` names `{shown}`, which is no run"))
                .caused_by(cause)
                .hint(hint)
        })?;
        if record.paper == "slm-mux" {
            return Ok(());
        }
        let message = format!("`replay` names `{shown}`, a run of `{}`", record.paper);
        Err(Error::usage(message).hint(hint))
    }

    /// What the cell kept in its transcript, line by line.
    ///
    /// # Errors
    /// The run did not finish such a cell, or its transcript is damaged.
    pub fn transcript<T: DeserializeOwned>(&self, cell: &Cell) -> Result<Vec<T>> {
        self.require(cell)?;
        eval::fs::read_json_lines(&self.0.cell(&cell.id()).join("transcript.jsonl"))
    }

    /// The rows of the cell with one of these metrics, in order.
    ///
    /// # Errors
    /// As [`Recordings::transcript`].
    pub fn rows(&self, cell: &Cell, metrics: &[&str]) -> Result<Vec<Row>> {
        self.require(cell)?;
        let path = self.0.cell(&cell.id()).join("rows.jsonl");
        let mut rows: Vec<Row> = eval::fs::read_json_lines(&path)?;
        rows.retain(|row| metrics.contains(&row.metric.as_str()));
        Ok(rows)
    }

    fn require(&self, cell: &Cell) -> Result<()> {
        if self.0.done(&cell.id()).is_some() {
            return Ok(());
        }
        let (shown, id) = (self.0.path().display(), cell.id());
        Err(
            Error::inputs(format!("the run `{shown}` recorded no `{id}`"))
                .hint("give the scale, seeds, and sizes with which it was recorded"),
        )
    }
}
