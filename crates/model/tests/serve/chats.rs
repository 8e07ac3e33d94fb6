//! Chats, whole.

use serde_json::{Value, json};

use crate::fake::{FakeCodec, Note, logprob};
use crate::http::{Server, settings};

/// What an answer says, by index.
fn contents(document: &Value) -> Vec<&str> {
    let choices = document["choices"].as_array().unwrap();
    let content = |choice: &Value| choice["message"]["content"].is_string();
    assert!(choices.iter().all(content), "{document}");
    choices
        .iter()
        .map(|choice| choice["message"]["content"].as_str().unwrap())
        .collect()
}

#[test]
fn an_answer_has_the_shape_of_the_protocol() {
    let server = Server::new(settings());
    let document = server.chat("say Hello world", &json!({})).ok();
    assert!(document["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert!(document["created"].is_u64());
    let expected = json!({
        "id": document["id"],
        "object": "chat.completion",
        "created": document["created"],
        "model": "fake",
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": "Hello world", "refusal": null},
            "logprobs": null,
            "finish_reason": "stop",
        }],
        // One token begins the text, "user: say " has ten, and the answer ends with its own.
        "usage": {"prompt_tokens": 13, "completion_tokens": 3, "total_tokens": 16},
    });
    assert_eq!(document, expected);
}

#[test]
fn every_kind_of_message_reaches_the_template() {
    let server = Server::new(settings());
    let messages = json!([
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "c", "reasoning_content": "<t>", "refusal": null},
        {"role": "tool", "tool_call_id": "1", "content": "d"},
        {"role": "user", "content": "say crab"},
    ]);
    let body = json!({"model": "fake", "messages": messages});
    let document = server.post("/v1/chat/completions", &body).ok();
    assert_eq!(contents(&document), ["crab"]);
    let expected = "system: be brief\nuser: ab\nassistant: <t>c\ntool: d\nuser: say crab";
    let notes: Vec<Note> = server.strings.notes.try_iter().collect();
    assert_eq!(notes[0], Note::Prompt(expected.to_owned()));
}

#[test]
fn samples_limits_and_stop_texts_are_honoured() {
    let server = Server::new(settings());
    let document = server
        .chat("say abcdef", &json!({"n": 3, "max_tokens": 3}))
        .ok();
    assert_eq!(contents(&document), ["abc", "1ab", "2ab"]);
    assert_eq!(document["choices"][2]["index"], 2);
    assert_eq!(document["choices"][2]["finish_reason"], "length");
    assert_eq!(document["usage"]["completion_tokens"], 9);
    // The prompt counts once, however many answers it has: BOS and "user: say abcdef".
    assert_eq!(document["usage"]["prompt_tokens"], 17);
    let more = json!({"max_completion_tokens": 50, "stop": ["ef", "zz"]});
    let document = server.chat("say abcdef", &more).ok();
    assert_eq!(contents(&document), ["abcd"]);
    assert_eq!(document["choices"][0]["finish_reason"], "stop");
    let document = server.chat("say abcdef", &json!({"stop": "cd"})).ok();
    assert_eq!(contents(&document), ["ab"]);
}

#[test]
fn log_probabilities_belong_to_the_tokens_of_the_text() {
    let server = Server::new(settings());
    let more = json!({"logprobs": true, "top_logprobs": 2, "stop": "!?"});
    let document = server.chat("say é 🦀.!?x", &more).ok();
    assert_eq!(contents(&document), ["é 🦀."]);
    let content = document["choices"][0]["logprobs"]["content"]
        .as_array()
        .unwrap();
    let token = |text: &str, id: u32, bytes: &[u8]| {
        json!({
            "token": text,
            "logprob": logprob(id),
            "bytes": bytes,
            "top_logprobs": [
                {"token": "0", "logprob": 0.0, "bytes": [48]},
                {"token": "1", "logprob": -0.5, "bytes": [49]},
            ],
        })
    };
    let expected = [
        token("\\xc3", 0xc3, &[0xc3]),
        token("\\xa9", 0xa9, &[0xa9]),
        token(" ", 32, b" "),
        token("🦀", 303, "🦀".as_bytes()),
        token(".", 46, b"."),
    ];
    assert_eq!(content[..], expected);
    assert!(document["choices"][0]["logprobs"]["refusal"].is_null());
    // Without alternatives the list is there and empty; the end of the answer is no token of it.
    let document = server.chat("say a", &json!({"logprobs": true})).ok();
    let content = &document["choices"][0]["logprobs"]["content"];
    assert_eq!(content.as_array().unwrap().len(), 1);
    assert_eq!(content[0]["top_logprobs"], json!([]));
}

#[test]
fn neutral_values_of_unsupported_parameters_are_taken() {
    let server = Server::new(settings());
    let more = json!({
        "frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "tools": [],
        "tool_choice": "none", "response_format": {"type": "text"}, "user": "u", "seed": -3,
        "store": false, "metadata": {"a": "b"}, "n": null, "stop": null, "top_k": 5, "min_p": 0.1,
        "top_p": 0.5, "temperature": 2, "modalities": ["text"], "parallel_tool_calls": true,
    });
    assert_eq!(contents(&server.chat("say a", &more).ok()), ["a"]);
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "a table of requests and what each is told"
)]
fn what_makes_no_sense_or_is_not_supported_is_refused_by_name() {
    let server = Server::new(settings());
    let refused = |more: Value, param: &str, code: &str| {
        let answer = server.chat("say a", &more);
        assert_eq!(answer.error(), (400, param.into(), code.into()), "{more}");
    };
    for (more, param) in [
        (json!({"temperature": 2.1}), "temperature"),
        (json!({"temperature": "1"}), "temperature"),
        (json!({"top_p": 0}), "top_p"),
        (json!({"n": 0}), "n"),
        (json!({"n": 65}), "n"),
        (json!({"n": 1.5}), "n"),
        (json!({"max_tokens": 0}), "max_tokens"),
        (
            json!({"max_tokens": 1, "max_completion_tokens": 2}),
            "max_tokens",
        ),
        (json!({"stop": [""]}), "stop"),
        (json!({"stop": [1]}), "stop"),
        (json!({"stop": vec!["a"; 17]}), "stop"),
        (json!({"seed": 0.5}), "seed"),
        (json!({"stream": "yes"}), "stream"),
        (json!({"stream_options": {}}), "stream_options"),
        (json!({"logprobs": 1}), "logprobs"),
        (json!({"top_logprobs": 1}), "top_logprobs"),
        (
            json!({"logprobs": true, "top_logprobs": 21}),
            "top_logprobs",
        ),
        (json!({"messages": []}), "messages"),
        (json!({"messages": "hi"}), "messages"),
        (json!({"messages": null}), "messages"),
        (json!({"messages": ["hi"]}), "messages[0]"),
        (json!({"messages": [{"content": "hi"}]}), "messages[0].role"),
        (
            json!({"messages": [{"role": "user"}]}),
            "messages[0].content",
        ),
        (
            json!({"messages": [{"role": "user", "content": 1}]}),
            "messages[0].content",
        ),
        (
            json!({"messages": [{"role": "user", "content": "refuse me"}]}),
            "messages",
        ),
    ] {
        refused(more, param, "invalid_value");
    }
    for (more, param) in [
        (
            json!({"response_format": {"type": "json_object"}}),
            "response_format.type",
        ),
        (json!({"frequency_penalty": 0.5}), "frequency_penalty"),
        (json!({"logit_bias": {"1": 2}}), "logit_bias"),
        (json!({"tools": [{"type": "function"}]}), "tools"),
        (json!({"tool_choice": "auto"}), "tool_choice"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
            "messages[0].content[0].type",
        ),
    ] {
        refused(more, param, "unsupported_parameter");
    }
    for (more, param) in [
        (json!({"temprature": 1}), "temprature"),
        (json!({"reasoning_effort": "low"}), "reasoning_effort"),
        (
            json!({"messages": [{"role": "user", "content": "a", "x": 1}]}),
            "messages[0].x",
        ),
        (
            json!({"stream": true, "stream_options": {"x": 1}}),
            "stream_options.x",
        ),
    ] {
        refused(more, param, "unknown_parameter");
    }
    // Nothing of all this reached the model.
    assert_eq!(server.strings.notes.try_iter().count(), 0);
}

#[test]
fn a_prompt_that_does_not_fit_is_refused() {
    let server = Server::new(settings());
    let answer = server.chat(&"a".repeat(2000), &json!({}));
    let expected = (400, "messages".into(), "context_length_exceeded".into());
    assert_eq!(answer.error(), expected);
    let mut settings = settings();
    settings.limits.n_prompt_tokens_max = 10;
    let answer = Server::new(settings).chat("say abcdef", &json!({}));
    assert_eq!(answer.error(), expected);
}

#[test]
fn a_model_without_a_template_says_so() {
    let server = Server::with_codec(settings(), FakeCodec { has_chat: false });
    let answer = server.chat("say a", &json!({}));
    assert_eq!(
        answer.error(),
        (400, "model".into(), "no_chat_template".into())
    );
    let body = json!({"model": "fake", "prompt": "say a"});
    assert_eq!(server.post("/v1/completions", &body).status, 200);
}

#[test]
fn the_parameters_reach_the_engine_and_the_default_seed_is_fixed() {
    // The scripted model does not draw; two identical questions have identical answers.
    let server = Server::new(settings());
    let first = server.chat("say a", &json!({"temperature": 1})).ok();
    let second = server.chat("say a", &json!({"temperature": 1})).ok();
    assert_eq!(first["choices"], second["choices"]);
    assert_ne!(first["id"], second["id"]);
}
