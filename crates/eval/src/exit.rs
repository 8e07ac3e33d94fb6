//! The exit codes of every program of the workspace.

/// Everything asked for was done; every selected claim has a verdict.
pub const COMPLETE: u8 = 0;
/// The command line or a hand-written file (`paper.toml`, `dataset.toml`) is not understood.
pub const USAGE: u8 = 2;
/// With `--gate`: a gated claim fell below its committed baseline.
pub const GATE: u8 = 3;
/// Cells are missing or failed; the same command again goes on where it stopped.
pub const INCOMPLETE: u8 = 5;
/// A data set or weight file is missing, or its bytes are not the pinned ones.
pub const INPUTS: u8 = 6;
/// A positive control did not come out as known: the run means nothing.
pub const CONTROL: u8 = 7;
/// A file could not be read or written, or a helper program failed.
pub const INTERNAL: u8 = 70;
/// The build failed.
pub const BUILD: u8 = 101;
/// Interrupted; the same command again goes on where it stopped.
pub const INTERRUPTED: u8 = 130;

/// The exit codes with one sentence each, for `--help`.
pub const HELP: &str = "Exit codes: 0 complete · 2 usage · 3 a gated claim fell below its baseline \
(--gate) · 5 incomplete, resumable · 6 inputs missing or digest mismatch · 7 control failed · \
70 internal · 101 build failed · 130 interrupted";
