//! Completions, scores, choices, and taps of a tiny model.

use std::path::Path;

use model::generate::{
    Completion, CompletionRequest, Finish, LanguageModel, LocalModel, LocalOptions, Sample,
    Sampling, ScoreRequest, TokenSink,
};
use model::infer::{Tap, TapSite};
use proptest::prelude::*;

use super::support::{exact, fixtures, logits_of, tiny};

const GREEDY: Sampling = Sampling {
    temperature: 0.0,
    top_k: 0,
    top_p: 1.0,
    min_p: 0.0,
    seed: 0,
};
const FREE: Sampling = Sampling {
    temperature: 1.5,
    seed: 42,
    ..GREEDY
};
const ALONE: LocalOptions = LocalOptions {
    n_batch_max: 1,
    prefix_cache_bytes: 0,
};

/// The Llama with a tokenizer of letters.
fn model(options: LocalOptions) -> LocalModel {
    LocalModel::open(&fixtures().join("llama"), exact(1), options).unwrap()
}

fn request(prompt: &[u32], n_samples: usize, sampling: Sampling) -> CompletionRequest {
    CompletionRequest {
        prompt: prompt.to_vec(),
        n_samples,
        n_tokens_max: 12,
        sampling,
        stop: Vec::new(),
        stop_tokens: Vec::new(),
        n_alternatives: 0,
    }
}

fn complete_one(model: &LocalModel, request: &CompletionRequest) -> Completion {
    let requests = std::slice::from_ref(request);
    model.complete(requests, None).unwrap().remove(0)
}

fn ids(sample: &Sample) -> Vec<u32> {
    sample.tokens.iter().map(|token| token.id).collect()
}

/// `ln softmax` in f64, as the definition has it.
fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let sum: f64 = logits.iter().map(|x| f64::from(*x).exp()).sum();
    logits.iter().map(|x| f64::from(*x) - sum.ln()).collect()
}

#[test]
fn greedy_answers_take_the_most_likely_token_and_tell_its_log_probability() {
    let model = model(ALONE);
    let mut request = request(&[1, 9, 30], 2, GREEDY);
    request.n_alternatives = 3;
    let completion = complete_one(&model, &request);
    let mut tokens = request.prompt.clone();
    for token in &completion.samples[0].tokens {
        let engine = model.engine();
        let logits = logits_of(engine, &mut engine.sequence(), &tokens);
        let table = log_softmax(logits.last().unwrap());
        let mut order: Vec<u32> = (0..64).collect();
        order.sort_by(|a, b| table[*b as usize].total_cmp(&table[*a as usize]));
        assert_eq!(token.id, order[0]);
        assert!((f64::from(token.logprob) - table[order[0] as usize]).abs() < 1e-5);
        let others: Vec<u32> = token.alternatives.iter().map(|(id, _)| *id).collect();
        assert_eq!(others, order[..3]);
        for (id, logprob) in &token.alternatives {
            assert!((f64::from(*logprob) - table[*id as usize]).abs() < 1e-5);
        }
        tokens.push(token.id);
    }
    assert_eq!(completion.samples[0], completion.samples[1]);
    let usage = completion.usage;
    assert_eq!((usage.n_prompt, usage.n_prompt_evaluated), (6, 3));
    assert_eq!(usage.n_generated, 2 * completion.samples[0].tokens.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever else is asked for, however many places there are, with caches or without: a request
    /// gets what it gets alone, and its first samples are those of a smaller request.
    #[test]
    fn samples_do_not_depend_on_company_places_order_or_caches(
        prompts in prop::collection::vec(
            (prop::collection::vec(0_u32..64, 1..20), 1_usize..5),
            1..5,
        ),
        n_batch_max in 1_usize..7,
        seed in 0_u64..1000,
        is_reversed in prop::bool::ANY,
        prefix_cache_bytes in prop::sample::select(vec![0_usize, 1 << 16, 1 << 24]),
    ) {
        let together = model(LocalOptions { n_batch_max, prefix_cache_bytes });
        let mut requests: Vec<CompletionRequest> = prompts
            .iter()
            .map(|(prompt, n)| request(prompt, *n, Sampling { seed, ..FREE }))
            .collect();
        // A prompt that begins like another one, so that caches have something to share.
        let mut longer = requests[0].clone();
        longer.prompt.extend([8, 8, 8, 9, 9, 9, 10]);
        requests.push(longer);
        if is_reversed {
            requests.reverse();
        }
        let alone = model(ALONE);
        for _ in 0..2 {
            let completions = together.complete(&requests, None).unwrap();
            for (request, completion) in requests.iter().zip(&completions) {
                let expected = complete_one(&alone, request);
                prop_assert_eq!(&completion.samples, &expected.samples);
                prop_assert_eq!(completion.usage.n_generated, expected.usage.n_generated);
                let one = CompletionRequest { n_samples: 1, ..request.clone() };
        let first = complete_one(&alone, &one);
                prop_assert_eq!(&completion.samples[..1], &first.samples[..]);
            }
        }
    }

    /// Any text of a free answer, made a stop string, ends the answer before it; streamed text is
    /// the answer's text.
    #[test]
    fn stop_strings_end_answers_wherever_tokens_meet(
        seed in 0_u64..1000,
        from in 0_usize..10,
        length in 1_usize..5,
    ) {
        let model = model(ALONE);
        let free = request(&[1, 5], 1, Sampling { seed, ..FREE });
        let whole = complete_one(&model, &free).samples.remove(0);
        let letters: Vec<char> = whole.text.chars().collect();
        prop_assume!(from + length <= letters.len());
        let stop: String = letters[from..from + length].iter().collect();
        let expected = &whole.text[..whole.text.find(&stop).unwrap()];
        let stopping = CompletionRequest { stop: vec![stop, "never\n".to_owned()], ..free };
        let mut streamed = String::new();
        let mut n_tokens = 0;
        let mut listen = |event: model::generate::TokenEvent<'_>| {
            streamed.push_str(event.text);
            n_tokens += 1;
            true
        };
        let sink: TokenSink<'_> = &mut listen;
        let completion = model.complete(&[stopping], Some(sink)).unwrap().remove(0);
        let sample = &completion.samples[0];
        prop_assert_eq!(&sample.text, expected);
        prop_assert_eq!(&streamed, expected);
        prop_assert_eq!(sample.tokens.len(), n_tokens);
        prop_assert_eq!(sample.finish, Finish::Stop);
        prop_assert_eq!(&sample.tokens[..], &whole.tokens[..n_tokens]);
    }
}

#[test]
fn samples_of_one_prompt_differ_from_each_other() {
    let completion = complete_one(&model(ALONE), &request(&[1, 5], 4, FREE));
    for (idx, sample) in completion.samples.iter().enumerate() {
        for other in &completion.samples[..idx] {
            assert_ne!(ids(sample), ids(other));
        }
    }
}

#[test]
fn answers_end_at_stop_tokens_limits_and_the_context() {
    let model = model(ALONE);
    let free = request(&[1, 5], 1, GREEDY);
    let whole = complete_one(&model, &free).samples.remove(0);
    assert_eq!(whole.tokens.len(), 12);
    assert_eq!(whole.finish, Finish::Length);
    let stop = whole.tokens[3].id;
    let n_before = ids(&whole).iter().position(|id| *id == stop).unwrap();
    let stopped = complete_one(
        &model,
        &CompletionRequest {
            stop_tokens: vec![stop],
            ..free.clone()
        },
    );
    let sample = &stopped.samples[0];
    assert_eq!(sample.finish, Finish::Stop);
    assert_eq!(sample.tokens[..], whole.tokens[..=n_before]);
    let tokenizer = model.tokenizer().unwrap();
    let text = tokenizer.decode(&ids(sample)[..n_before]).unwrap();
    assert_eq!(sample.text, text);
    let long: Vec<u32> = (0..60).map(|idx| 3 + idx % 50).collect();
    let sample = complete_one(&model, &request(&long, 1, GREEDY))
        .samples
        .remove(0);
    assert_eq!(sample.tokens.len(), 4, "the context holds 64");
    assert_eq!(sample.finish, Finish::Length);
}

#[test]
fn listeners_end_their_own_sample_only() {
    let model = model(LocalOptions {
        n_batch_max: 4,
        ..ALONE
    });
    let asked = request(&[1, 5], 3, FREE);
    let free = complete_one(&model, &asked);
    let mut n_heard = 0;
    let mut listen = |event: model::generate::TokenEvent<'_>| {
        n_heard += usize::from(event.sample == 1);
        event.sample != 1 || n_heard < 3
    };
    let ended = model
        .complete(&[asked], Some(&mut listen))
        .unwrap()
        .remove(0);
    assert_eq!(ended.samples[0], free.samples[0]);
    assert_eq!(ended.samples[2], free.samples[2]);
    assert_eq!(ended.samples[1].finish, Finish::Cancelled);
    assert_eq!(ended.samples[1].tokens[..], free.samples[1].tokens[..3]);
}

#[test]
fn requests_join_and_leave_a_running_batch() {
    let model = model(LocalOptions {
        n_batch_max: 3,
        ..ALONE
    });
    let (first, second) = (request(&[1, 5], 3, FREE), request(&[1, 9, 9], 2, FREE));
    let whole = complete_one(&model, &first);
    let mut batch = model.batch();
    let mut done = Vec::new();
    assert_eq!(batch.submit(first.clone()).unwrap(), 0);
    for _ in 0..4 {
        done.extend(batch.step(&mut None, None).unwrap());
    }
    assert_eq!(batch.submit(second.clone()).unwrap(), 1);
    assert_eq!(batch.submit(first).unwrap(), 2);
    batch.cancel(0);
    batch.cancel(2);
    while !batch.is_idle() {
        done.extend(batch.step(&mut None, None).unwrap());
    }
    done.sort_by_key(|(id, _)| *id);
    let cancelled = &done[0].1.samples;
    for (ours, whole) in cancelled.iter().zip(&whole.samples) {
        assert_eq!(ours.finish, Finish::Cancelled);
        let n = ours.tokens.len();
        assert!(n > 0 && n < whole.tokens.len());
        assert_eq!(ours.tokens[..], whole.tokens[..n]);
        assert!(whole.text.starts_with(&ours.text));
    }
    assert_eq!(done[1].1.samples, complete_one(&model, &second).samples);
    let never_begun = &done[2].1;
    assert!(never_begun.samples.iter().all(|s| s.tokens.is_empty()));
    assert_eq!(never_begun.usage.n_prompt_evaluated, 0);
}

#[test]
fn scores_are_the_log_probabilities_of_the_definition() {
    let model = model(LocalOptions {
        n_batch_max: 2,
        prefix_cache_bytes: 1 << 20,
    });
    let engine = model.engine();
    let requests: Vec<ScoreRequest> = (0..5)
        .map(|idx| ScoreRequest {
            prompt: (0..10 + idx).map(|place| 3 + place * 7 % 60).collect(),
            continuations: vec![vec![5], vec![6, 7, 8, idx], vec![6, 7], (3..40).collect()],
        })
        .collect();
    for _ in 0..2 {
        let scores = model.score(&requests).unwrap();
        for (request, score) in requests.iter().zip(&scores) {
            for (continuation, logprobs) in request.continuations.iter().zip(&score.logprobs) {
                let tokens = [&request.prompt[..], continuation].concat();
                let logits = logits_of(engine, &mut engine.sequence(), &tokens);
                assert_eq!(logprobs.len(), continuation.len());
                for (idx, (id, logprob)) in continuation.iter().zip(logprobs).enumerate() {
                    let table = log_softmax(&logits[request.prompt.len() + idx - 1]);
                    let distance = (f64::from(*logprob) - table[*id as usize]).abs();
                    assert!(distance < 1e-5, "{distance} at token {idx}");
                }
            }
            assert_eq!(score.usage.n_prompt, 4 * request.prompt.len());
        }
    }
    let scores = model.score(&requests[..1]).unwrap();
    assert_eq!(scores[0].usage.n_prompt_evaluated, 1, "the rest was known");
}

#[test]
fn choices_compare_whole_options() {
    let model = model(ALONE);
    let options = [vec![5, 6], vec![7], vec![8, 9, 10], vec![7]];
    let choice = model.choose(&[1, 4, 4], &options).unwrap();
    let scores = model
        .score(&[ScoreRequest {
            prompt: vec![1, 4, 4],
            continuations: options.to_vec(),
        }])
        .unwrap();
    let sums: Vec<f64> = scores[0]
        .logprobs
        .iter()
        .map(|tokens| tokens.iter().copied().map(f64::from).sum())
        .collect();
    assert_eq!(choice.logprobs, sums);
    let best = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    assert_eq!(
        choice.best,
        sums.iter().position(|sum| *sum == best).unwrap()
    );
    let total: f64 = sums.iter().map(|sum| sum.exp()).sum();
    for (probability, sum) in choice.probabilities.iter().zip(&sums) {
        assert!((probability - sum.exp() / total).abs() < 1e-12);
    }
}

#[test]
fn hidden_states_come_for_every_prompt() {
    let model = model(ALONE);
    let prompts = vec![vec![1, 5, 9], vec![30]];
    let states = model.hidden(&prompts, 2).unwrap();
    assert_eq!(states, model.engine().hidden(&prompts, 2).unwrap());
    assert_eq!(states[0].len(), 3 * 32);
    assert!(model.hidden(&prompts, 3).is_err());
}

/// Adds `amount` to every hidden state behind block 1, and gives all rows to experts 4 and 5.
struct Push {
    amount: f32,
    routes: bool,
}

impl Tap for Push {
    fn hidden(&mut self, site: TapSite<'_>, states: &mut [f32]) {
        if site.layer == 1 {
            states.iter_mut().for_each(|x| *x += self.amount);
        }
    }

    fn router(&mut self, _site: TapSite<'_>, logits: &mut [f32]) {
        if self.routes {
            for row in logits.chunks_mut(6) {
                row.copy_from_slice(&[-50.0, -50.0, -50.0, -50.0, 1.0, 0.0]);
            }
        }
    }
}

#[test]
fn taps_change_what_follows_and_only_when_they_change_something() {
    let model = LocalModel::new(
        "experts",
        tiny("qwen3moe"),
        None,
        LocalOptions {
            n_batch_max: 3,
            prefix_cache_bytes: 1 << 20,
        },
    )
    .unwrap();
    let asked = request(&[1, 5, 9, 3, 3, 3, 3, 3, 3, 7], 2, FREE);
    let untouched = complete_one(&model, &asked);
    let run = |amount: f32, routes: bool| {
        let mut batch = model.batch();
        batch.submit(asked.clone()).unwrap();
        let mut tap = Push { amount, routes };
        let mut done = Vec::new();
        while !batch.is_idle() {
            done.extend(batch.step(&mut None, Some(&mut tap)).unwrap());
        }
        done.remove(0).1
    };
    let silent = run(0.0, false);
    assert_eq!(silent.samples, untouched.samples);
    assert_eq!(silent.usage.n_prompt_evaluated, 10, "caches are left alone");
    assert_ne!(run(0.5, false).samples, untouched.samples);
    assert_ne!(run(0.0, true).samples, untouched.samples);
    assert_eq!(complete_one(&model, &asked).samples, untouched.samples);
}

#[test]
fn requests_that_make_no_sense_are_refused_by_name() {
    let model = model(ALONE);
    let good = request(&[1, 5], 1, GREEDY);
    let with = |change: &dyn Fn(&mut CompletionRequest)| {
        let mut request = good.clone();
        change(&mut request);
        model.complete(&[request], None).unwrap_err().to_string()
    };
    for (expected, message) in [
        ("empty", with(&|r| r.prompt.clear())),
        ("token 64", with(&|r| r.prompt.push(64))),
        ("no room", with(&|r| r.prompt = vec![5; 64])),
        ("65 tokens", with(&|r| r.prompt = vec![5; 65])),
        ("n_samples", with(&|r| r.n_samples = 0)),
        ("n_tokens_max", with(&|r| r.n_tokens_max = 0)),
        ("stop string", with(&|r| r.stop = vec![String::new()])),
        ("temperature", with(&|r| r.sampling.temperature = f32::NAN)),
        ("top_p", with(&|r| r.sampling.top_p = 0.0)),
    ] {
        assert!(message.contains(expected), "{expected}: {message}");
    }
    let score = |prompt: &[u32], continuation: &[u32]| {
        let request = ScoreRequest {
            prompt: prompt.to_vec(),
            continuations: vec![continuation.to_vec()],
        };
        model.score(&[request]).unwrap_err().to_string()
    };
    assert!(score(&[], &[1]).contains("empty"));
    assert!(score(&[1], &[]).contains("empty"));
    assert!(score(&[1], &[70]).contains("token 70"));
    assert!(score(&[1; 60], &[5; 5]).contains("65 tokens"));
    assert!(model.choose(&[1], &[]).is_err());
    let wordless = LocalModel::new("experts", tiny("qwen3moe"), None, ALONE).unwrap();
    let stopping = CompletionRequest {
        stop: vec!["a".to_owned()],
        ..good.clone()
    };
    assert!(wordless.complete(&[stopping], None).is_err());
    assert!(LocalModel::open(Path::new("no/such.gguf"), exact(1), ALONE).is_err());
}
