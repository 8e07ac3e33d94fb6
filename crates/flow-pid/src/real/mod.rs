//! Real data: what the experiments need between a table and an estimate, beside [`crate::data`].

mod clusters;
mod neighbours;

pub use clusters::clusters;
pub use neighbours::out_of_fold_votes;
