//! Algorithm 1 on integer counts, with every open point of it as a named option; votes over pooled
//! answers; and a selector calibrated on validation data.

mod adaptive;
mod calibrated;
mod forest;
mod policy;
mod select;

pub use adaptive::{Adaptive, adaptive};
pub use calibrated::Calibration;
pub use forest::{ForestTie, agent_forest};
pub use policy::{BetweenTie, Denominator, FailedParse, Policy, Ranking};
pub use select::{Choice, mux, mux_of_tallies};
