//! A scripted HTTP server on loopback: it reads requests properly and answers exactly the bytes it
//! is told, so that every fault is the same each time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One thing the server does after it has read a request.
#[derive(Clone, Debug)]
pub enum Step {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Send this piece again and again, up to so many times.
    Flood(Vec<u8>, usize),
    /// Send these bytes one at a time, with a pause before each.
    Drip(Vec<u8>, Duration),
    /// Do nothing for a while.
    Pause(Duration),
    /// Do nothing until the client leaves.
    Silence,
    /// End the connection properly.
    Close,
    /// End the connection with a reset.
    Reset,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Request line and headers.
    pub head: String,
    /// The body.
    pub body: String,
}

/// What the server noticed.
#[derive(Default)]
pub struct Notes {
    pub seen: Mutex<Vec<Seen>>,
    pub n_in_flight: AtomicUsize,
    pub n_in_flight_max: AtomicUsize,
    pub n_bytes_sent: AtomicUsize,
    n_connections: AtomicUsize,
}

/// A running server; it ends when dropped.
pub struct Server {
    pub address: String,
    pub notes: Arc<Notes>,
    task: JoinHandle<()>,
}

type Script = dyn Fn(usize, &Seen) -> Vec<Step> + Send + Sync;

impl Server {
    /// The i-th request gets the i-th list of steps, later ones the last.
    pub async fn start(acts: Vec<Vec<Step>>) -> Self {
        let pick = move |idx: usize, _: &Seen| acts[idx.min(acts.len() - 1)].clone();
        Self::with(pick).await
    }

    /// A request gets the steps that `script` makes of its number and content.
    pub async fn with(script: impl Fn(usize, &Seen) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/v1", listener.local_addr().unwrap());
        let notes = Arc::new(Notes::default());
        let script: Arc<Script> = Arc::new(script);
        let task = tokio::spawn(accept(listener, notes.clone(), script));
        Self {
            address,
            notes,
            task,
        }
    }

    /// Requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.notes.seen.lock().unwrap().clone()
    }

    /// Connections so far.
    pub fn n_connections(&self) -> usize {
        self.notes.n_connections.load(Ordering::SeqCst)
    }

    /// Waits until so many requests came.
    pub async fn wait_for(&self, n_requests: usize) {
        while self.seen().len() < n_requests {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, notes: Arc<Notes>, script: Arc<Script>) {
    // Connections end with this task, and so with the server.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        notes.n_connections.fetch_add(1, Ordering::SeqCst);
        connections.spawn(serve(stream, notes.clone(), script.clone()));
    }
}

async fn serve(mut stream: TcpStream, notes: Arc<Notes>, script: Arc<Script>) {
    while let Some((head, body)) = read_request(&mut stream).await {
        let seen = Seen { head, body };
        let n_in_flight = notes.n_in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        notes
            .n_in_flight_max
            .fetch_max(n_in_flight, Ordering::SeqCst);
        let request_idx = {
            let mut all = notes.seen.lock().unwrap();
            all.push(seen.clone());
            all.len() - 1
        };
        let mut stays = true;
        for step in script(request_idx, &seen) {
            stays = play(&mut stream, step, &notes).await;
            if !stays {
                break;
            }
        }
        notes.n_in_flight.fetch_sub(1, Ordering::SeqCst);
        if !stays {
            return;
        }
    }
}

/// Does one step; `false` if the connection has ended.
async fn play(stream: &mut TcpStream, step: Step, notes: &Notes) -> bool {
    match step {
        Step::Send(bytes) => send(stream, &bytes, notes).await,
        Step::Flood(piece, n_times) => {
            for _ in 0..n_times {
                if !send(stream, &piece, notes).await {
                    return false;
                }
            }
            true
        }
        Step::Drip(bytes, pause) => {
            for byte in bytes {
                tokio::time::sleep(pause).await;
                if !send(stream, &[byte], notes).await {
                    return false;
                }
            }
            true
        }
        Step::Pause(pause) => {
            tokio::time::sleep(pause).await;
            true
        }
        Step::Silence => {
            let mut byte = [0];
            let _ = stream.read(&mut byte).await;
            false
        }
        Step::Close => {
            let _ = stream.shutdown().await;
            false
        }
        Step::Reset => {
            stream.set_zero_linger().unwrap();
            false
        }
    }
}

async fn send(stream: &mut TcpStream, bytes: &[u8], notes: &Notes) -> bool {
    let sent = stream.write_all(bytes).await.is_ok();
    notes.n_bytes_sent.fetch_add(bytes.len(), Ordering::SeqCst);
    sent
}

/// Head and body of the next request; `None` when the client has left.
async fn read_request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    let head_len = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        let n = stream.read(&mut piece).await.ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&piece[..n]);
    };
    let head = String::from_utf8(bytes[..head_len].to_vec()).unwrap();
    let body_len = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length:")?
                .trim()
                .parse()
                .ok()
        })
        .unwrap_or(0);
    while bytes.len() < head_len + body_len {
        let n = stream.read(&mut piece).await.ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&piece[..n]);
    }
    let body = String::from_utf8(bytes[head_len..].to_vec()).unwrap();
    Some((head, body))
}

/// A whole answer.
pub fn reply(status: u16, headers: &str, body: &str) -> Vec<Step> {
    let n_bytes = body.len();
    let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {n_bytes}\r\n\r\n{body}");
    vec![Step::Send(head.into_bytes())]
}

/// A whole answer in JSON.
pub fn json(body: &str) -> Vec<Step> {
    reply(200, "content-type: application/json\r\n", body)
}

/// A good answer that says `text`.
pub fn says(text: &str) -> Vec<Step> {
    json(&answer_of(&[text]))
}

/// The body of a good answer with one choice per text; 5 tokens asked, 7 answered.
pub fn answer_of(texts: &[&str]) -> String {
    let choices: Vec<serde_json::Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            serde_json::json!({
                "index": index,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            })
        })
        .collect();
    let usage = serde_json::json!({"prompt_tokens": 5, "completion_tokens": 7});
    serde_json::json!({"id": "x", "model": "served", "choices": choices, "usage": usage})
        .to_string()
}
