//! The whole decoder's gradient against finite differences in double precision.

use model::config::FeedForward;
use model::train::{Batch, Decoder, Gradients, Precision, balance_loss, mean_loss};

use crate::support::{batch, decoder, family, noise, stream};

/// Weighted cross-entropy, and for experts a share of the balance loss, so that the router's
/// probabilities are differentiated on both of their ways.
fn loss(decoder: &Decoder, batch: &Batch) -> candle_core::Tensor {
    let forward = decoder.states(batch, &mut ()).unwrap();
    let logprobs = model::train::logprobs_of_states(decoder, &forward.states, batch).unwrap();
    let mut weights = batch.all_targets();
    for (place, weight) in weights.iter_mut().enumerate() {
        *weight *= 0.5 + (place % 4) as f32;
    }
    let loss = mean_loss(&logprobs, batch, &weights).unwrap();
    if matches!(decoder.config().feed_forward, FeedForward::Experts { .. }) {
        let balance = balance_loss(&forward.routing, batch).unwrap();
        return (loss + (balance * 0.3).unwrap()).unwrap();
    }
    loss
}

/// Difference quotient of the loss at `values` along `direction` with an error of order h⁴
/// (Fornberg 1988, table 1). On the steepest coordinates of these decoders the truncation is
/// 2·10⁻⁷ of the slope at h = 10⁻³, so it is 3·10⁻¹⁰ at the step chosen; the rounding of a loss
/// near 3 divided by h is 10⁻¹².
fn slope(decoder: &Decoder, batch: &Batch, values: &[f64], direction: &[f64]) -> f64 {
    const H: f64 = 2e-4;
    let at = |step: f64| {
        let moved: Vec<f64> = values
            .iter()
            .zip(direction)
            .map(|(value, along)| value + step * along)
            .collect();
        decoder.parameters().set_flat(&moved).unwrap();
        loss(decoder, batch).to_scalar::<f64>().unwrap()
    };
    let near = at(H) - at(-H);
    let far = at(2.0 * H) - at(-2.0 * H);
    decoder.parameters().set_flat(values).unwrap();
    (8.0 * near - far) / (12.0 * H)
}

fn flat(gradients: &Gradients) -> Vec<f64> {
    let names: Vec<String> = gradients.names().map(str::to_owned).collect();
    names
        .iter()
        .flat_map(|name| {
            let tensor = gradients.get(name).unwrap().flatten_all().unwrap();
            tensor.to_vec1::<f64>().unwrap()
        })
        .collect()
}

/// Relative to the slope itself, but not below the typical slope of a direction of this length: a
/// coordinate on which the loss hardly depends has no relative accuracy to speak of.
const TOLERANCE: f64 = 1e-7;

#[test]
fn gradients_agree_with_finite_differences_in_random_directions() {
    for (name, config) in family() {
        let decoder = decoder(&config, Precision::F64);
        let batch = batch(&config, &[7, 4, 7]);
        let gradients = Gradients::of(&loss(&decoder, &batch), decoder.parameters()).unwrap();
        let gradient = flat(&gradients);
        let values = decoder.parameters().flat().unwrap();
        let mut stream = stream(11);
        for _ in 0..4 {
            let direction: Vec<f64> = values.iter().map(|_| noise(&mut stream)).collect();
            let length = direction.iter().map(|x| x * x).sum::<f64>().sqrt();
            let unit: Vec<f64> = direction.iter().map(|x| x / length).collect();
            let expected = slope(&decoder, &batch, &values, &unit);
            let product: f64 = gradient.iter().zip(&unit).map(|(g, d)| g * d).sum();
            let typical = gradients.norm().unwrap() / (values.len() as f64).sqrt();
            let error = (product - expected).abs() / expected.abs().max(typical);
            assert!(error < TOLERANCE, "{name}: {product} {expected} {error}");
        }
    }
}

#[test]
fn gradients_agree_with_finite_differences_on_coordinates_of_every_parameter() {
    for (name, config) in family() {
        let decoder = decoder(&config, Precision::F64);
        let batch = batch(&config, &[7, 4, 7]);
        let gradients = Gradients::of(&loss(&decoder, &batch), decoder.parameters()).unwrap();
        let gradient = flat(&gradients);
        let values = decoder.parameters().flat().unwrap();
        let typical = gradients.norm().unwrap() / (values.len() as f64).sqrt();
        let mut start = 0;
        for (parameter, variable) in decoder.parameters().trainable() {
            let n = variable.elem_count();
            // The first, one in the middle, and the one with the steepest slope.
            let steepest = (start..start + n)
                .max_by(|a, b| gradient[*a].abs().total_cmp(&gradient[*b].abs()))
                .unwrap();
            for at in [start, start + n / 2, steepest] {
                let mut unit = vec![0.0; values.len()];
                unit[at] = 1.0;
                let expected = slope(&decoder, &batch, &values, &unit);
                let error = (gradient[at] - expected).abs() / expected.abs().max(typical);
                let found = gradient[at];
                assert!(
                    error < TOLERANCE,
                    "{name}: {parameter}[{}]: {found} {expected} {error}",
                    at - start
                );
            }
            start += n;
        }
    }
}

#[test]
fn every_parameter_receives_a_gradient_in_single_precision() {
    for (name, config) in family() {
        let decoder = decoder(&config, Precision::F32);
        let batch = batch(&config, &[9, 5, 12, 12]);
        let gradients = Gradients::of(&loss(&decoder, &batch), decoder.parameters()).unwrap();
        for (parameter, variable) in decoder.parameters().trainable() {
            let gradient = gradients.get(parameter).unwrap();
            assert_eq!(gradient.dims(), variable.dims(), "{name}: {parameter}");
            let square = gradient.sqr().unwrap().sum_all().unwrap();
            let square = square.to_scalar::<f32>().unwrap();
            assert!(square > 0.0 && square.is_finite(), "{name}: {parameter}");
        }
    }
}

#[test]
fn single_precision_gradients_are_those_of_double_precision_rounded() {
    for (name, config) in family() {
        let exact = decoder(&config, Precision::F64);
        let single = exact.to_precision(Precision::F32).unwrap();
        let batch = batch(&config, &[9, 5, 12, 12]);
        let of = |decoder: &Decoder| {
            let gradients = Gradients::of(&loss(decoder, &batch), decoder.parameters());
            gradients.unwrap().flat().unwrap()
        };
        let (exact, single) = (of(&exact), of(&single));
        let norm = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
        let error: Vec<f32> = exact.iter().zip(&single).map(|(a, b)| a - b).collect();
        let error = (norm(&error) / norm(&exact)).sqrt();
        // A few dozen roundings of 6e-8 in a row.
        assert!(error < 3e-6, "{name}: {error}");
    }
}

#[test]
fn frozen_parameters_receive_none_and_change_no_other() {
    let config = crate::support::gpt();
    let whole = decoder(&config, Precision::F64);
    let mut part = whole.to_precision(Precision::F64).unwrap();
    let keep = |name: &str| name.contains("layers.1.mlp");
    part.parameters_mut().train_only(keep).unwrap();
    let batch = batch(&config, &[6, 6]);
    let of =
        |decoder: &Decoder| Gradients::of(&loss(decoder, &batch), decoder.parameters()).unwrap();
    let (whole, part) = (of(&whole), of(&part));
    let names: Vec<&str> = part.names().collect();
    assert_eq!(
        names,
        whole.names().filter(|name| keep(name)).collect::<Vec<_>>()
    );
    for name in names {
        let (a, b) = (whole.get(name).unwrap(), part.get(name).unwrap());
        let difference = (a - b).unwrap().abs().unwrap().max_all().unwrap();
        assert!(difference.to_scalar::<f64>().unwrap() < 1e-12, "{name}");
    }
}

#[test]
fn a_gradient_keeps_its_values_while_the_memory_of_others_is_used_again() {
    let config = crate::support::gpt();
    let decoder = decoder(&config, Precision::F32);
    let [one, other] = [[6, 6], [7, 5]].map(|lengths| batch(&config, &lengths));
    let of = |batch| Gradients::of(&loss(&decoder, batch), decoder.parameters()).unwrap();
    let expected = [of(&one).flat().unwrap(), of(&other).flat().unwrap()];
    assert_ne!(expected[0], expected[1]);
    let kept = of(&one);
    let taken = kept.get(kept.names().next().unwrap()).unwrap();
    let before: Vec<f32> = taken.flatten_all().unwrap().to_vec1().unwrap();
    let mut sum = kept.clone();
    for _ in 0..3 {
        sum.add(&of(&other)).unwrap();
    }
    assert_eq!(kept.flat().unwrap(), expected[0]);
    drop(kept);
    let sum = sum.flat().unwrap();
    for (sum, (a, b)) in sum.iter().zip(expected[0].iter().zip(&expected[1])) {
        assert_eq!(*sum, ((a + b) + b) + b);
    }
    assert_eq!(of(&one).flat().unwrap(), expected[0]);
    let after: Vec<f32> = taken.flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(before, after);
}
