//! Token ids with the places in the text that they stand for.

/// The tokens of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Byte of the text after the last one that each token stands for, never falling. A token
    /// begins where the one before it ends; ids that frame a text stand for nothing.
    pub ends: Vec<usize>,
}

impl Encoding {
    /// Appends a token that stands for the text up to byte `end`.
    pub(super) fn push(&mut self, id: u32, end: usize) {
        self.ids.push(id);
        self.ends.push(end);
    }
}
