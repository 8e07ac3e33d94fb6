//! How a cell tells the engine how far it is: lines on its standard output.

use std::io::BufRead;

/// What separates a progress line of a cell from anything a library might print.
const PROGRESS: &str = "cell-progress";

/// Tells the engine how far this cell is.
pub fn progress_line(done: u64, total: u64) {
    // An engine that went away reads the rows when it comes back; progress is lost, nothing else.
    let _ = crate::output::data(&format!("{PROGRESS} {done} {total}\n"));
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
