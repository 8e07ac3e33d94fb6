//! A model folder for tests of the crate and of its program.

use std::collections::BTreeMap;
use std::path::Path;

use model::config::{Activation, DecoderConfig, FeedForward, Norm, Positions};
use model::train::{Decoder, Init, Precision};

/// A byte-level vocabulary in which `>`, `<`, and `/` merge, as in that of SmolLM2.
pub fn tokenizer_json() -> String {
    let mut vocab: BTreeMap<String, u32> = BTreeMap::new();
    let marks = ["<s>", "</s>", "<|user|>", "<|model|>"];
    let mut next = 0;
    let mut add = |text: String| {
        vocab.entry(text).or_insert_with(|| {
            next += 1;
            next - 1
        });
    };
    marks.iter().for_each(|mark| add((*mark).to_owned()));
    (b'!'..=b'~').for_each(|byte| add(char::from(byte).to_string()));
    ["\u{120}", "\u{10a}", "><", "></"]
        .iter()
        .for_each(|text| add((*text).to_owned()));
    let added: Vec<serde_json::Value> = marks
        .iter()
        .enumerate()
        .map(|(id, mark)| {
            serde_json::json!({"id": id, "content": mark, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true})
        })
        .collect();
    let byte_level = |prefix: bool| {
        serde_json::json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true,
            "use_regex": false})
    };
    serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": null, "pre_tokenizer": byte_level(false), "post_processor": null,
        "decoder": byte_level(false),
        "model": {"type": "BPE", "dropout": null, "unk_token": null,
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
            "byte_fallback": false, "ignore_merges": false, "vocab": vocab,
            "merges": [[">", "<"], ["><", "/"]]},
    })
    .to_string()
}

/// Turns between marks.
pub const TEMPLATE: &str = "{% for m in messages %}\
<|{{ 'user' if m.role == 'user' else 'model' }}|>\
{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}<|model|>{% endif %}";

/// Two layers of the Llama family.
pub fn config() -> DecoderConfig {
    DecoderConfig {
        architecture: "local".to_owned(),
        n_vocab: 102,
        n_hidden: 16,
        n_layers: 2,
        n_heads: 2,
        n_kv_heads: 1,
        n_head: 8,
        n_context: 256,
        norm: Norm::Rms { eps: 1e-5 },
        norm_after: false,
        norm_qk: false,
        positions: Positions::Rotary {
            theta: 10_000.0,
            scale: 1.0,
        },
        bias_qkv: false,
        bias_out: false,
        attention_scale: 0.35,
        window: None,
        embedding_scale: 1.0,
        tied: true,
        feed_forward: FeedForward::Gated {
            n_inner: 24,
            activation: Activation::Silu,
        },
    }
}

/// Weights, tokenizer, and template in a folder.
pub fn write_model(folder: &Path) {
    let decoder = Decoder::new(config(), &Init::gpt2(5), Precision::F32).unwrap();
    let tensors = decoder.tensors().unwrap();
    model::weights::save_checkpoint(folder, decoder.config(), &tensors).unwrap();
    write_tokenizer(folder);
}

/// Tokenizer and template alone.
pub fn write_tokenizer(folder: &Path) {
    std::fs::write(folder.join("tokenizer.json"), tokenizer_json()).unwrap();
    let said = serde_json::json!({"chat_template": TEMPLATE, "eos_token": "</s>",
        "bos_token": "<s>"});
    std::fs::write(folder.join("tokenizer_config.json"), said.to_string()).unwrap();
}
