//! Attention of some query tokens to cached keys and values.
//!
//! Order of additions: a score is summed over the head's dimensions from the first; the softmax of
//! a row as in [`super::softmax`]; the output over positions from the oldest. Neither depends on
//! how positions are cut into segments nor on the other queries.

use super::cpu::{Cpu, Work};
use super::key_values::{CachePrecision, KeyValues};
use super::lanes::{LANES, Lanes};
use super::scratch::Scratch;
use super::softmax::{exponentials, largest_of};

/// Heads and scale of an attention layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionShape {
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads, shared by equal groups of query heads.
    pub n_kv_heads: usize,
    /// Values of one head.
    pub n_head: usize,
    /// Scores are multiplied by this.
    pub scale: f32,
    /// A token sees itself and `window − 1` tokens before it; all of them if `None`.
    pub window: Option<usize>,
}

/// Query tokens of one sequence: the last `n_tokens` of the tokens in `segments`.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// Queries.
    pub n_tokens: usize,
    /// The sequence so far in order, queries included: a prefix shared with other sequences, then
    /// its own tokens, for example.
    pub segments: &'a [&'a KeyValues],
}

/// Products below which attention stays on one thread.
const SPREAD_FROM: usize = 1 << 19;

impl Cpu {
    /// Causal attention. `q` and `out` are `[Σ n_tokens, n_heads · n_head]`, the sequences one
    /// after the other; query `t` of a sequence sees all positions up to its own, as far as the
    /// window reaches.
    ///
    /// # Panics
    /// Shapes do not fit each other, or a sequence has fewer positions than queries.
    pub fn attend(
        &self,
        shape: AttentionShape,
        sequences: &[Attention<'_>],
        q: &[f32],
        out: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let (n_products, longest) = check(shape, sequences, q.len(), out.len());
        let n_heads_all = sequences.len() * shape.n_kv_heads;
        if n_heads_all == 0 {
            return;
        }
        let n_workers = if n_products < SPREAD_FROM {
            1
        } else {
            self.threads().get().min(n_heads_all)
        };
        scratch.ensure_workers(n_workers);
        let out = Place(out.as_mut_ptr());
        self.spread(&mut scratch.workers[..n_workers], |worker, buffer| {
            let share = n_heads_all * worker / n_workers..n_heads_all * (worker + 1) / n_workers;
            // Sequences run faster than heads: a shared prefix stays in the cache.
            let scores = buffer.floats(ROWS * row_stride(longest));
            for idx in share {
                let (kv_head, sequence) = (idx / sequences.len(), idx % sequences.len());
                let before: usize = sequences[..sequence].iter().map(|s| s.n_tokens).sum();
                let first = before * shape.n_heads * shape.n_head;
                self.run(OneHead {
                    shape,
                    kv_head,
                    sequence: sequences[sequence],
                    q: &q[first..],
                    // SAFETY: `check` has compared the lengths.
                    out: Place(unsafe { out.at(first) }),
                    scores,
                });
            }
        });
    }
}

/// Products of the call and its longest sequence.
fn check(
    shape: AttentionShape,
    sequences: &[Attention<'_>],
    n_q: usize,
    n_out: usize,
) -> (usize, usize) {
    let row = shape.n_heads * shape.n_head;
    let n_tokens: usize = sequences.iter().map(|s| s.n_tokens).sum();
    assert!(
        shape.n_kv_heads > 0 && shape.n_heads.is_multiple_of(shape.n_kv_heads),
        "{} query heads over {} key heads",
        shape.n_heads,
        shape.n_kv_heads
    );
    assert_eq!(n_tokens * row, n_q, "values of the queries");
    assert_eq!(n_q, n_out, "places of the output");
    assert!(shape.window != Some(0), "a window of no token");
    let (mut n_products, mut longest) = (0, 0);
    for sequence in sequences {
        let mut n = 0;
        for segment in sequence.segments {
            let expected = (shape.n_kv_heads, shape.n_head);
            assert_eq!(segment.shape(), expected, "heads and their width");
            n += segment.len();
        }
        assert!(n >= sequence.n_tokens, "queries without their own keys");
        n_products += 2 * n * sequence.n_tokens * row;
        longest = longest.max(n);
    }
    (n_products, longest)
}

/// Query rows that are worked on at once.
const ROWS: usize = 4;

/// Places per row of scores: whole unrolled tiles may be written beyond the last position.
fn row_stride(n_positions: usize) -> usize {
    n_positions.next_multiple_of(LANES) + 4 * LANES
}

/// Where the output begins. Threads write to different heads.
struct Place(*mut f32);

// SAFETY: the pointer comes from an exclusive borrow that outlives the threads, and every thread
// writes to the heads of its share only.
unsafe impl Sync for Place {}

impl Place {
    #[inline(always)]
    unsafe fn at(&self, idx: usize) -> *mut f32 {
        // SAFETY: the caller vouches for the index.
        unsafe { self.0.add(idx) }
    }
}

/// One key head of one sequence, with all query heads that share it.
struct OneHead<'a> {
    shape: AttentionShape,
    kv_head: usize,
    sequence: Attention<'a>,
    q: &'a [f32],
    out: Place,
    scores: &'a mut [f32],
}

impl Work for OneHead<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        let shape = self.shape;
        let n_group = shape.n_heads / shape.n_kv_heads;
        let n_positions: usize = self.sequence.segments.iter().map(|s| s.len()).sum();
        for token in 0..self.sequence.n_tokens {
            let end = n_positions - self.sequence.n_tokens + token + 1;
            let start = end.saturating_sub(shape.window.unwrap_or(end));
            let mut member = 0;
            while member < n_group {
                let head = self.kv_head * n_group + member;
                let row = (token * shape.n_heads + head) * shape.n_head;
                let n_rows = (n_group - member).min(ROWS);
                // SAFETY: `attend` has checked all lengths, `Cpu` the instructions.
                unsafe {
                    match n_rows {
                        1 => self.rows::<L, 1>(row, start, end),
                        2 => self.rows::<L, 2>(row, start, end),
                        3 => self.rows::<L, 3>(row, start, end),
                        _ => self.rows::<L, 4>(row, start, end),
                    }
                }
                member += n_rows;
            }
        }
    }
}

impl OneHead<'_> {
    /// `R` query heads of one token, from element `row` of the queries, over `start..end`.
    #[inline(always)]
    unsafe fn rows<L: Lanes, const R: usize>(&mut self, row: usize, start: usize, end: usize) {
        let stride = row_stride(end);
        let mut inverse = [0.0; R];
        // SAFETY: the caller vouches for lengths and instructions.
        unsafe {
            self.score::<L, R>(row, start, end);
            for (r, inverse) in inverse.iter_mut().enumerate() {
                let scores = self.scores.as_mut_ptr().add(r * stride + start);
                let largest = largest_of::<L>(scores, end - start);
                let sum = exponentials::<L, true>(scores, end - start, largest);
                *inverse = (1.0 / sum) as f32;
            }
            let width = self.shape.n_head.next_multiple_of(LANES);
            let mut dim = 0;
            while dim < width {
                if L::UNROLL == 4 && dim + 4 * LANES <= width {
                    self.mix::<L, R, 4>(row, dim, (start, end), inverse);
                    dim += 4 * LANES;
                } else {
                    self.mix::<L, R, 1>(row, dim, (start, end), inverse);
                    dim += LANES;
                }
            }
        }
    }

    /// Writes the scaled scores of `R` rows for positions `start..end` (and some beyond).
    #[inline(always)]
    unsafe fn score<L: Lanes, const R: usize>(&mut self, row: usize, start: usize, end: usize) {
        let n_head = self.shape.n_head;
        let width = n_head.next_multiple_of(LANES);
        let stride = row_stride(end);
        let mut offset = 0;
        for segment in self.sequence.segments {
            let (from, to) = (
                start.clamp(offset, offset + segment.len()) - offset,
                end.clamp(offset, offset + segment.len()) - offset,
            );
            let (keys, values) = segment.head(self.kv_head);
            let (mut tile, last) = (from / LANES, to.div_ceil(LANES));
            while from < to && tile < last {
                // SAFETY: tiles up to `last` exist; `row_stride` leaves room for whole tiles; the
                // caller vouches for the rest.
                unsafe {
                    let q = self.q.as_ptr().add(row);
                    let scores = self.scores.as_mut_ptr().add(offset + tile * LANES);
                    let is_wide = L::UNROLL == 4 && tile + 4 <= last;
                    let n_tiles = if is_wide { 4 } else { 1 };
                    let at = tile * LANES;
                    match segment.precision() {
                        CachePrecision::Single => {
                            let keys = keys.cast::<f32>().add(at * n_head);
                            prefetch::<L>(values, 4 * width * at, 4 * width * n_tiles * LANES);
                            if is_wide {
                                self.tiles::<L, f32, R, 4>(q, keys, scores, stride);
                            } else {
                                self.tiles::<L, f32, R, 1>(q, keys, scores, stride);
                            }
                        }
                        CachePrecision::Half => {
                            let keys = keys.cast::<u16>().add(at * n_head);
                            prefetch::<L>(values, 2 * width * at, 2 * width * n_tiles * LANES);
                            if is_wide {
                                self.tiles::<L, u16, R, 4>(q, keys, scores, stride);
                            } else {
                                self.tiles::<L, u16, R, 1>(q, keys, scores, stride);
                            }
                        }
                    }
                    tile += n_tiles;
                }
            }
            offset += segment.len();
        }
    }

    /// Scores of `R` rows for `P` tiles of 16 positions.
    #[inline(always)]
    unsafe fn tiles<L: Lanes, E: Element, const R: usize, const P: usize>(
        &self,
        q: *const f32,
        keys: *const E,
        scores: *mut f32,
        stride: usize,
    ) {
        let n_head = self.shape.n_head;
        // SAFETY: the caller vouches for lengths and instructions.
        unsafe {
            let mut sums = [[L::splat(0.0); P]; R];
            for dim in 0..n_head {
                let mut k = [L::splat(0.0); P];
                for (p, k) in k.iter_mut().enumerate() {
                    *k = E::load::<L>(keys.add((p * n_head + dim) * LANES));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let x = L::splat(q.add(r * n_head + dim).read());
                    for (sum, &k) in sums.iter_mut().zip(&k) {
                        *sum = L::fma(k, x, *sum);
                    }
                }
            }
            let scale = L::splat(self.shape.scale);
            for (r, sums) in sums.iter().enumerate() {
                for (p, &sum) in sums.iter().enumerate() {
                    L::store(scores.add(r * stride + p * LANES), L::mul(sum, scale));
                }
            }
        }
    }

    /// `D` vectors of the output of `R` rows from dimension `dim`.
    #[inline(always)]
    unsafe fn mix<L: Lanes, const R: usize, const D: usize>(
        &self,
        row: usize,
        dim: usize,
        (start, end): (usize, usize),
        inverse: [f32; R],
    ) {
        let n_head = self.shape.n_head;
        let width = n_head.next_multiple_of(LANES);
        let stride = row_stride(end);
        // SAFETY: the caller vouches for lengths and instructions.
        unsafe {
            let mut sums = [[L::splat(0.0); D]; R];
            let mut offset = 0;
            for segment in self.sequence.segments {
                let (_, values) = segment.head(self.kv_head);
                let first = start.clamp(offset, offset + segment.len());
                let last = end.clamp(offset, offset + segment.len());
                let from = (first - offset) * width + dim;
                let weights = self.scores.as_ptr().add(first);
                let (n, strides) = (last - first, (width, stride));
                match segment.precision() {
                    CachePrecision::Single => {
                        let values = values.cast::<f32>().wrapping_add(from);
                        weigh::<L, f32, R, D>(weights, values, n, strides, &mut sums);
                    }
                    CachePrecision::Half => {
                        let values = values.cast::<u16>().wrapping_add(from);
                        weigh::<L, u16, R, D>(weights, values, n, strides, &mut sums);
                    }
                }
                offset += segment.len();
            }
            for (r, sums) in sums.iter().enumerate() {
                let to = self.out.at(row + r * n_head + dim);
                for (d, &sum) in sums.iter().enumerate() {
                    let left = n_head - (dim + d * LANES);
                    let y = L::mul(sum, L::splat(inverse[r]));
                    super::elementwise::store_some::<L>(to.add(d * LANES), left, y);
                }
            }
        }
    }
}

/// An element of the cache.
trait Element: Copy {
    /// Sixteen of them.
    unsafe fn load<L: Lanes>(from: *const Self) -> L::F;
}

impl Element for f32 {
    #[inline(always)]
    unsafe fn load<L: Lanes>(from: *const Self) -> L::F {
        // SAFETY: the caller vouches for sixteen elements and for the instructions.
        unsafe { L::load(from) }
    }
}

/// Half precision.
impl Element for u16 {
    #[inline(always)]
    unsafe fn load<L: Lanes>(from: *const Self) -> L::F {
        // SAFETY: the caller vouches for sixteen elements and for the instructions.
        unsafe { L::load_half(from) }
    }
}

/// Adds `n` positions' values, weighted, to `D` vectors of `R` rows. `width` elements lie between
/// positions, `stride` places between the rows of weights.
#[inline(always)]
unsafe fn weigh<L: Lanes, E: Element, const R: usize, const D: usize>(
    weights: *const f32,
    values: *const E,
    n: usize,
    (width, stride): (usize, usize),
    sums: &mut [[L::F; D]; R],
) {
    // SAFETY: the caller vouches for lengths and instructions.
    unsafe {
        let mut local = *sums;
        for position in 0..n {
            let mut v = [L::splat(0.0); D];
            for (d, v) in v.iter_mut().enumerate() {
                *v = E::load::<L>(values.add(position * width + d * LANES));
            }
            for (r, sums) in local.iter_mut().enumerate() {
                let weight = L::splat(weights.add(r * stride + position).read());
                for (sum, &v) in sums.iter_mut().zip(&v) {
                    *sum = L::fma(v, weight, *sum);
                }
            }
        }
        *sums = local;
    }
}

/// Asks for `n_bytes` from an offset: values are needed soon after the scores of their keys.
#[inline(always)]
unsafe fn prefetch<L: Lanes>(from: *const u8, offset: usize, n_bytes: usize) {
    let mut line = 0;
    while line < n_bytes {
        // SAFETY: a prefetch reads nothing that could fault; the caller vouches for instructions.
        unsafe { L::prefetch(from.wrapping_add(offset + line)) };
        line += 64;
    }
}
