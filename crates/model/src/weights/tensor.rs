//! One stored tensor: its element type, shape, and bytes.

use std::borrow::Cow;
use std::ops::Range;

use eval::{Error, Result};

use super::dequantise::dequantise;

/// How the elements of a tensor are stored. The quantised types are ggml's: blocks along a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(
    non_camel_case_types,
    reason = "the names that ggml and every GGUF file use"
)]
pub enum DType {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of a single.
    BF16,
    /// 32 elements: f16 scale, 4-bit quants minus 8.
    Q4_0,
    /// 32 elements: f16 scale and minimum, 4-bit quants.
    Q4_1,
    /// 32 elements: f16 scale, 5-bit quants minus 16.
    Q5_0,
    /// 32 elements: f16 scale and minimum, 5-bit quants.
    Q5_1,
    /// 32 elements: f16 scale, signed bytes.
    Q8_0,
    /// 256 elements: 8 sub-blocks with 6-bit scales and minima, 4-bit quants.
    Q4_K,
    /// 256 elements: 8 sub-blocks with 6-bit scales and minima, 5-bit quants.
    Q5_K,
    /// 256 elements: 16 sub-blocks with 8-bit scales, 6-bit quants.
    Q6_K,
}

impl DType {
    /// Elements of one block and bytes it takes.
    #[must_use]
    pub fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::BF16 => (1, 2),
            Self::Q4_0 => (32, 18),
            Self::Q4_1 => (32, 20),
            Self::Q5_0 => (32, 22),
            Self::Q5_1 => (32, 24),
            Self::Q8_0 => (32, 34),
            Self::Q4_K => (256, 144),
            Self::Q5_K => (256, 176),
            Self::Q6_K => (256, 210),
        }
    }
}

/// A tensor in a verified file. Row-major: the last dimension is contiguous.
#[derive(Clone, Debug)]
pub struct TensorView<'a> {
    /// How elements are stored.
    pub dtype: DType,
    /// Outermost dimension first, as on the hub: a projection is `[n_out, n_in]`.
    pub shape: Vec<usize>,
    /// The stored blocks, row after row. Borrowed from the file unless rows were reordered.
    pub bytes: Cow<'a, [u8]>,
}

impl TensorView<'_> {
    /// All elements as singles, row-major.
    ///
    /// # Errors
    /// Shape and bytes do not fit each other.
    pub fn to_f32(&self) -> Result<Vec<f32>> {
        let n_elements = self.n_elements()?;
        let mut out = vec![0.0; n_elements];
        dequantise(self.dtype, &self.bytes, &mut out);
        Ok(out)
    }

    /// The sub-tensor of the outermost indices `range`, borrowed from this one. Of a vector of
    /// quantised blocks, `range` must begin and end between blocks.
    ///
    /// # Errors
    /// `range` leaves the tensor or cuts a block, or shape and bytes do not fit each other.
    pub fn rows(&self, range: Range<usize>) -> Result<TensorView<'_>> {
        self.n_elements()?;
        let n_rows = self.shape[0];
        if range.start > range.end || range.end > n_rows {
            return Err(Error::inputs(format!(
                "rows {range:?} are asked of a tensor of shape {:?}",
                self.shape
            )));
        }
        // A vector's rows are its elements, of which a block has several.
        let (n_block, block_bytes) = self.dtype.block();
        let (unit, unit_bytes) = if self.shape.len() == 1 {
            (n_block, block_bytes)
        } else {
            (1, self.bytes.len() / n_rows)
        };
        if !range.start.is_multiple_of(unit) || !range.end.is_multiple_of(unit) {
            return Err(Error::inputs(format!(
                "elements {range:?} cut a block of {unit}"
            )));
        }
        let bytes = &self.bytes[range.start / unit * unit_bytes..range.end / unit * unit_bytes];
        let mut shape = self.shape.clone();
        shape[0] = range.len();
        Ok(TensorView {
            dtype: self.dtype,
            shape,
            bytes: Cow::Borrowed(bytes),
        })
    }

    /// Row `row` (of all dimensions but the last taken together) into `out`, which has the row's
    /// length.
    ///
    /// # Errors
    /// There is no such row, `out` has another length, or shape and bytes do not fit each other.
    pub fn row_to_f32(&self, row: usize, out: &mut [f32]) -> Result<()> {
        let n_elements = self.n_elements()?;
        let n_columns = self.shape[self.shape.len() - 1];
        let n_rows = n_elements / n_columns;
        if row >= n_rows || out.len() != n_columns {
            return Err(Error::inputs(format!(
                "row {row} with {} columns is asked of a tensor of shape {:?}",
                out.len(),
                self.shape
            )));
        }
        let row_bytes = self.bytes.len() / n_rows;
        let bytes = &self.bytes[row * row_bytes..(row + 1) * row_bytes];
        dequantise(self.dtype, bytes, out);
        Ok(())
    }

    /// The number of elements, after a check that rows are whole blocks and all bytes are there.
    fn n_elements(&self) -> Result<usize> {
        let (n_block, block_bytes) = self.dtype.block();
        let n_elements = self
            .shape
            .iter()
            .try_fold(1_usize, |product, n| product.checked_mul(*n))
            .filter(|n| {
                let whole = self.shape.last().is_some_and(|n| n.is_multiple_of(n_block));
                whole && *n > 0 && Some(self.bytes.len()) == (n / n_block).checked_mul(block_bytes)
            });
        n_elements.ok_or_else(|| {
            Error::inputs(format!(
                "a tensor of type {:?} and shape {:?} cannot have {} bytes",
                self.dtype,
                self.shape,
                self.bytes.len()
            ))
        })
    }
}
