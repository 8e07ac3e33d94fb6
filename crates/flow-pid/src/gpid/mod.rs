//! Gaussian PID: the solvers, one interface for all of them, and what certifies them.

mod ball;
pub mod closed_form;
pub mod covariance;
pub mod descent;
pub mod mmi;
pub mod objective;
pub mod solver;
mod thin_config;
pub mod thin_pid;
pub mod tilde_pid;
