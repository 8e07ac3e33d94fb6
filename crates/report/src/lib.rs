//! Result tables, comparisons, figures, and pages over stored rows.
//!
//! Everything here is derived: it reads run folders, baselines, and published numbers, and writes
//! files that can be deleted and rebuilt. It measures nothing and decides no verdict; it only marks
//! verdicts as stale when the code has changed since.
//!
//! ```text
//! run folder ─► store ─► results ─► sheet ─► terminal, Markdown, CSV, LaTeX
//!                 │        compare ─┘
//!                 ├─► frame ─► tables ─► tables/*, rows.parquet
//!                 └─► figure ─► page ─► report.html
//! ```
//!
//! Text that comes from models, tags, or programs passes [`text`] on its way to every sink.

pub mod baseline;
pub mod cli;
pub mod compare;
pub mod figure;
pub mod frame;
pub mod markdown;
pub mod number;
mod output;
pub mod page;
pub mod published;
pub mod render;
pub mod results;
pub mod sheet;
pub mod store;
pub mod tables;
pub mod text;
