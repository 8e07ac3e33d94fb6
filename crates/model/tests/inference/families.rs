//! Every supported family against transformers (`fixtures/inference/tiny.py`).

use model::infer::{Outputs, Step, Tap, TapSite};
use serde::Deserialize;

use super::support::{FAMILIES, distance, fixtures, logits_of, tiny};

/// Logits of these models have a spread of several units; f32 with another order of additions
/// stays well below this.
const TOLERANCE: f32 = 5e-5;

#[derive(Deserialize)]
struct Expected {
    prompts: Vec<Vec<u32>>,
    logits: Vec<Vec<f32>>,
    hidden: Vec<Vec<f32>>,
    routers: Vec<Vec<f32>>,
}

fn expected(family: &str) -> Expected {
    let file = fixtures().join(family).join("expected.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn check_logits(family: &str) {
    let (engine, expected) = (tiny(family), expected(family));
    for (prompt, logits) in expected.prompts.iter().zip(&expected.logits) {
        let ours = logits_of(&engine, &mut engine.sequence(), prompt).concat();
        let worst = distance(&ours, logits);
        assert!(worst < TOLERANCE, "{family}: {worst} for {prompt:?}");
        let spread = logits.iter().copied().fold(0.0, |a: f32, b| a.max(b.abs()));
        assert!(spread > 1.0, "{family}: logits within {spread} say little");
    }
}

#[test]
fn llama_computes_the_logits_of_transformers() {
    check_logits("llama");
}

#[test]
fn qwen2_computes_the_logits_of_transformers() {
    check_logits("qwen2");
}

#[test]
fn qwen3_computes_the_logits_of_transformers() {
    check_logits("qwen3");
}

#[test]
fn qwen3_experts_compute_the_logits_of_transformers() {
    check_logits("qwen3moe");
}

#[test]
fn gemma3_computes_the_logits_of_transformers() {
    check_logits("gemma3");
}

#[test]
fn layer_norm_learned_positions_and_plain_gelu_compute_the_logits_of_transformers() {
    check_logits("gpt2");
}

#[test]
fn hidden_states_of_every_layer_equal_those_of_transformers() {
    for family in FAMILIES {
        let (engine, expected) = (tiny(family), expected(family));
        assert_eq!(expected.hidden.len(), engine.config().n_layers);
        for (layer, hidden) in expected.hidden.iter().enumerate() {
            let ours = engine.hidden(&expected.prompts[..1], layer).unwrap();
            let worst = distance(&ours[0], hidden);
            assert!(worst < TOLERANCE, "{family}, layer {layer}: {worst}");
        }
    }
}

/// Keeps everything it hears.
#[derive(Default)]
struct Recorder {
    hidden: Vec<Vec<f32>>,
    routers: Vec<Vec<f32>>,
}

impl Tap for Recorder {
    fn hidden(&mut self, site: TapSite<'_>, states: &mut [f32]) {
        assert_eq!(site.layer, self.hidden.len());
        self.hidden.push(states.to_vec());
    }

    fn router(&mut self, site: TapSite<'_>, logits: &mut [f32]) {
        assert_eq!(site.layer, self.routers.len());
        self.routers.push(logits.to_vec());
    }
}

#[test]
fn taps_hear_hidden_states_and_router_logits_of_transformers() {
    for family in FAMILIES {
        let (engine, expected) = (tiny(family), expected(family));
        let mut tap = Recorder::default();
        let mut sequence = engine.sequence();
        let steps = &mut [Step {
            sequence: &mut sequence,
            tokens: &expected.prompts[0],
            outputs: Outputs::Last,
        }];
        let states = engine.forward(steps, Some(&mut tap)).unwrap();
        assert_eq!(states.n_rows, 1);
        for (layer, hidden) in expected.hidden.iter().enumerate() {
            let worst = distance(&tap.hidden[layer], hidden);
            assert!(worst < TOLERANCE, "{family}, layer {layer}: {worst}");
        }
        assert_eq!(tap.routers.len(), expected.routers.len());
        for (ours, theirs) in tap.routers.iter().zip(&expected.routers) {
            assert!(distance(ours, theirs) < TOLERANCE, "{family}");
        }
    }
}
