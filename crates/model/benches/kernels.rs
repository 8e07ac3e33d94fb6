//! Time of the loops of inference on the shapes of SmolLM2-135M, one thread.
//!
//! `product/<type>/<rows>x<columns>/<tokens>` reports multiplications per second (criterion's
//! elements), `attention/…` query tokens per second, `loops/…` values per second; `candle/…` is
//! candle's quantised product of the same blocks, for a ratio from one run. Enough copies of a
//! small
//! matrix are cycled through that weights come from memory, as they do while a model decodes.

use std::hint::black_box;
use std::time::Duration;

use candle_core::quantized::ggml_file::qtensor_from_ggml;
use candle_core::quantized::{GgmlDType, QMatMul};
use candle_core::{Device, Module, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use half::f16;
use model::kernels::{
    Attention, AttentionShape, CachePrecision, Cpu, KeyValues, Matrix, Precision, Scratch, Threads,
};
use model::weights::{DType, TensorView};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The projections of a layer, and the head.
const SHAPES: [(usize, usize); 5] = [
    (192, 576),
    (576, 576),
    (1536, 576),
    (576, 1536),
    (49152, 576),
];

/// Bytes of weights to cycle through: more than a core's own cache.
const BYTES: usize = 64 << 20;

fn cpu() -> Cpu {
    Cpu::new(Threads::ONE).expect("one thread needs no pool")
}

fn values(n: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Random blocks whose scale and minimum are small halves.
fn tensor(dtype: DType, n_out: usize, n_in: usize) -> TensorView<'static> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (n_columns, n_bytes) = dtype.block();
    let mut bytes: Vec<u8> = Vec::with_capacity(n_out * n_in / n_columns * n_bytes);
    for _ in 0..n_out * n_in / n_columns {
        let start = bytes.len();
        if dtype == DType::F32 {
            bytes.extend(rng.random_range(-1.0_f32..1.0).to_le_bytes());
            continue;
        }
        bytes.extend((0..n_bytes).map(|_| rng.random::<u8>()));
        bytes[start..start + 2].copy_from_slice(&f16::from_f32(0.01).to_le_bytes());
        if dtype == DType::Q4_1 {
            bytes[start + 2..start + 4].copy_from_slice(&f16::from_f32(-0.08).to_le_bytes());
        }
    }
    TensorView {
        dtype,
        shape: vec![n_out, n_in],
        bytes: bytes.into(),
    }
}

fn products(criterion: &mut Criterion) {
    let cpu = cpu();
    for (dtype, precision) in [
        (DType::Q4_1, Precision::Quantised),
        (DType::Q8_0, Precision::Quantised),
        (DType::Q5_0, Precision::Quantised),
        (DType::Q4_1, Precision::Exact),
        (DType::F32, Precision::Exact),
    ] {
        for (n_out, n_in) in SHAPES {
            let stored = tensor(dtype, n_out, n_in);
            let n_copies = BYTES.div_ceil(stored.bytes.len());
            let matrices: Vec<Matrix> = (0..n_copies)
                .map(|_| Matrix::pack(&stored, precision).expect("whole blocks"))
                .collect();
            let name = format!("product/{dtype:?}-{precision:?}/{n_out}x{n_in}");
            let mut group = criterion.benchmark_group(name);
            for n_tokens in [1, 8, 64, 256] {
                if n_tokens > 8 && n_out > 10_000 {
                    continue;
                }
                let x = values(n_tokens * n_in);
                let mut out = vec![0.0; n_tokens * n_out];
                let mut scratch = Scratch::new();
                let mut next = matrices.iter().cycle();
                group.throughput(Throughput::Elements((n_out * n_in * n_tokens) as u64));
                group.bench_function(BenchmarkId::from_parameter(n_tokens), |bencher| {
                    bencher.iter(|| {
                        let matrix = next.next().expect("a cycle does not end");
                        cpu.apply(&[matrix], &x, n_tokens, &mut [&mut out], &mut scratch);
                        black_box(&mut out);
                    });
                });
            }
            group.finish();
        }
    }
}

fn candle(criterion: &mut Criterion) {
    for (dtype, ggml) in [
        (DType::Q4_1, GgmlDType::Q4_1),
        (DType::Q8_0, GgmlDType::Q8_0),
    ] {
        let (n_out, n_in) = (1536, 576);
        let stored = tensor(dtype, n_out, n_in);
        let shape = vec![n_out, n_in];
        let blocks = qtensor_from_ggml(ggml, &stored.bytes, shape, &Device::Cpu)
            .expect("candle reads these blocks");
        let matrix = QMatMul::from_qtensor(blocks).expect("candle multiplies these blocks");
        let mut group = criterion.benchmark_group(format!("candle/{dtype:?}/{n_out}x{n_in}"));
        for n_tokens in [1, 8, 64] {
            let x = Tensor::from_vec(values(n_tokens * n_in), (n_tokens, n_in), &Device::Cpu)
                .expect("the shape fits the values");
            group.throughput(Throughput::Elements((n_out * n_in * n_tokens) as u64));
            group.bench_function(BenchmarkId::from_parameter(n_tokens), |bencher| {
                bencher.iter(|| black_box(matrix.forward(&x).expect("shapes fit")));
            });
        }
        group.finish();
    }
}

fn attention(criterion: &mut Criterion) {
    let cpu = cpu();
    let shape = AttentionShape {
        n_heads: 9,
        n_kv_heads: 3,
        n_head: 64,
        scale: 0.125,
        window: None,
    };
    for precision in [CachePrecision::Single, CachePrecision::Half] {
        let mut group = criterion.benchmark_group(format!("attention/{precision:?}"));
        for (n_tokens, n_positions) in [(1, 150), (1, 1000), (64, 64), (256, 256)] {
            let caches: Vec<KeyValues> = (0..30)
                .map(|_| {
                    let mut cache = KeyValues::with_precision(3, 64, precision);
                    cache.append(&values(n_positions * 192), &values(n_positions * 192));
                    cache
                })
                .collect();
            let q = values(n_tokens * 576);
            let mut out = vec![0.0; q.len()];
            let mut scratch = Scratch::new();
            let mut next = caches.iter().cycle();
            group.throughput(Throughput::Elements(n_tokens as u64));
            let name = format!("{n_tokens}-of-{n_positions}");
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter(|| {
                    let segments = [next.next().expect("a cycle does not end")];
                    let sequence = Attention {
                        n_tokens,
                        segments: &segments,
                    };
                    cpu.attend(shape, &[sequence], &q, &mut out, &mut scratch);
                    black_box(&mut out);
                });
            });
        }
        group.finish();
    }
}

fn loops(criterion: &mut Criterion) {
    let cpu = cpu();
    let mut group = criterion.benchmark_group("loops");
    let (x, up) = (values(1536), values(1536));
    let mut y = x.clone();
    group.throughput(Throughput::Elements(1536));
    for (name, gate) in [
        ("silu", Cpu::silu_gate as fn(&Cpu, &mut [f32], &[f32])),
        ("gelu", Cpu::gelu_tanh_gate),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                y.copy_from_slice(&x);
                gate(&cpu, &mut y, &up);
                black_box(&mut y);
            });
        });
    }
    let (x, weight) = (values(576), values(576));
    let mut y = x.clone();
    group.throughput(Throughput::Elements(576));
    group.bench_function("rms_norm", |bencher| {
        bencher.iter(|| {
            cpu.rms_norm(&x, &weight, 1e-5, &mut y);
            black_box(&mut y);
        });
    });
    let row = values(49152);
    group.throughput(Throughput::Elements(49152));
    group.bench_function("log_sum_exp", |bencher| {
        bencher.iter(|| black_box(cpu.log_sum_exp(&row)));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = products, candle, attention, loops
}
criterion_main!(benches);
