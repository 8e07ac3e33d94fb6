//! Low-rank adapters: what they compute, what they store.

use model::train::{
    Decoder, Gradients, LoraConfig, Precision, load_adapters, mean_loss, save_adapters,
};

use crate::support::{batch, decoder, distance, experts, gemma, gpt, noise, stream};

fn config(targets: &[&str]) -> LoraConfig {
    LoraConfig {
        r: 2,
        alpha: 3.0,
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        seed: 4,
    }
}

const ALL: [&str; 6] = [
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "up_proj",
    "down_proj",
];

fn moved(decoder: &Decoder) {
    let mut stream = stream(8);
    let values = decoder.parameters().flat().unwrap();
    let values: Vec<f64> = values
        .iter()
        .map(|v| v + 0.3 * noise(&mut stream))
        .collect();
    decoder.parameters().set_flat(&values).unwrap();
}

fn logits(decoder: &Decoder) -> Vec<f32> {
    let batch = batch(decoder.config(), &[8, 5]);
    decoder
        .forward(&batch)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

#[test]
fn fresh_adapters_change_nothing_and_merging_keeps_what_trained_ones_compute() {
    for (name, shape) in [("gpt", gpt()), ("gemma", gemma())] {
        let base = decoder(&shape, Precision::F32);
        let adapted = base.with_adapters(config(&ALL)).unwrap();
        assert_eq!(
            adapted.adapters().unwrap().projections().count(),
            6 * shape.n_layers
        );
        assert!(distance(&logits(&base), &logits(&adapted)) < 2e-5, "{name}");
        moved(&adapted);
        let with = logits(&adapted);
        assert!(
            distance(&logits(&base), &with) > 1e-2,
            "{name}: they must matter"
        );
        assert!(
            distance(&logits(&adapted.merged().unwrap()), &with) < 5e-5,
            "{name}"
        );
        let without = adapted.without_adapters().unwrap();
        assert_eq!(logits(&without), logits(&base), "{name}: bit for bit");
        assert_eq!(
            adapted.tensors().unwrap(),
            adapted.merged().unwrap().tensors().unwrap()
        );
    }
}

#[test]
fn only_adapters_receive_gradients_and_they_are_right() {
    let shape = gpt();
    let adapted = decoder(&shape, Precision::F64)
        .with_adapters(config(&ALL))
        .unwrap();
    moved(&adapted);
    let batch = batch(&shape, &[7, 7]);
    let loss = || {
        let logprobs = adapted.logprobs(&batch, &mut ()).unwrap();
        mean_loss(&logprobs, &batch, &batch.all_targets()).unwrap()
    };
    let gradients = Gradients::of(&loss(), adapted.parameters()).unwrap();
    assert!(gradients.names().all(|name| name.contains(".lora_")));
    assert_eq!(gradients.names().count(), 2 * 6 * shape.n_layers);
    let flat = gradients.flat().unwrap();
    let values = adapted.parameters().flat().unwrap();
    let mut stream = stream(3);
    let direction: Vec<f64> = values.iter().map(|_| noise(&mut stream)).collect();
    let at = |step: f64| {
        let moved: Vec<f64> = values
            .iter()
            .zip(&direction)
            .map(|(v, d)| v + step * d)
            .collect();
        adapted.parameters().set_flat(&moved).unwrap();
        loss().to_scalar::<f64>().unwrap()
    };
    let h = 1e-4;
    let expected = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
    let found: f64 = flat
        .iter()
        .zip(&direction)
        .map(|(g, d)| f64::from(*g) * d)
        .sum();
    // The flat vector is rounded to singles.
    assert!((found / expected - 1.0).abs() < 1e-5, "{found} {expected}");
}

#[test]
fn adapters_come_back_from_disk_to_the_bit() {
    let base = decoder(&gpt(), Precision::F32);
    let adapted = base.with_adapters(config(&["q_proj", "up_proj"])).unwrap();
    moved(&adapted);
    let folder = tempfile::tempdir().unwrap();
    save_adapters(folder.path(), &adapted).unwrap();
    let back = load_adapters(folder.path(), &base).unwrap();
    assert_eq!(logits(&back), logits(&adapted));
    let names: Vec<&str> = back
        .parameters()
        .trainable()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        names[0],
        "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight"
    );
}

#[test]
fn adapters_that_make_no_sense_are_refused() {
    let base = decoder(&experts(true), Precision::F32);
    let of = |targets: &[&str]| base.with_adapters(config(targets)).map(|_| ()).unwrap_err();
    assert!(
        of(&["w_proj"])
            .to_string()
            .contains("no projection is called `w_proj`")
    );
    assert!(
        of(&["gate_proj"]).to_string().contains("gate_proj"),
        "stacked experts have none"
    );
    let rankless = LoraConfig {
        r: 0,
        ..config(&["q_proj"])
    };
    assert!(base.with_adapters(rankless).is_err());
    let adapted = base.with_adapters(config(&["q_proj"])).unwrap();
    assert!(adapted.with_adapters(config(&["q_proj"])).is_err(), "twice");
    assert!(save_adapters(tempfile::tempdir().unwrap().path(), &base).is_err());
    let folder = tempfile::tempdir().unwrap();
    save_adapters(folder.path(), &adapted).unwrap();
    let path = folder.path().join("adapter_config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        text.replace("\"use_dora\": false", "\"use_dora\": true"),
    )
    .unwrap();
    assert!(load_adapters(folder.path(), &base).is_err());
    std::fs::write(&path, text.replace("\"q_proj\"", "\"q_proj\", \"o_proj\"")).unwrap();
    let error = load_adapters(folder.path(), &base).unwrap_err().to_string();
    assert!(error.contains("has no tensor"), "{error}");
}
