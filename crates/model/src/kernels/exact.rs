//! The product with de-quantised weights: `f32` throughout.
//!
//! With several groups of tokens, a tile is de-quantised once into a panel that all of them read;
//! with one group, block by block, so that no panel travels through the cache.

use std::ops::Range;

use super::cpu::Work;
use super::format::{BLOCK, Format, Scales};
use super::lanes::{LANES, Lanes};
use super::lines::Lines;
use super::matrix::Matrix;
use super::product::{HALF_MINIMUM, Place, SINGLE_MINIMUM, scales_of};
use super::quantise::group;

/// Token groups, largest first; an instruction set uses those that fit its registers.
const GROUPS: [usize; 6] = [12, 8, 6, 4, 2, 1];

/// Values of one block of one tile.
const BLOCK_VALUES: usize = BLOCK * LANES;

/// Puts activations into the order of the `f32` product: groups of tokens; in a group, column after
/// column, the tokens side by side; columns filled with zeros to whole blocks.
pub(super) struct Arrange<'a> {
    pub(super) x: &'a [f32],
    pub(super) n_tokens: usize,
    pub(super) out: &'a mut [f32],
}

impl Work for Arrange<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let n_in = self.x.len() / self.n_tokens;
        let n_padded = n_in.next_multiple_of(BLOCK);
        let mut start = 0;
        while start < self.n_tokens {
            let n = exact_group::<L>(self.n_tokens - start);
            let out = &mut self.out[start * n_padded..][..n * n_padded];
            for token in 0..n {
                let row = &self.x[(start + token) * n_in..][..n_in];
                for (column, &x) in row.iter().enumerate() {
                    out[column * n + token] = x;
                }
            }
            out[n_in * n..].fill(0.0);
            start += n;
        }
    }
}

#[inline(always)]
fn exact_group<L: Lanes>(n_left: usize) -> usize {
    group(&GROUPS, n_left.min(L::TOKENS))
}
/// Exact product of a range of tiles with all tokens.
pub(super) struct ExactTiles<'a> {
    pub(super) matrix: &'a Matrix,
    pub(super) tiles: Range<usize>,
    pub(super) tokens: &'a [f32],
    pub(super) n_tokens: usize,
    pub(super) out: &'a Place,
    pub(super) panel: &'a mut Lines,
}

impl Work for ExactTiles<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self) {
        let mut tile = self.tiles.start;
        while tile < self.tiles.end {
            // SAFETY: `apply` has checked all lengths, `Cpu` the instructions.
            unsafe {
                if L::ROW_TILES == 2 && tile + 2 <= self.tiles.end {
                    self.tiles::<L, 2>(tile);
                    tile += 2;
                } else {
                    self.tiles::<L, 1>(tile);
                    tile += 1;
                }
            }
        }
    }
}

/// Where the kernel finds the weights of `R` tiles.
#[derive(Clone, Copy)]
enum Rows {
    /// Values, tile after tile.
    Panel(*const f32),
    /// As packed: de-quantise each block when its turn comes.
    Packed,
}

impl ExactTiles<'_> {
    /// Tiles `tile..tile + R` times all tokens.
    #[inline(always)]
    unsafe fn tiles<L: Lanes, const R: usize>(&mut self, tile: usize) {
        let n_blocks = self.matrix.n_blocks();
        let stride = n_blocks * BLOCK_VALUES;
        let packed = self.matrix.packed();
        let rows = if packed.format == Format::Single {
            let values = packed.codes.bytes().as_ptr().cast::<f32>();
            // SAFETY: a tile has `stride` values.
            Rows::Panel(unsafe { values.add(tile * stride) })
        } else if exact_group::<L>(self.n_tokens) == self.n_tokens {
            Rows::Packed
        } else {
            let panel = self.panel.floats(R * stride);
            for (idx, to) in panel.chunks_exact_mut(BLOCK_VALUES).enumerate() {
                let at = tile * n_blocks + idx;
                // SAFETY: the caller vouches for the instructions.
                unsafe { dequantise::<L>(self.matrix, at, to.as_mut_ptr()) };
            }
            Rows::Panel(panel.as_ptr())
        };
        let mut start = 0;
        while start < self.n_tokens {
            let n = exact_group::<L>(self.n_tokens - start);
            let at = (tile, start);
            // SAFETY: the caller vouches for the instructions; lengths were checked by `apply`.
            unsafe {
                match n {
                    12 => self.group::<L, R, 12>(at, rows),
                    8 => self.group::<L, R, 8>(at, rows),
                    6 => self.group::<L, R, 6>(at, rows),
                    4 => self.group::<L, R, 4>(at, rows),
                    2 => self.group::<L, R, 2>(at, rows),
                    _ => self.group::<L, R, 1>(at, rows),
                }
            }
            start += n;
        }
    }

    /// `R` tiles of sixteen rows times `T` tokens.
    #[inline(always)]
    unsafe fn group<L: Lanes, const R: usize, const T: usize>(
        &self,
        (tile, start): (usize, usize),
        rows: Rows,
    ) {
        let n_blocks = self.matrix.n_blocks();
        // SAFETY: the caller vouches for lengths and instructions.
        unsafe {
            let tokens = self.tokens.as_ptr().add(start * n_blocks * BLOCK);
            let mut y = [[L::splat(0.0); R]; T];
            let mut values = Values([0.0; 2 * BLOCK_VALUES]);
            for block in 0..n_blocks {
                let (from, stride) = match rows {
                    Rows::Panel(panel) => {
                        (panel.add(block * BLOCK_VALUES), n_blocks * BLOCK_VALUES)
                    }
                    Rows::Packed => {
                        for r in 0..R {
                            let to = values.0.as_mut_ptr().add(r * BLOCK_VALUES);
                            dequantise::<L>(self.matrix, (tile + r) * n_blocks + block, to);
                        }
                        (values.0.as_ptr(), BLOCK_VALUES)
                    }
                };
                add_block::<L, R, T>(from, stride, tokens.add(block * BLOCK * T), &mut y);
            }
            for (token, y) in y.iter().enumerate() {
                for (r, &y) in y.iter().enumerate() {
                    self.out
                        .put::<L>(self.matrix.n_out(), start + token, tile + r, y);
                }
            }
        }
    }
}

/// Values of one block of two tiles, on the stack.
#[repr(C, align(64))]
struct Values([f32; 2 * BLOCK_VALUES]);

/// Adds the sum over one block of 32 columns to the outputs.
#[inline(always)]
unsafe fn add_block<L: Lanes, const R: usize, const T: usize>(
    mut rows: *const f32,
    stride: usize,
    mut tokens: *const f32,
    y: &mut [[L::F; R]; T],
) {
    // SAFETY: the caller vouches for one block of both factors.
    unsafe {
        let mut sums = [[L::splat(0.0); R]; T];
        for _ in 0..BLOCK {
            let mut w = [L::splat(0.0); R];
            for (r, w) in w.iter_mut().enumerate() {
                *w = L::load(rows.add(r * stride));
            }
            for (token, sums) in sums.iter_mut().enumerate() {
                let x = L::splat(tokens.add(token).read());
                for (sum, &w) in sums.iter_mut().zip(&w) {
                    *sum = L::fma(w, x, *sum);
                }
            }
            rows = rows.add(LANES);
            tokens = tokens.add(T);
        }
        for (y, sums) in y.iter_mut().zip(&sums) {
            for (y, &sum) in y.iter_mut().zip(sums) {
                *y = L::add(*y, sum);
            }
        }
    }
}

/// Writes the values of one block of one tile (block `at` of the matrix), sixteen rows of a column
/// side by side.
#[inline(always)]
unsafe fn dequantise<L: Lanes>(matrix: &Matrix, at: usize, to: *mut f32) {
    let packed = matrix.packed();
    let (code_bytes, scale_bytes) = packed.format.n_bytes();
    // SAFETY: the caller vouches for the block, for its values at `to`, and for the instructions.
    unsafe {
        let codes = packed.codes.bytes().as_ptr().add(at * code_bytes);
        let scales = packed.scales.bytes().as_ptr().add(at * scale_bytes);
        match packed.format {
            Format::Codes(4, kind) => dequantise_codes::<L, 4>(codes, scales, kind, to),
            Format::Codes(5, kind) => dequantise_codes::<L, 5>(codes, scales, kind, to),
            Format::Codes(_, kind) => dequantise_codes::<L, 8>(codes, scales, kind, to),
            Format::Single => unreachable!("singles are read where they lie"),
            Format::Half | Format::Brain => {
                for column in 0..BLOCK {
                    let from = codes.cast::<u16>().add(column * LANES);
                    let values = if packed.format == Format::Half {
                        L::load_half(from)
                    } else {
                        L::load_brain(from)
                    };
                    L::store(to.add(column * LANES), values);
                }
            }
        }
    }
}

/// `fma(d, q, m)` for one block of one tile.
#[inline(always)]
unsafe fn dequantise_codes<L: Lanes, const BITS: usize>(
    codes: *const u8,
    scales: *const u8,
    kind: Scales,
    to: *mut f32,
) {
    // SAFETY: the caller vouches for one block.
    unsafe {
        let (d, m) = match kind {
            Scales::Centred => {
                let d = L::load_half(scales.cast());
                (d, L::mul(d, L::splat(-((1 << (BITS - 1)) as f32))))
            }
            Scales::HalfMinimum => scales_of::<L, HALF_MINIMUM>(scales),
            Scales::SingleMinimum => scales_of::<L, SINGLE_MINIMUM>(scales),
            Scales::Halves => {
                let d = L::load(scales.cast());
                (d, L::mul(d, L::splat(-32.0)))
            }
        };
        if BITS == 4 {
            for group in 0..4 {
                let words = codes.add(group * 64);
                let (low, high) = (to.add(group * 64), to.add((group + 4) * 64));
                L::store(low, L::fma(d, L::field::<0, 15>(words), m));
                L::store(low.add(16), L::fma(d, L::field::<8, 15>(words), m));
                L::store(low.add(32), L::fma(d, L::field::<16, 15>(words), m));
                L::store(low.add(48), L::fma(d, L::field::<24, 15>(words), m));
                L::store(high, L::fma(d, L::field::<4, 15>(words), m));
                L::store(high.add(16), L::fma(d, L::field::<12, 15>(words), m));
                L::store(high.add(32), L::fma(d, L::field::<20, 15>(words), m));
                L::store(high.add(48), L::fma(d, L::field::<28, 15>(words), m));
            }
            return;
        }
        let mut wide = [0_u8; 512];
        let bytes = if BITS == 8 {
            codes
        } else {
            L::widen(codes, wide.as_mut_ptr());
            wide.as_ptr()
        };
        let (mut d, mut m) = (d, m);
        for group in 0..8 {
            if group == 4 && kind == Scales::Halves {
                d = L::load(scales.cast::<f32>().add(LANES));
                m = L::mul(d, L::splat(-32.0));
            }
            let words = bytes.add(group * 64);
            let to = to.add(group * 64);
            L::store(to, L::fma(d, L::field::<0, 255>(words), m));
            L::store(to.add(16), L::fma(d, L::field::<8, 255>(words), m));
            L::store(to.add(32), L::fma(d, L::field::<16, 255>(words), m));
            L::store(to.add(48), L::fma(d, L::field::<24, 255>(words), m));
        }
    }
}
