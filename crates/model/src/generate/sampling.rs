//! From logits to a token: log-probabilities, filters, and the draw.

use eval::{Error, Result};
use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::{Sampling, TokenLogprob};

/// So many most likely tokens are found in one walk over the logits; more of them by selection.
const N_INSERTED_MAX: usize = 64;

impl Sampling {
    /// Checks that every setting makes sense.
    ///
    /// # Errors
    /// Names the setting and its value.
    pub fn validate(&self) -> Result<()> {
        let refuse = |name: &str, value: f32, range: &str| {
            Err(
                Error::usage(format!("the sampling setting {name} is {value}"))
                    .hint(format!("give a number {range}")),
            )
        };
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return refuse("temperature", self.temperature, "from 0");
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return refuse("top_p", self.top_p, "above 0 and at most 1");
        }
        if !(self.min_p >= 0.0 && self.min_p <= 1.0) {
            return refuse("min_p", self.min_p, "from 0 to 1");
        }
        Ok(())
    }
}

/// The random stream of sample `sample_idx` of a request: ChaCha with 20 rounds, keyed by both
/// numbers, so that a sample is the same whether it is drawn alone or among others.
pub(super) fn sample_stream(seed: u64, sample_idx: usize) -> ChaCha20Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(sample_idx as u64).to_le_bytes());
    ChaCha20Rng::from_seed(key)
}

/// `exp(x)` for `x ≤ 0`, to about 1 ulp of f64: reduction by a multiple of ln 2 split in two parts
/// (Cody and Waite), then the Taylor series, whose remainder at |r| ≤ ln 2 / 2 is below 2⁻⁵⁶ of the
/// value after 13 terms. Without branches, so that loops over it become vector code; below −708 the
/// result is 0.
#[inline]
fn exp(x: f64) -> f64 {
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const MAGIC: f64 = 6_755_399_441_055_744.0; // 1.5 · 2⁵²: adding it leaves no fraction bits.
    const TERMS: [f64; 14] = [
        1.0,
        1.0,
        1.0 / 2.0,
        1.0 / 6.0,
        1.0 / 24.0,
        1.0 / 120.0,
        1.0 / 720.0,
        1.0 / 5_040.0,
        1.0 / 40_320.0,
        1.0 / 362_880.0,
        1.0 / 3_628_800.0,
        1.0 / 39_916_800.0,
        1.0 / 479_001_600.0,
        1.0 / 6_227_020_800.0,
    ];
    let clamped = if x > -708.0 { x } else { -708.0 };
    let shifted = clamped * std::f64::consts::LOG2_E + MAGIC;
    let whole = shifted - MAGIC;
    let rest = (clamped - whole * LN2_HIGH) - whole * LN2_LOW;
    let mut series = TERMS[13];
    for term in TERMS[..13].iter().rev() {
        series = series * rest + term;
    }
    // The low bits of `shifted` hold the whole number; moved into the exponent they scale by 2ⁿ.
    let power = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1.0_f64.to_bits()));
    if x > -708.0 { series * power } else { 0.0 }
}

/// The largest logit, found in lanes that the compiler turns into vector code.
fn largest(logits: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let (chunks, rest) = logits.as_chunks::<16>();
    let keep = |best: &mut f32, logit: f32| *best = if logit > *best { logit } else { *best };
    for chunk in chunks {
        lanes
            .iter_mut()
            .zip(chunk)
            .for_each(|(best, logit)| keep(best, *logit));
    }
    let mut best = f32::NEG_INFINITY;
    lanes
        .iter()
        .chain(rest)
        .for_each(|logit| keep(&mut best, *logit));
    best
}

/// The most likely token, the smallest id among equals.
pub(super) fn most_likely(logits: &[f32]) -> u32 {
    let best = largest(logits);
    let id = logits.iter().position(|logit| *logit == best);
    id.unwrap_or(0) as u32
}

/// The `n` most likely tokens, most likely first, the smaller id first among equals.
pub(super) fn most_likely_n(logits: &[f32], n: usize) -> Vec<u32> {
    let n = n.min(logits.len());
    if n == 0 {
        return Vec::new();
    }
    let order = |a: &u32, b: &u32| {
        let (x, y) = (logits[*a as usize], logits[*b as usize]);
        y.total_cmp(&x).then(a.cmp(b))
    };
    if n > N_INSERTED_MAX {
        let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
        if n < ids.len() {
            ids.select_nth_unstable_by(n - 1, order);
            ids.truncate(n);
        }
        ids.sort_unstable_by(order);
        return ids;
    }
    // Few are wanted: almost every token fails the one comparison with the last of them.
    let mut ids: Vec<u32> = (0..n as u32).collect();
    ids.sort_unstable_by(order);
    let mut bar = logits[ids[n - 1] as usize];
    for (id, logit) in logits.iter().enumerate().skip(n) {
        if *logit > bar {
            let id = id as u32;
            let place = ids.partition_point(|other| order(other, &id).is_lt());
            ids.pop();
            ids.insert(place, id);
            bar = logits[ids[n - 1] as usize];
        }
    }
    ids
}

/// What the model says about one place: the token `id` and `n_alternatives` others. `denominator`
/// is the natural logarithm of the sum of all logits' exponentials.
pub(super) fn describe(
    logits: &[f32],
    denominator: f64,
    id: u32,
    n_alternatives: usize,
) -> TokenLogprob {
    let logprob = |id: u32| (f64::from(logits[id as usize]) - denominator) as f32;
    TokenLogprob {
        id,
        logprob: logprob(id),
        alternatives: most_likely_n(logits, n_alternatives)
            .into_iter()
            .map(|id| (id, logprob(id)))
            .collect(),
    }
}

/// Draws the next token.
pub(super) fn draw(logits: &[f32], sampling: &Sampling, stream: &mut ChaCha20Rng) -> u32 {
    if sampling.temperature == 0.0 {
        return most_likely(logits);
    }
    let place = stream.random::<f64>();
    let is_free =
        sampling.min_p == 0.0 && sampling.top_p >= 1.0 && !filters_by_rank(logits, sampling);
    if is_free {
        return draw_free(logits, &weight_of(logits, sampling), place);
    }
    let (ids, weights) = distribution(logits, sampling);
    ids[walk(&weights, place * weights.iter().sum::<f64>())]
}

/// Draws from all tokens: sums of blocks tell the block, whose tokens alone are looked at again.
fn draw_free(logits: &[f32], weight: &dyn Fn(u32) -> f64, place: f64) -> u32 {
    const BLOCK: usize = 256;
    let block = |idx: usize| {
        let end = logits.len().min((idx + 1) * BLOCK);
        (idx * BLOCK..end).map(|id| weight(id as u32))
    };
    let n_blocks = logits.len().div_ceil(BLOCK);
    let sums: Vec<f64> = (0..n_blocks).map(|idx| block(idx).sum()).collect();
    let place = place * sums.iter().sum::<f64>();
    let chosen = walk(&sums, place);
    let before: f64 = sums[..chosen].iter().sum();
    let weights: Vec<f64> = block(chosen).collect();
    (chosen * BLOCK + walk(&weights, place - before)) as u32
}

/// Which of `weights`, laid end to end, covers `place`. Rounding may leave `place` a hair beyond
/// them all: then the last with any weight is meant.
fn walk(weights: &[f64], place: f64) -> usize {
    let mut reached = 0.0;
    let covers = |weight: &f64| {
        reached += weight;
        place < reached
    };
    let found = weights.iter().position(covers);
    let last = || weights.iter().rposition(|weight| *weight > 0.0);
    found.or_else(last).unwrap_or(0)
}

fn filters_by_rank(logits: &[f32], sampling: &Sampling) -> bool {
    sampling.top_k > 0 && sampling.top_k < logits.len()
}

/// Probability of a token relative to the most likely one, at the temperature asked for.
fn weight_of<'a>(logits: &'a [f32], sampling: &Sampling) -> impl Fn(u32) -> f64 + use<'a> {
    let scale = 1.0 / f64::from(sampling.temperature);
    let best = f64::from(largest(logits));
    move |id| exp((f64::from(logits[id as usize]) - best) * scale)
}

/// Tokens that survive the filters, by id, and their unnormalised probabilities.
fn distribution(logits: &[f32], sampling: &Sampling) -> (Vec<u32>, Vec<f64>) {
    let weight = weight_of(logits, sampling);
    let n_vocab = logits.len() as u32;
    let mut ids = if filters_by_rank(logits, sampling) {
        let ids = most_likely_n(logits, sampling.top_k);
        let total = ids.iter().map(|id| weight(*id)).sum();
        nucleus(&ids, &weight, sampling.top_p, total).map_or_else(|| ids.clone(), <[u32]>::to_vec)
    } else if sampling.top_p < 1.0 {
        let total = (0..n_vocab).map(&weight).sum();
        let mut n_ranked = N_INSERTED_MAX;
        loop {
            let ids = most_likely_n(logits, n_ranked);
            if let Some(kept) = nucleus(&ids, &weight, sampling.top_p, total) {
                break kept.to_vec();
            }
            if ids.len() == logits.len() {
                break ids;
            }
            n_ranked *= 16;
        }
    } else {
        return keep_likely(0..n_vocab, weight, sampling.min_p);
    };
    ids.sort_unstable();
    keep_likely(ids.into_iter(), weight, sampling.min_p)
}

/// The shortest beginning of `ids` (most likely first) whose probability, of `total`, is at least
/// `top_p`; none if they do not suffice.
fn nucleus<'a>(
    ids: &'a [u32],
    weight: &impl Fn(u32) -> f64,
    top_p: f32,
    total: f64,
) -> Option<&'a [u32]> {
    let mut left = f64::from(top_p) * total;
    let last = ids.iter().position(|id| {
        left -= weight(*id);
        left <= 0.0
    });
    last.map(|idx| &ids[..=idx])
}

/// Drops tokens less likely than `min_p` times the most likely, whose weight is 1.
fn keep_likely(
    ids: impl Iterator<Item = u32>,
    weight: impl Fn(u32) -> f64,
    min_p: f32,
) -> (Vec<u32>, Vec<f64>) {
    ids.map(|id| (id, weight(id)))
        .filter(|(_, weight)| *weight >= f64::from(min_p))
        .unzip()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FREE: Sampling = Sampling {
        temperature: 1.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        seed: 7,
    };

    /// The definition, step by step on the whole vocabulary with the standard library's `exp`.
    fn filtered(logits: &[f32], sampling: &Sampling) -> Vec<(u32, f64)> {
        let scaled: Vec<f64> = logits
            .iter()
            .map(|logit| f64::from(*logit) / f64::from(sampling.temperature))
            .collect();
        let mut kept: Vec<u32> = (0..logits.len() as u32).collect();
        kept.sort_by(|a, b| {
            scaled[*b as usize]
                .total_cmp(&scaled[*a as usize])
                .then(a.cmp(b))
        });
        let softmax = |kept: &[u32]| -> Vec<f64> {
            let total: f64 = kept.iter().map(|id| scaled[*id as usize].exp()).sum();
            kept.iter()
                .map(|id| scaled[*id as usize].exp() / total)
                .collect()
        };
        if sampling.top_k > 0 {
            kept.truncate(sampling.top_k);
        }
        let probabilities = softmax(&kept);
        let mut sum = 0.0;
        let mut n_kept = 0;
        while n_kept < kept.len() && (n_kept == 0 || sum < f64::from(sampling.top_p) - 1e-12) {
            sum += probabilities[n_kept];
            n_kept += 1;
        }
        kept.truncate(n_kept);
        let probabilities = softmax(&kept);
        let most = probabilities[0];
        let kept: Vec<u32> = kept
            .into_iter()
            .zip(probabilities)
            .filter(|(_, p)| *p >= f64::from(sampling.min_p) * most * (1.0 - 1e-12))
            .map(|(id, _)| id)
            .collect();
        let probabilities = softmax(&kept);
        let mut pairs: Vec<(u32, f64)> = kept.into_iter().zip(probabilities).collect();
        pairs.sort_by_key(|(id, _)| *id);
        pairs
    }

    fn check(logits: &[f32], sampling: &Sampling) {
        let (ids, weights) = distribution(logits, sampling);
        let total: f64 = weights.iter().sum();
        let expected = filtered(logits, sampling);
        assert_eq!(ids, expected.iter().map(|(id, _)| *id).collect::<Vec<_>>());
        for (weight, (id, probability)) in weights.iter().zip(&expected) {
            let ours = weight / total;
            assert!(
                (ours - probability).abs() < 1e-12,
                "token {id}: {ours} instead of {probability}"
            );
        }
    }

    #[test]
    fn exp_equals_the_standard_library_to_three_ulps() {
        for step in 0..200_000 {
            let x = -f64::from(step) * 3.53e-3;
            let (ours, theirs) = (exp(x), x.exp());
            assert!(
                (ours - theirs).abs() <= 3.0 * f64::EPSILON * theirs,
                "exp({x}) = {ours}, not {theirs}"
            );
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1e9), 0.0);
        assert_eq!(exp(f64::NEG_INFINITY), 0.0);
    }

    #[test]
    fn filters_apply_in_order_and_ties_go_to_smaller_ids() {
        let logits = [1.0, 3.0, 2.0, 3.0, 0.0, 2.0];
        for top_k in [0, 1, 2, 3, 4, 6, 9] {
            for top_p in [1.0, 0.9, 0.5, 0.1] {
                for min_p in [0.0, 0.3, 0.9, 1.0] {
                    for temperature in [0.5, 1.0, 2.0] {
                        let sampling = Sampling {
                            temperature,
                            top_k,
                            top_p,
                            min_p,
                            seed: 0,
                        };
                        check(&logits, &sampling);
                    }
                }
            }
        }
        let (ids, _) = distribution(&logits, &Sampling { top_k: 3, ..FREE });
        assert_eq!(ids, [1, 2, 3]);
        assert_eq!(most_likely(&logits), 1);
        assert_eq!(most_likely_n(&logits, 4), [1, 3, 2, 5]);
    }

    #[test]
    fn draws_follow_the_distribution() {
        // Chi-squared with 4 degrees of freedom; 18.47 is its 99.9th percentile, and the seed is
        // fixed, so this either always passes or always fails.
        let logits = [0.0, 1.0, 2.0, -1.0, 0.5];
        let n_draws = 20_000;
        let mut counts = [0_usize; 5];
        let mut stream = sample_stream(11, 0);
        for _ in 0..n_draws {
            counts[draw(&logits, &FREE, &mut stream) as usize] += 1;
        }
        let statistic: f64 = filtered(&logits, &FREE)
            .iter()
            .map(|(id, probability)| {
                let expected = probability * f64::from(n_draws);
                (counts[*id as usize] as f64 - expected).powi(2) / expected
            })
            .sum();
        assert!(
            statistic < 18.47,
            "chi-squared {statistic}, counts {counts:?}"
        );
    }

    #[test]
    fn streams_differ_by_seed_and_by_sample() {
        let first = |seed, sample| sample_stream(seed, sample).random::<u64>();
        assert_eq!(first(1, 2), first(1, 2));
        assert_ne!(first(1, 2), first(2, 1));
        assert_ne!(first(1, 0), first(1, 1));
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        for (name, sampling) in [
            (
                "temperature",
                Sampling {
                    temperature: -1.0,
                    ..FREE
                },
            ),
            (
                "temperature",
                Sampling {
                    temperature: f32::NAN,
                    ..FREE
                },
            ),
            (
                "temperature",
                Sampling {
                    temperature: f32::INFINITY,
                    ..FREE
                },
            ),
            ("top_p", Sampling { top_p: 0.0, ..FREE }),
            ("top_p", Sampling { top_p: 1.5, ..FREE }),
            (
                "top_p",
                Sampling {
                    top_p: f32::NAN,
                    ..FREE
                },
            ),
            (
                "min_p",
                Sampling {
                    min_p: -0.1,
                    ..FREE
                },
            ),
            ("min_p", Sampling { min_p: 1.1, ..FREE }),
        ] {
            let error = sampling.validate().unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        FREE.validate().unwrap();
    }

    proptest! {
        /// Against a full sort, beyond the number that is inserted one by one too.
        #[test]
        fn the_most_likely_are_those_of_a_full_sort(
            logits in prop::collection::vec((-9_i8..9).prop_map(f32::from), 1..300),
            n in 0_usize..320,
        ) {
            let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
            ids.sort_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]));
            ids.truncate(n);
            prop_assert_eq!(most_likely_n(&logits, n), ids);
        }

        /// Draws in blocks cover each token's share of the line, in the order of ids.
        #[test]
        fn free_draws_cover_every_share(
            logits in prop::collection::vec(-8.0_f32..8.0, 1..700),
            place in 0.0_f64..1.0,
        ) {
            let expected = filtered(&logits, &FREE);
            let id = draw_free(&logits, &weight_of(&logits, &FREE), place);
            let below: f64 = expected[..id as usize].iter().map(|(_, p)| p).sum();
            let share = expected[id as usize].1;
            prop_assert!(below - 1e-12 <= place && place <= below + share + 1e-12);
        }

        #[test]
        fn distributions_equal_their_definition(
            logits in prop::collection::vec(-8.0_f32..8.0, 1..200),
            temperature in 0.2_f32..3.0,
            top_k in 0_usize..220,
            top_p in 0.05_f32..=1.0,
            min_p in 0.0_f32..=1.0,
        ) {
            check(&logits, &Sampling { temperature, top_k, top_p, min_p, seed: 0 });
        }
    }
}
