//! Loops over elements and rows.

use model::kernels::{Cpu, Rotary};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{bits, cpus, values};

/// Checks a loop over a slice: the same bits on every instruction set, close to `f64`.
fn check_each(
    x: &[f32],
    run: impl Fn(&Cpu, &mut [f32]),
    expected: impl Fn(f64) -> f64,
    (relative, absolute): (f64, f64),
) {
    let mut first: Option<Vec<f32>> = None;
    for cpu in cpus() {
        let mut y = x.to_vec();
        run(&cpu, &mut y);
        for (&x, &y) in x.iter().zip(&y) {
            let truth = expected(f64::from(x));
            let error = (f64::from(y) - truth).abs();
            assert!(
                error <= relative * truth.abs() + absolute,
                "{x}: {y} is not {truth}"
            );
        }
        match &first {
            None => first = Some(y),
            Some(first) => assert_eq!(bits(first), bits(&y), "{:?}", cpu.isa()),
        }
    }
}

/// Arguments from −`limit` to `limit`, dense and uneven, a number that fills no vector.
fn sweep(limit: f32) -> Vec<f32> {
    let n = 200_003;
    (0..n)
        .map(|idx| (idx as f32 / (n - 1) as f32 * 2.0 - 1.0) * limit)
        .collect()
}

const ULP: f64 = 1.0 / (1 << 23) as f64;

#[test]
fn silu_is_within_three_units_in_the_last_place() {
    let silu = |x: f64| x / (1.0 + (-x).exp());
    check_each(&sweep(87.0), |cpu, x| cpu.silu(x), silu, (3.0 * ULP, 0.0));
    let far = [-1e30, -1000.0, -104.5, 100.0, 3e38, 0.0, -0.0];
    check_each(&far, |cpu, x| cpu.silu(x), silu, (3.0 * ULP, 1e-36));
}

#[test]
fn gelu_is_within_the_amplified_rounding_of_its_exponent() {
    let gelu = |x: f64| {
        let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
        x / (1.0 + (-2.0 * u).exp())
    };
    // The exponent is rounded a few times and reaches 88 where the result is still normal, so up
    // to 88 · 3 units are lost in the far negative tail, where the result is below 1e-30.
    check_each(
        &sweep(3.0),
        |cpu, x| cpu.gelu_tanh(x),
        gelu,
        (16.0 * ULP, 0.0),
    );
    check_each(
        &sweep(9.0),
        |cpu, x| cpu.gelu_tanh(x),
        gelu,
        (300.0 * ULP, 1e-37),
    );
    let far = [-1e10, -50.0, 50.0, 1e10, 0.0];
    check_each(&far, |cpu, x| cpu.gelu_tanh(x), gelu, (3.0 * ULP, 1e-37));
}

#[test]
fn gates_multiply_the_activation_with_the_other_projection() {
    let x = sweep(20.0);
    let up: Vec<f32> = x.iter().map(|x| 0.3 - x / 7.0).collect();
    for cpu in cpus() {
        for (gate, alone) in [
            (
                Cpu::silu_gate as fn(&Cpu, &mut [f32], &[f32]),
                Cpu::silu as fn(&Cpu, &mut [f32]),
            ),
            (Cpu::gelu_tanh_gate, Cpu::gelu_tanh),
        ] {
            let (mut gated, mut expected) = (x.clone(), x.clone());
            gate(&cpu, &mut gated, &up);
            alone(&cpu, &mut expected);
            expected.iter_mut().zip(&up).for_each(|(y, up)| *y *= up);
            assert_eq!(bits(&gated), bits(&expected));
        }
    }
}

#[test]
fn sums_of_residuals_are_those_of_plain_code() {
    let mut rng = ChaCha8Rng::seed_from_u64(17);
    let (x, y) = (values(&mut rng, 77), values(&mut rng, 77));
    for cpu in cpus() {
        let mut sum = x.clone();
        cpu.add(&mut sum, &y);
        let expected: Vec<f32> = x.iter().zip(&y).map(|(x, y)| x + y).collect();
        assert_eq!(sum, expected);
        let mut rows = x.clone();
        cpu.add(&mut rows, &y[..11]);
        let expected: Vec<f32> = x.iter().enumerate().map(|(i, x)| x + y[i % 11]).collect();
        assert_eq!(rows, expected);
        let mut scaled = x.clone();
        cpu.add_scaled(&mut scaled, &y, 0.3);
        let expected: Vec<f32> = x.iter().zip(&y).map(|(x, y)| y.mul_add(0.3, *x)).collect();
        assert_eq!(scaled, expected);
        let mut scaled = x.clone();
        cpu.scale(&mut scaled, -1.5);
        let expected: Vec<f32> = x.iter().map(|x| x * -1.5).collect();
        assert_eq!(scaled, expected);
    }
}

#[test]
fn normalisation_matches_f64_on_every_instruction_set() {
    let mut rng = ChaCha8Rng::seed_from_u64(18);
    for width in [1, 2, 15, 16, 17, 48, 576, 601] {
        let n_rows = 3;
        let x: Vec<f32> = values(&mut rng, n_rows * width)
            .iter()
            .map(|x| x + 0.7)
            .collect();
        let (weight, bias) = (values(&mut rng, width), values(&mut rng, width));
        let mut seen: Vec<[Vec<u32>; 2]> = Vec::new();
        for cpu in cpus() {
            let (mut rms, mut layer) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            cpu.rms_norm(&x, &weight, 1e-5, &mut rms);
            cpu.layer_norm(&x, &weight, &bias, 1e-5, &mut layer);
            let mut in_place = x.clone();
            cpu.rms_norm_in_place(&mut in_place, &weight, 1e-5);
            assert_eq!(bits(&in_place), bits(&rms));
            for (row, x) in x.chunks(width).enumerate() {
                let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
                let n = width as f64;
                let mean = x.iter().sum::<f64>() / n;
                let square = x.iter().map(|x| x * x).sum::<f64>() / n;
                let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
                for (idx, x) in x.iter().enumerate() {
                    let weight = f64::from(weight[idx]);
                    let expected = x / (square + 1e-5).sqrt() * weight;
                    let error = f64::from(rms[row * width + idx]) - expected;
                    assert!(error.abs() <= 1e-6 * (1.0 + expected.abs()), "rms {width}");
                    let expected =
                        (x - mean) / (variance + 1e-5).sqrt() * weight + f64::from(bias[idx]);
                    let error = f64::from(layer[row * width + idx]) - expected;
                    // A row of one or two may have hardly any variance: the mean's rounding counts.
                    let bound = 2e-6 * (1.0 + expected.abs()) + 2e-7 / (variance + 1e-5).sqrt();
                    assert!(error.abs() <= bound, "layer {width}: {error:e}");
                }
            }
            seen.push([bits(&rms), bits(&layer)]);
        }
        assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{width}");
    }
}

#[test]
fn softmax_and_its_logarithm_match_f64_on_every_instruction_set() {
    let mut rng = ChaCha8Rng::seed_from_u64(19);
    for n in [1, 2, 15, 16, 17, 100, 1024, 1025, 5000, 49152] {
        let mut x: Vec<f32> = values(&mut rng, n).iter().map(|x| 6.0 * x).collect();
        if n > 20 {
            x[7] = f32::NEG_INFINITY;
        }
        let total: f64 = x.iter().map(|&x| f64::from(x).exp()).sum();
        let largest = x
            .iter()
            .fold(f64::NEG_INFINITY, |a, &x| a.max(f64::from(x)));
        let mut seen = Vec::new();
        for cpu in cpus() {
            let (mut probability, mut log) = (x.clone(), x.clone());
            cpu.softmax(&mut probability);
            cpu.log_softmax(&mut log);
            let log_sum = cpu.log_sum_exp(&x);
            assert!((log_sum - total.ln()).abs() <= 4e-7, "{n}: {log_sum}");
            for ((&x, &p), &log) in x.iter().zip(&probability).zip(&log) {
                let expected = f64::from(x).exp() / total;
                let error = (f64::from(p) - expected).abs();
                // The exponential, the sum, the product, and the distance from the largest, whose
                // rounding by half a unit becomes a relative error.
                let distance = if x.is_finite() {
                    largest - f64::from(x)
                } else {
                    0.0
                };
                let bound = (4.0 + distance / 2.0) * ULP * expected;
                assert!(error <= bound, "{n}: {p} is not {expected}");
                let expected = f64::from(x) - total.ln();
                let error = (f64::from(log) - expected).abs();
                let is_same = f64::from(log) == expected;
                assert!(
                    is_same || error <= 4e-7 + ULP * expected.abs(),
                    "{n}: {log}"
                );
            }
            seen.push((bits(&probability), bits(&log), log_sum.to_bits()));
        }
        assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{n}");
    }
    for cpu in cpus() {
        assert_eq!(cpu.log_sum_exp(&[]), f64::NEG_INFINITY);
        assert_eq!(cpu.log_sum_exp(&[f32::NEG_INFINITY; 3]), f64::NEG_INFINITY);
        assert!(cpu.log_sum_exp(&[0.0, f32::NAN]).is_nan());
    }
}

#[test]
fn rotation_turns_halves_by_position_times_frequency() {
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    for (n_head, n_heads, theta, scale) in [(2, 1, 1e4, 1.0), (64, 3, 1e5, 1.0), (40, 2, 1e6, 8.0)]
    {
        let positions = [0, 1, 2, 500, 8191];
        let angles = Rotary::new(n_head, theta, scale).angles(&positions);
        let x = values(&mut rng, positions.len() * n_heads * n_head);
        let mut seen = Vec::new();
        for cpu in cpus() {
            let mut y = x.clone();
            cpu.rotate(&mut y, n_heads, &angles);
            for (idx, (x, y)) in x.chunks(n_head).zip(y.chunks(n_head)).enumerate() {
                let position = positions[idx / n_heads] as f64;
                for pair in 0..n_head / 2 {
                    let power = -2.0 * pair as f64 / n_head as f64;
                    let angle = position / f64::from(scale) * f64::from(theta).powf(power);
                    let (a, b) = (f64::from(x[pair]), f64::from(x[pair + n_head / 2]));
                    let turned = [
                        a * angle.cos() - b * angle.sin(),
                        b * angle.cos() + a * angle.sin(),
                    ];
                    for (y, turned) in [y[pair], y[pair + n_head / 2]].into_iter().zip(turned) {
                        assert!((f64::from(y) - turned).abs() <= 6e-7, "{y} is not {turned}");
                    }
                }
            }
            seen.push(bits(&y));
        }
        assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{n_head}");
    }
}
