//! Values and gradients that PyTorch computed (`fixtures/ops/pytorch.py` says how and with which
//! version), against the single-precision path.

use candle_core::{Device, Result, Tensor, Var};
use model::config::Activation;
use model::ops::{self, AdamWStep, AttentionOptions, Experts};
use serde_json::Value;

const FIXTURE: &str = include_str!("../fixtures/ops/pytorch.json");

/// Both sides round in single precision; sums here have at most 41 terms.
const TOLERANCE: f64 = 4e-6;

/// The fixture's inputs, by its formula.
fn numbers(n: usize, j: usize, case: usize) -> Vec<f32> {
    (0..n)
        .map(|i| ((i * 7919 + j * 104_729 + case * 1_299_709 + 17) % 2001) as f64)
        .map(|x| ((x - 1000.0) / 1000.0) as f32)
        .collect()
}

fn floats(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect()
}

fn close(name: &str, ours: &Tensor, theirs: &Value) {
    let ours = ours.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let theirs = floats(theirs);
    assert_eq!(ours.len(), theirs.len(), "{name}");
    let scale = theirs
        .iter()
        .fold(1.0f64, |top, value| top.max(value.abs()));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let error = (f64::from(*ours) - theirs).abs() / scale;
        assert!(error < TOLERANCE, "{name}: {ours} against {theirs}");
    }
}

fn case(fixture: &Value, name: &str, f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let case = &fixture["cases"][name];
    let index = case["index"].as_u64().unwrap() as usize;
    let shapes = case["shapes"].as_array().unwrap().iter().enumerate();
    let vars: Vec<Var> = shapes
        .map(|(j, shape)| {
            let shape: Vec<usize> = floats(shape).iter().map(|size| *size as usize).collect();
            let values = numbers(shape.iter().product(), j, index);
            Var::from_vec(values, shape, &Device::Cpu).unwrap()
        })
        .collect();
    let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let y = f(&tensors).unwrap();
    close(name, &y, &case["y"]);
    let projection = Tensor::from_vec(numbers(y.elem_count(), 99, index), y.shape(), &Device::Cpu);
    let loss = (&y * projection.unwrap()).unwrap().sum_all().unwrap();
    let store = loss.backward().unwrap();
    for (j, var) in vars.iter().enumerate() {
        let label = format!("{name}: gradient {j}");
        close(&label, store.get(var).unwrap(), &case["gradients"][j]);
    }
}

#[test]
fn values_and_gradients_are_those_of_pytorch() {
    let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    let targets: Vec<u32> = (0..6).map(|i| (i * 5 + 2) % 13).collect();
    let targets = Tensor::new(targets, &Device::Cpu).unwrap();
    let ids = Tensor::new(&[[3u32, 1, 3], [0, 8, 3]], &Device::Cpu).unwrap();
    let chosen: Vec<u32> = (0..6).flat_map(|t| [t * 3 % 5, (t * 3 + 2) % 5]).collect();
    let chosen = Tensor::from_vec(chosen, (6, 2), &Device::Cpu).unwrap();
    case(&fixture, "linear", |x| {
        ops::linear(&x[0], &x[1], Some(&x[2]))
    });
    case(&fixture, "softmax", |x| ops::softmax(&(&x[0] * 5.0)?));
    case(&fixture, "log_softmax", |x| {
        ops::log_softmax(&(&x[0] * 5.0)?)
    });
    case(&fixture, "cross_entropy", |x| {
        ops::token_logprobs(&x[0], &targets)
    });
    case(&fixture, "gelu_tanh", |x| ops::gelu_tanh(&(&x[0] * 4.0)?));
    case(&fixture, "silu", |x| ops::silu(&(&x[0] * 4.0)?));
    case(&fixture, "rms_norm", |x| ops::rms_norm(&x[0], &x[1], 1e-5));
    case(&fixture, "layer_norm", |x| {
        ops::layer_norm(&x[0], &x[1], Some(&x[2]), 1e-5)
    });
    case(&fixture, "embedding", |x| ops::embedding(&x[0], &ids));
    let options = AttentionOptions {
        causal: true,
        window: None,
        scale: 1.0 / 6f64.sqrt(),
        segments: None,
    };
    case(&fixture, "attention", |x| {
        ops::attention(&x[0], &x[1], &x[2], &options)
    });
    case(&fixture, "experts", |x| {
        let experts = Experts {
            gate: &x[2],
            up: &x[3],
            down: &x[4],
            activation: Activation::Silu,
        };
        ops::moe_feed_forward(&x[0], &x[1], &chosen, &experts)
    });
    assert_eq!(
        fixture["cases"].as_object().unwrap().len(),
        11,
        "a case is not compared"
    );
}

#[test]
fn adamw_steps_are_those_of_pytorch() {
    let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    let mut params = numbers(40, 0, 50);
    let (mut first, mut second) = (vec![0.0; 40], vec![0.0; 40]);
    for step in 1..=4 {
        let grads = numbers(40, step as usize, 50);
        let step = AdamWStep {
            learning_rate: 0.03,
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
            weight_decay: 0.1,
            grad_scale: 1.0,
            step,
        };
        ops::adamw_step(&mut params, &grads, &mut first, &mut second, &step).unwrap();
    }
    let params = Tensor::new(params, &Device::Cpu).unwrap();
    close("adamw", &params, &fixture["adamw"]);
}
