//! Packed weights times activations, rounded and exact.

use candle_core::Device;
use candle_core::quantized::GgmlDType;
use candle_core::quantized::ggml_file::qtensor_from_ggml;
use half::{bf16, f16};
use model::kernels::{Cpu, Matrix, Precision, Scratch, Threads};
use model::weights::{DType, TensorView};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{bits, cpus, values};

const QUANTISED: [DType; 8] = [
    DType::Q4_0,
    DType::Q4_1,
    DType::Q5_0,
    DType::Q5_1,
    DType::Q8_0,
    DType::Q4_K,
    DType::Q5_K,
    DType::Q6_K,
];
const FLOATS: [DType; 3] = [DType::F32, DType::F16, DType::BF16];

/// Offsets of half-precision numbers in a block: scale, then minimum.
fn halves(dtype: DType) -> &'static [usize] {
    match dtype {
        DType::Q4_0 | DType::Q5_0 | DType::Q8_0 => &[0],
        DType::Q6_K => &[208],
        DType::F32 | DType::F16 | DType::BF16 => &[],
        DType::Q4_1 | DType::Q5_1 | DType::Q4_K | DType::Q5_K => &[0, 2],
    }
}

/// A tensor of random blocks; every bit pattern of the codes and sub-scales may occur.
fn tensor(dtype: DType, n_out: usize, n_in: usize, seed: u64) -> TensorView<'static> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (n_columns, n_bytes) = dtype.block();
    let n_blocks = n_out * n_in / n_columns;
    let mut bytes = Vec::with_capacity(n_blocks * n_bytes);
    for _ in 0..n_blocks {
        let x: f32 = rng.random_range(-1.0..1.0);
        match dtype {
            DType::F32 => bytes.extend(x.to_le_bytes()),
            DType::F16 => bytes.extend(f16::from_f32(x).to_le_bytes()),
            DType::BF16 => bytes.extend(bf16::from_f32(x).to_le_bytes()),
            _ => {
                let start = bytes.len();
                bytes.extend((0..n_bytes).map(|_| rng.random::<u8>()));
                for &at in halves(dtype) {
                    let half = f16::from_f32(rng.random_range(-0.05..0.05));
                    bytes[start + at..start + at + 2].copy_from_slice(&half.to_le_bytes());
                }
            }
        }
    }
    TensorView {
        dtype,
        shape: vec![n_out, n_in],
        bytes: bytes.into(),
    }
}

/// De-quantised by candle.
fn reference_values(tensor: &TensorView<'_>) -> Vec<f32> {
    let dtype = match tensor.dtype {
        DType::F32 => GgmlDType::F32,
        DType::F16 => GgmlDType::F16,
        DType::BF16 => GgmlDType::BF16,
        DType::Q4_0 => GgmlDType::Q4_0,
        DType::Q4_1 => GgmlDType::Q4_1,
        DType::Q5_0 => GgmlDType::Q5_0,
        DType::Q5_1 => GgmlDType::Q5_1,
        DType::Q8_0 => GgmlDType::Q8_0,
        DType::Q4_K => GgmlDType::Q4K,
        DType::Q5_K => GgmlDType::Q5K,
        DType::Q6_K => GgmlDType::Q6K,
    };
    let stored =
        qtensor_from_ggml(dtype, &tensor.bytes, tensor.shape.clone(), &Device::Cpu).unwrap();
    let values = stored.dequantize(&Device::Cpu).unwrap();
    values.flatten_all().unwrap().to_vec1().unwrap()
}

fn apply(cpu: &Cpu, matrix: &Matrix, x: &[f32]) -> Vec<f32> {
    let n_tokens = x.len() / matrix.n_in();
    let mut out = vec![f32::NAN; n_tokens * matrix.n_out()];
    let mut scratch = Scratch::new();
    cpu.apply(&[matrix], x, n_tokens, &mut [&mut out], &mut scratch);
    out
}

/// Rows that fill no tile, and columns: the fewest blocks and an odd number of them.
fn shapes(dtype: DType) -> Vec<(usize, usize)> {
    let (block, _) = dtype.block();
    if block == 1 {
        return vec![(1, 1), (16, 32), (5, 33), (37, 100), (48, 64)];
    }
    vec![(1, block), (16, block), (17, 3 * block), (50, 2 * block)]
}

#[test]
fn rows_are_the_values_that_candle_dequantises() {
    for dtype in QUANTISED.into_iter().chain(FLOATS) {
        for (n_out, n_in) in shapes(dtype) {
            let tensor = tensor(dtype, n_out, n_in, 1);
            let expected = reference_values(&tensor);
            let matrix = Matrix::pack(&tensor, Precision::Exact).unwrap();
            let mut row = vec![f32::NAN; n_in];
            for (idx, expected) in expected.chunks(n_in).enumerate() {
                matrix.row_f32(idx, &mut row);
                // −0 and 0 are the same weight.
                assert_eq!(row, expected, "{dtype:?} {n_out}×{n_in} row {idx}");
            }
        }
    }
}

#[test]
fn exact_products_are_within_the_rounding_bound_of_f64() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for dtype in QUANTISED.into_iter().chain(FLOATS) {
        for (n_out, n_in) in shapes(dtype) {
            let tensor = tensor(dtype, n_out, n_in, 3);
            let w = reference_values(&tensor);
            let matrix = Matrix::pack(&tensor, Precision::Exact).unwrap();
            let x = values(&mut rng, 5 * n_in);
            // Higham, 2002, equation 3.5 for blocked sums: 32 roundings in a block, one per block.
            let depth = (32 + n_in.div_ceil(32)) as f64 * 2.0_f64.powi(-24);
            for cpu in cpus() {
                let y = apply(&cpu, &matrix, &x);
                for (idx, &y) in y.iter().enumerate() {
                    let (token, row) = (idx / n_out, idx % n_out);
                    let products = (0..n_in).map(|column| {
                        f64::from(w[row * n_in + column]) * f64::from(x[token * n_in + column])
                    });
                    let (mut sum, mut magnitude) = (0.0, 0.0);
                    for product in products {
                        sum += product;
                        magnitude += product.abs();
                    }
                    let error = (f64::from(y) - sum).abs();
                    assert!(
                        error <= depth * magnitude + 1e-30,
                        "{dtype:?} {n_out}×{n_in} at {idx}: {y} is not {sum}"
                    );
                }
            }
        }
    }
}

#[test]
fn rounded_products_are_within_half_a_step_per_activation_of_f64() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for dtype in QUANTISED {
        for (n_out, n_in) in shapes(dtype) {
            let tensor = tensor(dtype, n_out, n_in, 5);
            let w = reference_values(&tensor);
            let matrix = Matrix::pack(&tensor, Precision::Quantised).unwrap();
            let x = values(&mut rng, 3 * n_in);
            let y = apply(&Cpu::new(Threads::ONE).unwrap(), &matrix, &x);
            for (idx, &y) in y.iter().enumerate() {
                let (token, row) = (idx / n_out, idx % n_out);
                let x = &x[token * n_in..][..n_in];
                let w = &w[row * n_in..][..n_in];
                let (mut sum, mut bound) = (0.0, 1e-5);
                for (x, w) in x.chunks(32).zip(w.chunks(32)) {
                    let largest = x.iter().fold(0.0_f32, |a, x| a.max(x.abs()));
                    for (x, w) in x.iter().zip(w) {
                        sum += f64::from(*x) * f64::from(*w);
                        // Half a step of the activation; a little more for the rounding of sums.
                        bound += f64::from(w.abs()) * f64::from(largest) * (0.501 / 127.0);
                    }
                }
                assert!(
                    (f64::from(y) - sum).abs() <= bound,
                    "{dtype:?} {n_out}×{n_in} at {idx}: {y} is not {sum} ± {bound}"
                );
            }
        }
    }
}

/// Codes as whole numbers (`q` less the centre, or `q`): candle's values at scale 1, minimum 0.
fn codes(tensor: &TensorView<'_>) -> Vec<f32> {
    let mut bare = tensor.clone();
    let (_, n_bytes) = tensor.dtype.block();
    for block in bare.bytes.to_mut().chunks_mut(n_bytes) {
        for (&at, value) in halves(tensor.dtype).iter().zip([1.0, 0.0]) {
            block[at..at + 2].copy_from_slice(&f16::from_f32(value).to_le_bytes());
        }
    }
    reference_values(&bare)
}

#[test]
fn rounded_products_equal_the_naive_integer_product_to_the_last_bit() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for dtype in [
        DType::Q4_0,
        DType::Q4_1,
        DType::Q5_0,
        DType::Q5_1,
        DType::Q8_0,
    ] {
        let (n_out, n_in) = (19, 96);
        let tensor = tensor(dtype, n_out, n_in, 7);
        let codes = codes(&tensor);
        let (_, n_bytes) = dtype.block();
        let matrix = Matrix::pack(&tensor, Precision::Quantised).unwrap();
        let x = values(&mut rng, n_in);
        let y = apply(&Cpu::new(Threads::ONE).unwrap(), &matrix, &x);
        for (row, y) in y.iter().enumerate() {
            let mut expected = 0.0_f32;
            for (block, x) in x.chunks(32).enumerate() {
                let largest = x.iter().fold(0.0_f32, |a, x| a.max(x.abs()));
                let (scale, inverse) = (largest / 127.0, 127.0 / largest);
                let x: Vec<i32> = x
                    .iter()
                    .map(|x| (x * inverse).round_ties_even() as i32)
                    .collect();
                let at = row * n_in + block * 32;
                let dot: i32 = x.iter().zip(&codes[at..]).map(|(x, c)| x * *c as i32).sum();
                let stored = &tensor.bytes[at / 32 * n_bytes..];
                let half = |at: usize| f16::from_le_bytes([stored[at], stored[at + 1]]).to_f32();
                expected = (dot as f32).mul_add(half(0) * scale, expected);
                if halves(dtype).len() == 2 {
                    let sum = scale * x.iter().sum::<i32>() as f32;
                    expected = half(2).mul_add(sum, expected);
                }
            }
            assert_eq!(y.to_bits(), expected.to_bits(), "{dtype:?} row {row}");
        }
    }
}

#[test]
fn extreme_codes_and_activations_do_not_overflow_on_any_instruction_set() {
    for dtype in [DType::Q4_0, DType::Q4_1, DType::Q5_1, DType::Q8_0] {
        for fill in [0x00_u8, 0x7f, 0x80, 0xff] {
            for sign in [-1.0_f32, 1.0] {
                let mut tensor = tensor(dtype, 16, 64, 8);
                let (_, n_bytes) = dtype.block();
                for block in tensor.bytes.to_mut().chunks_mut(n_bytes) {
                    block.fill(fill);
                    for &at in halves(dtype) {
                        block[at..at + 2].copy_from_slice(&f16::ONE.to_le_bytes());
                    }
                }
                let x = vec![127.0 * sign; 64];
                let w = reference_values(&tensor);
                let expected: f32 = w[..64].iter().map(|w| w * 127.0 * sign).sum();
                let matrix = Matrix::pack(&tensor, Precision::Quantised).unwrap();
                for cpu in cpus() {
                    let isa = cpu.isa();
                    let y = apply(&cpu, &matrix, &x);
                    assert_eq!(y, [expected; 16], "{dtype:?} {fill:#x} {isa:?}");
                }
            }
        }
    }
}

#[test]
fn products_have_the_same_bits_on_every_instruction_set_and_in_every_batch() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for dtype in QUANTISED.into_iter().chain(FLOATS) {
        for precision in [Precision::Quantised, Precision::Exact] {
            for (n_out, n_in) in shapes(dtype) {
                let tensor = tensor(dtype, n_out, n_in, 10);
                let matrix = Matrix::pack(&tensor, precision).unwrap();
                let x = values(&mut rng, 33 * n_in);
                let [scalar, ..] = cpus().try_into().unwrap_or_else(|all: Vec<Cpu>| {
                    [all[0].clone(), all[0].clone(), all[0].clone()]
                });
                let one_by_one: Vec<f32> = x
                    .chunks(n_in)
                    .flat_map(|x| apply(&scalar, &matrix, x))
                    .collect();
                for cpu in cpus() {
                    for n_tokens in [1, 2, 3, 5, 7, 8, 9, 12, 13, 20, 33] {
                        let y = apply(&cpu, &matrix, &x[..n_tokens * n_in]);
                        assert_eq!(
                            bits(&y),
                            bits(&one_by_one[..n_tokens * n_out]),
                            "{dtype:?} {precision:?} {n_out}×{n_in}, {n_tokens} tokens, {:?}",
                            cpu.isa()
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn matrices_that_share_an_input_give_what_they_give_alone_on_any_number_of_threads() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let n_in = 256;
    let pack =
        |dtype, n_out, precision| Matrix::pack(&tensor(dtype, n_out, n_in, 12), precision).unwrap();
    let matrices = [
        pack(DType::Q4_1, 301, Precision::Quantised),
        pack(DType::Q8_0, 64, Precision::Exact),
        pack(DType::F32, 33, Precision::Quantised),
        pack(DType::Q6_K, 208, Precision::Quantised),
    ];
    let n_tokens = 11;
    let x = values(&mut rng, n_tokens * n_in);
    for n_threads in [1, 2, 3, 7] {
        let cpu = Cpu::new(Threads::new(n_threads).unwrap()).unwrap();
        let mut outs: Vec<Vec<f32>> = matrices
            .iter()
            .map(|m| vec![f32::NAN; n_tokens * m.n_out()])
            .collect();
        let mut places: Vec<&mut [f32]> = outs.iter_mut().map(Vec::as_mut_slice).collect();
        let refs: Vec<&Matrix> = matrices.iter().collect();
        cpu.apply(&refs, &x, n_tokens, &mut places, &mut Scratch::new());
        let alone = Cpu::new(Threads::ONE).unwrap();
        for (matrix, out) in matrices.iter().zip(&outs) {
            let expected = apply(&alone, matrix, &x);
            assert_eq!(bits(out), bits(&expected), "{n_threads} threads");
        }
    }
}

#[test]
fn a_nan_or_infinity_in_an_activation_reaches_its_output_and_no_other_token() {
    for dtype in [DType::Q4_1, DType::Q8_0, DType::Q6_K, DType::F32] {
        for precision in [Precision::Quantised, Precision::Exact] {
            let matrix = Matrix::pack(&tensor(dtype, 20, 256, 13), precision).unwrap();
            for bad in [f32::NAN, f32::INFINITY] {
                let mut x = vec![0.5; 3 * 256];
                x[256 + 40] = bad;
                for cpu in cpus() {
                    let y = apply(&cpu, &matrix, &x);
                    let is_finite: Vec<bool> = y
                        .chunks(20)
                        .map(|y| y.iter().all(|y| y.is_finite()))
                        .collect();
                    assert_eq!(is_finite, [true, false, true], "{dtype:?} {precision:?}");
                }
            }
        }
    }
}

#[test]
fn all_zero_and_tiny_activations_give_zero() {
    let matrix = Matrix::pack(&tensor(DType::Q4_1, 16, 64, 14), Precision::Quantised).unwrap();
    for tiny in [0.0, -0.0, 1e-40, 1e-37] {
        for cpu in cpus() {
            assert_eq!(apply(&cpu, &matrix, &[tiny; 64]), [0.0; 16], "{tiny}");
        }
    }
}

#[test]
fn tensors_that_are_no_whole_matrix_are_refused() {
    let good = tensor(DType::Q4_1, 4, 64, 15);
    for (what, shape, n_bytes) in [
        ("one dimension", vec![256], good.bytes.len()),
        ("three dimensions", vec![2, 2, 64], good.bytes.len()),
        ("rows of half a block", vec![8, 32 + 16], good.bytes.len()),
        ("no rows", vec![0, 64], 0),
        ("no columns", vec![4, 0], 0),
        ("a byte missing", vec![4, 64], good.bytes.len() - 1),
        ("absurd counts", vec![usize::MAX, 64], good.bytes.len()),
    ] {
        let tensor = TensorView {
            dtype: DType::Q4_1,
            shape,
            bytes: good.bytes[..n_bytes].to_vec().into(),
        };
        let refused = Matrix::pack(&tensor, Precision::Quantised);
        assert!(refused.is_err(), "{what} was accepted");
    }
    assert!(Matrix::pack_f32(2, 3, &[0.0; 5], Precision::Exact).is_err());
    assert!(Threads::new(0).is_err());
}

#[test]
fn packing_keeps_the_stored_size() {
    for (dtype, n_bytes) in [
        (DType::Q4_1, 20 * 16 * 2),
        (DType::Q4_0, 18 * 16 * 2),
        (DType::Q5_0, 22 * 16 * 2),
        (DType::Q8_0, 34 * 16 * 2),
        (DType::F16, 2 * 64 * 16),
    ] {
        let matrix = Matrix::pack(&tensor(dtype, 16, 64, 16), Precision::Exact).unwrap();
        assert_eq!(matrix.n_bytes(), n_bytes, "{dtype:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn float_matrices_of_any_shape_multiply_as_in_f64(
        n_out in 1_usize..70, n_in in 1_usize..140, n_tokens in 1_usize..34, seed: u64,
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (w, x) = (values(&mut rng, n_out * n_in), values(&mut rng, n_tokens * n_in));
        let matrix = Matrix::pack_f32(n_out, n_in, &w, Precision::Exact).unwrap();
        let mut seen = Vec::new();
        for cpu in cpus() {
            let y = apply(&cpu, &matrix, &x);
            for (idx, &y) in y.iter().enumerate() {
                let (token, row) = (idx / n_out, idx % n_out);
                let expected: f64 = (0..n_in)
                    .map(|i| f64::from(w[row * n_in + i]) * f64::from(x[token * n_in + i]))
                    .sum();
                prop_assert!((f64::from(y) - expected).abs() <= 4.0 * 37.0 * n_in as f64 * 6e-8);
            }
            seen.push(bits(&y));
        }
        prop_assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn quantised_matrices_of_any_shape_have_the_same_bits_everywhere(
        which in 0_usize..8, n_out in 1_usize..40, n_blocks in 1_usize..4,
        n_tokens in 1_usize..34, seed: u64,
    ) {
        let dtype = QUANTISED[which];
        let n_in = n_blocks * dtype.block().0;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let tensor = tensor(dtype, n_out, n_in, seed);
        let x = values(&mut rng, n_tokens * n_in);
        for precision in [Precision::Quantised, Precision::Exact] {
            let matrix = Matrix::pack(&tensor, precision).unwrap();
            let last = &x[(n_tokens - 1) * n_in..];
            let alone = apply(&Cpu::new(Threads::ONE).unwrap(), &matrix, last);
            for cpu in cpus() {
                let y = apply(&cpu, &matrix, &x);
                prop_assert_eq!(bits(&y[(n_tokens - 1) * n_out..]), bits(&alone));
            }
        }
    }
}
