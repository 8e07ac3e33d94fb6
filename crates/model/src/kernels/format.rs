//! How weights lie in memory, and how stored blocks are read into that order.
//!
//! Sixteen rows form a tile; a tile is a sequence of blocks of 32 columns. Every quantised type is
//! `w = d·q + m` with an unsigned code `q`; `d` and `m` are constant over 32 columns (16 for Q6_K).
//! With 11 significant bits of a half, at most 8 of a sub-scale and 6 of a code, `d·q` is exact in
//! `f32`, so `fma(d, q, m)` is *the* de-quantised value: whoever computes it, fused or not, rounds
//! once.
//!
//! Codes of one block, for byte `b = 4·row + column % 4` and group `g = column / 4`:
//! - 8 bits: byte `64·g + b` (512 bytes);
//! - 4 bits: low half of byte `64·g + b` for `g < 4`, high half of byte `64·(g − 4) + b` otherwise
//!   (256 bytes);
//! - 5 bits: as 4 bits, and the fifth bits as a plane: bit `b` of the 64-bit word `g` (256 + 64).

use half::f16;

use super::lanes::LANES;
use crate::weights::DType;

/// Columns of a block.
pub(super) const BLOCK: usize = 32;

/// What accompanies the codes of one block of one tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scales {
    /// Sixteen halves `d`; `m = −2^(bits−1)·d`.
    Centred,
    /// Sixteen halves `d`, then sixteen halves `m`.
    HalfMinimum,
    /// Sixteen singles `d`, then sixteen singles `m`.
    SingleMinimum,
    /// Sixteen singles `d` for the first 16 columns, sixteen for the others; `m = −32·d`.
    Halves,
}

/// Layout of a packed matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Codes of so many bits (4, 5, or 8) and their scales.
    Codes(usize, Scales),
    /// `f32`: sixteen rows of column 0, sixteen rows of column 1, and so on.
    Single,
    /// The same in half precision.
    Half,
    /// The same in bfloat16.
    Brain,
}

impl Format {
    /// Layout that keeps the stored bits of `dtype`.
    pub(super) fn of(dtype: DType) -> Self {
        match dtype {
            DType::F32 => Self::Single,
            DType::F16 => Self::Half,
            DType::BF16 => Self::Brain,
            DType::Q4_0 => Self::Codes(4, Scales::Centred),
            DType::Q4_1 => Self::Codes(4, Scales::HalfMinimum),
            DType::Q5_0 => Self::Codes(5, Scales::Centred),
            DType::Q5_1 => Self::Codes(5, Scales::HalfMinimum),
            DType::Q8_0 => Self::Codes(8, Scales::Centred),
            DType::Q4_K => Self::Codes(4, Scales::SingleMinimum),
            DType::Q5_K => Self::Codes(5, Scales::SingleMinimum),
            DType::Q6_K => Self::Codes(8, Scales::Halves),
        }
    }

    /// Bytes of one block of one tile: codes (or values), scales.
    pub(super) fn n_bytes(self) -> (usize, usize) {
        match self {
            Self::Codes(bits, scales) => (
                code_bytes(bits),
                match scales {
                    Scales::Centred => 2 * LANES,
                    Scales::HalfMinimum => 4 * LANES,
                    Scales::SingleMinimum | Scales::Halves => 8 * LANES,
                },
            ),
            Self::Single => (4 * LANES * BLOCK, 0),
            Self::Half | Self::Brain => (2 * LANES * BLOCK, 0),
        }
    }
}

/// Bytes that the codes of one block of one tile take.
pub(super) const fn code_bytes(bits: usize) -> usize {
    match bits {
        4 => 256,
        5 => 320,
        _ => 512,
    }
}

/// One row's part of a block: codes, and two numbers whose meaning [`Scales`] tells
/// (`d`, `m`, or for halves both `d`).
pub(super) struct RowBlock {
    pub(super) codes: [u8; BLOCK],
    pub(super) first: f32,
    pub(super) second: f32,
}

impl RowBlock {
    /// Reads block `block` (of 32 columns) of a row stored as `dtype`, a quantised type.
    pub(super) fn read(dtype: DType, row: &[u8], block: usize) -> Self {
        let (n_columns, n_bytes) = dtype.block();
        let per_stored = n_columns / BLOCK;
        let start = block / per_stored * n_bytes;
        let stored = &row[start..start + n_bytes];
        let part = block % per_stored;
        match dtype {
            DType::Q4_0 => Self::nibbles(stored, &stored[2..], None, false),
            DType::Q4_1 => Self::nibbles(stored, &stored[4..], None, true),
            DType::Q5_0 => Self::nibbles(stored, &stored[6..], Some(&stored[2..6]), false),
            DType::Q5_1 => Self::nibbles(stored, &stored[8..], Some(&stored[4..8]), true),
            DType::Q4_K => Self::super_block(stored, &stored[16..], None, part),
            DType::Q5_K => Self::super_block(stored, &stored[48..], Some(&stored[16..48]), part),
            DType::Q6_K => Self::six_bits(stored, part),
            DType::Q8_0 => {
                let mut codes = [0; BLOCK];
                for (code, &byte) in codes.iter_mut().zip(&stored[2..]) {
                    *code = byte ^ 0x80;
                }
                Self {
                    codes,
                    first: half_at(stored, 0),
                    second: 0.0,
                }
            }
            DType::F32 | DType::F16 | DType::BF16 => {
                unreachable!("float rows have no blocks of codes")
            }
        }
    }

    /// Q4_0, Q4_1, Q5_0, Q5_1: low halves are columns 0..16, high halves 16..32, fifth bits in a
    /// 32-bit word.
    fn nibbles(stored: &[u8], pairs: &[u8], fifth: Option<&[u8]>, has_minimum: bool) -> Self {
        let fifth = fifth.map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let mut codes = [0; BLOCK];
        for (column, code) in codes.iter_mut().enumerate() {
            let pair = pairs[column % 16];
            let low = if column < 16 { pair & 15 } else { pair >> 4 };
            let bit = u8::from(fifth >> column & 1 == 1);
            *code = low | bit << 4;
        }
        Self {
            codes,
            first: half_at(stored, 0),
            second: if has_minimum { half_at(stored, 2) } else { 0.0 },
        }
    }

    /// Q4_K, Q5_K: sub-block `part` (0..8) with 6-bit scale and minimum.
    fn super_block(stored: &[u8], pairs: &[u8], fifth: Option<&[u8]>, part: usize) -> Self {
        let packed = &stored[4..16];
        let (scale, minimum) = if part < 4 {
            (packed[part] & 63, packed[part + 4] & 63)
        } else {
            (
                packed[part + 4] & 15 | packed[part - 4] >> 6 << 4,
                packed[part + 4] >> 4 | packed[part] >> 6 << 4,
            )
        };
        let pairs = &pairs[part / 2 * 32..part / 2 * 32 + 32];
        let mut codes = [0; BLOCK];
        for (column, code) in codes.iter_mut().enumerate() {
            let pair = pairs[column];
            let low = if part.is_multiple_of(2) {
                pair & 15
            } else {
                pair >> 4
            };
            let bit = fifth.map_or(0, |plane| plane[column] >> part & 1);
            *code = low | bit << 4;
        }
        Self {
            codes,
            first: half_at(stored, 0) * f32::from(scale),
            second: -(half_at(stored, 2) * f32::from(minimum)),
        }
    }

    /// Q6_K: columns `32·part..` of 256, two scales of 16 columns each.
    fn six_bits(stored: &[u8], part: usize) -> Self {
        let (side, quarter) = (part / 4, part % 4);
        let low = &stored[side * 64 + quarter % 2 * 32..];
        let high = &stored[128 + side * 32..];
        let scale = |idx: usize| f32::from(stored[192 + side * 8 + idx].cast_signed());
        let mut codes = [0; BLOCK];
        for (column, code) in codes.iter_mut().enumerate() {
            let four = if quarter < 2 {
                low[column] & 15
            } else {
                low[column] >> 4
            };
            *code = four | (high[column] >> (2 * quarter) & 3) << 4;
        }
        let d = half_at(stored, 208);
        Self {
            codes,
            first: d * scale(quarter * 2),
            second: d * scale(quarter * 2 + 1),
        }
    }

    /// Writes this part of row `lane` into the codes and scales of its block.
    pub(super) fn write(
        &self,
        (bits, kind): (usize, Scales),
        lane: usize,
        codes: &mut [u8],
        scales: &mut [u8],
    ) {
        for (column, &code) in self.codes.iter().enumerate() {
            let (group, byte) = (column / 4, 4 * lane + column % 4);
            if bits == 8 {
                codes[group * 64 + byte] = code;
                continue;
            }
            codes[group % 4 * 64 + byte] |= (code & 15) << (group / 4 * 4);
            if bits == 5 {
                codes[256 + group * 8 + byte / 8] |= (code >> 4) << (byte % 8);
            }
        }
        let mut put = |offset: usize, bytes: &[u8]| {
            scales[offset..offset + bytes.len()].copy_from_slice(bytes);
        };
        match kind {
            Scales::Centred => put(2 * lane, &f16::from_f32(self.first).to_le_bytes()),
            Scales::HalfMinimum => {
                put(2 * lane, &f16::from_f32(self.first).to_le_bytes());
                put(32 + 2 * lane, &f16::from_f32(self.second).to_le_bytes());
            }
            Scales::SingleMinimum | Scales::Halves => {
                put(4 * lane, &self.first.to_le_bytes());
                put(64 + 4 * lane, &self.second.to_le_bytes());
            }
        }
    }
}

fn half_at(bytes: &[u8], offset: usize) -> f32 {
    f16::from_le_bytes([bytes[offset], bytes[offset + 1]]).to_f32()
}
