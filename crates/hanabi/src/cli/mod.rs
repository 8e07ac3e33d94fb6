//! The commands of this paper beside those of the engine: play, judge, and ask people.

mod args;
mod files;
mod judge;
mod open;
mod play;
mod raters;
mod show;

pub use args::{Own, carry_out};
