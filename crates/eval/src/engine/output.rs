//! The one place of the engine that prints: data to standard output, the rest to standard error.
//!
//! A reader that went away (a broken pipe) is success.

use std::io::{BufRead, Write};

/// Prints data: a path, a plan, JSON.
pub fn data(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints a message to a person.
pub fn message(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// What separates a progress line of a cell from anything a library might print.
const PROGRESS: &str = "cell-progress";

/// Tells the engine how far this cell is.
pub fn progress_line(done: u64, total: u64) {
    data(&format!("{PROGRESS} {done} {total}"));
}

/// Reads progress lines from a cell until it closes its end; other lines are dropped.
pub fn read_progress(cell: impl std::io::Read, mut heard: impl FnMut(u64, u64)) {
    for line in std::io::BufReader::new(cell).lines().map_while(Result::ok) {
        let mut words = line.split(' ');
        if words.next() != Some(PROGRESS) {
            continue;
        }
        let mut number = || words.next().and_then(|word| word.parse().ok());
        if let (Some(done), Some(total)) = (number(), number()) {
            heard(done, total);
        }
    }
}
