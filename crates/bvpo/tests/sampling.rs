//! `bvpo pairs sample` at an endpoint: estimated first, cut and continued, each mode its own way.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop where it is"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// A server that answers every question with its number of samples, or refuses while it is broken.
struct Server {
    address: String,
    /// Bodies of the requests it answered.
    seen: Arc<Mutex<Vec<Value>>>,
    /// Requests that it still answers before it refuses.
    n_left: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Server {
    fn start(n_left: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap().to_string(),
            seen: Arc::default(),
            n_left: Arc::new(AtomicUsize::new(n_left)),
            is_over: Arc::default(),
        };
        let (seen, n_left) = (server.seen.clone(), server.n_left.clone());
        let is_over = server.is_over.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    break;
                }
                answer(stream.unwrap(), &seen, &n_left);
            }
        });
        server
    }

    fn n_seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.address);
    }
}

/// Reads one request and answers it; the connection ends there.
fn answer(mut stream: TcpStream, seen: &Mutex<Vec<Value>>, n_left: &AtomicUsize) {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    let body = loop {
        let n = stream.read(&mut piece).unwrap_or(0);
        if n == 0 {
            return;
        }
        bytes.extend(&piece[..n]);
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        let Some(start) = text.find("\r\n\r\n") else {
            continue;
        };
        let length = text.split("content-length:").nth(1).unwrap();
        let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
        if bytes.len() >= start + 4 + length {
            break bytes[start + 4..start + 4 + length].to_vec();
        }
    };
    let body: Value = serde_json::from_slice(&body).unwrap();
    let may = n_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
    let (status, reply) = if may.is_ok() {
        let reply = reply(&body);
        seen.lock().unwrap().push(body);
        ("200 OK", reply)
    } else {
        (
            "400 Bad Request",
            json!({"error": {"message": "broken today"}}),
        )
    };
    let reply = reply.to_string();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\n");
    let length = reply.len();
    let _ = write!(
        stream,
        "{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{reply}"
    );
}

/// Thinks unless it is told not to.
fn reply(body: &Value) -> Value {
    let thinks = body["chat_template_kwargs"]["enable_thinking"] != json!(false);
    let asked = body["messages"][0]["content"].as_str().unwrap();
    let choice = |index: u64| {
        let answer = format!("{asked} {index}");
        let message = if thinks {
            json!({"role": "assistant", "content": answer, "reasoning_content": "well"})
        } else {
            json!({"role": "assistant", "content": answer})
        };
        json!({"index": index, "message": message, "finish_reason": "stop"})
    };
    let n = body["n"].as_u64().unwrap_or(1);
    json!({"id": "x", "object": "chat.completion", "created": 0, "model": "m",
        "choices": (0..n).map(choice).collect::<Vec<_>>(),
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}})
}

struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let line = |i: usize| format!("{{\"id\":\"q{i}\",\"prompt\":\"say {i}\"}}\n");
        let prompts: String = (0..3).map(line).collect();
        std::fs::write(folder.path().join("prompts.jsonl"), prompts).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sample(&self, server: &Server, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bvpo"));
        command.args(["pairs", "sample", "--player", "endpoint:m", "--n", "2"]);
        command
            .arg("--base-url")
            .arg(format!("http://{}/v1", server.address));
        for (option, name) in [
            ("--prompts", "prompts.jsonl"),
            ("--output", "samples.jsonl"),
        ] {
            command.arg(option).arg(self.path(name));
        }
        command
            .env_remove("OPENAI_API_KEY")
            .env_remove("OPENAI_BASE_URL");
        command.args(more).output().unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn samples(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn nothing_is_asked_without_a_budget_or_for_an_estimate() {
    let (world, server) = (World::new(), Server::start(100));
    let told = world.sample(&server, &["--estimate"]);
    assert!(told.status.success(), "{}", said(&told));
    assert!(
        said(&told).contains("6 requests to send (0 are answered"),
        "{}",
        said(&told)
    );
    let refused = world.sample(&server, &[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("no budget"), "{}", said(&refused));
    let wrong = world.sample(&server, &["--empty-fields", "[1"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert_eq!(server.n_seen(), 0, "something was sent");
    assert!(!world.path("samples.jsonl").exists());
}

#[test]
fn a_run_that_was_cut_asks_only_for_the_rest() {
    let (world, server) = (World::new(), Server::start(4));
    let budget = ["--budget-requests", "40"];
    let cut = world.sample(&server, &budget);
    assert_eq!(cut.status.code(), Some(5), "{}", said(&cut));
    assert!(
        said(&cut).contains("2 of 6 requests have no answer"),
        "{}",
        said(&cut)
    );
    assert!(
        !world.path("samples.jsonl").exists(),
        "half a file was written"
    );
    server.n_left.store(100, Ordering::SeqCst);
    let whole = world.sample(&server, &budget);
    assert!(whole.status.success(), "{}", said(&whole));
    assert!(
        said(&whole).contains("2 requests to send (4 are answered"),
        "{}",
        said(&whole)
    );
    assert_eq!(server.n_seen(), 6, "an answer was lost or asked for twice");
    let found = samples(&world.path("samples.jsonl"));
    assert_eq!(found.len(), 12);
    assert_eq!(found[0]["mode"], "thinking");
    assert_eq!(found[0]["reasoning"], "well");
    assert_eq!(found[1]["answer"], "say 0 1");
    assert_eq!(found[2]["mode"], "empty");
    assert!(found[2].get("reasoning").is_none());
    // Once more: everything is there.
    let again = world.sample(&server, &budget);
    assert!(again.status.success());
    assert_eq!(server.n_seen(), 6);
}

#[test]
fn a_model_that_cannot_stop_thinking_is_named() {
    let (world, server) = (World::new(), Server::start(100));
    let more = ["--budget-requests", "40", "--empty-suffix", " /no_think"];
    let told = world.sample(&server, &more);
    assert_eq!(told.status.code(), Some(6), "{}", said(&told));
    assert!(said(&told).contains("--empty-suffix"), "{}", said(&told));
    let seen = server.seen.lock().unwrap();
    let suffixed = seen.iter().filter(|body| {
        let content = body["messages"][0]["content"].as_str().unwrap();
        content.ends_with(" /no_think")
    });
    assert_eq!(suffixed.count(), 3);
    assert!(
        seen.iter()
            .all(|body| body.get("chat_template_kwargs").is_none())
    );
}
