//! The vocabulary, the statistics, the verdicts, and the engine of the workspace.
//!
//! A *paper* makes *claims*; a claim is tested by *cells*; a cell emits *rows*; rows become an
//! *estimate* per claim; one pure function turns claim and estimate into a *verdict*. Data flows
//! one way: a paper measures, it never judges itself and never formats its own result.
//!
//! Without the feature `engine` the crate is vocabulary only, which is what the light runner and
//! the readers of stored runs need. With it come the statistics, the named random streams, and
//! [`main`], the whole command line of a paper.
//!
//! This crate refuses to touch the network, a tensor library, or a data-frame library.

pub mod cell;
pub mod claim;
pub mod digest;
pub mod env;
pub mod error;
pub mod estimate;
pub mod exit;
pub mod figure;
pub mod fs;
pub mod inputs;
pub mod manifest;
pub mod output;
pub mod recipe;
pub mod row;
pub mod run;
pub mod scale;
pub mod source;
pub mod suggest;
pub mod summary;
pub mod verdict;

#[cfg(feature = "engine")]
pub mod engine;
#[cfg(feature = "engine")]
pub mod stats;

pub use cell::{Cell, CellId};
pub use claim::{Claim, Control, Recipe, RecipeKind, RowSource, Test, TestKind};
pub use error::{Error, Result};
pub use estimate::{Counts, Estimate};
pub use figure::{Figure, Mark, Panel, Scaling, Series};
pub use inputs::{Input, InputFile, InputState, Inputs};
pub use manifest::PaperManifest;
pub use row::{MeasuredRow, Outcome, Row};
pub use run::RunFolder;
pub use scale::{Effort, Scale, Tier};
pub use summary::{ClaimSummary, Summary};
pub use verdict::Verdict;

#[cfg(feature = "engine")]
pub use engine::{Cx, Paper, main};
