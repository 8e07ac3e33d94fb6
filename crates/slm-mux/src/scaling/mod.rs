//! What fewer samples would have given: sub-sampling recorded outputs without replacement.

mod simulator;

pub use simulator::Simulator;
