//! A page in which a person steps through games: one file, no network, every seat's view.
//!
//! The rules engine computes every state here; the page only shows them. Whatever players, judges,
//! or files say reaches the page as data and is shown as text, never as markup.

mod page;
mod read;
mod replay;

pub use page::page;
pub use read::{FILE_BYTES_MAX, Format, Recorded, read};
pub use replay::{Replay, Said, Shown, Spoken, Step};
