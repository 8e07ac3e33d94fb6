//! Named random streams: a new draw in one place never moves another.

use rand::SeedableRng;

use crate::cell::Cell;
use crate::digest::Hasher;

/// A random stream: ChaCha with 20 rounds, whose output is the same on every machine.
pub type Stream = rand_chacha::ChaCha20Rng;

/// What names a stream.
#[derive(Clone, Copy, Debug)]
pub struct StreamKey<'a> {
    /// The paper's id.
    pub paper: &'a str,
    /// The cell, of which experiment, condition, and seed count.
    pub cell: &'a Cell,
    /// What the numbers are for: `"init"`, `"bootstrap"`.
    pub purpose: &'a str,
}

impl StreamKey<'_> {
    /// The stream: keyed by the SHA-256 digest of every part, each preceded by its length, so that
    /// no two names run together.
    #[must_use]
    pub fn stream(&self) -> Stream {
        let mut hasher = Hasher::new();
        let mut add = |part: &str| {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        };
        add(self.paper);
        add(&self.cell.experiment);
        for (key, value) in &self.cell.condition {
            add(key);
            add(value);
        }
        add(&format!("seed {}", self.cell.seed));
        add(self.purpose);
        Stream::from_seed(hasher.finish().to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    fn first(paper: &str, cell: &Cell, purpose: &str) -> u64 {
        StreamKey {
            paper,
            cell,
            purpose,
        }
        .stream()
        .next_u64()
    }

    #[test]
    fn every_part_of_the_name_counts() {
        let cell = Cell::new("e", 0).with("k", "v");
        let base = first("p", &cell, "x");
        assert_eq!(base, first("p", &cell.clone().needs("d"), "x"));
        let others = [
            first("q", &cell, "x"),
            first("p", &Cell::new("f", 0).with("k", "v"), "x"),
            first("p", &Cell::new("e", 1).with("k", "v"), "x"),
            first("p", &Cell::new("e", 0).with("k", "w"), "x"),
            first("p", &Cell::new("e", 0).with("kv", ""), "x"),
            first("p", &cell, "y"),
        ];
        assert!(others.iter().all(|other| *other != base));
    }

    /// Computed once with Python 3.11: SHA-256 of the length-prefixed parts by `hashlib`, then the
    /// first eight bytes of the block function of RFC 8439, section 2.3, written out (key = digest,
    /// nonce 0, counter 0).
    #[test]
    fn a_stream_is_the_chacha20_keystream_of_its_digest() {
        let cell = Cell::new("e", 7).with("k", "v");
        assert_eq!(first("p", &cell, "x"), FIRST_OF_STREAM);
    }

    const FIRST_OF_STREAM: u64 = 12_969_201_571_484_535_105;
}
