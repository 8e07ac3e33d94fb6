//! Padding, masks, and gradients of single sequences.

use candle_core::{DType, Tensor};
use model::train::{
    Batch, Decoder, Gradients, Precision, cross_entropy, dot, gram_matrix, mean_loss,
    per_sequence_gradients, sequence_logprobs, token_logprobs,
};

use crate::support::{batch, decoder, distance, experts, family, gpt, llama};

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Rows of matrix products are rounded differently in batches of another shape: a few units in the
/// last place of numbers near 1.
const PADDING_TOLERANCE: f64 = 1e-5;

#[test]
fn padding_moves_no_log_probability_of_a_real_token() {
    for (name, config) in family() {
        let decoder = decoder(&config, Precision::F32);
        let ragged = batch(&config, &[9, 3, 12]);
        let together = decoder.logprobs(&ragged, &mut ()).unwrap();
        let sums = sequence_logprobs(&together, &ragged, &ragged.all_targets()).unwrap();
        for row in 0..3 {
            let alone = Batch::new(&[ragged.row(row)]).unwrap();
            let logprobs = decoder.logprobs(&alone, &mut ()).unwrap();
            let n = alone.n_tokens() - 1;
            let padded = values(&together.get(row).unwrap());
            assert!(
                distance(&padded[..n], &values(&logprobs)) < PADDING_TOLERANCE,
                "{name}"
            );
            assert!(padded[n..].iter().all(|value| *value == 0.0), "{name}");
            let sum = sequence_logprobs(&logprobs, &alone, &alone.all_targets()).unwrap();
            let pair = (values(&sums)[row], values(&sum)[0]);
            assert!((pair.0 - pair.1).abs() < 1e-4, "{name}: {pair:?}");
        }
    }
}

/// A vocabulary as wide as several vector registers, no padding, single precision: what training
/// really runs.
#[test]
fn losses_of_full_batches_agree_in_single_and_in_double_precision() {
    for n_vocab in [64, 100] {
        let config = model::config::DecoderConfig { n_vocab, ..gpt() };
        let exact = decoder(&config, Precision::F64);
        let single = exact.to_precision(Precision::F32).unwrap();
        let full = batch(&config, &[8, 8, 8]);
        let loss = |decoder: &Decoder| {
            let logprobs = decoder.logprobs(&full, &mut ()).unwrap();
            let loss = mean_loss(&logprobs, &full, &full.all_targets()).unwrap();
            let logits = decoder.forward(&full).unwrap();
            let plain = cross_entropy(&logits, &full, &full.all_targets()).unwrap();
            let of = |loss: Tensor| {
                loss.to_dtype(DType::F64)
                    .unwrap()
                    .to_scalar::<f64>()
                    .unwrap()
            };
            (of(loss), of(plain))
        };
        let (exact, single) = (loss(&exact), loss(&single));
        for found in [exact.1, single.0, single.1] {
            assert!(
                (found / exact.0 - 1.0).abs() < 1e-6,
                "{n_vocab}: {exact:?} {single:?}"
            );
        }
    }
}

#[test]
fn fused_and_plain_losses_agree_and_a_log_probability_is_a_logit_minus_the_normaliser() {
    for (name, config) in family() {
        let decoder = decoder(&config, Precision::F64);
        let ragged = batch(&config, &[9, 3, 12]);
        let logits = decoder.forward(&ragged).unwrap();
        let fused = decoder.logprobs(&ragged, &mut ()).unwrap();
        let plain = token_logprobs(&logits, &ragged).unwrap();
        let rows: Vec<Vec<Vec<f64>>> = logits.to_vec3().unwrap();
        let (fused_rows, plain_rows) = (
            fused.to_vec2::<f64>().unwrap(),
            plain.to_vec2::<f64>().unwrap(),
        );
        for row in 0..3 {
            for token in 1..ragged.lengths()[row] {
                let before = &rows[row][token - 1];
                let total: f64 = before.iter().map(|logit| logit.exp()).sum();
                let expected = before[ragged.row(row)[token] as usize] - total.ln();
                for found in [fused_rows[row][token - 1], plain_rows[row][token - 1]] {
                    assert!((found - expected).abs() < 1e-12, "{name}");
                }
            }
        }
        let weights = ragged.targets_from(&[2, 1, 4]).unwrap();
        let pair = (
            mean_loss(&fused, &ragged, &weights).unwrap(),
            cross_entropy(&logits, &ragged, &weights).unwrap(),
        );
        let pair = (
            pair.0.to_scalar::<f64>().unwrap(),
            pair.1.to_scalar::<f64>().unwrap(),
        );
        assert!((pair.0 - pair.1).abs() < 1e-12, "{name}: {pair:?}");
    }
}

/// Sum over a sequence's tokens, so that per-sequence gradients add up to the batch's.
fn total(decoder: &Decoder, batch: &Batch) -> eval::Result<Tensor> {
    let logprobs = decoder.logprobs(batch, &mut ())?;
    let sums = sequence_logprobs(&logprobs, batch, &batch.all_targets())?;
    Ok(sums.neg().and_then(|sums| sums.sum_all()).unwrap())
}

#[test]
fn per_sequence_gradients_are_separate_backward_passes_and_add_up_to_the_batch() {
    for (name, config) in [("gpt", gpt()), ("experts", experts(true))] {
        let decoder = decoder(&config, Precision::F32);
        let ragged = batch(&config, &[9, 3, 12]);
        let parameters = decoder.parameters();
        let each =
            per_sequence_gradients(&ragged, parameters, |batch| total(&decoder, batch)).unwrap();
        assert_eq!(each.len(), 3);
        for (row, gradient) in each.iter().enumerate() {
            assert_eq!(gradient.len(), parameters.n_trainable());
            let alone = Batch::padded_to(&[ragged.row(row)], 12).unwrap();
            let separate = Gradients::of(&total(&decoder, &alone).unwrap(), parameters).unwrap();
            assert_eq!(gradient, &separate.flat().unwrap(), "{name}: bit for bit");
        }
        let whole = Gradients::of(&total(&decoder, &ragged).unwrap(), parameters).unwrap();
        let whole = whole.flat().unwrap();
        let sum: Vec<f32> = (0..whole.len())
            .map(|at| each.iter().map(|gradient| gradient[at]).sum())
            .collect();
        let scale = f64::from(whole.iter().fold(0.0_f32, |max, v| max.max(v.abs())));
        assert!(distance(&sum, &whole) < 1e-5 * scale, "{name}");
        // Blocks compute vectors again instead of keeping them: the same numbers must come out.
        let kept = gram_matrix(3, 3, |i| Ok(each[i].clone())).unwrap();
        let mut n_computed = 0;
        let chunked = gram_matrix(3, 2, |i| {
            n_computed += 1;
            let alone = Batch::padded_to(&[ragged.row(i)], 12)?;
            Gradients::of(&total(&decoder, &alone)?, parameters)?.flat()
        });
        assert_eq!(kept, chunked.unwrap(), "{name}");
        assert_eq!(
            n_computed, 6,
            "three blocks of one, each against those behind it"
        );
        assert_eq!(kept[1], dot(&each[0], &each[1]).unwrap());
        assert_eq!(kept[1], kept[3]);
    }
}

#[test]
fn accumulated_gradients_of_parts_are_those_of_the_whole() {
    let config = llama();
    let decoder = decoder(&config, Precision::F64);
    let parameters = decoder.parameters();
    let whole = batch(&config, &[6, 6, 6, 6]);
    let part = |from: usize| {
        let rows: Vec<&[u32]> = (from..from + 2).map(|row| whole.row(row)).collect();
        let part = Batch::new(&rows).unwrap();
        Gradients::of(&total(&decoder, &part).unwrap(), parameters).unwrap()
    };
    let mut sum = part(0);
    sum.scale(2.0);
    sum.scale(0.5);
    sum.add(&part(2)).unwrap();
    sum.scale(0.25);
    let mut all = Gradients::of(&total(&decoder, &whole).unwrap(), parameters).unwrap();
    all.scale(0.25);
    assert!(distance(&sum.flat().unwrap(), &all.flat().unwrap()) < 1e-7);
    assert!((sum.norm().unwrap() - all.norm().unwrap()).abs() < 1e-12);
    let norm = sum.norm().unwrap();
    assert_eq!(sum.clip(norm / 2.0).unwrap(), norm);
    assert!((sum.norm().unwrap() / norm - 0.5).abs() < 1e-6);
}

#[test]
fn ids_and_lengths_outside_the_decoder_are_refused() {
    let config = llama();
    let decoder = decoder(&config, Precision::F32);
    let unknown = Batch::new(&[vec![1, 13]]).unwrap();
    let error = decoder.forward(&unknown).unwrap_err().to_string();
    assert!(error.contains("token 13"), "{error}");
    let long = Batch::new(&[vec![1; 17]]).unwrap();
    let error = decoder.forward(&long).unwrap_err().to_string();
    assert!(error.contains("17 tokens"), "{error}");
    let short = Batch::new(&[vec![1, 2]]).unwrap();
    assert!(decoder.hidden(&short, 3, &mut ()).is_err());
}
