//! Streams, cancellation, batches, and time limits.

use std::io::{BufRead, BufReader};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::fake::{Note, Strings};
use crate::http::{Server, merged, read_response, settings};

/// Waits for a note of this kind.
fn wait_for(strings: &Strings, wanted: &Note) {
    while strings.notes.recv_timeout(Duration::from_secs(30)).unwrap() != *wanted {}
}

/// Reads lines of an open stream until one holds `text`.
fn read_until(reader: &mut BufReader<TcpStream>, text: &str) {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0, "no {text}");
    }
}

#[test]
fn a_stream_is_role_text_reason_usage_done() {
    let server = Server::new(settings());
    let more = json!({"stream": true, "stream_options": {"include_usage": true}});
    let chunks = server.chat("say a é🦀", &more).chunks();
    let head = |choices: Value, usage: Value| {
        json!({
            "id": chunks[0]["id"], "object": "chat.completion.chunk",
            "created": chunks[0]["created"], "model": "fake", "choices": choices, "usage": usage,
        })
    };
    let chunk = |delta: Value, reason: Value| {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason});
        head(json!([choice]), json!(null))
    };
    let mut expected = vec![chunk(
        json!({"role": "assistant", "content": ""}),
        json!(null),
    )];
    for text in ["a", " ", "é", "🦀"] {
        expected.push(chunk(json!({"content": text}), json!(null)));
    }
    expected.push(chunk(json!({}), json!("stop")));
    let usage = json!({"prompt_tokens": 19, "completion_tokens": 9, "total_tokens": 28});
    expected.push(head(json!([]), usage));
    assert_eq!(chunks, expected);
    // Without the option there is no word of usage.
    let chunks = server.chat("say a", &json!({"stream": true})).chunks();
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
}

#[test]
fn a_stream_says_the_same_as_a_whole_answer() {
    let server = Server::new(settings());
    for more in [
        json!({"n": 3, "logprobs": true, "top_logprobs": 2}),
        json!({"stop": ["🦀.x", "é"], "logprobs": true}),
        json!({"max_tokens": 2}),
    ] {
        let whole = server.chat("say ab 🦀.y🦀é", &more).ok();
        let streamed = server.chat("say ab 🦀.y🦀é", &merged(more, &json!({"stream": true})));
        let chunks = streamed.chunks();
        for choice in whole["choices"].as_array().unwrap() {
            let own = chunks.iter().map(|chunk| &chunk["choices"][0]);
            let own: Vec<&Value> = own
                .filter(|part| part["index"] == choice["index"])
                .collect();
            assert_eq!(own[0]["delta"]["role"], "assistant");
            let text: String = own
                .iter()
                .filter_map(|part| part["delta"]["content"].as_str())
                .collect();
            assert_eq!(choice["message"]["content"], text);
            let logprobs = own
                .iter()
                .filter_map(|part| part["logprobs"]["content"].as_array());
            let logprobs: Vec<Value> = logprobs.flatten().cloned().collect();
            let expected = choice["logprobs"]["content"].as_array().cloned();
            assert_eq!(logprobs, expected.unwrap_or_default());
            assert_eq!(
                own.last().unwrap()["finish_reason"],
                choice["finish_reason"]
            );
        }
    }
}

#[test]
fn text_arrives_while_the_answer_is_written() {
    let server = Server::new(settings());
    let mut reader = BufReader::new(server.open_chat("gate say abc", &json!({"stream": true})));
    for text in ["\"a\"", "\"b\"", "\"c\""] {
        server.strings.gate.send(()).unwrap();
        read_until(&mut reader, text);
    }
    server.strings.gate.send(()).unwrap();
    read_until(&mut reader, "[DONE]");
}

#[test]
fn a_client_that_leaves_ends_its_answer() {
    for is_stream in [true, false] {
        let server = Server::new(settings());
        let long = format!("gate say {}", "a".repeat(100));
        let stream = server.open_chat(&long, &json!({"stream": is_stream, "n": 2}));
        wait_for(&server.strings, &Note::Step(1));
        if is_stream {
            server.strings.gate.send(()).unwrap();
            read_until(&mut BufReader::new(stream.try_clone().unwrap()), "\"a\"");
        }
        stream.shutdown(Shutdown::Both).unwrap();
        drop(stream);
        // The server hears of it after a while; until then tokens go on, far fewer than 100.
        let is_cancelled = (0..90).any(|_| {
            let _ = server.strings.gate.send(());
            let wait = Duration::from_millis(50);
            let mut notes = std::iter::from_fn(|| server.strings.notes.recv_timeout(wait).ok());
            notes.any(|note| note == Note::Cancelled)
        });
        assert!(is_cancelled, "stream: {is_stream}");
        assert_eq!(server.chat("say a", &json!({})).status, 200);
    }
}

#[test]
fn a_request_joins_the_running_batch_and_leaves_it_first() {
    let server = Server::new(settings());
    let answer = "a".repeat(200);
    let long = server.open_chat(&format!("gate say {answer}"), &json!({}));
    wait_for(&server.strings, &Note::Step(1));
    let short: Vec<TcpStream> = (0..3)
        .map(|i| server.open_chat(&format!("say {i}{i}{i}"), &json!({"stream": i == 1})))
        .collect();
    // Step by step, until all four are in the batch: long before the first is done.
    let have_joined = (0..190).any(|_| {
        server.strings.gate.send(()).unwrap();
        let wait = Duration::from_millis(20);
        let mut notes = std::iter::from_fn(|| server.strings.notes.recv_timeout(wait).ok());
        notes.any(|note| note == Note::Step(4))
    });
    assert!(have_joined);
    for _ in 0..4 {
        server.strings.gate.send(()).unwrap();
    }
    // The long answer waits at the gate; the short ones are there.
    for (i, stream) in short.into_iter().enumerate() {
        let answer = read_response(stream);
        assert!(
            answer.status == 200 && answer.body.contains(&i.to_string()),
            "{answer:?}"
        );
    }
    for _ in 0..200 {
        server.strings.gate.send(()).unwrap();
    }
    assert_eq!(
        read_response(long).ok()["choices"][0]["message"]["content"],
        answer
    );
}

#[test]
fn one_bad_request_does_not_spoil_its_neighbours() {
    let server = Server::new(settings());
    let good = server.open_chat("gate say good", &json!({}));
    wait_for(&server.strings, &Note::Step(1));
    let bad = server.open_chat("spoil", &json!({}));
    for _ in 0..5 {
        server.strings.gate.send(()).unwrap();
    }
    assert_eq!(
        read_response(good).ok()["choices"][0]["message"]["content"],
        "good"
    );
    let answer = read_response(bad);
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("the engine refuses this prompt"));
}

#[test]
fn a_failure_of_the_engine_is_an_error_and_not_the_end() {
    let server = Server::new(settings());
    for is_stream in [false, true] {
        let answer = server.chat("panic", &json!({"stream": is_stream}));
        assert_eq!(answer.error(), (500, json!(null), "internal_error".into()));
    }
    assert_eq!(server.chat("say a", &json!({})).status, 200);
}

#[test]
fn one_request_too_many_is_told_to_come_again() {
    let mut settings = settings();
    settings.limits.n_requests_max = 1;
    let server = Server::new(settings);
    let first = server.open_chat("gate say a", &json!({}));
    wait_for(&server.strings, &Note::Step(1));
    let answer = server.chat("say b", &json!({}));
    assert_eq!(
        answer.error(),
        (429, json!(null), "rate_limit_exceeded".into())
    );
    assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
    for _ in 0..2 {
        server.strings.gate.send(()).unwrap();
    }
    assert_eq!(read_response(first).status, 200);
}

#[test]
fn an_answer_that_takes_too_long_is_an_error() {
    let mut settings = settings();
    settings.limits.answer_wait = Duration::from_millis(500);
    let server = Server::new(settings);
    let answer = server.chat("gate say a", &json!({}));
    assert_eq!(answer.error(), (504, json!(null), "timeout".into()));
    assert!(answer.head.contains("x-should-retry: false"));
    server.strings.gate.send(()).unwrap();
    wait_for(&server.strings, &Note::Cancelled);
    // In a stream that has begun it is the last event, and no `[DONE]` follows.
    server.strings.gate.send(()).unwrap();
    let answer = server.chat("gate say abc", &json!({"stream": true}));
    let events = answer.events();
    let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "timeout", "{events:?}");
}
