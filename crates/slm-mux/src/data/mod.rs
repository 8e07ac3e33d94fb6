//! Readers of the data sets: from verified files to tables.

mod evalperf;
mod gsm8k;

pub use evalperf::{DATA as EVALPERF, PassRates};
pub use gsm8k::{DATA as GSM8K_DATA, Gsm8k, System, read_gsm8k};
