//! Memory that begins at a multiple of 64 bytes, so that vectors do not straddle cache lines.

/// A growing buffer of whole cache lines, read as bytes or as `f32`.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    lines: Vec<Line>,
    n_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

const LINE: usize = 64;

impl Lines {
    /// So many zero bytes.
    pub(super) fn zeroed(n_bytes: usize) -> Self {
        let mut lines = Self::default();
        lines.resize(n_bytes);
        lines
    }

    /// Cuts, or fills with zeros, to so many bytes. What lies in the last line beyond a cut stays
    /// as it was.
    pub(super) fn resize(&mut self, n_bytes: usize) {
        self.lines.resize(n_bytes.div_ceil(LINE), Line([0; LINE]));
        self.n_bytes = n_bytes;
    }

    /// Makes room for so many bytes in all.
    pub(super) fn reserve(&mut self, n_bytes: usize) {
        let n_lines = n_bytes.div_ceil(LINE);
        self.lines.reserve(n_lines.saturating_sub(self.lines.len()));
    }

    /// Bytes allocated.
    pub(super) fn capacity(&self) -> usize {
        self.lines.capacity() * LINE
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: a line is 64 plain bytes without padding, and `n_bytes` of them exist.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.n_bytes) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.n_bytes) }
    }

    /// The first `n` places of a scratch buffer of `f32`, whatever they hold; grows to it.
    pub(super) fn floats(&mut self, n: usize) -> &mut [f32] {
        let n_bytes = n * size_of::<f32>();
        if self.n_bytes < n_bytes {
            self.resize(n_bytes);
        }
        // SAFETY: lines are aligned beyond `f32`, `n` of them exist, and every pattern is a number.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), n) }
    }
}
