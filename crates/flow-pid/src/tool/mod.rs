//! Decomposition of a user's own data: `flow-pid estimate`, and the same as a library call.
//!
//! [`Table`] reads Parquet, CSV, and NumPy files; [`estimate`] takes three tables and [`Options`]
//! and returns a [`Report`], which [`render`] turns into text, JSON, and a picture. Everything that
//! could be decided silently is an option with a stated value: missing values, how a label is
//! coded, which method, and why.
//!
//! This room reads the files that it is given and writes the picture that it is asked for; only
//! [`cli`] prints.

pub mod cli;
mod csv_file;
mod discrete;
mod estimate;
mod methods;
mod npy_file;
mod options;
mod parquet_file;
mod picture;
pub mod render;
mod report;
mod table;
mod variables;

pub use estimate::estimate;
pub use options::{LabelCoding, Method, Missing, Options, TargetKind};
pub use report::{AtomReport, Diagnostics, Report, TargetReport};
pub use table::{Column, Table, Values};
