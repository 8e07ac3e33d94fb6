//! A server on a free port, and the barest client that can misbehave.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use model::serve::{App, Limits, Settings, router};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::fake::{self, FakeCodec, Strings};

/// A server, and what happens in its model.
pub struct Server {
    pub address: SocketAddr,
    pub strings: Strings,
    // Dropped last: it ends the server's tasks.
    _runtime: Runtime,
}

/// A response whose body was read to its end.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Settings of most tests. The waits are far longer than any test takes.
pub fn settings() -> Settings {
    Settings {
        model_id: "fake".to_owned(),
        key: None,
        is_loopback: true,
        seed: 0,
        limits: Limits {
            n_body_bytes_max: 100_000,
            ..Limits::default()
        },
    }
}

impl Server {
    /// A server with these settings and a model with a chat template.
    pub fn new(settings: Settings) -> Self {
        Self::with_codec(settings, FakeCodec { has_chat: true })
    }

    /// A server of another codec.
    pub fn with_codec(settings: Settings, codec: FakeCodec) -> Self {
        let (model, strings) = fake::model();
        let app = App::new(model, Arc::new(codec), settings).unwrap();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = listener.unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, router(app)).await });
        Self {
            address,
            strings,
            _runtime: runtime,
        }
    }

    /// A connection that gives up on a silent server.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream
    }

    /// Sends a head with these header lines and a body, and reads the whole answer.
    pub fn send(&self, request_line: &str, headers: &[&str], body: &str) -> Response {
        let mut stream = self.connect();
        write_request(&mut stream, request_line, headers, body);
        read_response(stream)
    }

    pub fn get(&self, path: &str) -> Response {
        let host = format!("Host: {}", self.address);
        self.send(&format!("GET {path}"), &[&host], "")
    }

    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.post_text(path, &body.to_string())
    }

    pub fn post_text(&self, path: &str, body: &str) -> Response {
        let host = format!("Host: {}", self.address);
        let headers = [host.as_str(), "Content-Type: application/json"];
        self.send(&format!("POST {path}"), &headers, body)
    }

    /// A chat with one message and further parameters.
    pub fn chat(&self, content: &str, more: &Value) -> Response {
        self.post("/v1/chat/completions", &chat_body(content, more))
    }

    /// Opens a stream of a chat and returns the connection; the head was not read.
    pub fn open_chat(&self, content: &str, more: &Value) -> TcpStream {
        let mut stream = self.connect();
        let body = chat_body(content, more).to_string();
        let host = format!("Host: {}", self.address);
        let headers = [host.as_str(), "Content-Type: application/json"];
        write_request(&mut stream, "POST /v1/chat/completions", &headers, &body);
        stream
    }
}

pub fn chat_body(content: &str, more: &Value) -> Value {
    merged(
        json!({"model": "fake", "messages": [{"role": "user", "content": content}]}),
        more,
    )
}

/// `base` with the members of `more`.
pub fn merged(mut base: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        base[key] = value.clone();
    }
    base
}

fn write_request(stream: &mut TcpStream, request_line: &str, headers: &[&str], body: &str) {
    let mut head = format!("{request_line} HTTP/1.1\r\nConnection: close\r\n");
    for header in headers {
        head.push_str(&format!("{header}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes()).unwrap();
    // A server may refuse before it has read everything.
    let _ = stream.write_all(body.as_bytes());
}

/// Status line, head, and body of a connection that the server closes.
pub fn read_response(stream: TcpStream) -> Response {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(
            reader.read_line(&mut head).unwrap() > 0,
            "cut off: {head:?}"
        );
    }
    let head = head.to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut body = Vec::new();
    if head.contains("transfer-encoding: chunked") {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).unwrap();
            if size == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    } else {
        reader.read_to_end(&mut body).unwrap();
    }
    Response {
        status,
        head,
        body: String::from_utf8(body).unwrap(),
    }
}

impl Response {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The body of a success.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }

    /// Status, parameter, and code of an error that has OpenAI's shape.
    pub fn error(&self) -> (u16, Value, Value) {
        let document = self.json();
        let error = &document["error"];
        assert_eq!(document.as_object().unwrap().len(), 1, "{document}");
        assert_eq!(error.as_object().unwrap().len(), 4, "{document}");
        assert!(error["message"].is_string() && error["type"].is_string());
        (self.status, error["param"].clone(), error["code"].clone())
    }

    /// The data of a stream's events, which must be framed without a flaw.
    pub fn events(&self) -> Vec<String> {
        assert_eq!(self.status, 200, "{self:?}");
        assert!(self.head.contains("content-type: text/event-stream"));
        let frames = self.body.strip_suffix("\n\n").unwrap().split("\n\n");
        frames
            .filter(|frame| !frame.starts_with(':'))
            .map(|frame| {
                assert!(!frame.contains('\n'), "{frame:?}");
                frame.strip_prefix("data: ").unwrap().to_owned()
            })
            .collect()
    }

    /// The documents of a whole stream, without the final `[DONE]`.
    pub fn chunks(&self) -> Vec<Value> {
        let mut events = self.events();
        assert_eq!(events.pop().as_deref(), Some("[DONE]"));
        let parse = |event: &String| serde_json::from_str(event).unwrap();
        events.iter().map(parse).collect()
    }
}
