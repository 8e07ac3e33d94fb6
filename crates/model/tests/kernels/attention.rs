//! Attention against a naive one in `f64`, however the past is cut, batched, and spread.

use half::f16;
use model::kernels::{Attention, AttentionShape, CachePrecision, Cpu, KeyValues, Scratch, Threads};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{bits, cpus, values};

/// Keys and values of `n` tokens, cut into segments after the given numbers of tokens.
fn segments(shape: AttentionShape, keys: &[f32], values: &[f32], cuts: &[usize]) -> Vec<KeyValues> {
    let row = shape.n_kv_heads * shape.n_head;
    let mut cuts = cuts.to_vec();
    cuts.push(keys.len() / row);
    let mut from = 0;
    cuts.into_iter()
        .map(|to| {
            let mut segment = KeyValues::new(shape.n_kv_heads, shape.n_head);
            segment.append(&keys[from * row..to * row], &values[from * row..to * row]);
            from = to;
            segment
        })
        .collect()
}

/// Attention of the last `n_tokens` of all tokens, in `f64`.
fn naive_attention(shape: AttentionShape, q: &[f32], keys: &[f32], values: &[f32]) -> Vec<f64> {
    let (n_row, d) = (shape.n_kv_heads * shape.n_head, shape.n_head);
    let n_tokens = q.len() / (shape.n_heads * d);
    let n_positions = keys.len() / n_row;
    let mut out = Vec::new();
    for (idx, q) in q.chunks(d).enumerate() {
        let (token, head) = (idx / shape.n_heads, idx % shape.n_heads);
        let kv_head = head / (shape.n_heads / shape.n_kv_heads);
        let end = n_positions - n_tokens + token + 1;
        let start = end.saturating_sub(shape.window.unwrap_or(usize::MAX));
        let part = |x: &[f32], position: usize| -> Vec<f64> {
            let at = position * n_row + kv_head * d;
            x[at..at + d].iter().map(|&x| f64::from(x)).collect()
        };
        let weights: Vec<f64> = (start..end)
            .map(|position| {
                let key = part(keys, position);
                let dot: f64 = q.iter().zip(&key).map(|(&q, k)| f64::from(q) * k).sum();
                (dot * f64::from(shape.scale)).exp()
            })
            .collect();
        let total: f64 = weights.iter().sum();
        for dim in 0..d {
            let sum: f64 = (start..end)
                .zip(&weights)
                .map(|(position, weight)| weight * part(values, position)[dim])
                .sum();
            out.push(sum / total);
        }
    }
    out
}

fn shape(
    n_heads: usize,
    n_kv_heads: usize,
    n_head: usize,
    window: Option<usize>,
) -> AttentionShape {
    AttentionShape {
        n_heads,
        n_kv_heads,
        n_head,
        scale: 1.0 / (n_head as f32).sqrt(),
        window,
    }
}

fn attend(cpu: &Cpu, shape: AttentionShape, sequences: &[Attention<'_>], q: &[f32]) -> Vec<f32> {
    let mut out = vec![f32::NAN; q.len()];
    cpu.attend(shape, sequences, q, &mut out, &mut Scratch::new());
    out
}

#[test]
fn attention_matches_f64_however_the_past_is_cut() {
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    for shape in [
        shape(9, 3, 64, None),
        shape(4, 1, 256, Some(20)),
        shape(2, 2, 8, None),
        shape(7, 1, 40, Some(1)),
        shape(10, 2, 16, Some(500)),
    ] {
        for (n_positions, n_tokens) in [(1, 1), (16, 1), (33, 33), (100, 5), (83, 20), (131, 1)] {
            let row = shape.n_kv_heads * shape.n_head;
            let keys = values(&mut rng, n_positions * row);
            let cached = values(&mut rng, n_positions * row);
            let q = values(&mut rng, n_tokens * shape.n_heads * shape.n_head);
            let expected = naive_attention(shape, &q, &keys, &cached);
            let mut seen = Vec::new();
            for cuts in [
                vec![],
                vec![n_positions / 2],
                vec![0, n_positions / 3, n_positions],
            ] {
                let parts = segments(shape, &keys, &cached, &cuts);
                let parts: Vec<&KeyValues> = parts.iter().collect();
                for cpu in cpus() {
                    let sequence = Attention {
                        n_tokens,
                        segments: &parts,
                    };
                    let y = attend(&cpu, shape, &[sequence], &q);
                    for (y, expected) in y.iter().zip(&expected) {
                        let error = (f64::from(*y) - expected).abs();
                        assert!(error <= 3e-6, "{shape:?}: {y} is not {expected}");
                    }
                    seen.push(bits(&y));
                }
            }
            assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{shape:?}");
        }
    }
}

#[test]
fn a_half_precision_cache_gives_what_the_rounded_values_give() {
    let mut rng = ChaCha8Rng::seed_from_u64(25);
    for shape in [shape(9, 3, 64, None), shape(4, 2, 24, Some(30))] {
        let row = shape.n_kv_heads * shape.n_head;
        let (n_positions, n_tokens) = (77, 6);
        let keys = values(&mut rng, n_positions * row);
        let cached = values(&mut rng, n_positions * row);
        let q = values(&mut rng, n_tokens * shape.n_heads * shape.n_head);
        let rounded =
            |x: &[f32]| -> Vec<f32> { x.iter().map(|&x| f16::from_f32(x).to_f32()).collect() };
        let mut half =
            KeyValues::with_precision(shape.n_kv_heads, shape.n_head, CachePrecision::Half);
        half.append(&keys, &cached);
        let single = segments(shape, &rounded(&keys), &rounded(&cached), &[]);
        for cpu in cpus() {
            let [a, b] = [&half, &single[0]].map(|segment| {
                let segments = [segment];
                let sequence = Attention {
                    n_tokens,
                    segments: &segments,
                };
                attend(&cpu, shape, &[sequence], &q)
            });
            assert_eq!(bits(&a), bits(&b), "{:?}", cpu.isa());
        }
        assert!(half.n_bytes() <= single[0].n_bytes() / 2 + 4096);
    }
}

#[test]
fn sequences_of_a_batch_attend_as_they_do_alone_on_any_number_of_threads() {
    let mut rng = ChaCha8Rng::seed_from_u64(22);
    let shape = shape(9, 3, 64, None);
    let row = shape.n_kv_heads * shape.n_head;
    let mut token = |n: usize| (values(&mut rng, n * row), values(&mut rng, n * row));
    let mut prefix = KeyValues::new(3, 64);
    let (keys, cached) = token(300);
    prefix.append(&keys, &cached);
    let own: Vec<KeyValues> = [1, 40, 17, 3, 64]
        .into_iter()
        .map(|n| {
            let mut own = KeyValues::new(3, 64);
            let (keys, cached) = token(n);
            own.append(&keys, &cached);
            own
        })
        .collect();
    let pairs: Vec<[&KeyValues; 2]> = own.iter().map(|own| [&prefix, own]).collect();
    let n_tokens = [1, 40, 2, 3, 1];
    let sequences: Vec<Attention<'_>> = pairs
        .iter()
        .zip(n_tokens)
        .map(|(segments, n_tokens)| Attention { n_tokens, segments })
        .collect();
    let q = values(&mut rng, n_tokens.iter().sum::<usize>() * 9 * 64);
    let mut expected = Vec::new();
    let mut rest = q.as_slice();
    let one = Cpu::new(Threads::ONE).unwrap();
    for sequence in &sequences {
        let (mine, others) = rest.split_at(sequence.n_tokens * 9 * 64);
        expected.extend(attend(&one, shape, &[*sequence], mine));
        rest = others;
    }
    for n_threads in [1, 2, 5] {
        let cpu = Cpu::new(Threads::new(n_threads).unwrap()).unwrap();
        let y = attend(&cpu, shape, &sequences, &q);
        assert_eq!(bits(&y), bits(&expected), "{n_threads} threads");
    }
}

#[test]
fn a_later_token_cannot_reach_an_earlier_one() {
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    let shape = shape(2, 1, 32, None);
    let (mut keys, cached) = (values(&mut rng, 40 * 32), values(&mut rng, 40 * 32));
    let q = values(&mut rng, 40 * 64);
    let cpu = Cpu::new(Threads::ONE).unwrap();
    let all = |keys: &[f32], cached: &[f32]| {
        let parts = segments(shape, keys, cached, &[]);
        let sequence = Attention {
            n_tokens: 40,
            segments: &[&parts[0]],
        };
        attend(&cpu, shape, &[sequence], &q)
    };
    let before = all(&keys, &cached);
    let mut poisoned = cached.clone();
    keys[25 * 32..].fill(f32::NAN);
    poisoned[25 * 32..].fill(f32::NAN);
    let after = all(&keys, &poisoned);
    assert_eq!(bits(&before[..25 * 64]), bits(&after[..25 * 64]));
    assert!(after[25 * 64..].iter().all(|y| y.is_nan()));
}

#[test]
fn forgetting_tokens_leaves_what_was_there_before() {
    let mut rng = ChaCha8Rng::seed_from_u64(24);
    let shape = shape(4, 2, 24, None);
    let (keys, cached) = (values(&mut rng, 50 * 48), values(&mut rng, 50 * 48));
    let q = values(&mut rng, 96);
    let cpu = Cpu::new(Threads::ONE).unwrap();
    let direct = segments(shape, &keys[..37 * 48], &cached[..37 * 48], &[]);
    let mut grown = segments(shape, &keys, &cached, &[]);
    grown[0].truncate(36);
    grown[0].append(&keys[36 * 48..37 * 48], &cached[36 * 48..37 * 48]);
    assert_eq!(grown[0].len(), 37);
    let [a, b] = [&direct[0], &grown[0]].map(|segment| {
        let sequence = Attention {
            n_tokens: 1,
            segments: &[segment],
        };
        attend(&cpu, shape, &[sequence], &q)
    });
    assert_eq!(bits(&a), bits(&b));
}
