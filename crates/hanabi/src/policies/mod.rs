//! The ladder of reference policies (§2.5): fair ones that see through [`crate::rules::View`], and
//! one that cheats to mark the ceiling.

mod blind;
mod cheat;
mod convention;
mod hat;
mod random;
mod simple;
mod table;
mod value;

pub use blind::{Blind, expected_points};
pub use cheat::Cheat;
pub use hat::Hat;
pub use random::RandomLegal;
pub(crate) use random::pick;
pub use simple::Simple;
pub use table::{Ladder, Player, Seat, play};
pub use value::Value;
