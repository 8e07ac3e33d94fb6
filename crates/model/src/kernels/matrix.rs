//! A weight matrix, packed once when a model is loaded.

use std::sync::Arc;

use eval::{Error, Result};
use half::{bf16, f16};

use super::format::{BLOCK, Format, RowBlock, Scales};
use super::lanes::LANES;
use super::lines::Lines;
use crate::weights::{DType, TensorView};

/// How a product treats quantised weights. Weights stored as floats are always used as stored, with
/// activations in `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// Codes are multiplied with activations rounded to 8 bits per block of 32, as llama.cpp does.
    Quantised,
    /// Weights are de-quantised exactly and multiplied with `f32` activations.
    Exact,
}

/// Packed weights of a projection: `n_out` rows of `n_in` columns, `y = W·x`.
///
/// The stored bits are kept (4 bits stay 4 bits) at either precision; clones share memory.
#[derive(Clone, Debug)]
pub struct Matrix {
    n_out: usize,
    n_in: usize,
    precision: Precision,
    packed: Arc<Packed>,
}

/// The bytes, in the order of [`super::format`].
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) format: Format,
    pub(super) codes: Lines,
    pub(super) scales: Lines,
}

impl Matrix {
    /// Packs a stored tensor of shape `[n_out, n_in]`.
    ///
    /// # Errors
    /// The tensor is not a matrix, a row is not a whole number of blocks, or bytes are missing.
    pub fn pack(tensor: &TensorView<'_>, precision: Precision) -> Result<Self> {
        let refuse = |why: String| Error::inputs(format!("cannot pack a weight matrix: {why}"));
        let &[n_out, n_in] = tensor.shape.as_slice() else {
            return Err(refuse(format!("its shape is {:?}", tensor.shape)));
        };
        let (n_columns, n_block_bytes) = tensor.dtype.block();
        if n_out == 0 || n_in == 0 || !n_in.is_multiple_of(n_columns) {
            let dtype = tensor.dtype;
            return Err(refuse(format!(
                "{n_out} rows of {n_in} columns stored as {dtype:?}"
            )));
        }
        let row_bytes = (n_in / n_columns).checked_mul(n_block_bytes);
        let total = row_bytes.and_then(|bytes| bytes.checked_mul(n_out));
        let (Some(row_bytes), Some(total)) = (row_bytes, total) else {
            return Err(refuse(format!("{n_out} × {n_in} is beyond memory")));
        };
        if tensor.bytes.len() != total {
            let n_bytes = tensor.bytes.len();
            return Err(refuse(format!("{n_bytes} bytes instead of {total}")));
        }
        let packed = Packed::new(tensor.dtype, (n_out, n_in), &tensor.bytes, row_bytes);
        Ok(Self {
            n_out,
            n_in,
            precision,
            packed: Arc::new(packed),
        })
    }

    /// Packs `n_out · n_in` values, row after row.
    ///
    /// # Errors
    /// The number of values is another one, or zero.
    pub fn pack_f32(
        n_out: usize,
        n_in: usize,
        values: &[f32],
        precision: Precision,
    ) -> Result<Self> {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let tensor = TensorView {
            dtype: DType::F32,
            shape: vec![n_out, n_in],
            bytes: bytes.into(),
        };
        Self::pack(&tensor, precision)
    }

    /// The same weights used at another precision; shares memory.
    #[must_use]
    pub fn with_precision(&self, precision: Precision) -> Self {
        Self {
            precision,
            ..self.clone()
        }
    }

    /// Rows: outputs per token.
    #[must_use]
    pub fn n_out(&self) -> usize {
        self.n_out
    }

    /// Columns: inputs per token.
    #[must_use]
    pub fn n_in(&self) -> usize {
        self.n_in
    }

    /// Bytes that the packed weights take, which a product with one token reads.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        self.packed.codes.bytes().len() + self.packed.scales.bytes().len()
    }

    /// The exact values of one row: the embedding of a token.
    ///
    /// # Panics
    /// There is no such row, or `out` has not `n_in` places.
    pub fn row_f32(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.n_out, "row {row} of {}", self.n_out);
        assert_eq!(out.len(), self.n_in, "places for one row");
        let (code_bytes, scale_bytes) = self.packed.format.n_bytes();
        let n_blocks = self.n_blocks();
        for (block, out) in out.chunks_mut(BLOCK).enumerate() {
            let at = row / LANES * n_blocks + block;
            let codes = &self.packed.codes.bytes()[at * code_bytes..][..code_bytes];
            let scales = &self.packed.scales.bytes()[at * scale_bytes..][..scale_bytes];
            for (column, out) in out.iter_mut().enumerate() {
                *out = value(self.packed.format, (codes, scales), row % LANES, column);
            }
        }
    }

    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    pub(super) fn packed(&self) -> &Packed {
        &self.packed
    }

    /// Blocks of 32 columns in a row, the last one filled with zeros.
    pub(super) fn n_blocks(&self) -> usize {
        self.n_in.div_ceil(BLOCK)
    }

    /// Tiles of 16 rows, the last one filled with zeros.
    pub(super) fn n_tiles(&self) -> usize {
        self.n_out.div_ceil(LANES)
    }

    /// Whether the product rounds activations to 8 bits.
    pub(super) fn rounds_activations(&self) -> bool {
        self.precision() == Precision::Quantised && matches!(self.packed.format, Format::Codes(..))
    }
}

impl Packed {
    fn new(dtype: DType, (n_out, n_in): (usize, usize), bytes: &[u8], row_bytes: usize) -> Self {
        let format = Format::of(dtype);
        let (code_bytes, scale_bytes) = format.n_bytes();
        let n_blocks = n_in.div_ceil(BLOCK);
        let n = n_out.div_ceil(LANES) * n_blocks;
        let mut codes = Lines::zeroed(n * code_bytes);
        let mut scales = Lines::zeroed(n * scale_bytes);
        for (row, stored) in bytes.chunks_exact(row_bytes).enumerate() {
            let (tile, lane) = (row / LANES, row % LANES);
            if let Format::Codes(bits, kind) = format {
                for block in 0..n_blocks {
                    let at = tile * n_blocks + block;
                    RowBlock::read(dtype, stored, block).write(
                        (bits, kind),
                        lane,
                        &mut codes.bytes_mut()[at * code_bytes..][..code_bytes],
                        &mut scales.bytes_mut()[at * scale_bytes..][..scale_bytes],
                    );
                }
            } else {
                let width = code_bytes / (LANES * BLOCK);
                let tile = &mut codes.bytes_mut()[tile * n_blocks * code_bytes..];
                for (column, value) in stored.chunks_exact(width).enumerate() {
                    let at = (column * LANES + lane) * width;
                    tile[at..at + width].copy_from_slice(value);
                }
            }
        }
        Self {
            format,
            codes,
            scales,
        }
    }
}

/// The value of one row (`lane` of its tile) and column of a block.
fn value(format: Format, (codes, scales): (&[u8], &[u8]), lane: usize, column: usize) -> f32 {
    let two = |bytes: &[u8], at: usize| [bytes[at], bytes[at + 1]];
    let half = |at: usize| f16::from_le_bytes(two(scales, at)).to_f32();
    let single = |bytes: &[u8], at: usize| {
        f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    };
    let (bits, kind) = match format {
        Format::Codes(bits, kind) => (bits, kind),
        Format::Single => return single(codes, 4 * (column * LANES + lane)),
        Format::Half => {
            return f16::from_le_bytes(two(codes, 2 * (column * LANES + lane))).to_f32();
        }
        Format::Brain => {
            return bf16::from_le_bytes(two(codes, 2 * (column * LANES + lane))).to_f32();
        }
    };
    let (group, byte) = (column / 4, 4 * lane + column % 4);
    let code = if bits == 8 {
        codes[group * 64 + byte]
    } else {
        let low = codes[group % 4 * 64 + byte] >> (group / 4 * 4) & 15;
        let fifth = if bits == 5 {
            codes[256 + group * 8 + byte / 8] >> (byte % 8) & 1
        } else {
            0
        };
        low | fifth << 4
    };
    let (d, m) = match kind {
        Scales::Centred => {
            let d = half(2 * lane);
            (d, -d * (1_u16 << (bits - 1)) as f32)
        }
        Scales::HalfMinimum => (half(2 * lane), half(32 + 2 * lane)),
        Scales::SingleMinimum => (single(scales, 4 * lane), single(scales, 64 + 4 * lane)),
        Scales::Halves => {
            let d = single(scales, 64 * (column / 16) + 4 * lane);
            (d, -32.0 * d)
        }
    };
    d.mul_add(f32::from(code), m)
}
