//! Checkpoints of our own: what is written loads through the same door, whole or not at all.

use std::collections::BTreeMap;

use model::config::{Activation, DecoderConfig, FeedForward, Norm, Positions, Window};
use model::weights::{Checkpoint, layout, save_checkpoint};

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn config() -> DecoderConfig {
    DecoderConfig {
        architecture: "local".to_owned(),
        n_vocab: 11,
        n_hidden: 12,
        n_layers: 2,
        n_heads: 3,
        n_kv_heads: 3,
        n_head: 4,
        n_context: 16,
        norm: Norm::Layer { eps: 1e-5 },
        norm_after: false,
        norm_qk: false,
        positions: Positions::Learned,
        bias_qkv: true,
        bias_out: true,
        attention_scale: 0.1,
        window: None,
        feed_forward: FeedForward::Plain {
            n_inner: 24,
            activation: Activation::GeluTanh,
        },
        embedding_scale: 0.3,
        tied: false,
    }
}

fn tensors(config: &DecoderConfig) -> Tensors {
    layout(config)
        .enumerate()
        .map(|(number, (name, shape))| {
            let n: usize = shape.iter().product();
            let values = (0..n).map(|idx| (number * 7 + idx) as f32 / 3.0).collect();
            (name, (shape, values))
        })
        .collect()
}

#[test]
fn what_was_saved_loads_bit_for_bit() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("deep/model");
    let tensors = tensors(&config());
    assert!(tensors.contains_key("model.position_embeddings.weight"));
    assert!(tensors.contains_key("model.layers.1.mlp.down_proj.bias"));
    save_checkpoint(&folder, &config(), &tensors).unwrap();
    let checkpoint = Checkpoint::open(&folder).unwrap();
    assert_eq!(checkpoint.config(), &config());
    assert_eq!(checkpoint.name(), "model");
    assert!(checkpoint.names().eq(tensors.keys()));
    for (name, (shape, values)) in &tensors {
        let view = checkpoint.tensor(name).unwrap();
        assert_eq!(&view.shape, shape);
        assert_eq!(&view.to_f32().unwrap(), values);
    }
    let first = std::fs::read(folder.join("model.safetensors")).unwrap();
    save_checkpoint(&folder, &config(), &tensors).unwrap();
    assert_eq!(
        std::fs::read(folder.join("model.safetensors")).unwrap(),
        first
    );
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    files.sort();
    assert_eq!(files, ["config.json", "model.safetensors"]);
}

#[test]
fn a_configuration_with_every_constant_survives_its_own_file() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = config();
    config.positions = Positions::Rotary {
        theta: 12_345.678,
        scale: 0.1,
    };
    config.embedding_scale = 640_f32.sqrt();
    config.attention_scale = 1.0 / 3.0;
    config.feed_forward = FeedForward::Experts {
        n_inner: 5,
        n_experts: 3,
        n_active: 2,
        renormalise: false,
        activation: Activation::Silu,
    };
    save_checkpoint(temp.path(), &config, &tensors(&config)).unwrap();
    assert_eq!(Checkpoint::open(temp.path()).unwrap().config(), &config);
}

#[test]
fn constants_that_would_turn_angles_into_nonsense_are_refused_by_name() {
    let rotary = |theta, scale| Positions::Rotary { theta, scale };
    let window = |n_tokens, theta| {
        Some(Window {
            n_tokens,
            full_every: 0,
            theta,
        })
    };
    for (positions, window, fragment) in [
        (rotary(0.0, 1.0), None, "rotary theta is 0"),
        (rotary(1e4, 0.0), None, "rotary scale is 0"),
        (rotary(f32::NAN, 1.0), None, "rotary theta is NaN"),
        (rotary(1e4, f32::INFINITY), None, "rotary scale is inf"),
        (rotary(1e4, 1.0), window(0, 1e4), "window has no tokens"),
        (rotary(1e4, 1.0), window(4, -1.0), "windowed layers is -1"),
    ] {
        let config = DecoderConfig {
            positions,
            window,
            ..config()
        };
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(fragment), "{error}");
    }
    let good = DecoderConfig {
        positions: rotary(1e4, 1.0),
        window: window(4, 1e4),
        ..config()
    };
    good.validate().unwrap();
}

#[test]
fn other_tensors_than_the_configurations_are_refused_and_nothing_is_touched() {
    let temp = tempfile::tempdir().unwrap();
    let good = tensors(&config());
    save_checkpoint(temp.path(), &config(), &good).unwrap();
    let name = "model.norm.weight";
    let mut fewer = good.clone();
    fewer.remove(name);
    let mut more = good.clone();
    more.insert("model.sinks".to_owned(), (vec![1], vec![0.0]));
    let mut wrong = good.clone();
    wrong.get_mut(name).unwrap().0 = vec![3, 4];
    let mut short = good.clone();
    short.get_mut(name).unwrap().1.pop();
    let mut diverged = good.clone();
    diverged.get_mut(name).unwrap().1[5] = f32::NAN;
    for (tensors, fragment) in [
        (fewer, "`model.norm.weight` is missing"),
        (more, "`model.sinks` has no place"),
        (wrong, "not [12]"),
        (short, "11 values"),
        (diverged, "NaN at element 5"),
    ] {
        let error = save_checkpoint(temp.path(), &config(), &tensors);
        let error = error.unwrap_err().to_string();
        assert!(error.contains(fragment), "{error}");
    }
    assert!(Checkpoint::open(temp.path()).is_ok());
}

#[test]
fn an_unfinished_folder_does_not_load() {
    let temp = tempfile::tempdir().unwrap();
    save_checkpoint(temp.path(), &config(), &tensors(&config())).unwrap();
    std::fs::remove_file(temp.path().join("config.json")).unwrap();
    let error = Checkpoint::open(temp.path()).err().unwrap().to_string();
    assert!(error.contains("no `config.json`"), "{error}");
}
