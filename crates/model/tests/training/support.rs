//! Decoders, batches, and noise that the tests share.

use model::config::{Activation, DecoderConfig, FeedForward, Norm, Positions, Window};
use model::train::{Batch, Decoder, Distribution, Init, Precision};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// A small decoder: grouped heads, rotary positions, RMS norms, gated feed-forward, tied head.
pub fn llama() -> DecoderConfig {
    DecoderConfig {
        architecture: "local".to_owned(),
        n_vocab: 13,
        n_hidden: 12,
        n_layers: 2,
        n_heads: 4,
        n_kv_heads: 2,
        n_head: 4,
        n_context: 16,
        norm: Norm::Rms { eps: 1e-5 },
        norm_after: false,
        norm_qk: false,
        positions: Positions::Rotary {
            theta: 10_000.0,
            scale: 1.0,
        },
        bias_qkv: false,
        bias_out: false,
        attention_scale: 0.5,
        window: None,
        feed_forward: FeedForward::Gated {
            n_inner: 20,
            activation: Activation::Silu,
        },
        embedding_scale: 1.0,
        tied: true,
    }
}

/// Pre-LN blocks with biases, learned positions, GELU, an untied head.
pub fn gpt() -> DecoderConfig {
    DecoderConfig {
        n_kv_heads: 4,
        norm: Norm::Layer { eps: 1e-5 },
        positions: Positions::Learned,
        bias_qkv: true,
        bias_out: true,
        feed_forward: FeedForward::Plain {
            n_inner: 24,
            activation: Activation::GeluTanh,
        },
        tied: false,
        ..llama()
    }
}

/// Norms before and after, normed heads, windows, scaled embeddings, GELU gates.
pub fn gemma() -> DecoderConfig {
    DecoderConfig {
        n_layers: 3,
        norm_after: true,
        norm_qk: true,
        positions: Positions::Rotary {
            theta: 1_000_000.0,
            scale: 2.0,
        },
        window: Some(Window {
            n_tokens: 3,
            full_every: 2,
            theta: 10_000.0,
        }),
        feed_forward: FeedForward::Gated {
            n_inner: 20,
            activation: Activation::GeluTanh,
        },
        embedding_scale: 12_f32.sqrt(),
        n_kv_heads: 1,
        ..llama()
    }
}

/// Experts behind normed heads, as in Qwen3.
pub fn experts(renormalise: bool) -> DecoderConfig {
    DecoderConfig {
        norm_qk: true,
        feed_forward: FeedForward::Experts {
            n_inner: 10,
            n_experts: 5,
            n_active: 2,
            renormalise,
            activation: Activation::Silu,
        },
        ..llama()
    }
}

/// Every choice of the family at least once, in combinations that publishers use and some that
/// nobody does.
pub fn family() -> Vec<(&'static str, DecoderConfig)> {
    let plain = |activation| FeedForward::Plain {
        n_inner: 18,
        activation,
    };
    vec![
        ("llama", llama()),
        ("gpt", gpt()),
        ("gemma", gemma()),
        ("experts", experts(true)),
        ("experts, not renormalised", experts(false)),
        (
            "qwen2: biases on queries",
            DecoderConfig {
                bias_qkv: true,
                tied: false,
                ..llama()
            },
        ),
        (
            "layer norms after, experts, windows",
            DecoderConfig {
                norm: Norm::Layer { eps: 1e-4 },
                norm_after: true,
                window: Some(Window {
                    n_tokens: 2,
                    full_every: 0,
                    theta: 100.0,
                }),
                ..experts(true)
            },
        ),
        (
            "learned positions, SiLU, layer norms, normed heads",
            DecoderConfig {
                norm_qk: true,
                feed_forward: plain(Activation::Silu),
                ..gpt()
            },
        ),
        (
            "biased gates",
            DecoderConfig {
                bias_out: true,
                positions: Positions::Learned,
                ..llama()
            },
        ),
    ]
}

pub fn stream(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// Uniform on [−1, 1).
pub fn noise(stream: &mut ChaCha20Rng) -> f64 {
    (stream.next_u64() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// A decoder far from the symmetric point where it would start: norms differ from 1, biases from 0.
pub fn decoder(config: &DecoderConfig, precision: Precision) -> Decoder {
    let init = Init {
        seed: 5,
        projection: Distribution::Normal { std: 0.4 },
        embedding: Distribution::Normal { std: 0.6 },
        residual_scaled: false,
    };
    let decoder = Decoder::new(config.clone(), &init, precision).unwrap();
    let mut stream = stream(6);
    let values = decoder.parameters().flat().unwrap();
    let moved: Vec<f64> = values
        .iter()
        .map(|value| value + 0.1 * noise(&mut stream))
        .collect();
    decoder.parameters().set_flat(&moved).unwrap();
    decoder
}

/// Ragged sequences of `lengths` tokens.
pub fn batch(config: &DecoderConfig, lengths: &[usize]) -> Batch {
    let mut stream = stream(7);
    let sequences: Vec<Vec<u32>> = lengths
        .iter()
        .map(|length| {
            let token = |_| (stream.next_u64() % config.n_vocab as u64) as u32;
            (0..*length).map(token).collect()
        })
        .collect();
    Batch::new(&sequences).unwrap()
}

/// Largest absolute difference.
pub fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().zip(b);
    pairs
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs())
        .fold(0.0, f64::max)
}
