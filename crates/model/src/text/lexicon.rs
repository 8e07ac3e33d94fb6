//! Texts by number and numbers by text: the table under every vocabulary here.
//!
//! Two flat arrays instead of one allocation per token: a vocabulary of 262,144 tokens loads in
//! hundredths of a second. The hash is fixed, so nothing depends on the process.

/// Marks an empty slot, and "no such token" wherever ids are stored.
pub(super) const NONE: u32 = u32::MAX;

/// Byte strings numbered from 0.
#[derive(Debug, Default)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    /// Adds a text under the next number.
    pub(super) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text with this number.
    pub(super) fn get(&self, number: u32) -> Option<&[u8]> {
        let number = usize::try_from(number).ok()?;
        let end = *self.ends.get(number)?;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.bytes.get(start..end)
    }
}

/// Finds the number of a text among some of [`Texts`].
#[derive(Debug)]
pub(super) struct Index {
    slots: Vec<u32>,
}

impl Index {
    /// Indexes the numbers in `wanted`; of equal texts the later number is found.
    pub(super) fn new(texts: &Texts, wanted: impl Iterator<Item = u32>) -> Self {
        let n_slots = (texts.len() * 2).next_power_of_two().max(2);
        let mut index = Self {
            slots: vec![NONE; n_slots],
        };
        for number in wanted {
            if let Some(text) = texts.get(number) {
                let slot = index.slot_of(texts, text);
                index.slots[slot] = number;
            }
        }
        index
    }

    /// The number of `text`.
    pub(super) fn find(&self, texts: &Texts, text: &[u8]) -> Option<u32> {
        let number = self.slots[self.slot_of(texts, text)];
        (number != NONE).then_some(number)
    }

    /// The slot that holds `text`, or the empty one where it would go. At most half of the slots
    /// are taken, so there is always an empty one.
    fn slot_of(&self, texts: &Texts, text: &[u8]) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = fold(text) & mask;
        loop {
            let number = self.slots[slot];
            if number == NONE || texts.get(number) == Some(text) {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }
}

/// What two neighbours join to, by their ids.
#[derive(Debug)]
pub(super) struct Pairs {
    keys: Vec<u64>,
    values: Vec<(u32, u32)>,
}

impl Pairs {
    /// A table for `n_pairs` entries.
    pub(super) fn new(n_pairs: usize) -> Self {
        let n_slots = (n_pairs * 2).next_power_of_two().max(2);
        Self {
            keys: vec![u64::MAX; n_slots],
            values: vec![(NONE, NONE); n_slots],
        }
    }

    /// Enters a pair unless it is there already: the first rank counts.
    pub(super) fn insert(&mut self, left: u32, right: u32, rank: u32, joined: u32) {
        let slot = self.slot_of(left, right);
        if self.keys[slot] == u64::MAX {
            self.keys[slot] = key(left, right);
            self.values[slot] = (rank, joined);
        }
    }

    /// Rank and id of what the two join to.
    pub(super) fn find(&self, left: u32, right: u32) -> Option<(u32, u32)> {
        let slot = self.slot_of(left, right);
        (self.keys[slot] != u64::MAX).then(|| self.values[slot])
    }

    fn slot_of(&self, left: u32, right: u32) -> usize {
        let mask = self.keys.len() - 1;
        let wanted = key(left, right);
        let mut slot = spread(wanted) & mask;
        while self.keys[slot] != u64::MAX && self.keys[slot] != wanted {
            slot = (slot + 1) & mask;
        }
        slot
    }
}

fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

/// Multiply and fold (the constant is 2⁶⁴ divided by the golden ratio, Knuth 6.4).
fn spread(value: u64) -> usize {
    let product = value.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (product ^ (product >> 32)) as usize
}

fn fold(text: &[u8]) -> usize {
    let mut state = text.len() as u64;
    for chunk in text.chunks(8) {
        let mut word = [0_u8; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state =
            (state.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        state ^= state >> 29;
    }
    spread(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_found_under_its_number_and_no_other_is() {
        let mut texts = Texts::default();
        let words: Vec<String> = (0..5000).map(|number| format!("w{number}")).collect();
        for word in &words {
            texts.push(word.as_bytes());
        }
        let even = (0..5000).filter(|number| number % 2 == 0);
        let index = Index::new(&texts, even);
        for (number, word) in (0_u32..).zip(&words) {
            let expected = number.is_multiple_of(2).then_some(number);
            assert_eq!(index.find(&texts, word.as_bytes()), expected, "{word}");
            assert_eq!(texts.get(number), Some(word.as_bytes()));
        }
        assert_eq!(index.find(&texts, b""), None);
        assert_eq!(texts.get(5000), None);
    }

    #[test]
    fn a_pair_keeps_its_first_rank() {
        let mut pairs = Pairs::new(3);
        pairs.insert(1, 2, 0, 7);
        pairs.insert(2, 1, 1, 8);
        pairs.insert(1, 2, 2, 9);
        assert_eq!(pairs.find(1, 2), Some((0, 7)));
        assert_eq!(pairs.find(2, 1), Some((1, 8)));
        assert_eq!(pairs.find(2, 2), None);
    }
}
