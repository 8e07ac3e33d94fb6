//! Hub folders as transformers 5.23.0 writes them (`fixtures/weights/make.py`), and older
//! configurations as published ones are written.

use std::path::{Path, PathBuf};

use model::config::{DecoderConfig, FeedForward, Positions, Window};
use model::weights::{Checkpoint, layout};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

const FAMILIES: [&str; 5] = ["llama", "qwen2", "qwen3", "qwen3moe", "gemma3"];

fn folder(family: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights");
    fixtures.join(format!("tiny-{family}"))
}

#[test]
fn every_family_loads_with_the_values_that_transformers_wrote() {
    for family in FAMILIES {
        let folder = folder(family);
        let checkpoint = Checkpoint::open(&folder).unwrap();
        assert_eq!(checkpoint.config().architecture, family);
        assert_eq!(checkpoint.name(), format!("tiny-{family}"));
        assert_eq!(checkpoint.folder(), folder);
        checkpoint.verify_finite().unwrap();
        // The same file through the format's own reader.
        let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let n_tensors = layout(checkpoint.config()).count();
        assert_eq!(tensors.len(), n_tensors, "{family}");
        assert_eq!(checkpoint.names().count(), n_tensors, "{family}");
        for name in checkpoint.names() {
            let expected = tensors.tensor(name).unwrap();
            let view = checkpoint.tensor(name).unwrap();
            assert_eq!(view.shape, expected.shape(), "{name}");
            // Gemma's files leave out a one that is applied.
            let one = if family == "gemma3" && name.ends_with("norm.weight") {
                1.0
            } else {
                0.0
            };
            let expected: Vec<f32> = expected
                .data()
                .chunks_exact(4)
                .map(|c| f32::from_le_bytes(c.try_into().unwrap()) + one)
                .collect();
            assert_eq!(view.to_f32().unwrap(), expected, "{name}");
        }
    }
}

/// The same model in half precision: every value is the single rounded to that type, and Gemma's
/// one is added after widening, not in half precision.
#[test]
fn half_precision_files_are_widened() {
    let folder = folder("gemma3");
    let config = std::fs::read(folder.join("config.json")).unwrap();
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let whole = SafeTensors::deserialize(&bytes).unwrap();
    type Round = fn(f32) -> ([u8; 2], f32);
    let kinds: [(Dtype, Round); 2] = [
        (Dtype::BF16, |x| {
            let x = half::bf16::from_f32(x);
            (x.to_le_bytes(), x.to_f32())
        }),
        (Dtype::F16, |x| {
            let x = half::f16::from_f32(x);
            (x.to_le_bytes(), x.to_f32())
        }),
    ];
    for (dtype, round) in kinds {
        let mut stored = Vec::new();
        let mut expected = Vec::new();
        for (name, tensor) in whole.iter() {
            let values = tensor.data().chunks_exact(4);
            let rounded: Vec<_> = values
                .map(|c| round(f32::from_le_bytes(c.try_into().unwrap())))
                .collect();
            let bytes: Vec<u8> = rounded.iter().flat_map(|(bytes, _)| *bytes).collect();
            let one = if name.ends_with("norm.weight") {
                1.0
            } else {
                0.0
            };
            let values: Vec<f32> = rounded.iter().map(|(_, value)| value + one).collect();
            stored.push((name.to_owned(), tensor.shape().to_vec(), bytes));
            expected.push((name.to_owned(), values));
        }
        let views = stored.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(dtype, shape.clone(), bytes).unwrap();
            (name.as_str(), view)
        });
        let file = safetensors::serialize(views, None).unwrap();
        let half = Checkpoint::from_safetensors_bytes("half", &config, file).unwrap();
        half.verify_finite().unwrap();
        for (name, values) in expected {
            assert_eq!(
                half.tensor(&name).unwrap().to_f32().unwrap(),
                values,
                "{name}"
            );
        }
    }
}

#[test]
fn a_file_opens_like_its_folder() {
    let file = Checkpoint::open(&folder("llama").join("model.safetensors")).unwrap();
    assert_eq!(
        file.config(),
        Checkpoint::open(&folder("llama")).unwrap().config()
    );
}

#[test]
fn settings_of_transformers_5_are_understood() {
    let config = |family: &str| Checkpoint::open(&folder(family)).unwrap().config().clone();
    let gemma = config("gemma3");
    let window = Window {
        n_tokens: 4,
        full_every: 2,
        theta: 10_000.0,
    };
    assert_eq!(gemma.window, Some(window));
    let theta = 1_000_000.0;
    assert_eq!(gemma.positions, Positions::Rotary { theta, scale: 1.0 });
    assert_eq!(gemma.attention_scale, 1.0 / 8_f32.sqrt());
    assert_eq!(gemma.embedding_scale, 4.0);
    assert!(gemma.tied && gemma.norm_qk && gemma.norm_after);
    assert!(config("llama").tied && !config("qwen3").tied);
    assert!(config("qwen2").bias_qkv && !config("qwen3").bias_qkv);
    assert!(matches!(
        config("qwen3moe").feed_forward,
        FeedForward::Experts {
            n_inner: 12,
            n_experts: 4,
            n_active: 2,
            renormalise: true,
            ..
        }
    ));
}

/// The keys of the published `config.json` of google/gemma-3-270m that matter here, in the older
/// spelling.
const GEMMA: &str = r#"{"architectures": ["Gemma3ForCausalLM"], "_sliding_window_pattern": 6,
    "attention_bias": false, "attn_logit_softcapping": null, "final_logit_softcapping": null,
    "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 640,
    "intermediate_size": 2048, "max_position_embeddings": 32768, "model_type": "gemma3_text",
    "num_attention_heads": 4, "num_hidden_layers": 18, "num_key_value_heads": 1,
    "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000.0,
    "rope_scaling": null, "rope_theta": 1000000.0, "sliding_window": 512,
    "use_bidirectional_attention": false, "vocab_size": 262144}"#;

/// Those of HuggingFaceTB/SmolLM2-135M-Instruct.
const SMOLLM2: &str = r#"{"architectures": ["LlamaForCausalLM"], "attention_bias": false,
    "hidden_act": "silu", "hidden_size": 576, "intermediate_size": 1536,
    "max_position_embeddings": 8192, "mlp_bias": false, "model_type": "llama",
    "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3,
    "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_interleaved": false, "rope_scaling": null,
    "rope_theta": 100000, "tie_word_embeddings": true, "vocab_size": 49152}"#;

/// What a configuration without tensors leads to: the configuration is judged first.
fn refusal(config: &str) -> String {
    let file = [&2_u64.to_le_bytes()[..], b"{}"].concat();
    let result = Checkpoint::from_safetensors_bytes("hub", config.as_bytes(), file);
    result.err().unwrap().to_string()
}

#[test]
fn older_configurations_are_understood() {
    // Sound ones get as far as the tensors.
    for (config, embedding) in [(GEMMA, "[262144, 640]"), (SMOLLM2, "[49152, 576]")] {
        let error = refusal(config);
        assert!(error.contains("`model.embed_tokens.weight`"), "{error}");
        assert!(error.contains(embedding), "{error}");
    }
}

/// A configuration, what is replaced in it by what, and what the message must name.
type Refused = (&'static str, &'static str, &'static str, &'static str);

const REFUSED: &[Refused] = &[
    (
        GEMMA,
        r#""attn_logit_softcapping": null"#,
        r#""attn_logit_softcapping": 50.0"#,
        "attn_logit_softcapping",
    ),
    (
        GEMMA,
        r#""final_logit_softcapping": null"#,
        r#""final_logit_softcapping": 30.0"#,
        "final_logit_softcapping",
    ),
    (
        GEMMA,
        r#""use_bidirectional_attention": false"#,
        r#""use_bidirectional_attention": true"#,
        "use_bidirectional_attention",
    ),
    (
        GEMMA,
        r#""gelu_pytorch_tanh""#,
        r#""relu""#,
        "hidden_activation",
    ),
    (
        GEMMA,
        r#""attention_bias": false"#,
        r#""attention_bias": true"#,
        "attention_bias",
    ),
    (
        GEMMA,
        r#""sliding_window": 512"#,
        r#""sliding_window": "wide""#,
        "sliding_window",
    ),
    (
        GEMMA,
        r#""vocab_size": 262144"#,
        r#""layer_types": ["chunked_attention"], "vocab_size": 262144"#,
        "layer_types",
    ),
    (
        GEMMA,
        "Gemma3ForCausalLM",
        "Gemma3ForConditionalGeneration",
        "Gemma3ForConditionalGeneration",
    ),
    (
        SMOLLM2,
        "LlamaForCausalLM",
        "GptOssForCausalLM",
        "GptOssForCausalLM",
    ),
    (
        SMOLLM2,
        r#""rope_scaling": null"#,
        r#""rope_scaling": {"rope_type": "llama3", "factor": 8.0}"#,
        "llama3",
    ),
    (
        SMOLLM2,
        r#""rope_scaling": null"#,
        r#""rope_scaling": {"type": "yarn", "factor": 8.0}"#,
        "yarn",
    ),
    (
        SMOLLM2,
        r#""rope_scaling": null"#,
        r#""rope_parameters": {"rope_type": "dynamic"}"#,
        "dynamic",
    ),
    (
        SMOLLM2,
        r#""rope_scaling": null"#,
        r#""quantization_config": {}"#,
        "quantization_config",
    ),
    (
        SMOLLM2,
        r#""rope_scaling": null"#,
        r#""partial_rotary_factor": 0.5"#,
        "partial_rotary_factor",
    ),
    (
        SMOLLM2,
        r#""mlp_bias": false"#,
        r#""mlp_bias": true"#,
        "mlp_bias",
    ),
    (
        SMOLLM2,
        r#""hidden_size": 576"#,
        r#""hidden_size": -1"#,
        "hidden_size",
    ),
    (SMOLLM2, r#""hidden_size": 576, "#, "", "hidden_size"),
    (
        SMOLLM2,
        r#""num_attention_heads": 9"#,
        r#""num_attention_heads": 0"#,
        "n_heads = 0",
    ),
    (
        SMOLLM2,
        r#""num_key_value_heads": 3"#,
        r#""num_key_value_heads": 2"#,
        "9 query heads",
    ),
    (
        SMOLLM2,
        r#""vocab_size": 49152"#,
        r#""vocab_size": 99999999999"#,
        "n_vocab",
    ),
    (
        SMOLLM2,
        r#""rms_norm_eps": 1e-05"#,
        r#""rms_norm_eps": 1e300"#,
        "epsilon",
    ),
    (
        SMOLLM2,
        r#""rope_scaling": null"#,
        r#""use_sliding_window": true"#,
        "use_sliding_window",
    ),
    (
        GEMMA,
        r#""sliding_window": 512"#,
        r#""sliding_window": 0"#,
        "window has no tokens",
    ),
    (
        GEMMA,
        r#""rope_local_base_freq": 10000.0"#,
        r#""rope_local_base_freq": 1e300"#,
        "theta of windowed layers is inf",
    ),
];

#[test]
fn what_is_not_implemented_is_refused_by_name() {
    let changed = |config: &str, from: &str, to: &str| {
        assert!(config.contains(from));
        refusal(&config.replace(from, to))
    };
    for (config, from, to, named) in REFUSED {
        let error = changed(config, from, to);
        assert!(error.contains(named), "{to}: {error}");
    }
    for broken in [
        "",
        "[]",
        "{",
        "{\"architecture\": \"local\"}",
        "{\"architectures\": []}",
    ] {
        let error = refusal(broken);
        assert!(error.contains("hub/config.json"), "{error}");
    }
}

#[test]
fn sharded_models_load_and_their_index_is_checked() {
    let bytes = std::fs::read(folder("llama").join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let mut names = tensors.names();
    names.sort_unstable();
    let mut map = serde_json::Map::new();
    for (shard, part) in names.chunks(names.len().div_ceil(2)).enumerate() {
        let file = format!("model-0000{}-of-00002.safetensors", shard + 1);
        let part: Vec<_> = part
            .iter()
            .map(|name| (*name, tensors.tensor(name).unwrap()))
            .collect();
        for (name, _) in &part {
            map.insert((*name).to_owned(), file.as_str().into());
        }
        safetensors::serialize_to_file(part, None, &temp.path().join(file)).unwrap();
    }
    std::fs::copy(
        folder("llama").join("config.json"),
        temp.path().join("config.json"),
    )
    .unwrap();
    let write = |map: &serde_json::Map<String, serde_json::Value>| {
        let index = serde_json::json!({"metadata": {"total_size": 1}, "weight_map": map});
        let path = temp.path().join("model.safetensors.index.json");
        std::fs::write(path, index.to_string()).unwrap();
        Checkpoint::open(temp.path())
    };
    let whole = Checkpoint::open(&folder("llama")).unwrap();
    let sharded = write(&map).unwrap();
    for name in whole.names() {
        assert_eq!(
            sharded.tensor(name).unwrap().bytes,
            whole.tensor(name).unwrap().bytes
        );
    }
    let expect = |map: &serde_json::Map<String, serde_json::Value>, fragment: &str| {
        let error = write(map).err().unwrap().to_string();
        assert!(error.contains(fragment), "{error}");
    };
    let mut moved = map.clone();
    moved.insert(
        names[0].to_owned(),
        "model-00002-of-00002.safetensors".into(),
    );
    expect(&moved, "the index knows");
    let mut more = map.clone();
    more.insert(
        "model.sinks".to_owned(),
        "model-00001-of-00002.safetensors".into(),
    );
    expect(&more, "`model.sinks`, which the index expects in it");
    let mut fewer = map.clone();
    fewer.remove(names[0]);
    expect(&fewer, "the index knows");
    let mut escape = map.clone();
    escape.insert(names[0].to_owned(), "../model.safetensors".into());
    expect(&escape, "no plain name");
    expect(&serde_json::Map::new(), "names no file");
}

#[test]
fn our_own_configuration_is_the_description_itself() {
    let config = Checkpoint::open(&folder("gemma3"))
        .unwrap()
        .config()
        .clone();
    let text = serde_json::to_string(&config).unwrap();
    let bytes = std::fs::read(folder("gemma3").join("model.safetensors")).unwrap();
    let ours = Checkpoint::from_safetensors_bytes("ours", text.as_bytes(), bytes.clone()).unwrap();
    let back: &DecoderConfig = ours.config();
    assert_eq!(back, &config);
    // Norms are as applied there: the stored values come back untouched.
    let stored = SafeTensors::deserialize(&bytes).unwrap();
    let stored = stored.tensor("model.norm.weight").unwrap();
    assert_eq!(
        ours.tensor("model.norm.weight").unwrap().bytes[..],
        *stored.data()
    );
}
