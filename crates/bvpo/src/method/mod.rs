//! The method: preference losses, gradient estimators, and their theory, in plain double precision.

pub mod estimator;
pub mod exact;
pub mod loss;
pub mod theory;
pub mod vector;
