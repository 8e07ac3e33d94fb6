//! The cache, samples, budgets, and estimates of an endpoint.

use std::path::Path;

use model::chat::{ChatRequest, EndpointSettings, Prices, SampleCalls, TextRequest, ThinkTags};

use crate::server::{Seen, Server, Step, answer_of, json, reply, says};
use crate::support::{ask, endpoint, outcomes, report, request, settings};

fn cached(server: &Server, folder: &Path) -> EndpointSettings {
    let mut settings = settings(&server.address);
    settings.cache = Some(folder.to_owned());
    settings
}

/// Answers with the seed of the request, once per sample.
async fn seed_server() -> Server {
    Server::with(|_, seen: &Seen| {
        let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
        let seed = body["seed"].to_string();
        let n = body["n"].as_u64().unwrap() as usize;
        json(&answer_of(&vec![seed.as_str(); n]))
    })
    .await
}

#[tokio::test]
async fn a_cached_answer_costs_no_attempt_and_is_the_same() {
    let server = Server::start(vec![says("first"), says("second")]).await;
    let folder = tempfile::tempdir().unwrap();
    let mut settings = cached(&server, folder.path());
    settings.prices = Some(Prices {
        prompt_usd_per_million: 1.0,
        generated_usd_per_million: 2.0,
    });
    let fresh = ask(&endpoint(settings.clone()), &request("a")).await;
    let again = endpoint(settings.clone());
    let kept = ask(&again, &request("a")).await;
    let (fresh, kept_answer) = (fresh.answer.unwrap(), kept.answer.unwrap());
    assert_eq!((fresh.attempts, kept_answer.attempts), (1, 0));
    assert!(kept.attempts.is_empty());
    assert_eq!(fresh.choices, kept_answer.choices);
    // 5 tokens at one and 7 at two dollars per million: what it cost when it was made.
    assert_eq!(fresh.usage.cost_usd, Some(19e-6));
    assert_eq!(fresh.usage, kept_answer.usage);
    assert_eq!(again.spent().cost_usd, 0.0, "and now it costs nothing");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn every_field_of_a_request_belongs_to_the_key() {
    let server = Server::start(vec![says("x")]).await;
    let folder = tempfile::tempdir().unwrap();
    let endpoint = endpoint(cached(&server, folder.path()));
    let changes: [fn(&mut ChatRequest); 7] = [
        |_| (),
        |request| request.messages[0].content.push('!'),
        |request| request.sampling.seed += 1,
        |request| request.sampling.temperature = 0.5,
        |request| request.sampling.top_p = 0.5,
        |request| request.n_tokens_max += 1,
        |request| request.stop.push("\n".to_owned()),
    ];
    for (n_before, change) in changes.into_iter().enumerate() {
        let mut changed = request("a");
        change(&mut changed);
        for _ in 0..2 {
            ask(&endpoint, &changed).await.answer.unwrap();
            assert_eq!(server.seen().len(), n_before + 1);
        }
    }
}

#[tokio::test]
async fn refusals_and_useless_answers_are_not_kept() {
    let server = Server::start(vec![reply(400, "", ""), json("{}"), says("good")]).await;
    let folder = tempfile::tempdir().unwrap();
    let endpoint = endpoint(cached(&server, folder.path()));
    for is_good in [false, false, true, true] {
        let asked = ask(&endpoint, &request("a")).await;
        assert_eq!(asked.answer.is_ok(), is_good);
    }
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_torn_cache_entry_is_asked_anew() {
    let server = Server::start(vec![says("good")]).await;
    let folder = tempfile::tempdir().unwrap();
    let endpoint = endpoint(cached(&server, folder.path()));
    ask(&endpoint, &request("a")).await.answer.unwrap();
    let entry = std::fs::read_dir(folder.path()).unwrap().next().unwrap();
    let entry = entry.unwrap().path();
    let whole = std::fs::read(&entry).unwrap();
    std::fs::write(&entry, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(ask(&endpoint, &request("a")).await.attempts.len(), 1);
    assert_eq!(std::fs::read(&entry).unwrap(), whole, "mended");
}

#[tokio::test]
async fn equal_questions_at_the_same_time_are_sent_once() {
    let server = Server::start(vec![says("only"), says("another")]).await;
    let folder = tempfile::tempdir().unwrap();
    let endpoint = endpoint(cached(&server, folder.path()));
    let question = request("a");
    let asked = (0..8).map(|_| ask(&endpoint, &question));
    for asked in futures_util::future::join_all(asked).await {
        assert_eq!(asked.answer.unwrap().choices[0].text, "only");
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn samples_come_together_or_apart() {
    let server = seed_server().await;
    let mut question = request("a");
    question.n_samples = 3;
    let together = endpoint(settings(&server.address));
    let answer = ask(&together, &question).await.answer.unwrap();
    assert_eq!((answer.choices.len(), answer.attempts), (3, 1));
    let mut apart = settings(&server.address);
    apart.samples = SampleCalls::Separate;
    let answer = ask(&endpoint(apart), &question).await.answer.unwrap();
    assert_eq!((answer.choices.len(), answer.attempts), (3, 3));
    assert_eq!((answer.usage.n_prompt, answer.usage.n_generated), (15, 21));
    let mut seeds: Vec<&String> = answer.choices.iter().map(|choice| &choice.text).collect();
    assert_eq!(seeds[0], "1", "the first sample has the request's own seed");
    seeds.sort();
    seeds.dedup();
    assert_eq!(seeds.len(), 3, "every sample has its own seed");
}

#[tokio::test]
async fn samples_that_were_answered_survive_one_that_was_not() {
    let server = Server::with(|idx, _| match idx {
        1 => reply(400, "", "no"),
        _ => says("x"),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let mut settings = cached(&server, folder.path());
    settings.samples = SampleCalls::Separate;
    settings.n_concurrent = 1;
    let endpoint = endpoint(settings);
    let mut question = request("a");
    question.n_samples = 3;
    let first = ask(&endpoint, &question).await;
    assert!(report(&first).contains("status 400"));
    assert_eq!(outcomes(&first.attempts).len(), 3, "all are recorded");
    let second = ask(&endpoint, &question).await;
    assert_eq!(second.attempts.len(), 1, "only the one that failed is sent");
    assert_eq!(second.answer.unwrap().choices.len(), 3);
}

#[tokio::test]
async fn a_budget_refuses_before_sending() {
    let server = Server::start(vec![says("x")]).await;
    let mut settings = settings(&server.address);
    settings.budget.n_requests_max = Some(2);
    let two = endpoint(settings.clone());
    ask(&two, &request("a")).await.answer.unwrap();
    ask(&two, &request("b")).await.answer.unwrap();
    let refused = ask(&two, &request("c")).await;
    assert!(report(&refused).contains("budget.n_requests_max"));
    assert!(refused.attempts.is_empty());
    assert_eq!(server.seen().len(), 2);
    // One byte, a message's and a conversation's overhead, and 32 tokens of answer: 113 at most.
    settings.budget.n_requests_max = None;
    settings.budget.n_tokens_max = Some(112);
    let refused = ask(&endpoint(settings.clone()), &request("d")).await;
    assert!(report(&refused).contains("112 tokens"));
    settings.budget.n_tokens_max = Some(113);
    let endpoint = endpoint(settings);
    ask(&endpoint, &request("d")).await.answer.unwrap();
    assert_eq!(endpoint.spent().n_tokens, 12, "what the server counted");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn repetitions_count_against_the_budget() {
    let server = Server::start(vec![reply(500, "", "")]).await;
    let mut settings = settings(&server.address);
    settings.budget.n_requests_max = Some(2);
    let asked = ask(&endpoint(settings), &request("a")).await;
    assert_eq!(outcomes(&asked.attempts), ["500", "500"]);
    assert!(report(&asked).contains("budget"));
}

#[tokio::test]
async fn an_estimate_bounds_what_a_plan_costs() {
    let server = Server::start(vec![says("x")]).await;
    let folder = tempfile::tempdir().unwrap();
    let mut settings = cached(&server, folder.path());
    settings.prices = Some(Prices {
        prompt_usd_per_million: 1e6,
        generated_usd_per_million: 2e6,
    });
    let endpoint = endpoint(settings);
    ask(&endpoint, &request("a")).await.answer.unwrap();
    let plan = [request("a"), request("bb"), request("ccc")];
    let estimate = endpoint.estimate(&plan).unwrap();
    assert_eq!((estimate.n_requests, estimate.n_cached), (2, 1));
    // 16 + 64 tokens of overhead around 2 and 3 bytes; 32 tokens of answer each.
    assert_eq!((estimate.n_prompt_max, estimate.n_generated_max), (165, 64));
    assert_eq!(estimate.cost_usd_max, Some(165.0 + 2.0 * 64.0));
    for request in &plan {
        ask(&endpoint, request).await.answer.unwrap();
    }
    assert!(endpoint.spent().cost_usd <= 293.0 + 19.0);
    assert_eq!(endpoint.estimate(&plan).unwrap().n_requests, 0);
}

#[tokio::test]
async fn traces_of_thought_are_split_where_asked_for() {
    let server = Server::start(vec![says("<think>hm</think>\n2")]).await;
    let mut settings = settings(&server.address);
    let answer = ask(&endpoint(settings.clone()), &request("a")).await;
    let choice = &answer.answer.unwrap().choices[0];
    assert_eq!(
        (choice.text.as_str(), choice.reasoning.is_none()),
        ("<think>hm</think>\n2", true)
    );
    settings.think_tags = ThinkTags::Split;
    let answer = ask(&endpoint(settings), &request("a")).await;
    let choice = &answer.answer.unwrap().choices[0];
    assert_eq!(
        (choice.text.as_str(), choice.reasoning.as_deref()),
        ("2", Some("hm"))
    );
}

#[tokio::test]
async fn senseless_requests_are_never_sent() {
    let server = Server::start(vec![says("x")]).await;
    let endpoint = endpoint(settings(&server.address));
    type Change = fn(&mut ChatRequest);
    let changes: [(Change, &str); 8] = [
        (|r| r.messages.clear(), "messages"),
        (|r| r.n_samples = 0, "n_samples"),
        (|r| r.n_samples = usize::MAX, "n_samples"),
        (|r| r.n_tokens_max = 0, "n_tokens_max"),
        (|r| r.sampling.temperature = f32::NAN, "temperature"),
        (|r| r.sampling.top_p = 0.0, "top_p"),
        (|r| r.sampling.min_p = -1.0, "min_p"),
        (|r| r.stop.push(String::new()), "stop"),
    ];
    for (change, named) in changes {
        let mut senseless = request("a");
        change(&mut senseless);
        let asked = ask(&endpoint, &senseless).await;
        assert!(report(&asked).contains(named), "{}", report(&asked));
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn models_and_texts_speak_the_same_protocol() {
    let server = Server::with(|_, seen| {
        if seen.head.starts_with("GET /v1/models ") {
            json(r#"{"object": "list", "data": [{"id": "a"}, {"id": "b", "owned_by": "x"}]}"#)
        } else {
            assert!(seen.head.starts_with("POST /v1/completions "));
            json(
                r#"{"choices": [{"text": "c", "finish_reason": "length", "logprobs":
                    {"tokens": ["c"], "token_logprobs": [-0.25], "top_logprobs": [{"c": -0.25}]}}],
                    "usage": {"prompt_tokens": 1, "completion_tokens": 1}}"#,
            )
        }
    })
    .await;
    let endpoint = endpoint(settings(&server.address));
    assert_eq!(endpoint.models().await.unwrap(), ["a", "b"]);
    let text = TextRequest {
        prompt: "ab".to_owned(),
        n_tokens_max: 1,
        sampling: request("").sampling,
        stop: Vec::new(),
        n_alternatives: 1,
        echo: false,
    };
    let answer = endpoint.complete_text(&text).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.attempts), ("c", 1));
    assert_eq!(answer.tokens[0].logprob, Some(-0.25));
}

#[tokio::test]
async fn a_server_that_lists_no_models_is_named() {
    let server = Server::start(vec![vec![Step::Close], reply(404, "", "gone")]).await;
    let endpoint = endpoint(settings(&server.address));
    assert!(
        endpoint
            .models()
            .await
            .unwrap_err()
            .report()
            .contains("spoke no HTTP")
    );
    assert!(
        endpoint
            .models()
            .await
            .unwrap_err()
            .report()
            .contains("`gone`")
    );
}
