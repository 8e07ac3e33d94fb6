//! The fused operations against plain compositions, central differences, and PyTorch.
//!
//! - `ops/check.rs`: the six statements that every operation has to satisfy;
//! - `ops/plain.rs`: the operations as the formulas say;
//! - `ops/pytorch.rs`: values and gradients that PyTorch computed.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

#[path = "ops/check.rs"]
mod check;
#[path = "ops/plain.rs"]
mod plain;
#[path = "ops/pytorch.rs"]
mod pytorch;

use candle_core::{DType, Device, Tensor, Var};
use check::{check, check_single, inputs, numbers};
use model::config::{Activation, Norm};
use model::ops::{
    self, AdamWStep, Affine, AttentionBlock, AttentionOptions, Experts, FeedForwardBlock,
    NormWeights, Rotary,
};
use proptest::prelude::*;

/// Whole numbers below `limit`.
fn ids(n: usize, limit: u32, seed: u64) -> Vec<u32> {
    let unit = |x: f64| (x + 1.0) / 2.0;
    numbers(n, seed)
        .into_iter()
        .map(|x| ((unit(x) * f64::from(limit)) as u32).min(limit - 1))
        .collect()
}

fn id_tensor(n: usize, limit: u32, shape: &[usize]) -> Tensor {
    Tensor::from_vec(ids(n, limit, 5), shape, &Device::Cpu).unwrap()
}

/// A result with consumers of both kinds, and variables reached through both.
fn mixed(x: &[Tensor], silu: Unary, gelu: Unary, linear: Binary) -> candle_core::Result<Tensor> {
    let inner = linear(&silu(&x[0])?, &x[1])?;
    let twice = (gelu(&inner)? + inner.sqr()?)?;
    let turned = linear(&twice.t()?.contiguous()?, &x[2])?;
    let again = linear(&gelu(&inner)?, &x[1])?.sum_all()?;
    (turned.sum_all()? + again)? * (&x[0] * &x[0])?.sum_all()?
}

type Unary = fn(&Tensor) -> candle_core::Result<Tensor>;
type Binary = fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>;

/// `backward` of this module, candle's own, and candle's own through plain operations.
#[test]
fn gradients_agree_whoever_walks_the_graph_and_whichever_operations_it_mixes() {
    let values = inputs(&[&[3, 5], &[5, 5], &[4, 3]], 41);
    let gradients = |silu: Unary, gelu: Unary, linear: Binary, is_ours: bool| -> Vec<Vec<f64>> {
        let variables: Vec<Var> = values
            .iter()
            .map(|x| Var::from_tensor(x).unwrap())
            .collect();
        let tensors: Vec<Tensor> = variables.iter().map(|x| x.as_tensor().clone()).collect();
        let loss = mixed(&tensors, silu, gelu, linear).unwrap();
        let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        // Twice: nothing may be left from the first time.
        let walks = [(); 2].map(|()| {
            if is_ours {
                let mut found = ops::backward(&loss).unwrap();
                let take = |x: &Tensor| flat(&found.remove(x).unwrap().unwrap());
                tensors.iter().map(take).collect::<Vec<_>>()
            } else {
                let found = loss.backward().unwrap();
                let take = |x: &Tensor| flat(found.get(x).unwrap());
                tensors.iter().map(take).collect()
            }
        });
        let [first, second] = walks;
        assert_eq!(first, second);
        first
    };
    let linear: Binary = |x, weight| ops::linear(x, weight, None);
    let plain_linear: Binary = |x, weight| plain::linear(x, weight, None);
    let expected = gradients(plain::silu, plain::gelu_tanh, plain_linear, false);
    for is_ours in [true, false] {
        for linear in [linear, plain_linear] {
            let found = gradients(ops::silu, ops::gelu_tanh, linear, is_ours);
            for (a, b) in found.iter().flatten().zip(expected.iter().flatten()) {
                assert!((a - b).abs() < 1e-11 * (1.0 + b.abs()), "{a} {b}");
            }
        }
    }
}

#[test]
fn a_scalar_has_no_gradient_in_what_it_does_not_depend_on() {
    let of = |seed| Var::from_tensor(&inputs(&[&[2, 3]], seed)[0]).unwrap();
    let (x, other) = (of(1), of(2));
    let unused = ops::silu(&other).unwrap();
    let loss = ops::silu(&x).unwrap().sum_all().unwrap();
    let mut found = ops::backward(&loss).unwrap();
    assert!(found.remove(&x).unwrap().is_some());
    assert!(found.remove(&other).unwrap().is_none());
    assert!(found.remove(&x).unwrap().is_none(), "taken once");
    drop(unused);
}

#[test]
fn linear_is_right_for_odd_shapes_with_and_without_bias() {
    for (rows, n_in, n_out) in [(1, 1, 1), (1, 5, 3), (7, 1, 4), (5, 3, 1), (9, 17, 6)] {
        check(
            "linear",
            &inputs(&[&[rows, n_in], &[n_out, n_in], &[n_out]], 1),
            &|x| ops::linear(&x[0], &x[1], Some(&x[2])),
            &|x| plain::linear(&x[0], &x[1], Some(&x[2])),
        );
        check(
            "linear without bias",
            &inputs(&[&[2, rows, n_in], &[n_out, n_in]], 2),
            &|x| ops::linear(&x[0], &x[1], None),
            &|x| plain::linear(&x[0], &x[1], None),
        );
    }
    let shapes: [&[usize]; 3] = [&[3, 400, 24], &[40, 24], &[40]];
    check_single("linear over many chunks", &inputs(&shapes, 3), &|x| {
        ops::linear(&x[0], &x[1], Some(&x[2]))
    });
}

#[test]
fn a_transposed_input_is_read_as_it_looks() {
    check(
        "linear of a transposed tensor",
        &inputs(&[&[4, 6], &[3, 4]], 1),
        &|x| ops::linear(&x[0].t()?, &x[1], None),
        &|x| plain::linear(&x[0].t()?, &x[1], None),
    );
}

#[test]
fn softmaxes_are_right_for_one_row_one_column_and_odd_widths() {
    for shape in [&[1usize, 1][..], &[4, 1], &[1, 7], &[2, 3, 37]] {
        let x = inputs(&[shape], 4);
        check("softmax", &x, &|x| ops::softmax(&x[0]), &|x| {
            plain::softmax(&x[0])
        });
        check("log_softmax", &x, &|x| ops::log_softmax(&x[0]), &|x| {
            plain::log_softmax(&x[0])
        });
    }
    let wide = inputs(&[&[600, 70]], 4);
    check_single("softmax", &wide, &|x| ops::softmax(&(&x[0] * 20.0)?));
}

#[test]
fn softmax_of_huge_scores_neither_overflows_nor_hides_what_is_not_a_number() {
    let x = Tensor::new(
        &[[1e30f32, -1e30, 1e30], [f32::NAN, 0.0, 1.0]],
        &Device::Cpu,
    )
    .unwrap();
    let y = ops::softmax(&x).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(y[0], [0.5, 0.0, 0.5]);
    assert!(y[1].iter().all(|value| value.is_nan()));
}

#[test]
fn token_logprobs_are_right_and_masked_tokens_have_no_say() {
    for (rows, n_vocab) in [(1usize, 1usize), (1, 9), (6, 1), (7, 33)] {
        let targets = id_tensor(rows, n_vocab as u32, &[rows]);
        check(
            "token_logprobs",
            &inputs(&[&[rows, n_vocab]], 6),
            &|x| ops::token_logprobs(&x[0], &targets),
            &|x| plain::token_logprobs(&x[0], &targets),
        );
        let mut weights: Vec<f64> = (0..rows).map(|row| (row % 3) as f64).collect();
        weights[0] = 0.5;
        for weights in [None, Some(&weights[..])] {
            check(
                "mean_nll",
                &inputs(&[&[rows, n_vocab]], 7),
                &|x| ops::mean_nll(&ops::token_logprobs(&x[0], &targets)?, weights),
                &|x| plain::mean_nll(&plain::token_logprobs(&x[0], &targets)?, weights),
            );
        }
    }
}

#[test]
fn a_head_with_its_loss_equals_the_two_apart() {
    let targets = id_tensor(6, 11, &[2, 3]);
    check(
        "linear_token_logprobs",
        &inputs(&[&[2, 3, 5], &[11, 5], &[11]], 8),
        &|x| ops::linear_token_logprobs(&x[0], affine(&x[1], Some(&x[2])), &targets),
        &|x| plain::linear_token_logprobs(&x[0], affine(&x[1], Some(&x[2])), &targets),
    );
    let many = id_tensor(1100, 50, &[1100]);
    check_single(
        "head over many chunks",
        &inputs(&[&[1100, 8], &[50, 8]], 8),
        &|x| ops::linear_token_logprobs(&x[0], affine(&x[1], None), &many),
    );
}

#[test]
fn a_head_with_more_logits_than_are_kept_equals_the_two_apart() {
    let [n_rows, n_vocab] = [1100, 16_000];
    let targets = id_tensor(n_rows, n_vocab as u32, &[n_rows]);
    let start = inputs(&[&[n_rows, 3], &[n_vocab, 3]], 9);
    let gradients = |of: &dyn Fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>| {
        let vars = [0, 1]
            .map(|i: usize| Var::from_tensor(&start[i].to_dtype(DType::F32).unwrap()).unwrap());
        let loss = of(&vars[0], &vars[1]).unwrap().sum_all().unwrap();
        let store = loss.backward().unwrap();
        [0, 1].map(|i: usize| {
            let gradient = store.get(&vars[i]).unwrap().flatten_all().unwrap();
            gradient.to_vec1::<f32>().unwrap()
        })
    };
    let whole = gradients(&|x, w| ops::linear_token_logprobs(x, affine(w, None), &targets));
    let apart = gradients(&|x, w| ops::token_logprobs(&ops::linear(x, w, None)?, &targets));
    for (whole, apart) in whole.iter().zip(&apart) {
        let largest = apart.iter().fold(0.0f32, |top, g| g.abs().max(top));
        let off = whole.iter().zip(apart).map(|(a, b)| (a - b).abs());
        assert!(largest > 0.1 && off.fold(0.0, f32::max) < 1e-5 * largest);
    }
}

fn affine<'a>(weight: &'a Tensor, bias: Option<&'a Tensor>) -> Affine<'a> {
    Affine { weight, bias }
}

#[test]
fn activations_and_gates_are_right() {
    for shape in [&[1usize][..], &[3, 11], &[2, 1, 40]] {
        let x: Vec<Tensor> = inputs(&[shape, shape], 9)
            .iter()
            .map(|x| (x * 4.0).unwrap())
            .collect();
        check("gelu", &x[..1], &|x| ops::gelu_tanh(&x[0]), &|x| {
            plain::gelu_tanh(&x[0])
        });
        check("silu", &x[..1], &|x| ops::silu(&x[0]), &|x| {
            plain::silu(&x[0])
        });
        check("silu_gate", &x, &|x| ops::silu_gate(&x[0], &x[1]), &|x| {
            plain::silu_gate(&x[0], &x[1])
        });
        check("gelu_gate", &x, &|x| ops::gelu_gate(&x[0], &x[1]), &|x| {
            plain::gelu_gate(&x[0], &x[1])
        });
    }
    check_single("gelu over many chunks", &inputs(&[&[50_000]], 9), &|x| {
        ops::gelu_tanh(&x[0])
    });
}

#[test]
fn normalisations_hand_gradients_to_all_of_their_inputs() {
    for (rows, width) in [(1, 1), (1, 6), (5, 1), (4, 35)] {
        check(
            "rms_norm",
            &inputs(&[&[rows, width], &[width]], 10),
            &|x| ops::rms_norm(&x[0], &x[1], 1e-2),
            &|x| plain::rms_norm(&x[0], &x[1], 1e-2),
        );
        check(
            "layer_norm",
            &inputs(&[&[rows, width], &[width], &[width]], 11),
            &|x| ops::layer_norm(&x[0], &x[1], Some(&x[2]), 1e-2),
            &|x| plain::layer_norm(&x[0], &x[1], Some(&x[2]), 1e-2),
        );
    }
    check_single("layer_norm", &inputs(&[&[1100, 40], &[40]], 12), &|x| {
        ops::layer_norm(&x[0], &x[1], None, 1e-5)
    });
}

#[test]
fn rotary_turns_by_halves_and_its_gradient_turns_back() {
    let tables = Rotary::new(6, 9, 100.0, 1.0).unwrap();
    for shape in [[1, 1, 1, 6], [2, 9, 3, 6]] {
        check(
            "rotary",
            &inputs(&[&shape], 13),
            &|x| ops::rotary(&x[0], &tables),
            &|x| plain::rotary(&x[0], 100.0),
        );
    }
}

#[test]
fn embeddings_add_up_the_gradients_of_a_token_that_occurs_twice() {
    let tokens = Tensor::new(&[[3u32, 1, 3], [0, 3, 1]], &Device::Cpu).unwrap();
    check(
        "embedding",
        &inputs(&[&[5, 4]], 14),
        &|x| ops::embedding(&x[0], &tokens),
        &|x| plain::embedding(&x[0], &tokens),
    );
    check(
        "embedding_with_positions",
        &inputs(&[&[5, 4], &[7, 4]], 14),
        &|x| ops::embedding_with_positions(&x[0], &x[1], &tokens),
        &|x| plain::embedding(&x[0], &tokens)?.broadcast_add(&x[1].narrow(0, 0, 3)?),
    );
}

fn options(causal: bool, window: Option<usize>, segments: Option<&Tensor>) -> AttentionOptions<'_> {
    AttentionOptions {
        causal,
        window,
        scale: 0.7,
        segments,
    }
}

#[test]
fn attention_is_right_under_every_kind_of_visibility() {
    let segments = Tensor::new(&[[1u32, 1, 2, 2, 0], [0, 0, 4, 4, 4]], &Device::Cpu).unwrap();
    let cases = [
        (false, None, None),
        (true, None, None),
        (true, Some(1), None),
        (true, Some(3), None),
        (false, None, Some(&segments)),
        (true, Some(2), Some(&segments)),
    ];
    for (causal, window, segments) in cases {
        let options = options(causal, window, segments);
        for (n_heads, n_kv_heads, n_head) in [(1, 1, 1), (4, 2, 3), (3, 1, 2)] {
            let (q, k) = ([2, 5, n_heads, n_head], [2, 5, n_kv_heads, n_head]);
            check(
                &format!("attention {causal} {window:?} {}", segments.is_some()),
                &inputs(&[&q, &k, &k], 15),
                &|x| ops::attention(&x[0], &x[1], &x[2], &options),
                &|x| plain::attention(&x[0], &x[1], &x[2], &options),
            );
        }
    }
}

#[test]
fn attention_over_several_blocks_of_queries_equals_the_definition() {
    let segments: Vec<u32> = (0..2 * 75).map(|i| (i / 20) % 3).collect();
    let segments = Tensor::from_vec(segments, (2, 75), &Device::Cpu).unwrap();
    for (window, segments) in [(None, None), (Some(40), None), (Some(40), Some(&segments))] {
        let options = options(true, window, segments);
        let inputs = inputs(&[&[2, 75, 2, 8], &[2, 75, 1, 8], &[2, 75, 1, 8]], 16);
        let ours = |x: &[Tensor]| ops::attention(&x[0], &x[1], &x[2], &options);
        let theirs = plain::attention(&inputs[0], &inputs[1], &inputs[2], &options).unwrap();
        let difference = (ours(&inputs).unwrap() - theirs).unwrap().abs().unwrap();
        let worst = difference.flatten_all().unwrap().max(0).unwrap();
        assert!(worst.to_scalar::<f64>().unwrap() < 1e-13);
        check_single("attention over blocks", &inputs, &ours);
    }
}

#[test]
fn a_padding_token_gets_zeros_and_gives_nothing() {
    let segments = Tensor::new(&[[1u32, 0, 1]], &Device::Cpu).unwrap();
    let options = options(false, None, Some(&segments));
    let x = inputs(&[&[1, 3, 1, 2]], 17).remove(0);
    let y = ops::attention(&x, &x, &x, &options).unwrap();
    let rows: Vec<f64> = y.flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(rows[2..4], [0.0, 0.0]);
    let poisoned = Tensor::new(
        &[[[[0.0f64, 0.0]], [[1e9, -1e9]], [[0.0, 0.0]]]],
        &Device::Cpu,
    );
    let y2 = ops::attention(&x, &x, &(&x + poisoned.unwrap()).unwrap(), &options).unwrap();
    let rows2: Vec<f64> = y2.flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(rows, rows2);
}

#[test]
fn the_attention_block_equals_its_parts() {
    let tables = Rotary::new(4, 5, 50.0, 1.0).unwrap();
    for (norm, biases, rotary) in [
        (Norm::Layer { eps: 1e-2 }, true, false),
        (Norm::Rms { eps: 1e-2 }, false, true),
    ] {
        // Norm, query, key, value, out; then the biases in the same order.
        let mut shapes: Vec<&[usize]> = vec![&[3, 5, 7], &[7], &[8, 7], &[4, 7], &[4, 7], &[7, 8]];
        if biases {
            shapes.extend([&[7usize][..], &[8], &[4], &[4], &[7]]);
        }
        let bias = |x: &[Tensor], index: usize| x.get(6 + index).cloned();
        let run = |x: &[Tensor], fused: bool| {
            let biases: Vec<Option<Tensor>> = (0..5).map(|index| bias(x, index)).collect();
            let part = |index: usize| affine(&x[index], biases[index - 1].as_ref());
            let block = AttentionBlock {
                norm: NormWeights {
                    norm,
                    weight: &x[1],
                    bias: biases[0].as_ref(),
                },
                query: part(2),
                key: part(3),
                value: part(4),
                out: part(5),
                n_head: 4,
                rotary: rotary.then_some(&tables),
                options: options(true, Some(4), None),
            };
            if fused {
                ops::attention_block(&x[0], &block)
            } else {
                plain::attention_block(&x[0], &block, rotary.then_some(50.0))
            }
        };
        let inputs = inputs(&shapes, 18);
        check("attention_block", &inputs, &|x| run(x, true), &|x| {
            run(x, false)
        });
    }
}

#[test]
fn the_attention_block_over_many_sequences_is_the_same_in_single_precision() {
    let shapes: [&[usize]; 6] = [
        &[30, 40, 16],
        &[16],
        &[16, 16],
        &[16, 16],
        &[16, 16],
        &[16, 16],
    ];
    check_single("attention_block", &inputs(&shapes, 19), &|x| {
        let block = AttentionBlock {
            norm: NormWeights {
                norm: Norm::Rms { eps: 1e-5 },
                weight: &x[1],
                bias: None,
            },
            query: affine(&x[2], None),
            key: affine(&x[3], None),
            value: affine(&x[4], None),
            out: affine(&x[5], None),
            n_head: 8,
            rotary: None,
            options: options(true, None, None),
        };
        ops::attention_block(&x[0], &block)
    });
}

#[test]
fn the_feed_forward_block_equals_its_parts() {
    let norms = [Norm::Layer { eps: 1e-2 }, Norm::Rms { eps: 1e-2 }];
    for (gated, norm, activation) in [
        (false, norms[0], Activation::GeluTanh),
        (true, norms[1], Activation::Silu),
        (true, norms[1], Activation::GeluTanh),
        (false, norms[1], Activation::Silu),
    ] {
        let layer = matches!(norm, Norm::Layer { .. });
        let mut shapes: Vec<&[usize]> = vec![&[3, 5], &[5], &[6, 5], &[5, 6]];
        if gated {
            shapes.push(&[6, 5]);
        }
        if layer {
            shapes.extend([&[5usize][..], &[6], &[5]]);
        }
        let run = |x: &[Tensor], fused: bool| {
            let biases: Vec<&Tensor> = x[if gated { 5 } else { 4 }..].iter().collect();
            let block = FeedForwardBlock {
                norm: NormWeights {
                    norm,
                    weight: &x[1],
                    bias: biases.first().copied(),
                },
                gate: gated.then(|| affine(&x[4], None)),
                up: affine(&x[2], biases.get(1).copied()),
                down: affine(&x[3], biases.get(2).copied()),
                activation,
            };
            if fused {
                ops::feed_forward_block(&x[0], &block)
            } else {
                plain::feed_forward_block(&x[0], &block)
            }
        };
        let name = format!("feed_forward_block {gated} {norm:?} {activation:?}");
        check(&name, &inputs(&shapes, 20), &|x| run(x, true), &|x| {
            run(x, false)
        });
        shapes[0] = &[1300, 5];
        check_single(&name, &inputs(&shapes, 21), &|x| run(x, true));
    }
}

#[test]
fn experts_hand_gradients_to_tokens_experts_and_routing_weights() {
    // Nobody chooses expert 2, one token chooses expert 0 twice.
    let chosen = Tensor::new(&[[0u32, 1], [3, 0], [1, 3], [0, 0]], &Device::Cpu).unwrap();
    for activation in [Activation::Silu, Activation::GeluTanh] {
        let run = |x: &[Tensor], fused: bool| {
            let experts = Experts {
                gate: &x[2],
                up: &x[3],
                down: &x[4],
                activation,
            };
            if fused {
                ops::moe_feed_forward(&x[0], &x[1], &chosen, &experts)
            } else {
                plain::moe_feed_forward(&x[0], &x[1], &chosen, &experts)
            }
        };
        let shapes: [&[usize]; 5] = [&[4, 5], &[4, 2], &[4, 3, 5], &[4, 3, 5], &[4, 5, 3]];
        check("experts", &inputs(&shapes, 22), &|x| run(x, true), &|x| {
            run(x, false)
        });
    }
}

#[test]
fn experts_with_more_tokens_than_a_chunk_are_the_same_with_any_threads() {
    let chosen = id_tensor(900 * 2, 3, &[900, 2]);
    let shapes: [&[usize]; 5] = [&[900, 8], &[900, 2], &[3, 12, 8], &[3, 12, 8], &[3, 8, 12]];
    check_single("experts", &inputs(&shapes, 23), &|x| {
        let experts = Experts {
            gate: &x[2],
            up: &x[3],
            down: &x[4],
            activation: Activation::Silu,
        };
        ops::moe_feed_forward(&x[0], &x[1], &chosen, &experts)
    });
}

#[test]
fn wrong_inputs_are_refused_before_anything_is_computed() {
    let [a, b] = [[2usize, 3], [3, 2]].map(|shape| inputs(&[&shape], 1).remove(0));
    let single = a.to_dtype(DType::F32).unwrap();
    let whole = a.to_dtype(DType::I64).unwrap();
    let refused = [
        ops::linear(&a, &b, None),
        ops::linear(&a, &single, None),
        ops::softmax(&whole),
        ops::silu_gate(&a, &b),
        ops::rms_norm(&a, &b, 1e-5),
        ops::token_logprobs(&a, &Tensor::new(&[0u32, 3], &Device::Cpu).unwrap()),
        ops::token_logprobs(&a, &Tensor::new(&[0u32], &Device::Cpu).unwrap()),
        ops::embedding(&a, &Tensor::new(&[2u32], &Device::Cpu).unwrap()),
        ops::mean_nll(&a, Some(&[0.0; 6])),
        ops::mean_nll(&a, Some(&[1.0; 5])),
        ops::mean_nll(&a, Some(&[1.0, -1.0, 1.0, 1.0, 1.0, 1.0])),
    ];
    for (index, result) in refused.into_iter().enumerate() {
        assert!(result.is_err(), "case {index} was accepted");
    }
    let x = inputs(&[&[1, 3, 2, 2]], 1).remove(0);
    let wrong = [options(false, Some(2), None), options(true, Some(0), None)];
    for options in wrong {
        assert!(ops::attention(&x, &x, &x, &options).is_err());
    }
    let odd = inputs(&[&[1, 3, 3, 2]], 1).remove(0);
    assert!(ops::attention(&odd, &x, &x, &options(true, None, None)).is_err());
    assert!(Rotary::new(3, 4, 1e4, 1.0).is_err());
    let tables = Rotary::new(2, 2, 1e4, 1.0).unwrap();
    assert!(ops::rotary(&x, &tables).is_err());
}

#[test]
fn nothing_is_recorded_where_nothing_needs_a_gradient() {
    let x = inputs(&[&[2, 3]], 1).remove(0);
    assert!(!ops::softmax(&x).unwrap().track_op());
}

#[test]
fn a_second_way_back_gives_the_same_gradients() {
    let shapes: [&[usize]; 5] = [&[4, 5], &[4, 2], &[4, 3, 5], &[4, 3, 5], &[4, 5, 3]];
    let vars: Vec<Var> = inputs(&shapes, 24)
        .iter()
        .map(|x| Var::from_tensor(x).unwrap())
        .collect();
    let chosen = Tensor::new(&[[0u32, 1], [3, 0], [1, 3], [0, 0]], &Device::Cpu).unwrap();
    let experts = Experts {
        gate: &vars[2],
        up: &vars[3],
        down: &vars[4],
        activation: Activation::Silu,
    };
    let y = ops::moe_feed_forward(&vars[0], &vars[1], &chosen, &experts).unwrap();
    let loss = y.sqr().unwrap().sum_all().unwrap();
    let (first, second) = (loss.backward().unwrap(), loss.backward().unwrap());
    for var in &vars {
        let flat = |store: &candle_core::backprop::GradStore| {
            let gradient = store.get(var).unwrap().flatten_all().unwrap();
            gradient.to_vec1::<f64>().unwrap()
        };
        assert_eq!(flat(&first), flat(&second));
        assert!(flat(&first).iter().any(|value| *value != 0.0));
    }
}

/// AdamW as its algorithm is printed, in double precision.
fn adamw_plain(param: &mut f64, grad: f64, moments: &mut [f64; 2], step: &AdamWStep) {
    let grad = grad * step.grad_scale;
    moments[0] = step.beta1 * moments[0] + (1.0 - step.beta1) * grad;
    moments[1] = step.beta2 * moments[1] + (1.0 - step.beta2) * grad * grad;
    let first = moments[0] / (1.0 - step.beta1.powf(step.step as f64));
    let second = moments[1] / (1.0 - step.beta2.powf(step.step as f64));
    *param -= step.learning_rate * step.weight_decay * *param;
    *param -= step.learning_rate * first / (second.sqrt() + step.eps);
}

#[test]
fn adamw_follows_the_algorithm_and_reaches_the_tensor_itself() {
    let n = 70_001;
    let start: Vec<f32> = numbers(n, 30).iter().map(|x| *x as f32).collect();
    let param = Tensor::from_vec(start.clone(), n, &Device::Cpu).unwrap();
    let (mut first, mut second) = (vec![0.0f32; n], vec![0.0f32; n]);
    let mut expected: Vec<f64> = start.iter().map(|x| f64::from(*x)).collect();
    let mut moments = vec![[0.0f64; 2]; n];
    for step in 1..=5 {
        let step = AdamWStep {
            learning_rate: 0.01,
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
            weight_decay: 0.1,
            grad_scale: 0.5,
            step,
        };
        let grads: Vec<f32> = numbers(n, 30 + step.step)
            .iter()
            .map(|x| *x as f32)
            .collect();
        for (index, grad) in grads.iter().enumerate() {
            adamw_plain(
                &mut expected[index],
                f64::from(*grad),
                &mut moments[index],
                &step,
            );
        }
        let grads = Tensor::from_vec(grads, n, &Device::Cpu).unwrap();
        ops::adamw_step_tensor(&param, &grads, &mut first, &mut second, &step).unwrap();
    }
    for (ours, theirs) in param.to_vec1::<f32>().unwrap().iter().zip(&expected) {
        assert!(
            (f64::from(*ours) - theirs).abs() < 1e-6,
            "{ours} against {theirs}"
        );
    }
}

#[test]
fn adamw_refuses_lengths_that_differ_and_step_zero() {
    let step = AdamWStep {
        learning_rate: 0.01,
        beta1: 0.9,
        beta2: 0.95,
        eps: 1e-8,
        weight_decay: 0.1,
        grad_scale: 1.0,
        step: 1,
    };
    let run = |n_grads: usize, step: AdamWStep| {
        ops::adamw_step(
            &mut [1.0; 3],
            &vec![0.0; n_grads],
            &mut [0.0; 3],
            &mut [0.0; 3],
            &step,
        )
    };
    assert!(run(3, step).is_ok());
    assert!(run(2, step).is_err());
    assert!(run(3, AdamWStep { step: 0, ..step }).is_err());
}

#[test]
fn sums_of_squares_are_exact_where_squares_are() {
    let values: Vec<f32> = (0..1001).map(|i| i as f32).collect();
    assert_eq!(
        ops::sum_of_squares(&values),
        (1000.0 * 1001.0 * 2001.0) / 6.0
    );
    assert_eq!(ops::sum_of_squares(&[]), 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn probabilities_of_any_row_are_not_negative_and_sum_to_one(
        row in prop::collection::vec(-80f32..80.0, 1..200)
    ) {
        let x = Tensor::new(&row[..], &Device::Cpu).unwrap();
        let y = ops::softmax(&x).unwrap().to_vec1::<f32>().unwrap();
        prop_assert!(y.iter().all(|p| (0.0..=1.0).contains(p)));
        prop_assert!((y.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        let logs = ops::log_softmax(&x).unwrap().to_vec1::<f32>().unwrap();
        for (p, log) in y.iter().zip(&logs) {
            prop_assert!((p - log.exp()).abs() < 1e-5);
        }
    }

    #[test]
    fn any_shape_of_attention_equals_the_definition(
        n_batch in 1usize..3,
        n_tokens in 1usize..70,
        n_kv_heads in 1usize..3,
        n_shared in 1usize..3,
        n_head in 1usize..9,
        window in prop::option::of(1usize..80),
        seed in 0u64..1000,
    ) {
        let options = options(true, window, None);
        let q = [n_batch, n_tokens, n_kv_heads * n_shared, n_head];
        let k = [n_batch, n_tokens, n_kv_heads, n_head];
        let x = inputs(&[&q, &k, &k], seed);
        let ours = ops::attention(&x[0], &x[1], &x[2], &options).unwrap();
        let theirs = plain::attention(&x[0], &x[1], &x[2], &options).unwrap();
        let worst = (ours - theirs).unwrap().abs().unwrap().flatten_all().unwrap();
        prop_assert!(worst.max(0).unwrap().to_scalar::<f64>().unwrap() < 1e-12);
    }

    #[test]
    fn any_routing_equals_the_loop_over_experts(
        n_tokens in 1usize..40,
        n_experts in 1usize..6,
        n_active in 1usize..4,
        seed in 0u64..1000,
    ) {
        let chosen = ids(n_tokens * n_active, n_experts as u32, seed);
        let chosen = Tensor::from_vec(chosen, (n_tokens, n_active), &Device::Cpu).unwrap();
        let up = [n_experts, 4, 3];
        let down = [n_experts, 3, 4];
        let x = inputs(&[&[n_tokens, 3], &[n_tokens, n_active], &up, &up, &down], seed);
        let experts = Experts {
            gate: &x[2],
            up: &x[3],
            down: &x[4],
            activation: Activation::Silu,
        };
        let ours = ops::moe_feed_forward(&x[0], &x[1], &chosen, &experts).unwrap();
        let theirs = plain::moe_feed_forward(&x[0], &x[1], &chosen, &experts).unwrap();
        let worst = (ours - theirs).unwrap().abs().unwrap().flatten_all().unwrap();
        prop_assert!(worst.max(0).unwrap().to_scalar::<f64>().unwrap() < 1e-13);
    }
}
