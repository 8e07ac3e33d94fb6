//! Matrix products: packed weights times the activations of some tokens.
//!
//! Order of additions, per output and token, whatever the batch: blocks of 32 columns from left to
//! right. Rounded activations: the integer sum of a block is exact, then `y ← fma(Σ, d·dx, y)` and,
//! where weights have a minimum, `y ← fma(m, dx·Σx, y)`. Exact: columns of a block are added to
//! zero by fused multiply-adds, then the block's sum to `y`.

use std::ops::Range;

use super::cpu::{Cpu, Work};
use super::exact::{Arrange, ExactTiles};
use super::format::{BLOCK, Format, Scales, code_bytes};
use super::lanes::{LANES, Lanes};
use super::matrix::Matrix;
use super::quantise::{ActivationBlock, GROUPS, Quantise, group};
use super::scratch::Scratch;

/// Bytes ahead of the codes in use that are asked for.
const AHEAD: usize = 8192;

/// Multiplications below which a product stays on one thread: waking another costs microseconds.
const SPREAD_FROM: usize = 1 << 19;

impl Cpu {
    /// `outs[i] = matrices[i] · x` for each of `n_tokens` rows of `x` (`[n_tokens, n_in]`);
    /// `outs[i]` is `[n_tokens, n_out]`. Matrices that share an input are best given together: the
    /// input is prepared once.
    ///
    /// # Panics
    /// Shapes do not fit each other.
    pub fn apply(
        &self,
        matrices: &[&Matrix],
        x: &[f32],
        n_tokens: usize,
        outs: &mut [&mut [f32]],
        scratch: &mut Scratch,
    ) {
        assert_eq!(matrices.len(), outs.len(), "one output per matrix");
        for (matrix, out) in matrices.iter().zip(outs.iter()) {
            assert_eq!(matrix.n_in() * n_tokens, x.len(), "values of `x`");
            assert_eq!(matrix.n_out() * n_tokens, out.len(), "places of an output");
        }
        if n_tokens == 0 || matrices.is_empty() {
            return;
        }
        let n_products: usize = matrices.iter().map(|m| m.n_out() * m.n_in()).sum();
        let n_workers = if n_products * n_tokens < SPREAD_FROM {
            1
        } else {
            self.threads().get()
        };
        scratch.ensure_workers(n_workers);
        let Scratch {
            blocks,
            tokens,
            workers,
        } = scratch;
        let n_blocks = matrices[0].n_blocks();
        if matrices.iter().any(|m| m.rounds_activations()) {
            blocks.resize(n_blocks * n_tokens, ActivationBlock::ZERO);
            let out = blocks.as_mut_slice();
            self.run(Quantise { x, n_tokens, out });
        }
        if matrices.iter().any(|m| !m.rounds_activations()) {
            let out = tokens.floats(n_blocks * BLOCK * n_tokens);
            self.run(Arrange { x, n_tokens, out });
        }
        let blocks = blocks.as_slice();
        let tokens: &[f32] = tokens.floats(n_blocks * BLOCK * n_tokens);
        let outs: Vec<Place> = outs.iter_mut().map(|out| Place(out.as_mut_ptr())).collect();
        let n_tiles: usize = matrices.iter().map(|m| m.n_tiles()).sum();
        self.spread(&mut workers[..n_workers], |worker, panel| {
            let share = n_tiles * worker / n_workers..n_tiles * (worker + 1) / n_workers;
            let mut before = 0;
            for (matrix, out) in matrices.iter().zip(&outs) {
                let n = matrix.n_tiles();
                let tiles = share.start.clamp(before, before + n) - before
                    ..share.end.clamp(before, before + n) - before;
                before += n;
                if matrix.rounds_activations() {
                    self.run(RoundedTiles {
                        matrix,
                        tiles,
                        blocks,
                        n_tokens,
                        out,
                    });
                } else {
                    self.run(ExactTiles {
                        matrix,
                        tiles,
                        tokens,
                        n_tokens,
                        out,
                        panel,
                    });
                }
            }
        });
    }
}

/// Where an output begins. Threads write to different columns of it.
pub(super) struct Place(*mut f32);

// SAFETY: the pointer comes from an exclusive borrow that outlives the threads, and every thread
// writes to the columns of its own tiles only.
unsafe impl Sync for Place {}
// SAFETY: as above.
unsafe impl Send for Place {}

impl Place {
    /// Writes the outputs of tile `tile` for one token.
    #[inline(always)]
    pub(super) unsafe fn put<L: Lanes>(&self, n_out: usize, token: usize, tile: usize, y: L::F) {
        let first = tile * LANES;
        // SAFETY: the output has `n_out` places per token; rows beyond `n_out` are padding.
        unsafe {
            let to = self.0.add(token * n_out + first);
            if first + LANES <= n_out {
                L::store(to, y);
            } else {
                let mut rows = [0.0; LANES];
                L::store(rows.as_mut_ptr(), y);
                std::ptr::copy_nonoverlapping(rows.as_ptr(), to, n_out - first);
            }
        }
    }
}

/// Integer product of a range of tiles with all tokens.
struct RoundedTiles<'a> {
    matrix: &'a Matrix,
    tiles: Range<usize>,
    blocks: &'a [ActivationBlock],
    n_tokens: usize,
    out: &'a Place,
}

/// [`Scales`] as a constant parameter.
const CENTRED: u8 = 0;
pub(super) const HALF_MINIMUM: u8 = 1;
pub(super) const SINGLE_MINIMUM: u8 = 2;
const HALVES: u8 = 3;

impl Work for RoundedTiles<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Format::Codes(bits, kind) = self.matrix.packed().format else {
            unreachable!("float weights are multiplied exactly");
        };
        // SAFETY: `apply` has checked all lengths, `Cpu` the instructions.
        unsafe {
            match (bits, kind) {
                (4, Scales::Centred) => self.tiles::<L, 4, CENTRED>(),
                (4, Scales::HalfMinimum) => self.tiles::<L, 4, HALF_MINIMUM>(),
                (4, _) => self.tiles::<L, 4, SINGLE_MINIMUM>(),
                (5, Scales::Centred) => self.tiles::<L, 5, CENTRED>(),
                (5, Scales::HalfMinimum) => self.tiles::<L, 5, HALF_MINIMUM>(),
                (5, _) => self.tiles::<L, 5, SINGLE_MINIMUM>(),
                (_, Scales::Halves) => self.tiles::<L, 8, HALVES>(),
                (_, _) => self.tiles::<L, 8, CENTRED>(),
            }
        }
    }
}

impl RoundedTiles<'_> {
    #[inline(always)]
    unsafe fn tiles<L: Lanes, const BITS: usize, const KIND: u8>(self) {
        let n_blocks = self.matrix.n_blocks();
        let packed = self.matrix.packed();
        let (code_bytes, scale_bytes) = packed.format.n_bytes();
        for tile in self.tiles.clone() {
            let codes = &packed.codes.bytes()[tile * n_blocks * code_bytes..];
            let scales = &packed.scales.bytes()[tile * n_blocks * scale_bytes..];
            let weights = (codes.as_ptr(), scales.as_ptr());
            let mut start = 0;
            while start < self.n_tokens {
                let n = group(&GROUPS, self.n_tokens - start);
                // SAFETY: the caller vouches for lengths and instructions.
                unsafe {
                    let blocks = self.blocks.as_ptr().add(start * n_blocks);
                    match n {
                        8 => self.group::<L, BITS, KIND, 8>(tile, start, weights, blocks),
                        4 => self.group::<L, BITS, KIND, 4>(tile, start, weights, blocks),
                        2 => self.group::<L, BITS, KIND, 2>(tile, start, weights, blocks),
                        _ => self.group::<L, BITS, KIND, 1>(tile, start, weights, blocks),
                    }
                }
                start += n;
            }
        }
    }

    #[inline(always)]
    unsafe fn group<L: Lanes, const BITS: usize, const KIND: u8, const T: usize>(
        &self,
        tile: usize,
        start: usize,
        weights: (*const u8, *const u8),
        blocks: *const ActivationBlock,
    ) {
        // SAFETY: the caller vouches for lengths and instructions.
        unsafe {
            let n_blocks = self.matrix.n_blocks();
            let y = rounded::<L, BITS, KIND, T>(weights, blocks, n_blocks, start == 0);
            for (token, &y) in y.iter().enumerate() {
                self.out
                    .put::<L>(self.matrix.n_out(), start + token, tile, y);
            }
        }
    }
}

/// One tile of sixteen rows times `T` tokens.
#[inline(always)]
unsafe fn rounded<L: Lanes, const BITS: usize, const KIND: u8, const T: usize>(
    (mut codes, mut scales): (*const u8, *const u8),
    mut tokens: *const ActivationBlock,
    n_blocks: usize,
    is_first: bool,
) -> [L::F; T] {
    // SAFETY: the caller vouches for `n_blocks` blocks of weights and of `T` tokens.
    unsafe {
        let mut y = [L::splat(0.0); T];
        for _ in 0..n_blocks {
            if is_first {
                let mut line = 0;
                while line < code_bytes(BITS) {
                    L::prefetch(codes.wrapping_add(AHEAD + line));
                    line += 64;
                }
            }
            if KIND == HALVES {
                for half in 0..2 {
                    let mut sums = [L::splat_int(0); T];
                    for (token, sum) in sums.iter_mut().enumerate() {
                        *sum = L::splat_int(-32 * (*tokens.add(token)).sums[half]);
                    }
                    let sums = L::dots_half::<T>(codes, tokens, half, sums);
                    let d = L::load(scales.cast::<f32>().add(half * LANES));
                    for (token, y) in y.iter_mut().enumerate() {
                        let scale = L::mul(d, L::splat((*tokens.add(token)).scale));
                        *y = L::fma(L::to_float(sums[token]), scale, *y);
                    }
                }
                scales = scales.add(128);
            } else {
                let mut sums = [L::splat_int(0); T];
                if KIND == CENTRED {
                    for (token, sum) in sums.iter_mut().enumerate() {
                        let [first, second] = (*tokens.add(token)).sums;
                        *sum = L::splat_int(-(first + second) << (BITS - 1));
                    }
                }
                let sums = L::dots::<BITS, T>(codes, tokens, sums);
                let (d, m) = scales_of::<L, KIND>(scales);
                for (token, y) in y.iter_mut().enumerate() {
                    let scale = L::mul(d, L::splat((*tokens.add(token)).scale));
                    *y = L::fma(L::to_float(sums[token]), scale, *y);
                    if KIND != CENTRED {
                        let sum = L::splat((*tokens.add(token)).weighted_sum);
                        *y = L::fma(m, sum, *y);
                    }
                }
                scales = scales.add(match KIND {
                    CENTRED => 32,
                    HALF_MINIMUM => 64,
                    _ => 128,
                });
            }
            codes = codes.add(code_bytes(BITS));
            tokens = tokens.add(T);
        }
        y
    }
}

/// `d` and `m` of a block whose scales span all its columns (`m` of centred codes is not used).
#[inline(always)]
pub(super) unsafe fn scales_of<L: Lanes, const KIND: u8>(scales: *const u8) -> (L::F, L::F) {
    // SAFETY: the caller vouches for the scales of one block.
    unsafe {
        match KIND {
            CENTRED => (L::load_half(scales.cast()), L::splat(0.0)),
            HALF_MINIMUM => (
                L::load_half(scales.cast()),
                L::load_half(scales.cast::<u16>().add(LANES)),
            ),
            _ => (
                L::load(scales.cast()),
                L::load(scales.cast::<f32>().add(LANES)),
            ),
        }
    }
}
