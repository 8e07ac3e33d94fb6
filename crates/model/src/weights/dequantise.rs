//! ggml's quantised blocks → singles.
//!
//! Formulas and their order of operations follow the reference in ggml's Python package
//! (`gguf.quants.*.dequantize_blocks`), so that results are equal to it bit for bit.

use half::{bf16, f16};

use super::DType;

/// Decodes whole blocks of `dtype` from `bytes` into `out`; both have the same number of blocks.
pub(super) fn dequantise(dtype: DType, bytes: &[u8], out: &mut [f32]) {
    let (n_elements, n_bytes) = dtype.block();
    let blocks = bytes
        .chunks_exact(n_bytes)
        .zip(out.chunks_exact_mut(n_elements));
    match dtype {
        DType::F32 => blocks.for_each(|(block, out)| {
            out[0] = f32::from_le_bytes([block[0], block[1], block[2], block[3]]);
        }),
        DType::F16 => blocks.for_each(|(block, out)| out[0] = half_at(block, 0)),
        DType::BF16 => blocks.for_each(|(block, out)| {
            out[0] = bf16::from_le_bytes([block[0], block[1]]).to_f32();
        }),
        DType::Q4_0 => blocks.for_each(|(block, out)| q4_0(block, out)),
        DType::Q4_1 => blocks.for_each(|(block, out)| q4_1(block, out)),
        DType::Q5_0 => blocks.for_each(|(block, out)| q5_0(block, out)),
        DType::Q5_1 => blocks.for_each(|(block, out)| q5_1(block, out)),
        DType::Q8_0 => blocks.for_each(|(block, out)| q8_0(block, out)),
        DType::Q4_K => blocks.for_each(|(block, out)| q4_k(block, out)),
        DType::Q5_K => blocks.for_each(|(block, out)| q5_k(block, out)),
        DType::Q6_K => blocks.for_each(|(block, out)| q6_k(block, out)),
    }
}

fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// `d (q − 8)`; byte `i` holds elements `i` (low) and `i + 16` (high).
fn q4_0(block: &[u8], out: &mut [f32]) {
    let d = half_at(block, 0);
    for (idx, byte) in block[2..18].iter().enumerate() {
        out[idx] = d * (f32::from(byte & 15) - 8.0);
        out[idx + 16] = d * (f32::from(byte >> 4) - 8.0);
    }
}

/// `d q + m`.
fn q4_1(block: &[u8], out: &mut [f32]) {
    let (d, m) = (half_at(block, 0), half_at(block, 2));
    for (idx, byte) in block[4..20].iter().enumerate() {
        out[idx] = d * f32::from(byte & 15) + m;
        out[idx + 16] = d * f32::from(byte >> 4) + m;
    }
}

/// Four low bits from nibbles as in Q4, the fifth of element `i` from bit `i` of a word.
fn five_bits(high: &[u8], low: &[u8], idx: usize) -> (u8, u8) {
    let bit = |at: usize| (high[at / 8] >> (at % 8) & 1) << 4;
    let byte = low[idx];
    (byte & 15 | bit(idx), byte >> 4 | bit(idx + 16))
}

/// `d (q − 16)`.
fn q5_0(block: &[u8], out: &mut [f32]) {
    let d = half_at(block, 0);
    for idx in 0..16 {
        let (first, second) = five_bits(&block[2..6], &block[6..22], idx);
        out[idx] = d * (f32::from(first) - 16.0);
        out[idx + 16] = d * (f32::from(second) - 16.0);
    }
}

/// `d q + m`.
fn q5_1(block: &[u8], out: &mut [f32]) {
    let (d, m) = (half_at(block, 0), half_at(block, 2));
    for idx in 0..16 {
        let (first, second) = five_bits(&block[4..8], &block[8..24], idx);
        out[idx] = d * f32::from(first) + m;
        out[idx + 16] = d * f32::from(second) + m;
    }
}

/// `d q` with signed bytes.
fn q8_0(block: &[u8], out: &mut [f32]) {
    let d = half_at(block, 0);
    for (byte, out) in block[2..34].iter().zip(out) {
        *out = d * f32::from(*byte as i8);
    }
}

/// The 6-bit scale and minimum of sub-block `idx` from the twelve packed bytes of Q4_K and Q5_K.
fn scale_and_minimum(packed: &[u8], idx: usize) -> (u8, u8) {
    if idx < 4 {
        (packed[idx] & 63, packed[idx + 4] & 63)
    } else {
        (
            packed[idx + 4] & 15 | packed[idx - 4] >> 6 << 4,
            packed[idx + 4] >> 4 | packed[idx] >> 6 << 4,
        )
    }
}

/// `d s q − d_min m` per sub-block of 32; a run of 32 bytes holds two of them.
fn q4_k(block: &[u8], out: &mut [f32]) {
    let (d, d_min) = (half_at(block, 0), half_at(block, 2));
    let (packed, quants) = (&block[4..16], &block[16..144]);
    for (sub, out) in out.chunks_exact_mut(32).enumerate() {
        let (scale, minimum) = scale_and_minimum(packed, sub);
        let (scale, minimum) = (d * f32::from(scale), d_min * f32::from(minimum));
        let shift = 4 * (sub % 2);
        for (byte, out) in quants[sub / 2 * 32..].iter().zip(out) {
            *out = scale * f32::from(byte >> shift & 15) - minimum;
        }
    }
}

/// As Q4_K, with the fifth bit of sub-block `s` in bit `s` of another run of 32 bytes.
fn q5_k(block: &[u8], out: &mut [f32]) {
    let (d, d_min) = (half_at(block, 0), half_at(block, 2));
    let (packed, high, quants) = (&block[4..16], &block[16..48], &block[48..176]);
    for (sub, out) in out.chunks_exact_mut(32).enumerate() {
        let (scale, minimum) = scale_and_minimum(packed, sub);
        let (scale, minimum) = (d * f32::from(scale), d_min * f32::from(minimum));
        let shift = 4 * (sub % 2);
        let low = &quants[sub / 2 * 32..];
        for ((byte, high), out) in low.iter().zip(high).zip(out) {
            let quant = byte >> shift & 15 | (high >> sub & 1) << 4;
            *out = scale * f32::from(quant) - minimum;
        }
    }
}

/// `d s (q − 32)` per sub-block of 16. Each half of 128 elements has 64 bytes of low nibbles and
/// 32 bytes of upper bit pairs.
fn q6_k(block: &[u8], out: &mut [f32]) {
    let d = half_at(block, 208);
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    for (idx, out) in out.iter_mut().enumerate() {
        let (part, within) = (idx / 128, idx % 128);
        let quarter = within / 32;
        let low = low[part * 64 + within % 64] >> (4 * (quarter / 2)) & 15;
        let high = high[part * 32 + within % 32] >> (2 * quarter) & 3;
        let scale = d * f32::from(scales[idx / 16] as i8);
        *out = scale * (f32::from(low | high << 4) - 32.0);
    }
}
