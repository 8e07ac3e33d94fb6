//! Hub folders: `config.json`, safetensors files, and the index of a sharded model.
//!
//! The header reader is our own. The `safetensors` crate (0.8) reads headers of up to 100 MB into
//! maps (several times that on the heap), lets the last of two equal names win, and its errors
//! name neither file nor offset. It writes our files, and tests read them back with it.

mod capped;
mod config;
mod header;
mod index;

pub(super) use config::{Norms, config};
pub(super) use header::read;
pub(super) use index::shards;
