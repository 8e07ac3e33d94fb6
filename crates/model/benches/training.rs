//! Whole training steps: forward, backward, clipping, AdamW, on a batch of 32 × 128 tokens.
//!
//! `training/2.9M/<threads>` is the decoder with d = 192, 6 layers, 6 heads, 512 tokens in the
//! vocabulary; `training/0.34M/<threads>` the one with d = 64, 4 heads, 256 tokens; both pre-LN,
//! GELU, learned positions. `training/moe/1` is forward and backward of one block of 16 experts of
//! width 128, two per token, d = 192. `peers/pytorch.py` beside this file measures the same in
//! PyTorch.
//!
//! Sketch for the larger decoder: 6 × 2.9 M × 4096 tokens = 71 GFLOP in projections and 4 in causal
//! attention; at the 160 GFLOP/s that one core's AVX-512 products reach, 0.47 s. Everything else
//! moves about 60 activations of 3 to 12 MB per layer, 0.1 s at 10 GB/s.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on should stop"
)]

use candle_core::{DType, Device, Tensor, Var};
use criterion::{Criterion, criterion_group, criterion_main};
use model::config::{Activation, DecoderConfig, FeedForward, Norm, Positions};
use model::ops::{self, Experts};
use model::train::{AdamW, AdamWConfig, Batch, Decoder, Gradients, Init, Precision, mean_loss};

const N_SEQUENCES: usize = 32;
const N_TOKENS: usize = 128;

fn config(n_vocab: usize, n_hidden: usize, n_heads: usize) -> DecoderConfig {
    let n_head = n_hidden / n_heads;
    DecoderConfig {
        architecture: "local".to_owned(),
        n_vocab,
        n_hidden,
        n_layers: 6,
        n_heads,
        n_kv_heads: n_heads,
        n_head,
        n_context: N_TOKENS,
        norm: Norm::Layer { eps: 1e-5 },
        norm_after: false,
        norm_qk: false,
        positions: Positions::Learned,
        bias_qkv: true,
        bias_out: true,
        attention_scale: 1.0 / (n_head as f32).sqrt(),
        window: None,
        feed_forward: FeedForward::Plain {
            n_inner: 4 * n_hidden,
            activation: Activation::GeluTanh,
        },
        embedding_scale: 1.0,
        tied: false,
    }
}

fn decoders(criterion: &mut Criterion) {
    for (name, config) in [("2.9M", config(512, 192, 6)), ("0.34M", config(256, 64, 4))] {
        for n_threads in [1, 2] {
            let decoder = Decoder::new(config.clone(), &Init::gpt2(0), Precision::F32).unwrap();
            let parameters = decoder.parameters();
            let mut optimizer = AdamW::new(AdamWConfig::default(), parameters).unwrap();
            let token = |place: usize| ((place * 104_729) % config.n_vocab) as u32;
            let rows: Vec<Vec<u32>> = (0..N_SEQUENCES)
                .map(|row| (0..N_TOKENS).map(|t| token(row * 7919 + t)).collect())
                .collect();
            let batch = Batch::new(&rows).unwrap();
            let weights = batch.all_targets();
            let mut step = || {
                let logprobs = decoder.logprobs(&batch, &mut ()).unwrap();
                let loss = mean_loss(&logprobs, &batch, &weights).unwrap();
                let mut gradients = Gradients::of(&loss, parameters).unwrap();
                gradients.clip(1.0).unwrap();
                optimizer.step(parameters, &gradients, 1e-3).unwrap();
            };
            criterion.bench_function(&format!("training/{name}/{n_threads}"), |bencher| {
                ops::with_threads(n_threads, || bencher.iter(&mut step));
            });
        }
    }
}

/// Deterministic values of both signs, of about the size of initial weights.
fn weights(shape: &[usize], scale: f32) -> Tensor {
    let n: usize = shape.iter().product();
    let value = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0;
    Tensor::from_vec(
        (0..n).map(|i| scale * value(i)).collect::<Vec<f32>>(),
        shape,
        &Device::Cpu,
    )
    .unwrap()
}

fn experts(criterion: &mut Criterion) {
    const N_EXPERTS: usize = 16;
    const N_ACTIVE: usize = 2;
    let (n_hidden, n_inner, n_rows) = (192, 128, N_SEQUENCES * N_TOKENS);
    let variable = |shape: &[usize]| Var::from_tensor(&weights(shape, 0.03)).unwrap();
    let router = variable(&[N_EXPERTS, n_hidden]);
    let gate = variable(&[N_EXPERTS, n_inner, n_hidden]);
    let up = variable(&[N_EXPERTS, n_inner, n_hidden]);
    let down = variable(&[N_EXPERTS, n_hidden, n_inner]);
    let x = Var::from_tensor(&weights(&[n_rows, n_hidden], 1.0)).unwrap();
    let step = || {
        let probabilities = ops::softmax(&ops::linear(&x, &router, None).unwrap()).unwrap();
        let mut chosen = Vec::with_capacity(n_rows * N_ACTIVE);
        for row in probabilities.to_vec2::<f32>().unwrap() {
            let mut order: Vec<u32> = (0..N_EXPERTS as u32).collect();
            order.sort_by(|a, b| row[*b as usize].total_cmp(&row[*a as usize]));
            chosen.extend_from_slice(&order[..N_ACTIVE]);
        }
        let chosen = Tensor::from_vec(chosen, (n_rows, N_ACTIVE), &Device::Cpu).unwrap();
        let shares = probabilities.gather(&chosen, 1).unwrap();
        let shares = shares
            .broadcast_div(&shares.sum_keepdim(1).unwrap())
            .unwrap();
        let experts = Experts {
            gate: &gate,
            up: &up,
            down: &down,
            activation: Activation::Silu,
        };
        let output = ops::moe_feed_forward(&x, &shares, &chosen, &experts).unwrap();
        let loss = output.sqr().unwrap().mean_all().unwrap();
        assert_eq!(loss.dtype(), DType::F32);
        loss.backward().unwrap()
    };
    criterion.bench_function("training/moe/1", |bencher| {
        ops::with_threads(1, || bencher.iter(step));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = decoders, experts
}
criterion_main!(benches);
