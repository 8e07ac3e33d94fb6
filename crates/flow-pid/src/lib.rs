//! Gaussian partial information decomposition by Thin-PID (arXiv 2510.04417, first half).
//!
//! Two sources X1 and X2 tell something about a target Y. The decomposition splits
//! `I(X1,X2;Y)` into redundancy R, unique parts U1 and U2, and synergy S, by minimising the joint
//! information over all distributions with the same pairs (X1,Y) and (X2,Y). For Gaussian pairs
//! the minimum is attained by a joint Gaussian, so that one matrix, the coupling of the sources'
//! noises, is the only unknown; Thin-PID finds it by projected sign-gradient descent.
//! The closed form in [`closed_form`] (ours, not the paper's) certifies what it finds.
//!
//! | paper | here | unit |
//! |---|---|---|
//! | H1, H2 (whitened channels, section 3.2) | [`Channel::h1`], [`Channel::h2`] | 1 |
//! | Σ^off (coupling of the noises) | `coupling` | 1 |
//! | L, objective of Theorem 3.3 | [`objective::objective_bits`] | bits |
//! | ∇L, Proposition 3.4 | [`objective::gradient_nats`] | nats |
//! | Algorithm 1 | [`ThinPid::run`] with [`ThinPidConfig`] | |
//! | R, U1, U2, S; I1, I2, I12; J | [`Atoms`] | bits |
//!
//! | Tilde-PID, MMI, and all solvers behind one interface | [`Solver`] | |
//! | exact discrete decomposition (Definition A.1) | [`discrete::Broja`] | bits |
//!
//! Order of blocks everywhere: target Y, source X1, source X2 (the official code calls them M, X,
//! Y).
//! Flow-PID ([`flow`]) makes pairs Gaussian first; [`tool`] is `flow-pid estimate`, for one's own
//! data.
//! Nothing here reads a clock, the network, or files, except [`data`], which reads one Parquet
//! file, and [`tool`], which reads and writes what its user names.

pub mod atoms;
pub mod channel;
pub mod data;
pub mod discrete;
pub mod discriminant;
pub mod error;
pub mod estimate;
pub mod experiments;
mod figures;
pub mod flow;
pub mod fusion;
pub mod gpid;
pub mod legacy_gaussian;
pub mod linalg;
pub mod paper;
mod published;
pub mod real;
mod resampling;
mod selection;
pub mod tool;
mod upper_halves;

pub use atoms::{ATOM_NAMES, Atoms};
pub use channel::{Channel, Dims};
pub use error::PidError;
pub use gpid::closed_form::{Certificate, Optimum};
pub use gpid::descent::{Descent, Stop};
pub use gpid::solver::{Answer, Solution, Solver};
pub use gpid::thin_pid::{ThinPid, ThinPidConfig};
pub use gpid::tilde_pid::{TildePid, TildePidConfig};
pub use gpid::{closed_form, mmi, objective, thin_pid};
pub use paper::{Config, FlowPid};
