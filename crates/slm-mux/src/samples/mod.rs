//! Recorded samples and the table that everything offline reads.
//!
//! A [`RecordedSample`] is one line of a recording (JSON lines): who was asked what, the raw text,
//! the parsed answer, what it cost. A [`SampleTable`] is the same with answers as small numbers:
//! question × model → k codes. Code 0 is the reference answer of the question, codes from 1 are
//! wrong answers in the order of their first appearance, [`NO_ANSWER`] is a text from which no
//! answer could be read.

mod record;
mod table;
mod tally;

pub use record::{RecordedSample, read_records, write_records};
pub use table::{Code, NO_ANSWER, REFERENCE, SampleTable, TokenCounts};
pub use tally::{Tally, WithinTie};
