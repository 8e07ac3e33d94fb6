//! `cargo run`: writes small sound files into `corpus/`, from which fuzzing starts.

use std::fs;
use std::path::Path;

use model_fuzz::build::{Sizes, sized};
use model_fuzz::config::{Activation, DecoderConfig, FeedForward, Norm, Positions, Window};
use model_fuzz::weights::{Checkpoint, layout, save_checkpoint};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for target in ["gguf", "safetensors", "config"] {
        fs::create_dir_all(corpus.join(target))?;
    }
    let sizes = Sizes {
        n_layers: 1,
        n_hidden: 2,
        n_head: 2,
        n_inner: 8,
    };
    for architecture in ["llama", "qwen2", "qwen3", "qwen3moe", "gemma3"] {
        let file = corpus.join("gguf").join(architecture);
        fs::write(file, sized(architecture, &sizes).bytes())?;
        let published = format!("tests/fixtures/weights/tiny-{architecture}/config.json");
        let published = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(published);
        fs::copy(published, corpus.join("config").join(architecture))?;
    }
    // What the target's own configuration asks for; the values do not matter.
    let config = smallest();
    let tensors = layout(&config)
        .map(|(name, shape)| {
            let n = shape.iter().product();
            (name, (shape, vec![0.5; n]))
        })
        .collect();
    let folder = std::env::temp_dir().join(format!("model-fuzz-{}", std::process::id()));
    save_checkpoint(&folder, &config, &tensors)?;
    Checkpoint::open(&folder)?;
    let seeds = corpus.join("safetensors");
    fs::copy(folder.join("model.safetensors"), seeds.join("saved"))?;
    fs::copy(folder.join("config.json"), corpus.join("config/local"))?;
    fs::remove_dir_all(folder)?;
    Ok(())
}

/// `model_fuzz::CONFIG` as the readers understand it.
fn smallest() -> DecoderConfig {
    DecoderConfig {
        architecture: "gemma3".to_owned(),
        n_vocab: 2,
        n_hidden: 2,
        n_layers: 1,
        n_heads: 1,
        n_kv_heads: 1,
        n_head: 2,
        n_context: 4,
        norm: Norm::Rms { eps: 1e-6 },
        norm_after: true,
        norm_qk: true,
        positions: Positions::Rotary {
            theta: 1_000_000.0,
            scale: 1.0,
        },
        bias_qkv: false,
        bias_out: false,
        attention_scale: 0.5,
        window: Some(Window {
            n_tokens: 2,
            full_every: 6,
            theta: 10_000.0,
        }),
        feed_forward: FeedForward::Gated {
            n_inner: 1,
            activation: Activation::GeluTanh,
        },
        embedding_scale: 1.0,
        tied: true,
    }
}
