//! PID of discrete variables: the exact decomposition of Bertschinger et al. (2014, "BROJA") with a
//! certificate, classic gates with known answers, and estimates from samples.
//!
//! | module | holds |
//! |---|---|
//! | [`joint`] | a joint distribution of (X1, X2, Y) and its informations |
//! | [`broja`] | the convex programme behind the atoms, solved to a certified gap |
//! | [`gates`] | truth tables whose atoms are known |
//! | [`information`] | plug-in and bias-corrected information from counts |
//! | [`labels`] | atoms from samples, with bootstrap and permutation null |

pub mod broja;
pub mod gates;
pub mod information;
pub mod joint;
pub mod labels;

pub use broja::{Broja, BrojaConfig};
pub use gates::Gate;
pub use joint::Joint;
pub use labels::Labels;
