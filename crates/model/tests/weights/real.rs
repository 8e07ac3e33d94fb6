//! The two published files, where MODEL_WEIGHTS names the folder that holds them.

use std::path::{Path, PathBuf};

use eval::digest::Digest;
use model::config::{Activation, DecoderConfig, FeedForward, Norm, Positions, Window};
use model::weights::{Checkpoint, DType};

use crate::allocation::peak_bytes;

/// The file, or `None` after saying loudly that it is not there.
#[expect(clippy::print_stderr, reason = "what was not tested must be seen")]
fn weights(file: &str) -> Option<PathBuf> {
    let path = std::env::var_os("MODEL_WEIGHTS").map(|folder| PathBuf::from(folder).join(file));
    if path.is_none() {
        eprintln!("NOT TESTED with `{file}`: MODEL_WEIGHTS does not name the folder that holds it");
    }
    path
}

#[test]
fn smollm2_has_all_tensors_and_the_published_configuration() {
    let Some(path) = weights("SmolLM2-135M-Instruct.Q4_1.gguf") else {
        return;
    };
    let checkpoint = Checkpoint::open(&path).unwrap();
    let expected = DecoderConfig {
        architecture: "llama".to_owned(),
        n_vocab: 49152,
        n_hidden: 576,
        n_layers: 30,
        n_heads: 9,
        n_kv_heads: 3,
        n_head: 64,
        n_context: 8192,
        norm: Norm::Rms { eps: 1e-5 },
        norm_after: false,
        norm_qk: false,
        positions: Positions::Rotary {
            theta: 100_000.0,
            scale: 1.0,
        },
        bias_qkv: false,
        bias_out: false,
        attention_scale: 0.125,
        window: None,
        feed_forward: FeedForward::Gated {
            n_inner: 1536,
            activation: Activation::Silu,
        },
        embedding_scale: 1.0,
        tied: true,
    };
    assert_eq!(checkpoint.config(), &expected);
    assert_eq!(checkpoint.names().count(), 2 + 9 * 30);
    assert_eq!(checkpoint.name(), "Smollm2 135M 8k Lc100K Mix1 Ep2");
    checkpoint.verify_finite().unwrap();
    let tokens = checkpoint.gguf().unwrap().texts("tokenizer.ggml.tokens");
    assert_eq!(tokens.unwrap().unwrap()[1], "<|im_start|>");
    let embedding = checkpoint.tensor("model.embed_tokens.weight").unwrap();
    assert_eq!(embedding.dtype, DType::Q8_0);
    assert_eq!(embedding.shape, [49152, 576]);
}

#[test]
fn gemma_has_all_tensors_and_the_published_configuration() {
    let Some(path) = weights("gemma-3-270m-q4_k_m.gguf") else {
        return;
    };
    let checkpoint = Checkpoint::open(&path).unwrap();
    let expected = DecoderConfig {
        architecture: "gemma3".to_owned(),
        n_vocab: 262_144,
        n_hidden: 640,
        n_layers: 18,
        n_heads: 4,
        n_kv_heads: 1,
        n_head: 256,
        n_context: 32768,
        norm: Norm::Rms { eps: 1e-6 },
        norm_after: true,
        norm_qk: true,
        positions: Positions::Rotary {
            theta: 1_000_000.0,
            scale: 1.0,
        },
        bias_qkv: false,
        bias_out: false,
        attention_scale: 1.0 / 16.0,
        window: Some(Window {
            n_tokens: 512,
            full_every: 6,
            theta: 10_000.0,
        }),
        feed_forward: FeedForward::Gated {
            n_inner: 2048,
            activation: Activation::GeluTanh,
        },
        embedding_scale: 640_f32.sqrt(),
        tied: true,
    };
    assert_eq!(checkpoint.config(), &expected);
    assert_eq!(checkpoint.names().count(), 2 + 13 * 18);
    assert_eq!(checkpoint.name(), "Gemma 3 270m");
    checkpoint.verify_finite().unwrap();
}

/// Every tensor must be, bit for bit, the one that transformers 5.23.0 reads from the same file
/// (`fixtures/weights/make.py`): names, de-quantisation, and the order of query and key rows.
fn check_digests(file: &str, norm_offset: f32) {
    let Some(path) = weights(file) else {
        return;
    };
    let checkpoint = Checkpoint::open(&path).unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights");
    let digests = std::fs::read_to_string(fixtures.join(format!("{file}.sha256"))).unwrap();
    assert_eq!(digests.lines().count(), checkpoint.names().count());
    for line in digests.lines() {
        let (expected, name) = line.split_once("  ").unwrap();
        let offset = if name.ends_with("norm.weight") {
            norm_offset
        } else {
            0.0
        };
        let values = checkpoint.tensor(name).unwrap().to_f32().unwrap();
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|x| (x - offset).to_le_bytes())
            .collect();
        assert_eq!(Digest::of(&bytes).to_string(), expected, "{name}");
    }
}

#[test]
fn smollm2_tensors_are_those_that_transformers_reads() {
    check_digests("SmolLM2-135M-Instruct.Q4_1.gguf", 0.0);
}

/// transformers takes the one off that Gemma's GGUF norms include; here they are as applied.
#[test]
fn gemma_tensors_are_those_that_transformers_reads() {
    check_digests("gemma-3-270m-q4_k_m.gguf", 1.0);
}

#[test]
fn opening_the_larger_file_takes_little_memory() {
    let Some(path) = weights("gemma-3-270m-q4_k_m.gguf") else {
        return;
    };
    let (result, peak) = peak_bytes(|| {
        let checkpoint = Checkpoint::open(&path)?;
        checkpoint.verify_finite()
    });
    result.unwrap();
    assert!(peak < 1 << 20, "{peak} bytes for 236 tensors");
}
