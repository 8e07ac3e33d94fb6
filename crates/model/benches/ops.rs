//! Each fused operation forward and backward, and whole training steps, in single precision.
//!
//! Shapes are those of the decoders in which they were measured against PyTorch: 32 sequences of
//! 128 tokens, width 192, 6 heads (`2.9m`) and width 64, 4 heads (`0.34m`). The peer's side of
//! every id is `tests/fixtures/ops/peer.py`. Threads: `OPS_THREADS` (default 1).

use std::hint::black_box;

use candle_core::{Device, Result, Tensor, Var};
use criterion::{Criterion, criterion_group, criterion_main};
use model::config::{Activation, Norm};
use model::ops::{
    self, AdamWStep, Affine, AttentionBlock, AttentionOptions, Experts, FeedForwardBlock,
    NormWeights,
};

const N_SEQUENCES: usize = 32;
const N_TOKENS: usize = 128;
const N_ROWS: usize = N_SEQUENCES * N_TOKENS;

/// Numbers around zero that no compiler can see through.
fn var(shape: &[usize], scale: f64) -> Result<Var> {
    let n: usize = shape.iter().product();
    let number = |i: usize| ((i * 7919 + 17) % 2001) as f64 / 1000.0 - 1.0;
    let values: Vec<f32> = (0..n).map(|i| (number(i) * scale) as f32).collect();
    Var::from_vec(values, shape, &Device::Cpu)
}

fn ids(n: usize, limit: usize, shape: &[usize]) -> Result<Tensor> {
    let ids: Vec<u32> = (0..n).map(|i| ((i * 7919 + 13) % limit) as u32).collect();
    Tensor::from_vec(ids, shape, &Device::Cpu)
}

/// Times forward and backward of `f` over inputs of the given shapes.
fn both_ways(
    criterion: &mut Criterion,
    name: &str,
    shapes: &[&[usize]],
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let mut run = || -> Result<()> {
        let vars: Vec<Var> = shapes
            .iter()
            .map(|shape| var(shape, 0.5))
            .collect::<Result<_>>()?;
        let inputs: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
        let step = || f(&inputs)?.backward();
        step()?;
        criterion.bench_function(&format!("ops/{name}"), |bencher| {
            bencher.iter(|| black_box(step().is_ok()));
        });
        Ok(())
    };
    assert!(run().is_ok(), "ops/{name} cannot be measured");
}

fn operations(criterion: &mut Criterion) {
    let (up, down): (&[usize], &[usize]) = (&[N_ROWS, 192], &[N_ROWS, 768]);
    both_ways(criterion, "linear", &[up, &[768, 192], &[768]], |x| {
        ops::linear(&x[0], &x[1], Some(&x[2]))
    });
    both_ways(criterion, "gelu_tanh", &[down], |x| ops::gelu_tanh(&x[0]));
    both_ways(criterion, "silu_gate", &[down, down], |x| {
        ops::silu_gate(&x[0], &x[1])
    });
    both_ways(criterion, "softmax", &[&[192, 128, 128]], |x| {
        ops::softmax(&x[0])
    });
    both_ways(criterion, "layer_norm", &[up, &[192], &[192]], |x| {
        ops::layer_norm(&x[0], &x[1], Some(&x[2]), 1e-5)
    });
    both_ways(criterion, "rms_norm", &[up, &[192]], |x| {
        ops::rms_norm(&x[0], &x[1], 1e-5)
    });
    let (Ok(targets), Ok(tokens)) = (ids(N_ROWS, 512, &[N_ROWS]), ids(N_ROWS, 512, &[32, 128]))
    else {
        return;
    };
    both_ways(criterion, "cross_entropy", &[&[N_ROWS, 512]], |x| {
        ops::mean_nll(&ops::token_logprobs(&x[0], &targets)?, None)
    });
    both_ways(criterion, "linear_cross_entropy", &[up, &[512, 192]], |x| {
        let (weight, bias) = (&x[1], None);
        let head = Affine { weight, bias };
        ops::mean_nll(&ops::linear_token_logprobs(&x[0], head, &targets)?, None)
    });
    both_ways(criterion, "embedding", &[&[512, 192]], |x| {
        ops::embedding(&x[0], &tokens)
    });
    for (name, heads) in [
        ("attention_h32", [32, 128, 6, 32]),
        ("attention_h16", [32, 128, 4, 16]),
    ] {
        both_ways(criterion, name, &[&heads, &heads, &heads], |x| {
            ops::attention(&x[0], &x[1], &x[2], &causal(heads[3]))
        });
    }
    experts(criterion);
}

fn causal(n_head: usize) -> AttentionOptions<'static> {
    AttentionOptions {
        causal: true,
        window: None,
        scale: 1.0 / (n_head as f64).sqrt(),
        segments: None,
    }
}

/// 2048 tokens of width 192, 8 experts of width 384, two per token.
fn experts(criterion: &mut Criterion) {
    let Ok(chosen) = ids(2048 * 2, 8, &[2048, 2]) else {
        return;
    };
    let up: &[usize] = &[8, 384, 192];
    let shapes: [&[usize]; 5] = [&[2048, 192], &[2048, 2], up, up, &[8, 192, 384]];
    both_ways(criterion, "experts", &shapes, |x| {
        let experts = Experts {
            gate: &x[2],
            up: &x[3],
            down: &x[4],
            activation: Activation::Silu,
        };
        ops::moe_feed_forward(&x[0], &x[1], &chosen, &experts)
    });
}

/// A pre-norm GPT with learned positions, GELU feed-forward, biases, and a head of its own.
struct Gpt {
    params: Vec<Var>,
    moments: Vec<[Vec<f32>; 2]>,
    n_hidden: usize,
    n_heads: usize,
    n_layers: usize,
    n_steps: u64,
}

/// Tensors of one block.
const PER_BLOCK: usize = 16;

impl Gpt {
    fn new([n_vocab, n_hidden, n_layers, n_heads]: [usize; 4]) -> Result<Self> {
        let d = n_hidden;
        let mut params = vec![var(&[n_vocab, d], 0.02)?, var(&[N_TOKENS, d], 0.02)?];
        for _ in 0..n_layers {
            params.extend([var(&[d], 0.1)?, var(&[d], 0.1)?]);
            for _ in 0..4 {
                params.extend([var(&[d, d], 0.1)?, var(&[d], 0.1)?]);
            }
            params.extend([var(&[d], 0.1)?, var(&[d], 0.1)?]);
            params.extend([var(&[4 * d, d], 0.1)?, var(&[4 * d], 0.1)?]);
            params.extend([var(&[d, 4 * d], 0.1)?, var(&[d], 0.1)?]);
        }
        params.extend([var(&[d], 1.0)?, var(&[d], 0.1)?, var(&[n_vocab, d], 0.1)?]);
        let zeros = |var: &Var| [(); 2].map(|()| vec![0.0; var.elem_count()]);
        let moments = params.iter().map(zeros).collect();
        Ok(Self {
            params,
            moments,
            n_hidden,
            n_heads,
            n_layers,
            n_steps: 0,
        })
    }

    fn affine(&self, at: usize) -> Affine<'_> {
        Affine {
            weight: &self.params[at],
            bias: Some(&self.params[at + 1]),
        }
    }

    fn norm(&self, at: usize) -> NormWeights<'_> {
        NormWeights {
            norm: Norm::Layer { eps: 1e-5 },
            weight: &self.params[at],
            bias: Some(&self.params[at + 1]),
        }
    }

    fn loss(&self, tokens: &Tensor, targets: &Tensor) -> Result<Tensor> {
        let mut x = ops::embedding_with_positions(&self.params[0], &self.params[1], tokens)?;
        for layer in 0..self.n_layers {
            let at = 2 + layer * PER_BLOCK;
            let n_head = self.n_hidden / self.n_heads;
            x = ops::attention_block(
                &x,
                &AttentionBlock {
                    norm: self.norm(at),
                    query: self.affine(at + 2),
                    key: self.affine(at + 4),
                    value: self.affine(at + 6),
                    out: self.affine(at + 8),
                    n_head,
                    rotary: None,
                    options: causal(n_head),
                },
            )?;
            x = ops::feed_forward_block(
                &x,
                &FeedForwardBlock {
                    norm: self.norm(at + 10),
                    gate: None,
                    up: self.affine(at + 12),
                    down: self.affine(at + 14),
                    activation: Activation::GeluTanh,
                },
            )?;
        }
        let at = 2 + self.n_layers * PER_BLOCK;
        let x = ops::layer_norm(&x, &self.params[at], Some(&self.params[at + 1]), 1e-5)?;
        let (weight, bias) = (self.params[at + 2].as_tensor(), None);
        let head = Affine { weight, bias };
        ops::mean_nll(&ops::linear_token_logprobs(&x, head, targets)?, None)
    }

    fn step(&mut self, tokens: &Tensor, targets: &Tensor) -> Result<()> {
        let store = self.loss(tokens, targets)?.backward()?;
        self.n_steps += 1;
        let step = AdamWStep {
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
            grad_scale: 1.0,
            step: self.n_steps,
        };
        for (param, [first, second]) in self.params.iter().zip(&mut self.moments) {
            let Some(gradient) = store.get(param) else {
                candle_core::bail!("a parameter has no gradient");
            };
            ops::adamw_step_tensor(param, gradient, first, second, &step)?;
        }
        Ok(())
    }
}

fn training_steps(criterion: &mut Criterion) {
    for (name, sizes) in [
        ("train_step_2.9m", [512, 192, 6, 6]),
        ("train_step_0.34m", [256, 64, 6, 4]),
    ] {
        let run = |criterion: &mut Criterion| -> Result<()> {
            let mut gpt = Gpt::new(sizes)?;
            let tokens = ids(N_ROWS, sizes[0], &[N_SEQUENCES, N_TOKENS])?;
            let targets = ids(N_ROWS, sizes[0] - 1, &[N_SEQUENCES, N_TOKENS])?;
            gpt.step(&tokens, &targets)?;
            criterion.bench_function(&format!("ops/{name}"), |bencher| {
                bencher.iter(|| black_box(gpt.step(&tokens, &targets).is_ok()));
            });
            Ok(())
        };
        assert!(run(criterion).is_ok(), "ops/{name} cannot be measured");
    }
}

fn threads(_: &mut Criterion) {
    let wanted = std::env::var("OPS_THREADS")
        .ok()
        .and_then(|text| text.parse().ok());
    ops::set_threads(wanted.unwrap_or(1));
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = threads, operations, training_steps
}
criterion_main!(benches);
