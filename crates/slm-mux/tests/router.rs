//! The router over scripted members: answers, the vote, refusals, and members that fail. Streams
//! and clients that leave are in `router_streams.rs`.

#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

use std::sync::Arc;
use std::time::Duration;

use model::chat::{
    ChatModel, ChatRequest, Endpoint, EndpointSettings, Message, Role, Scripted, block_on,
};
use model::generate::Sampling;
use model::serve::{Access, Key};
use serde_json::{Value, json};
use slm_mux::rule::Policy;
use slm_mux::serve::{Member, MuxApp, MuxSettings, router};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn member(name: &str, model: impl ChatModel + 'static) -> Member {
    Member {
        name: name.to_owned(),
        model: Arc::new(model),
    }
}

/// Gives `answers` in turn, sample by sample.
fn says(name: &str, answers: &[&str]) -> Member {
    let answers: Vec<String> = answers.iter().map(|text| (*text).to_owned()).collect();
    let script = move |_: &ChatRequest, sample: usize| Ok(answers[sample % answers.len()].clone());
    member(name, Scripted::function(name, script))
}

fn three() -> Vec<Member> {
    vec![
        says("torn", &["thinking\n41", "42", "43"]),
        says("sure", &["so\n42", "42", "42"]),
        says("split", &["1", "2", "2"]),
    ]
}

/// Serves on a free port of the loopback interface and does `work` with its address.
fn with<T>(members: Vec<Member>, settings: MuxSettings, work: impl AsyncFnOnce(String) -> T) -> T {
    let app = MuxApp::new(members, settings).unwrap();
    block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = tokio::spawn(async move { axum::serve(listener, router(app)).await });
        let outcome = work(address).await;
        serving.abort();
        outcome
    })
    .unwrap()
}

/// One request on a connection of its own: status and document.
async fn send(address: &str, head: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    // Bodies are small and come in one piece, with their length given.
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

async fn post(address: &str, body: &Value) -> (u16, Value) {
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json"
    );
    send(address, &head, &body.to_string()).await
}

fn asked(more: Value) -> Value {
    let mut body = json!({
        "model": "slm-mux",
        "messages": [{ "role": "user", "content": "What is six times seven?" }],
    });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn the_most_confident_member_answers_and_the_vote_is_shown() {
    with(three(), MuxSettings::default(), async |address| {
        let (status, answer) = post(&address, &asked(json!({}))).await;
        assert_eq!(status, 200, "{answer}");
        // The text is the chosen model's own, not the normalised answer.
        assert_eq!(answer["choices"][0]["message"]["content"], "so\n42");
        assert_eq!(answer["object"], "chat.completion");
        let mux = &answer["mux"];
        assert_eq!(
            (&mux["chosen"], &mux["answer"]),
            (&json!("sure"), &json!("42"))
        );
        assert_eq!(mux["confidence"], json!({ "count": 3, "samples": 3 }));
        assert_eq!(
            mux["models"][0]["answers"][1],
            json!({ "answer": "42", "count": 1 })
        );
        assert_eq!(mux["models"][2]["answers"][1]["count"], 2);
        // Five words asked three times of three members.
        assert_eq!(answer["usage"]["prompt_tokens"], 45);
    });
}

#[test]
fn a_request_chooses_k_early_exit_and_how_answers_are_read() {
    let agreeing = || vec![says("a", &["1. no\nyes"]), says("b", &["yes"])];
    with(agreeing(), MuxSettings::default(), async |address| {
        let options = json!({ "mux": { "k": 7, "early_exit": true } });
        let (_, answer) = post(&address, &asked(options)).await;
        assert_eq!(answer["mux"]["early_exit"], true);
        assert_eq!(answer["mux"]["models"][0]["answers"][0]["count"], 1);
        let options = json!({ "mux": { "k": 7 } });
        let (_, answer) = post(&address, &asked(options)).await;
        assert_eq!(
            (&answer["mux"]["early_exit"], &answer["mux"]["k"]),
            (&json!(false), &json!(7))
        );
        assert_eq!(answer["mux"]["confidence"]["count"], 7);
    });
    let settings = MuxSettings {
        policy: Policy {
            early_exit: true,
            ..Policy::reproduction()
        },
        ..MuxSettings::default()
    };
    with(agreeing(), settings, async |address| {
        let (_, answer) = post(&address, &asked(json!({}))).await;
        assert_eq!(answer["mux"]["early_exit"], true);
    });
}

#[test]
fn accuracies_break_ties() {
    let tied = || vec![says("a", &["1"]), says("b", &["2"])];
    for (accuracies, chosen) in [(vec![], "a"), (vec![0.3, 0.6], "b")] {
        let settings = MuxSettings {
            accuracies,
            ..MuxSettings::default()
        };
        with(tied(), settings, async |address| {
            let (_, answer) = post(&address, &asked(json!({}))).await;
            assert_eq!(answer["mux"]["chosen"], chosen);
            assert_eq!(answer["mux"]["n_tied"], 2);
        });
    }
}

#[test]
fn a_failing_member_abstains_and_all_failing_is_a_server_error() {
    let down = |name: &str| member(name, Scripted::say("9").failing(|_| true));
    let members = vec![down("down"), says("up", &["4"])];
    with(members, MuxSettings::default(), async |address| {
        let (status, answer) = post(&address, &asked(json!({}))).await;
        assert_eq!((status, &answer["mux"]["chosen"]), (200, &json!("up")));
        let error = answer["mux"]["models"][0]["error"].as_str().unwrap();
        assert!(error.contains("on purpose"), "{error}");
    });
    with(
        vec![down("a"), down("b")],
        MuxSettings::default(),
        async |address| {
            let (status, answer) = post(&address, &asked(json!({}))).await;
            assert_eq!(
                (status, &answer["error"]["code"]),
                (500, &json!("models_failed"))
            );
        },
    );
}

#[test]
fn an_answer_that_nobody_can_read_is_still_passed_on() {
    let members = vec![says("blank", &[" \n "]), says("blank too", &[""])];
    with(members, MuxSettings::default(), async |address| {
        let (status, answer) = post(&address, &asked(json!({}))).await;
        assert_eq!((status, &answer["mux"]["answer"]), (200, &Value::Null));
        assert_eq!(answer["choices"][0]["message"]["content"], " \n ");
        assert_eq!(answer["mux"]["models"][0]["unread"], 3);
    });
}

#[test]
fn bad_requests_are_refused_by_name() {
    let cases = [
        (json!({ "model": "gpt-4o" }), 404, "model"),
        (json!({ "model": null }), 400, "model"),
        (json!({ "messages": [] }), 400, "messages"),
        (
            json!({ "messages": [{ "role": "wizard", "content": "x" }] }),
            400,
            "messages[0].role",
        ),
        (
            json!({ "messages": [{ "role": "user", "content": 3 }] }),
            400,
            "messages[0].content",
        ),
        (json!({ "temperature": 3 }), 400, "temperature"),
        (json!({ "temperature": "hot" }), 400, "temperature"),
        (json!({ "top_p": 0 }), 400, "top_p"),
        (json!({ "n": 2 }), 400, "n"),
        (json!({ "stream": 1 }), 400, "stream"),
        (
            json!({ "stream_options": { "include_usage": true } }),
            400,
            "stream_options",
        ),
        (
            json!({ "stream": true, "stream_options": { "include": 1 } }),
            400,
            "stream_options.include",
        ),
        (json!({ "logprobs": true }), 400, "logprobs"),
        (json!({ "presence_penalty": 1 }), 400, "presence_penalty"),
        (json!({ "greeting": 1 }), 400, "greeting"),
        (json!({ "max_tokens": 0 }), 400, "max_tokens"),
        (json!({ "stop": [""] }), 400, "stop"),
        (json!({ "seed": -1 }), 400, "seed"),
        (json!({ "tools": [] }), 400, "tools"),
        (json!({ "mux": 3 }), 400, "mux"),
        (json!({ "mux": { "k": 0 } }), 400, "mux.k"),
        (json!({ "mux": { "k": 33 } }), 400, "mux.k"),
        (json!({ "mux": { "early_exit": 1 } }), 400, "mux.early_exit"),
        (json!({ "mux": { "answer": "poem" } }), 400, "mux.answer"),
        (json!({ "mux": { "kk": 1 } }), 400, "mux.kk"),
    ];
    with(three(), MuxSettings::default(), async |address| {
        for (more, expected, param) in cases {
            let (status, answer) = post(&address, &asked(more.clone())).await;
            assert_eq!(status, expected, "{more}: {answer}");
            assert_eq!(answer["error"]["param"], param, "{more}: {answer}");
        }
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\n\
             Content-Type: application/json"
        );
        for body in ["", "{", "[]", "\u{7f}"] {
            assert_eq!(send(&address, &head, body).await.0, 400, "{body}");
        }
        // The server lives on.
        assert_eq!(post(&address, &asked(json!({}))).await.0, 200);
    });
}

#[test]
fn pages_in_browsers_strangers_and_large_bodies_are_refused() {
    let settings = MuxSettings {
        access: Access {
            key: Some(Key::new("secret".to_owned()).unwrap()),
            is_loopback: true,
        },
        n_body_bytes_max: 2000,
        ..MuxSettings::default()
    };
    with(three(), settings, async |address| {
        let body = asked(json!({})).to_string();
        let line = "POST /v1/chat/completions HTTP/1.1";
        let json = "Content-Type: application/json";
        let key = "Authorization: Bearer secret";
        let cases = [
            (format!("{line}\r\nHost: {address}\r\n{json}\r\n{key}"), 200),
            (format!("{line}\r\nHost: {address}\r\n{json}"), 401),
            (
                format!("{line}\r\nHost: {address}\r\n{json}\r\n{key}x"),
                401,
            ),
            (
                format!("{line}\r\nHost: evil.example\r\n{json}\r\n{key}"),
                403,
            ),
            (
                format!("{line}\r\nHost: {address}\r\n{json}\r\n{key}\r\nOrigin: null"),
                403,
            ),
            (
                format!("{line}\r\nHost: {address}\r\nContent-Type: text/plain\r\n{key}"),
                415,
            ),
            (
                format!("GET /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\n{key}"),
                405,
            ),
            (format!("GET /v2 HTTP/1.1\r\nHost: {address}\r\n{key}"), 404),
            (format!("GET /health HTTP/1.1\r\nHost: {address}"), 200),
            (
                format!("GET /v1/models HTTP/1.1\r\nHost: {address}\r\n{key}"),
                200,
            ),
        ];
        for (head, expected) in cases {
            let (status, answer) = send(&address, &head, &body).await;
            assert_eq!(status, expected, "{head}: {answer}");
        }
        let head = format!("{line}\r\nHost: {address}\r\n{json}\r\n{key}");
        assert_eq!(send(&address, &head, &" ".repeat(2001)).await.0, 413);
    });
}

#[test]
fn slow_members_and_too_many_requests_are_refused() {
    let slow = || {
        vec![member(
            "slow",
            Scripted::say("1").delayed(Duration::from_millis(400)),
        )]
    };
    let settings = MuxSettings {
        answer_wait: Duration::from_millis(50),
        ..MuxSettings::default()
    };
    with(slow(), settings, async |address| {
        assert_eq!(post(&address, &asked(json!({}))).await.0, 504);
    });
    let settings = MuxSettings {
        n_requests_max: 1,
        ..MuxSettings::default()
    };
    with(slow(), settings, async |address| {
        let body = asked(json!({}));
        let (one, two) = tokio::join!(post(&address, &body), post(&address, &body));
        let mut statuses = [one.0, two.0];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 429]);
    });
}

#[test]
fn our_own_client_reads_the_answer() {
    with(three(), MuxSettings::default(), async |address| {
        let settings = EndpointSettings::new(format!("http://{address}/v1"), "slm-mux");
        let endpoint = Endpoint::new(settings).unwrap();
        let request = ChatRequest {
            messages: vec![Message::new(Role::User, "What is six times seven?")],
            n_samples: 1,
            n_tokens_max: 16,
            sampling: Sampling {
                temperature: 0.5,
                top_k: 0,
                top_p: 1.0,
                min_p: 0.0,
                seed: 3,
            },
            stop: Vec::new(),
        };
        let answer = endpoint.chat(&request).await.unwrap();
        assert_eq!(answer.choices[0].text, "so\n42");
        assert_eq!(answer.model, "slm-mux");
    });
}

#[test]
fn settings_that_make_no_sense_are_refused_before_anything_listens() {
    let refused = |members: Vec<Member>, settings: MuxSettings, word: &str| {
        let error = MuxApp::new(members, settings).err().unwrap().report();
        assert!(error.contains(word), "{error}");
    };
    let default = MuxSettings::default;
    refused(Vec::new(), default(), "no model");
    refused(
        vec![says("a", &["1"]), says("a", &["2"])],
        default(),
        "two members",
    );
    let odd = MuxSettings {
        accuracies: vec![0.5],
        ..default()
    };
    refused(three(), odd, "accuracies");
    let odd = MuxSettings {
        accuracies: vec![0.5, 1.5, 0.1],
        ..default()
    };
    refused(three(), odd, "1.5");
    let odd = MuxSettings { k: 40, ..default() };
    refused(three(), odd, "k = 40");
}
