//! Manifests of data sets and weights, turned into verified local files.
//!
//! A manifest ([`manifest`]) says what a data set is, under which licence, with which bytes, and
//! where they can come from ([`source`]). [`resolve`] finds the files on this machine or brings
//! them ([`obtain`]), and hands out a path only after length and digest were checked, so the bytes
//! are the same whatever the source. Nothing is fetched without one line that says what, from
//! where, how large, and under which licence.
//!
//! The program `data` ([`cli`]) writes what it found as `eval::Inputs`, the only thing the engine
//! reads. This crate refuses to know papers, tensors, or data frames, and never runs code that it
//! downloaded.

pub mod catalog;
pub mod cli;
pub mod console;
pub mod croissant;
mod document;
mod download;
pub mod generate;
pub mod manifest;
mod name;
pub mod obtain;
mod output;
mod pip;
pub mod places;
pub mod resolve;
mod sink;
pub mod source;
mod table;

pub use catalog::Catalog;
pub use manifest::Manifest;
pub use places::{Places, Policy};
pub use resolve::{Resolved, Resolver};
