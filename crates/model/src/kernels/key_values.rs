//! Cached keys and values, laid out for [`super::attention`].

use half::f16;

use super::lanes::LANES;
use super::lines::Lines;

/// How cached keys and values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CachePrecision {
    /// `f32`, as computed: for exact scoring.
    Single,
    /// Rounded to half precision, as llama.cpp does: half the memory and traffic. Values beyond
    /// ±65504 become infinite.
    Half,
}

impl CachePrecision {
    fn n_bytes(self) -> usize {
        match self {
            Self::Single => 4,
            Self::Half => 2,
        }
    }
}

/// Keys and values of consecutive tokens in one layer, grown by appending.
///
/// Keys lie in tiles of 16 positions, dimension by dimension, so that a lane owns a position;
/// values lie position by position, so that a lane owns a dimension.
#[derive(Clone, Debug)]
pub struct KeyValues {
    n_kv_heads: usize,
    n_head: usize,
    n_tokens: usize,
    precision: CachePrecision,
    heads: Vec<Head>,
}

#[derive(Clone, Debug, Default)]
struct Head {
    keys: Lines,
    values: Lines,
}

impl KeyValues {
    /// Nothing yet, for `n_kv_heads` heads of `n_head` values in `f32`.
    ///
    /// # Panics
    /// Either is zero.
    #[must_use]
    pub fn new(n_kv_heads: usize, n_head: usize) -> Self {
        Self::with_precision(n_kv_heads, n_head, CachePrecision::Single)
    }

    /// Nothing yet, kept at `precision`.
    ///
    /// # Panics
    /// A count is zero.
    #[must_use]
    pub fn with_precision(n_kv_heads: usize, n_head: usize, precision: CachePrecision) -> Self {
        assert!(n_kv_heads > 0 && n_head > 0, "{n_kv_heads} × {n_head}");
        Self {
            n_kv_heads,
            n_head,
            n_tokens: 0,
            precision,
            heads: vec![Head::default(); n_kv_heads],
        }
    }

    /// Tokens held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.n_tokens
    }

    /// Whether no token is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n_tokens == 0
    }

    /// How keys and values are kept.
    #[must_use]
    pub fn precision(&self) -> CachePrecision {
        self.precision
    }

    /// Bytes allocated.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        let bytes = |head: &Head| head.keys.capacity() + head.values.capacity();
        self.heads.iter().map(bytes).sum()
    }

    /// Makes room for `n_tokens` tokens in all, so that appending does not move memory.
    pub fn reserve(&mut self, n_tokens: usize) {
        let (keys, values) = self.sizes(n_tokens);
        for head in &mut self.heads {
            head.keys.reserve(keys);
            head.values.reserve(values);
        }
    }

    /// Appends tokens; `keys` (turned to their positions) and `values` are
    /// `[n_tokens, n_kv_heads · n_head]`.
    ///
    /// # Panics
    /// The slices differ in length or are no whole number of tokens.
    pub fn append(&mut self, keys: &[f32], values: &[f32]) {
        let n_row = self.n_kv_heads * self.n_head;
        assert_eq!(keys.len(), values.len(), "keys and values");
        assert!(keys.len().is_multiple_of(n_row), "rows of {n_row}");
        let n_tokens = self.n_tokens + keys.len() / n_row;
        let (key_bytes, value_bytes) = self.sizes(n_tokens);
        let (n_head, width) = (self.n_head, self.width());
        for (idx, head) in self.heads.iter_mut().enumerate() {
            head.keys.resize(key_bytes);
            head.values.resize(value_bytes);
            let tokens = keys.chunks_exact(n_row).zip(values.chunks_exact(n_row));
            for (position, (key, value)) in (self.n_tokens..).zip(tokens) {
                let part = idx * n_head..(idx + 1) * n_head;
                let first = position / LANES * LANES * n_head + position % LANES;
                let keys = key[part.clone()].iter().zip(0..);
                let keys = keys.map(|(&x, dim)| (first + dim * LANES, x));
                let values = value[part].iter().zip(0..);
                let values = values.map(|(&x, dim)| (position * width + dim, x));
                write(head.keys.bytes_mut(), self.precision, keys);
                write(head.values.bytes_mut(), self.precision, values);
            }
        }
        self.n_tokens = n_tokens;
    }

    /// Forgets all but the first `n_tokens` tokens.
    pub fn truncate(&mut self, n_tokens: usize) {
        if n_tokens >= self.n_tokens {
            return;
        }
        let (keys, values) = self.sizes(n_tokens);
        for head in &mut self.heads {
            head.keys.resize(keys);
            head.values.resize(values);
        }
        self.n_tokens = n_tokens;
    }

    pub(super) fn shape(&self) -> (usize, usize) {
        (self.n_kv_heads, self.n_head)
    }

    /// Where keys and values of a head begin.
    pub(super) fn head(&self, kv_head: usize) -> (*const u8, *const u8) {
        let head = &self.heads[kv_head];
        (head.keys.bytes().as_ptr(), head.values.bytes().as_ptr())
    }

    /// Elements of one position's values, with the padding to whole vectors.
    fn width(&self) -> usize {
        self.n_head.next_multiple_of(LANES)
    }

    /// Bytes of one head's keys and values.
    fn sizes(&self, n_tokens: usize) -> (usize, usize) {
        let n_keys = n_tokens.next_multiple_of(LANES) * self.n_head;
        let n_values = n_tokens * self.width();
        let n_bytes = self.precision.n_bytes();
        (n_keys * n_bytes, n_values * n_bytes)
    }
}

/// Writes elements at their places.
fn write(
    bytes: &mut [u8],
    precision: CachePrecision,
    elements: impl Iterator<Item = (usize, f32)>,
) {
    match precision {
        CachePrecision::Single => {
            for (at, x) in elements {
                bytes[4 * at..4 * at + 4].copy_from_slice(&x.to_ne_bytes());
            }
        }
        CachePrecision::Half => {
            for (at, x) in elements {
                bytes[2 * at..2 * at + 2].copy_from_slice(&f16::from_f32(x).to_ne_bytes());
            }
        }
    }
}
