//! The stock recipes: from the rows of a claim to its estimate.
//!
//! [`check`] says whether a recipe makes sense, before anything is measured; `estimate`, which
//! needs the feature `engine`, computes it. A recipe never judges: it hands on a value, an
//! interval, and the counts needed to doubt them, or the reason why there is none.

mod check;
#[cfg(feature = "engine")]
mod compute;
#[cfg(feature = "engine")]
mod outcome;
#[cfg(feature = "engine")]
mod select;

pub use check::check;
#[cfg(feature = "engine")]
pub use compute::{LEVEL, UNITS_FOR_BOOTSTRAP_MIN, estimate};
#[cfg(feature = "engine")]
pub use outcome::Estimated;
