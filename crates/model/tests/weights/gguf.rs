//! GGUF names, row order, and configuration in the hub's terms.

use std::path::Path;

use model::config::{Activation, FeedForward, Positions, Window};
use model::weights::{Checkpoint, layout};

use crate::build::{Value, layers, small, text};

fn open(file: &crate::build::File) -> eval::Result<Checkpoint> {
    Checkpoint::from_gguf_bytes("small.gguf", file.bytes())
}

#[test]
fn every_architecture_has_the_tensors_of_its_layout() {
    for architecture in ["llama", "qwen2", "qwen3", "qwen3moe", "gemma3"] {
        let checkpoint = open(&small(architecture)).unwrap();
        let mut expected: Vec<String> = layout(checkpoint.config()).map(|(name, _)| name).collect();
        expected.sort();
        assert_eq!(checkpoint.names().collect::<Vec<_>>(), expected);
        for (name, shape) in layout(checkpoint.config()) {
            let tensor = checkpoint.tensor(&name).unwrap();
            assert_eq!(tensor.shape, shape, "{name}");
            assert_eq!(
                tensor.to_f32().unwrap().len(),
                shape.iter().product::<usize>()
            );
        }
        checkpoint.verify_finite().unwrap();
        assert_eq!(checkpoint.name(), "small");
    }
}

/// ggml's own table of names (`gguf.get_tensor_name_map` of the Python package gguf 0.19.0,
/// `fixtures/weights/make.py`), read from the hub's side.
#[test]
fn names_are_those_of_the_converters() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights");
    let names = std::fs::read_to_string(fixtures.join("names.txt")).unwrap();
    let mut n_seen = 0;
    for architecture in ["llama", "qwen2", "qwen3", "qwen3moe", "gemma3"] {
        let mut file = small(architecture);
        file.add("output.weight", &[10, 32], |idx| idx as f32);
        let checkpoint = open(&file).unwrap();
        let prefix = format!("{architecture} ");
        for line in names.lines().filter_map(|line| line.strip_prefix(&prefix)) {
            let (hub, stored) = line.split_once(' ').unwrap();
            let is_stacked = stored.ends_with("_exps");
            let hub = if is_stacked {
                hub.replace("experts", "experts.0")
            } else {
                hub.to_owned()
            };
            let tensor = checkpoint.tensor(&format!("{hub}.weight")).unwrap();
            let name = format!("{stored}.weight");
            let stored = file.tensors.iter().find(|tensor| tensor.name == name);
            let stored = &stored.unwrap().bytes;
            let stored = &stored[..if is_stacked {
                stored.len() / 3
            } else {
                stored.len()
            }];
            // Reordered rows have another test; here it is enough that they are the same ones.
            let sorted = |bytes: &[u8]| {
                let mut bytes = bytes.to_vec();
                bytes.sort_unstable();
                bytes
            };
            assert_eq!(
                sorted(&tensor.bytes),
                sorted(stored),
                "{architecture}: {hub}"
            );
            n_seen += 1;
        }
    }
    assert_eq!(n_seen, names.lines().count());
}

/// llama.cpp's converter, as it is written there: `reshape(n_heads, 2, n/2).swapaxes(1, 2)` over
/// rows. What it makes of hub rows must come back as hub rows.
#[test]
fn llama_rows_come_back_in_hub_order_and_others_stay() {
    let (n_heads, n_head, n_columns) = (4, 4, 32);
    let mut converted = Vec::new();
    for head in 0..n_heads {
        for idx in 0..n_head / 2 {
            for part in 0..2 {
                let hub_row = head * n_head + part * (n_head / 2) + idx;
                converted.extend(std::iter::repeat_n(hub_row as f32, n_columns));
            }
        }
    }
    for (architecture, is_moved) in [("llama", true), ("qwen2", false), ("gemma3", false)] {
        let mut file = small(architecture);
        let tensor = file.tensor("blk.1.attn_q.weight");
        tensor.bytes = converted.iter().flat_map(|x| x.to_le_bytes()).collect();
        let checkpoint = open(&file).unwrap();
        let view = checkpoint.tensor("model.layers.1.self_attn.q_proj.weight");
        let rows: Vec<f32> = view.unwrap().to_f32().unwrap();
        let rows: Vec<usize> = rows.chunks(n_columns).map(|row| row[0] as usize).collect();
        assert_eq!(
            rows == (0..16).collect::<Vec<_>>(),
            is_moved,
            "{architecture}"
        );
    }
}

#[test]
fn llama_biases_are_reordered_like_their_rows() {
    let mut file = small("llama");
    for layer in 0..2 {
        // Hub element `4h + 2p + i` lies at `4h + 2i + p`.
        let stored = |idx: usize| (idx / 4 * 4 + idx % 2 * 2 + idx / 2 % 2) as f32;
        file.add(&format!("blk.{layer}.attn_q.bias"), &[16], stored);
        file.add(&format!("blk.{layer}.attn_k.bias"), &[8], stored);
        file.add(&format!("blk.{layer}.attn_v.bias"), &[8], |idx| idx as f32);
        for (name, n) in [
            ("attn_output", 32),
            ("ffn_gate", 64),
            ("ffn_up", 64),
            ("ffn_down", 32),
        ] {
            file.add(&format!("blk.{layer}.{name}.bias"), &[n], |idx| idx as f32);
        }
    }
    let checkpoint = open(&file).unwrap();
    assert!(checkpoint.config().bias_qkv && checkpoint.config().bias_out);
    for (name, n) in [("q", 16), ("k", 8), ("v", 8)] {
        let name = format!("model.layers.0.self_attn.{name}_proj.bias");
        let bias = checkpoint.tensor(&name).unwrap().to_f32().unwrap();
        assert_eq!(bias, (0..n).map(|idx| idx as f32).collect::<Vec<_>>());
    }
}

#[test]
fn experts_are_slices_of_the_stacked_tensor() {
    let file = small("qwen3moe");
    let checkpoint = open(&file).unwrap();
    for (part, stacked) in [("gate", "ffn_gate"), ("up", "ffn_up"), ("down", "ffn_down")] {
        let name = format!("blk.1.{stacked}_exps.weight");
        let tensor = file.tensors.iter().find(|tensor| tensor.name == name);
        let bytes = &tensor.unwrap().bytes;
        for expert in 0..3 {
            let name = format!("model.layers.1.mlp.experts.{expert}.{part}_proj.weight");
            let view = checkpoint.tensor(&name).unwrap();
            let n = bytes.len() / 3;
            assert_eq!(
                view.bytes[..],
                bytes[expert * n..(expert + 1) * n],
                "{name}"
            );
        }
    }
}

#[test]
fn configurations_say_what_the_files_say() {
    let llama = open(&small("llama")).unwrap();
    let llama = llama.config();
    assert_eq!((llama.n_vocab, llama.n_hidden, llama.n_layers), (10, 32, 2));
    assert_eq!((llama.n_heads, llama.n_kv_heads, llama.n_head), (4, 2, 4));
    assert_eq!((llama.n_context, llama.tied), (64, true));
    assert_eq!(llama.attention_scale, 0.5);
    assert!(!llama.norm_qk && !llama.norm_after && !llama.bias_qkv && llama.window.is_none());
    let rotary = |theta, scale| Positions::Rotary { theta, scale };
    assert_eq!(llama.positions, rotary(50_000.0, 1.0));

    let mut file = small("gemma3");
    file.set("gemma3.rope.scaling.type", text("linear"));
    file.set("gemma3.rope.scaling.factor", Value::F32(8.0));
    file.add("output.weight", &[10, 32], |idx| idx as f32);
    let gemma = open(&file).unwrap();
    let gemma = gemma.config();
    assert_eq!(gemma.positions, rotary(50_000.0, 8.0));
    let window = Window {
        n_tokens: 16,
        full_every: 6,
        theta: 10_000.0,
    };
    assert_eq!(gemma.window, Some(window));
    assert!(gemma.norm_qk && gemma.norm_after && !gemma.tied);
    assert_eq!(gemma.embedding_scale, 32_f32.sqrt());

    let qwen = open(&small("qwen2")).unwrap();
    assert!(qwen.config().bias_qkv && !qwen.config().bias_out && !qwen.config().norm_qk);
    let moe = open(&small("qwen3moe")).unwrap();
    let experts = FeedForward::Experts {
        n_inner: 8,
        n_experts: 3,
        n_active: 2,
        renormalise: true,
        activation: Activation::Silu,
    };
    assert_eq!(moe.config().feed_forward, experts);
}

/// Heads of 4 elements in a width of 32: `1/√4` everywhere, `1/√(32 / 4 heads)` in the 27B
/// model, which llama.cpp knows by its 62 layers.
#[test]
fn gemmas_largest_size_scales_scores_by_the_hidden_width() {
    for (n_layers, width) in [(2, 4.0_f32), (62, 8.0)] {
        let checkpoint = open(&layers("gemma3", n_layers)).unwrap();
        assert_eq!(checkpoint.config().attention_scale, 1.0 / width.sqrt());
    }
}

#[test]
fn metadata_is_typed() {
    let mut file = small("llama");
    file.set("x.u8", Value::Raw(0, vec![200]));
    file.set("x.i64", Value::Raw(11, (-5_i64).to_le_bytes().to_vec()));
    file.set("x.u64", Value::Raw(10, u64::MAX.to_le_bytes().to_vec()));
    file.set("x.f64", Value::Raw(12, 0.5_f64.to_le_bytes().to_vec()));
    file.set("x.nan", Value::F32(f32::NAN));
    file.set("x.flag", Value::Raw(7, vec![1]));
    file.set("x.empty", Value::Texts(Vec::new()));
    let checkpoint = open(&file).unwrap();
    let gguf = checkpoint.gguf().unwrap();
    assert_eq!(gguf.integer("x.u8").unwrap(), Some(200));
    assert_eq!(gguf.integer("x.i64").unwrap(), Some(-5));
    assert!(gguf.integer("x.u64").is_err());
    assert_eq!(gguf.number("x.f64").unwrap(), Some(0.5));
    assert!(gguf.number("x.nan").is_err());
    assert_eq!(gguf.flag("x.flag").unwrap(), Some(true));
    assert_eq!(gguf.texts("x.empty").unwrap(), Some(Vec::new()));
    assert_eq!(gguf.text("general.name").unwrap(), Some("small"));
    assert_eq!(gguf.text("no.such.key").unwrap(), None);
    assert_eq!(
        gguf.integers("tokenizer.ggml.token_type").unwrap(),
        Some(vec![1; 10])
    );
    assert_eq!(
        gguf.texts("tokenizer.ggml.tokens").unwrap().unwrap()[9],
        "<9>"
    );
    for wrong in [
        gguf.text("x.u8").err(),
        gguf.integer("general.name").err(),
        gguf.number("x.u8").err(),
        gguf.flag("x.u8").err(),
        gguf.texts("general.name").err(),
        gguf.texts("tokenizer.ggml.token_type").err(),
        gguf.integers("tokenizer.ggml.tokens").err(),
        gguf.numbers("tokenizer.ggml.token_type").err(),
        gguf.text("tokenizer.ggml.tokens").err(),
    ] {
        let text = wrong.unwrap().to_string();
        assert!(text.contains("cannot be read as"), "{text}");
    }
}
