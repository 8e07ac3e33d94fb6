//! Part B: two real small language models on few-shot word tasks.
//!
//! - [`TASKS`], [`split`]: the questions, dealt into examples, validation, and test by a seed;
//! - [`Layout`], [`FewShot`]: prompts;
//! - [`Speaker`]: a model of this machine that completes plain text;
//! - [`Recorder`]: k samples per question that share the computation of their prompt.
//!
//! Scaled down from the paper: models of 135 and 270 million parameters instead of 7 to 72 billion,
//! word tasks with exact answers instead of MATH, GPQA, and GSM8K, at which both models are at the
//! floor. A pool of more than two is made of layouts and numbers of examples.

mod layout;
mod recording;
mod speaker;
mod tasks;

pub use layout::{FewShot, Layout, N_TOKENS_MAX, normalised, shots_of};
pub use recording::{Drawing, Recorder, Sharing};
pub use speaker::{LikelihoodVerifier, PlainText, Speaker};
pub use tasks::{Item, N_SHOTS_MAX, Sizes, TASKS, Task, read_items, split};
