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

/// The codes from the one to mend first to the one that needs no mending.
pub const SEVERITY: [u8; 9] = [
    INTERRUPTED,
    INTERNAL,
    BUILD,
    USAGE,
    CONTROL,
    INPUTS,
    INCOMPLETE,
    GATE,
    COMPLETE,
];

/// Of several codes the one to mend first: a run whose control failed means nothing, however
/// complete it is. A code outside [`SEVERITY`] means that a program broke its promise.
#[must_use]
pub fn most_severe(codes: &[u8]) -> u8 {
    if codes.iter().any(|code| !SEVERITY.contains(code)) && !codes.contains(&INTERRUPTED) {
        return INTERNAL;
    }
    SEVERITY
        .into_iter()
        .find(|code| codes.contains(code))
        .unwrap_or(COMPLETE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_to_mend_first_wins() {
        assert_eq!(most_severe(&[]), 0);
        assert_eq!(most_severe(&[0, 3, 0]), 3);
        assert_eq!(most_severe(&[3, 5]), 5);
        assert_eq!(most_severe(&[5, 6, 7]), 7);
        assert_eq!(most_severe(&[7, 2, 101]), 101);
        assert_eq!(most_severe(&[101, 70]), 70);
        assert_eq!(most_severe(&[70, 130]), 130);
        let broken = most_severe(&[0, 134]);
        assert_eq!(broken, 70, "an unknown code is a broken promise");
    }
}
