//! The commands of this paper beside those of the engine.

mod args;

pub use args::{Own, carry_out};
