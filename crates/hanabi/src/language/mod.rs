//! Language models of this machine, asked by likelihood alone.

mod coordqa;
mod scorer;

pub use coordqa::{CoordQaItem, OrderOfMind, letter, read_coordqa};
pub use scorer::{Likelihoods, Scorer};
