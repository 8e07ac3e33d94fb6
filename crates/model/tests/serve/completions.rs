//! Completions, whole.

use serde_json::{Value, json};

use crate::fake::{Note, ids, logprob};
use crate::http::{Response, Server, merged, settings};

fn complete(server: &Server, more: &Value) -> Response {
    let body = merged(json!({"model": "fake", "prompt": "say Hello"}), more);
    server.post("/v1/completions", &body)
}

fn texts(document: &Value) -> Vec<&str> {
    let choices = document["choices"].as_array().unwrap();
    choices
        .iter()
        .map(|choice| choice["text"].as_str().unwrap())
        .collect()
}

#[test]
fn an_answer_has_the_shape_of_the_protocol() {
    let server = Server::new(settings());
    let document = complete(&server, &json!({})).ok();
    assert!(document["id"].as_str().unwrap().starts_with("cmpl-"));
    let expected = json!({
        "id": document["id"],
        "object": "text_completion",
        "created": document["created"],
        "model": "fake",
        "choices": [{"index": 0, "text": "Hello", "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 6, "completion_tokens": 2, "total_tokens": 8},
    });
    assert_eq!(document, expected);
}

#[test]
fn prompts_are_texts_or_token_ids_one_or_many() {
    let server = Server::new(settings());
    let with = |prompt: Value| complete(&server, &json!({"prompt": prompt})).ok();
    assert_eq!(texts(&with(json!(["say a", "say b"]))), ["a", "b"]);
    assert_eq!(texts(&with(json!(ids("say crab")))), ["crab"]);
    assert_eq!(
        texts(&with(json!([ids("say a"), ids("say b")]))),
        ["a", "b"]
    );
    let document = complete(&server, &json!({"prompt": ["say a", "say b"], "n": 2})).ok();
    assert_eq!(texts(&document), ["a", "1a", "b", "1b"]);
    assert_eq!(document["choices"][3]["index"], 3);
    // Both prompts share the steps of the engine.
    let notes: Vec<Note> = server.strings.notes.try_iter().collect();
    assert!(notes.contains(&Note::Step(2)), "{notes:?}");
}

#[test]
fn sixteen_tokens_unless_the_request_says_otherwise() {
    let server = Server::new(settings());
    let prompt = "say 0123456789abcdefghij";
    let document = complete(&server, &json!({"prompt": prompt})).ok();
    assert_eq!(texts(&document), ["0123456789abcdef"]);
    assert_eq!(document["choices"][0]["finish_reason"], "length");
    let document = complete(&server, &json!({"prompt": prompt, "max_tokens": 3})).ok();
    assert_eq!(texts(&document), ["012"]);
}

#[test]
fn log_probabilities_are_four_lists() {
    let server = Server::new(settings());
    let more = json!({"prompt": "say é.🦀.", "logprobs": 2});
    let document = complete(&server, &more).ok();
    // The alternatives are the digits; the token itself stands among them.
    let top = |key: &str, id: u32| json!({"0": 0.0, "1": -0.5, key: logprob(id)});
    let expected = json!({
        "tokens": ["bytes:\\xc3", "bytes:\\xa9", ".", "🦀", "."],
        "token_logprobs": [
            logprob(0xc3), logprob(0xa9), logprob(46), logprob(303), logprob(46)
        ],
        "top_logprobs": [
            top("bytes:\\xc3", 0xc3), top("bytes:\\xa9", 0xa9), top(".", 46), top("🦀", 303),
            top(".", 46),
        ],
        "text_offset": [0, 0, 1, 2, 3],
    });
    assert_eq!(document["choices"][0]["logprobs"], expected);
    let document = complete(&server, &json!({"logprobs": 0})).ok();
    let logprobs = &document["choices"][0]["logprobs"];
    assert!(logprobs["top_logprobs"].is_null());
    assert_eq!(logprobs["token_logprobs"], json!([logprob(300)]));
}

#[test]
fn an_echo_puts_the_prompt_before_the_answer() {
    let server = Server::new(settings());
    let document = complete(&server, &json!({"echo": true, "n": 2})).ok();
    assert_eq!(texts(&document), ["say HelloHello", "say Hello1Hello"]);
    let document = complete(&server, &json!({"echo": true, "logprobs": 0})).ok();
    let logprobs = &document["choices"][0]["logprobs"];
    assert_eq!(
        logprobs["tokens"],
        json!(["s", "a", "y", " ", "Hello", "Hello"])
    );
    let expected = ["s", "a", "y", " "].map(|text| logprob(ids(text)[0]));
    let expected: Vec<f32> = expected.into_iter().chain([logprob(300); 2]).collect();
    assert_eq!(logprobs["token_logprobs"], json!(expected));
    assert_eq!(logprobs["text_offset"], json!([0, 1, 2, 3, 4, 9]));
}

#[test]
fn an_echo_alone_scores_a_text_without_drawing() {
    let server = Server::new(settings());
    let prompts = json!([ids("say"), "ab", [98]]);
    let more = json!({"prompt": prompts, "echo": true, "logprobs": 0, "max_tokens": 0});
    let document = complete(&server, &more).ok();
    assert_eq!(texts(&document), ["say", "ab", "b"]);
    let logprobs = |i: usize| &document["choices"][i]["logprobs"]["token_logprobs"];
    // Token ids stand for themselves: nothing precedes the first, so it has no probability.
    let [_, a, y] = ["s", "a", "y"].map(|text| logprob(ids(text)[0]));
    assert_eq!(logprobs(0), &json!([null, a, y]));
    assert_eq!(logprobs(1), &json!([logprob(97), logprob(98)]));
    assert_eq!(logprobs(2), &json!([null]));
    assert_eq!(document["choices"][0]["finish_reason"], "length");
    assert_eq!(document["usage"]["completion_tokens"], 0);
    assert_eq!(server.strings.notes.try_iter().count(), 0);
}

#[test]
fn what_makes_no_sense_or_is_not_supported_is_refused_by_name() {
    let server = Server::new(settings());
    for (more, param, code) in [
        (json!({"prompt": null}), "prompt", "invalid_value"),
        (json!({"prompt": []}), "prompt", "invalid_value"),
        (json!({"prompt": {}}), "prompt", "invalid_value"),
        (json!({"prompt": ["a", 1]}), "prompt", "invalid_value"),
        (json!({"prompt": [-1]}), "prompt", "invalid_value"),
        (json!({"prompt": [290]}), "prompt", "invalid_value"),
        (json!({"prompt": [[]]}), "prompt", "invalid_value"),
        (json!({"max_tokens": 0}), "max_tokens", "invalid_value"),
        (json!({"max_tokens": -1}), "max_tokens", "invalid_value"),
        (json!({"logprobs": true}), "logprobs", "invalid_value"),
        (json!({"logprobs": 21}), "logprobs", "invalid_value"),
        (
            json!({"prompt": vec!["a"; 33], "n": 2}),
            "n",
            "invalid_value",
        ),
        (
            json!({"echo": true, "logprobs": 1}),
            "logprobs",
            "unsupported_parameter",
        ),
        (json!({"best_of": 2}), "best_of", "unsupported_parameter"),
        (json!({"suffix": "x"}), "suffix", "unsupported_parameter"),
        (json!({"messages": []}), "messages", "unknown_parameter"),
    ] {
        let answer = complete(&server, &more);
        assert_eq!(answer.error(), (400, param.into(), code.into()), "{more}");
    }
    assert_eq!(
        complete(&server, &json!({"best_of": 1, "suffix": ""})).status,
        200
    );
    let long = "a".repeat(2000);
    let answer = complete(&server, &json!({"prompt": ["a", long]}));
    assert_eq!(
        answer.error(),
        (400, "prompt".into(), "context_length_exceeded".into())
    );
}

#[test]
fn streams_say_the_same_as_whole_answers() {
    let server = Server::new(settings());
    for more in [
        json!({"prompt": ["say é🦀!", "say Hello world"], "n": 2, "logprobs": 1}),
        json!({"echo": true, "logprobs": 0}),
        json!({"echo": true}),
        json!({"echo": true, "logprobs": 0, "max_tokens": 0}),
        json!({"echo": true, "max_tokens": 0}),
        json!({"stop": "llo"}),
    ] {
        let whole = complete(&server, &more).ok();
        let streaming = json!({"stream": true, "stream_options": {"include_usage": true}});
        let mut chunks = complete(&server, &merged(more.clone(), &streaming)).chunks();
        let last = chunks.pop().unwrap();
        assert_eq!(
            (&last["choices"], &last["usage"]),
            (&json!([]), &whole["usage"])
        );
        for choice in whole["choices"].as_array().unwrap() {
            let own = chunks.iter().map(|chunk| &chunk["choices"][0]);
            let own: Vec<&Value> = own
                .filter(|part| part["index"] == choice["index"])
                .collect();
            let text: String = own
                .iter()
                .map(|part| part["text"].as_str().unwrap())
                .collect();
            assert_eq!(choice["text"], text, "{more}");
            let reasons: Vec<&Value> = own.iter().map(|part| &part["finish_reason"]).collect();
            assert_eq!(reasons.last(), Some(&&choice["finish_reason"]), "{more}");
            assert_eq!(reasons.iter().filter(|reason| !reason.is_null()).count(), 1);
            for list in ["tokens", "token_logprobs", "text_offset", "top_logprobs"] {
                let parts = own
                    .iter()
                    .filter_map(|part| part["logprobs"][list].as_array());
                let joined: Vec<Value> = parts.flatten().cloned().collect();
                let expected = choice["logprobs"][list].as_array().cloned();
                assert_eq!(joined, expected.unwrap_or_default(), "{list} {more}");
            }
        }
    }
}
