//! Intent world (§2.6): graded players whose intents are known, so that theory of mind is measured
//! against a truth instead of a judge.
//!
//! Nothing links the abilities to the score except the game itself.

mod consequence;
mod counts;
mod intent;
mod play;
mod team;

pub use consequence::Consequence;
pub use counts::Counts;
pub use intent::{HintRecord, Intent, Kind, agree};
pub use play::{Regime, World, WorldGame};
pub use team::{Ability, population};
