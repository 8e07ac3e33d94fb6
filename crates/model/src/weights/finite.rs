//! Finds NaN and infinities without de-quantising.
//!
//! Cost: one pass over the bytes; a quantised block is judged by its one or two half-precision
//! scales. The largest finite scale times the largest quant stays far below the largest single,
//! so finite scales mean finite elements.

use super::DType;

/// Offset of the first element, scale, or minimum in `bytes` that is NaN or infinite.
pub(super) fn first_other(dtype: DType, bytes: &[u8]) -> Option<usize> {
    match dtype {
        DType::F32 => first(bytes, 4, |c| f32_is_other([c[0], c[1], c[2], c[3]])),
        DType::F16 => first(bytes, 2, |c| f16_is_other([c[0], c[1]])),
        DType::BF16 => first(bytes, 2, |c| f32_is_other([0, 0, c[0], c[1]])),
        // Where a block has its scale and, if any, its minimum.
        DType::Q4_0 | DType::Q5_0 | DType::Q8_0 => {
            first(bytes, dtype.block().1, |c| f16_is_other([c[0], c[1]]))
        }
        DType::Q4_1 | DType::Q5_1 | DType::Q4_K | DType::Q5_K => {
            first(bytes, dtype.block().1, |c| {
                f16_is_other([c[0], c[1]]) || f16_is_other([c[2], c[3]])
            })
        }
        DType::Q6_K => first(bytes, dtype.block().1, |c| f16_is_other([c[208], c[209]])),
    }
}

/// Offset of the first chunk of `n` bytes for which `is_other` holds.
fn first(bytes: &[u8], n: usize, is_other: impl Fn(&[u8]) -> bool) -> Option<usize> {
    bytes.chunks_exact(n).position(is_other).map(|idx| idx * n)
}

fn f32_is_other(bytes: [u8; 4]) -> bool {
    const EXPONENT: u32 = 0x7f80_0000;
    u32::from_le_bytes(bytes) & EXPONENT == EXPONENT
}

fn f16_is_other(bytes: [u8; 2]) -> bool {
    const EXPONENT: u16 = 0x7c00;
    u16::from_le_bytes(bytes) & EXPONENT == EXPONENT
}
