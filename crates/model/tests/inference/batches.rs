//! A sequence gets the same bits whatever happens around it.

use model::infer::{Outputs, Sequence, Step};
use proptest::prelude::*;

use super::support::{FAMILIES, logits_of, logits_of_steps, tiny, tiny_with};

/// How one sequence is fed: its tokens, and after how many of them each chunk ends.
#[derive(Clone, Debug)]
struct Feed {
    tokens: Vec<u32>,
    cuts: Vec<usize>,
}

fn feed() -> impl Strategy<Value = Feed> {
    prop::collection::vec(0_u32..64, 1..24).prop_flat_map(|tokens| {
        let n = tokens.len();
        prop::collection::vec(1..=n, 0..4).prop_map(move |mut cuts| {
            cuts.push(n);
            cuts.sort_unstable();
            cuts.dedup();
            Feed {
                tokens: tokens.clone(),
                cuts,
            }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Sequences in one ragged batch, chunk by chunk, on three threads: the bits of each alone, in
    /// one piece, on one thread.
    #[test]
    fn company_chunks_and_threads_change_no_bit(
        family in prop::sample::select(&FAMILIES[..]),
        feeds in prop::collection::vec(feed(), 1..6),
    ) {
        let engine = tiny_with(family, 3);
        let mut sequences: Vec<Sequence> = feeds.iter().map(|_| engine.sequence()).collect();
        let mut together: Vec<Vec<Vec<f32>>> = vec![Vec::new(); feeds.len()];
        let n_rounds = feeds.iter().map(|feed| feed.cuts.len()).max().unwrap_or(0);
        for round in 0..n_rounds {
            let mut owners = Vec::new();
            let mut steps = Vec::new();
            for (idx, (feed, sequence)) in feeds.iter().zip(&mut sequences).enumerate() {
                let Some(end) = feed.cuts.get(round) else {
                    continue;
                };
                let start = sequence.n_tokens();
                owners.extend(std::iter::repeat_n(idx, end - start));
                steps.push(Step {
                    sequence,
                    tokens: &feed.tokens[start..*end],
                    outputs: Outputs::All,
                });
            }
            for (owner, logits) in owners.into_iter().zip(logits_of_steps(&engine, &mut steps)) {
                together[owner].push(logits);
            }
        }
        let lone = tiny(family);
        for (feed, together) in feeds.iter().zip(&together) {
            let alone = logits_of(&lone, &mut lone.sequence(), &feed.tokens);
            prop_assert_eq!(&alone, together);
        }
    }

    /// Forks share their past; a fork of a beginning forgets the rest; neither changes a bit, and
    /// what one fork sees the other does not.
    #[test]
    fn forks_change_no_bit(
        family in prop::sample::select(&FAMILIES[..]),
        tokens in prop::collection::vec(0_u32..64, 2..40),
        first in prop::collection::vec(0_u32..64, 1..6),
        second in prop::collection::vec(0_u32..64, 1..6),
        cut in 0.0_f64..1.0,
    ) {
        let engine = tiny(family);
        let alone = |parts: &[&[u32]]| {
            let tokens = parts.concat();
            let logits = logits_of(&engine, &mut engine.sequence(), &tokens);
            logits.last().cloned()
        };
        let mut base = engine.sequence();
        let (head, tail) = tokens.split_at(tokens.len() / 2);
        logits_of(&engine, &mut base, head);
        let mut early = base.fork();
        logits_of(&engine, &mut base, tail);
        let mut one = base.fork();
        let mut two = one.fork();
        let n_kept = (tokens.len() as f64 * cut) as usize;
        let mut beginning = two.fork_prefix(n_kept);
        prop_assert_eq!(beginning.n_tokens(), n_kept);
        for (sequence, past, own) in [
            (&mut one, tokens.as_slice(), &first),
            (&mut two, &tokens, &second),
            (&mut early, head, &second),
            (&mut beginning, &tokens[..n_kept], &first),
            (&mut base, &tokens, &first),
        ] {
            let logits = logits_of(&engine, sequence, own);
            prop_assert_eq!(logits.last().cloned(), alone(&[past, own]));
            prop_assert_eq!(sequence.n_tokens(), past.len() + own.len());
        }
    }
}

#[test]
fn only_wanted_rows_come_out_and_they_are_the_same_bits() {
    for family in FAMILIES {
        let engine = tiny(family);
        let tokens = [5, 9, 60, 3, 3, 17];
        let all = logits_of(&engine, &mut engine.sequence(), &tokens);
        let (mut a, mut b, mut c) = (engine.sequence(), engine.sequence(), engine.sequence());
        let steps = &mut [
            Step {
                sequence: &mut a,
                tokens: &tokens,
                outputs: Outputs::Last,
            },
            Step {
                sequence: &mut b,
                tokens: &tokens,
                outputs: Outputs::None,
            },
            Step {
                sequence: &mut c,
                tokens: &tokens,
                outputs: Outputs::All,
            },
        ];
        let some = logits_of_steps(&engine, steps);
        assert_eq!(some[0], all[5], "{family}");
        assert_eq!(some[1..], all, "{family}");
        let next = logits_of(&engine, &mut b, &[7]);
        let mut whole = engine.sequence();
        let expected = logits_of(&engine, &mut whole, &[&tokens[..], &[7]].concat());
        assert_eq!(next[0], expected[6], "{family}");
    }
}
