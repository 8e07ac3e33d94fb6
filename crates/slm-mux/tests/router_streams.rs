//! The router's streams as bytes on a socket, clients that leave, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use model::chat::{BoxFuture, ChatAnswer, ChatModel, ChatRequest, Scripted, block_on};
use model::serve::Service;
use serde_json::{Value, json};
use slm_mux::serve::{Member, MuxApp, MuxSettings, router};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

fn member(name: &str, model: impl ChatModel + 'static) -> Member {
    Member {
        name: name.to_owned(),
        model: Arc::new(model),
    }
}

/// Serves on a free port of the loopback interface and does `work` with its address.
fn with<T>(app: MuxApp, work: impl AsyncFnOnce(String) -> T) -> T {
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

fn app(members: Vec<Member>, settings: MuxSettings) -> MuxApp {
    MuxApp::new(members, settings).unwrap()
}

/// A connection on which the question was asked.
async fn ask(address: &str, more: &Value) -> TcpStream {
    let mut body = json!({
        "model": "slm-mux",
        "messages": [{ "role": "user", "content": "What is six times seven?" }],
    });
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    let body = body.to_string();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Head and body of the answer, the body as it was before it was cut into chunks of the transfer.
async fn answer(mut stream: TcpStream) -> (String, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, mut rest) = text.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    if !head.contains("transfer-encoding: chunked") {
        return (head, rest.to_owned());
    }
    let mut body = String::new();
    loop {
        let (size, more) = rest.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (head, body);
        }
        body.push_str(&more[..size]);
        rest = more[size..].strip_prefix("\r\n").unwrap();
    }
}

/// The documents of a stream that is whole: every event is one line of data, the last `[DONE]`.
fn documents(body: &str) -> Vec<Value> {
    let mut events: Vec<&str> = body.split_terminator("\n\n").collect();
    assert_eq!(events.pop(), Some("data: [DONE]"), "{body}");
    let document = |event: &&str| {
        let data = event.strip_prefix("data: ").unwrap();
        assert!(!data.contains('\n'), "{event}");
        serde_json::from_str(data).unwrap()
    };
    events.iter().map(document).collect()
}

fn members() -> Vec<Member> {
    let torn = |_: &ChatRequest, sample: usize| Ok(format!("a\n{}", 41 + sample));
    vec![
        member("torn", Scripted::function("torn", torn)),
        member("sure", Scripted::say("so\n42")),
    ]
}

#[test]
fn a_stream_has_role_text_end_with_vote_and_usage() {
    with(app(members(), MuxSettings::default()), async |address| {
        let (_, whole) = answer(ask(&address, &json!({})).await).await;
        let whole: Value = serde_json::from_str(&whole).unwrap();
        let options = json!({ "stream": true, "stream_options": { "include_usage": true } });
        let (head, body) = answer(ask(&address, &options).await).await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        assert!(head.contains("cache-control: no-store"), "{head}");
        let chunks = documents(&body);
        let id = &chunks[0]["id"];
        for chunk in &chunks {
            assert_eq!(chunk["object"], "chat.completion.chunk");
            assert_eq!((&chunk["id"], &chunk["model"]), (id, &json!("slm-mux")));
        }
        let choice = |delta: Value, reason: Value| {
            let end = json!(reason);
            json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": end }])
        };
        let role = json!({ "role": "assistant", "content": "" });
        assert_eq!(chunks[0]["choices"], choice(role, Value::Null));
        let text = json!({ "content": "so\n42" });
        assert_eq!(chunks[1]["choices"], choice(text, Value::Null));
        assert_eq!(chunks[2]["choices"], choice(json!({}), json!("stop")));
        assert_eq!(chunks[3]["choices"], json!([]));
        assert_eq!(chunks.len(), 4);
        // The vote stands where the finish reason does, and is that of the whole answer.
        assert_eq!(chunks[2]["mux"], whole["mux"]);
        assert_eq!(whole["mux"]["chosen"], "sure");
        assert!(chunks[0].get("mux").is_none() && chunks[1].get("mux").is_none());
        assert_eq!(chunks[3]["usage"], whole["usage"]);
        for chunk in &chunks[..3] {
            assert_eq!(chunk.get("usage"), Some(&Value::Null));
        }
        // Without the option there is no word of usage.
        let (_, body) = answer(ask(&address, &json!({ "stream": true })).await).await;
        let chunks = documents(&body);
        assert_eq!(chunks.len(), 3);
        assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
    });
}

#[test]
fn an_empty_answer_is_a_stream_without_text() {
    let members = vec![member("blank", Scripted::say(""))];
    with(app(members, MuxSettings::default()), async |address| {
        let (_, body) = answer(ask(&address, &json!({ "stream": true })).await).await;
        let chunks = documents(&body);
        assert_eq!(chunks.len(), 2);
        assert_eq!(chunks[1]["mux"]["answer"], Value::Null);
    });
}

#[test]
fn what_fails_before_the_first_event_is_an_ordinary_error() {
    let failing = vec![member("down", Scripted::say("9").failing(|_| true))];
    let slow = || {
        let model = Scripted::say("1").delayed(Duration::from_millis(400));
        vec![member("slow", model)]
    };
    let hasty = MuxSettings {
        answer_wait: Duration::from_millis(50),
        ..MuxSettings::default()
    };
    for (members, settings, status, code) in [
        (failing, MuxSettings::default(), "500", "models_failed"),
        (slow(), hasty, "504", "timeout"),
    ] {
        with(app(members, settings), async |address| {
            let (head, body) = answer(ask(&address, &json!({ "stream": true })).await).await;
            assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
            assert!(head.contains("content-type: application/json"), "{head}");
            let error: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(error["error"]["code"], code);
        });
    }
}

/// A member that never answers, and says when it is asked and when nobody waits for it any more.
#[derive(Clone, Default)]
struct Endless(Arc<Watch>);

#[derive(Default)]
struct Watch {
    asked: Notify,
    left: Notify,
    n_asked: AtomicUsize,
    n_left: AtomicUsize,
}

struct Leaving(Arc<Watch>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.n_left.fetch_add(1, Ordering::SeqCst);
        self.0.left.notify_one();
    }
}

impl ChatModel for Endless {
    fn name(&self) -> &str {
        "endless"
    }

    fn chat<'a>(&'a self, _: &'a ChatRequest) -> BoxFuture<'a, eval::Result<ChatAnswer>> {
        Box::pin(async {
            let _leaving = Leaving(Arc::clone(&self.0));
            self.0.n_asked.fetch_add(1, Ordering::SeqCst);
            self.0.asked.notify_one();
            std::future::pending().await
        })
    }
}

#[test]
fn a_client_that_leaves_ends_the_work_of_all_members() {
    for stream in [false, true] {
        let endless = [Endless::default(), Endless::default()];
        let members = vec![
            member("one", endless[0].clone()),
            member("quick", Scripted::say("1")),
            member("two", endless[1].clone()),
        ];
        let settings = MuxSettings {
            n_requests_max: 1,
            ..MuxSettings::default()
        };
        with(app(members, settings), async |address| {
            let client = ask(&address, &json!({ "stream": stream })).await;
            for endless in &endless {
                endless.0.asked.notified().await;
                assert_eq!(endless.0.n_left.load(Ordering::SeqCst), 0);
            }
            drop(client);
            for endless in &endless {
                let left = timeout(Duration::from_secs(10), endless.0.left.notified());
                left.await.unwrap();
                let counts = [&endless.0.n_asked, &endless.0.n_left];
                assert_eq!(counts.map(|n| n.load(Ordering::SeqCst)), [1, 1]);
            }
            // Its place is free again: the next request is not refused with 429.
            let next = ask(&address, &json!({ "stream": stream })).await;
            let asked = timeout(Duration::from_secs(10), endless[0].0.asked.notified());
            asked.await.unwrap();
            drop(next);
        });
    }
}

#[test]
fn a_router_that_is_cut_says_so_to_those_who_wait() {
    let endless = Endless::default();
    let members = vec![member("endless", endless.clone())];
    let app = app(members, MuxSettings::default());
    let service = Service::from(app.clone());
    assert_eq!(service.n_connections_max, 256);
    assert_eq!(service.stop_wait, Duration::from_secs(10));
    with(app, async |address| {
        let client = ask(&address, &json!({ "stream": true })).await;
        endless.0.asked.notified().await;
        (service.cut)();
        let (head, body) = timeout(Duration::from_secs(10), answer(client))
            .await
            .unwrap();
        assert!(head.starts_with("http/1.1 503"), "{head}");
        assert!(body.contains("shutting_down"), "{body}");
        // Who asks now is told at once.
        let late = timeout(
            Duration::from_secs(10),
            answer(ask(&address, &json!({})).await),
        );
        assert!(late.await.unwrap().0.starts_with("http/1.1 503"));
    });
}
