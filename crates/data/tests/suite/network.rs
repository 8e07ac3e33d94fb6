//! Downloads from a server that behaves well or badly.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use data::places::Secret;

use crate::world::{Done, Draft, World};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the server saw of one request: its first line and its headers.
type Seen = Arc<Mutex<Vec<String>>>;

/// A server on this machine that answers request after request; it ends with the test program.
struct Server {
    address: String,
    seen: Seen,
}

/// The bytes to send for the request of this number, counted from 0.
type Answer = Box<dyn Fn(usize, &mut TcpStream) + Send>;

impl Server {
    fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Seen::default();
        let notes = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = read_request(&stream);
                let number = {
                    let mut notes = notes.lock().unwrap();
                    notes.push(request);
                    notes.len() - 1
                };
                answer(number, &mut stream);
                // Read what is still under way, so that closing does not reset the connection.
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = stream.read_to_end(&mut Vec::new());
            }
        });
        Self { address, seen }
    }

    fn n_requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    fn git(&self) -> String {
        let address = &self.address;
        format!("kind = \"git\"\nhost = \"{address}\"\nrepo = \"org/toy\"\ncommit = \"{COMMIT}\"")
    }
}

fn read_request(stream: &TcpStream) -> String {
    let mut request = String::new();
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap_or_default();
        if line.is_empty() {
            break;
        }
        request.push_str(&line);
        request.push('\n');
    }
    request
}

fn send(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
    // The client may hang up first when it has seen enough.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body));
}

fn file(stream: &mut TcpStream, body: &[u8]) {
    send(
        stream,
        "200 OK",
        &format!("Content-Length: {}\r\n", body.len()),
        body,
    );
}

fn toy(source: &str) -> Draft {
    Draft::new("toy").file("a.txt", b"alpha").source(source)
}

#[test]
fn a_raw_file_at_a_commit_is_fetched_once_and_announced() {
    let server = Server::start(Box::new(|_, stream| file(stream, b"alpha")));
    let world = World::new();
    let source = format!(
        "{}\nfiles = {{ \"a.txt\" = \"dir/a b.txt\" }}",
        server.git()
    );
    world.add(&toy(&source));
    let done = world.run(&["fetch", "toy"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.stdout, "");
    let announced = format!(
        "fetching `toy/a.txt` (5 B, licence MIT) from {}, org/toy at 0123456789ab",
        server.address
    );
    assert!(done.stderr.contains(&announced), "{}", done.stderr);
    let first = server.seen.lock().unwrap()[0].clone();
    assert!(
        first.starts_with(&format!("GET /org/toy/{COMMIT}/dir/a%20b.txt ")),
        "{first}"
    );
    assert_eq!(fs::read(world.path("cache/toy/a.txt")).unwrap(), b"alpha");
    assert_eq!(world.run(&["fetch", "toy"]).code, 0);
    assert_eq!(server.n_requests(), 1);
}

#[test]
fn other_git_hosts_spell_their_addresses_otherwise() {
    for (layout, path) in [
        ("gitlab", format!("GET /org/toy/-/raw/{COMMIT}/a.txt ")),
        ("gitea", format!("GET /org/toy/raw/commit/{COMMIT}/a.txt ")),
    ] {
        let server = Server::start(Box::new(|_, stream| file(stream, b"alpha")));
        let world = World::new();
        world.add(&toy(&format!("{}\nlayout = \"{layout}\"", server.git())));
        assert!(world.resolve_here("toy", |_, _| ()).resolved.is_present());
        let first = server.seen.lock().unwrap()[0].clone();
        assert!(first.starts_with(&path), "{first}");
    }
}

#[test]
fn a_server_that_recovers_is_asked_again_and_no_more_than_three_times() {
    let busy = |n_failures: usize| {
        Server::start(Box::new(move |number, stream| {
            if number < n_failures {
                send(
                    stream,
                    "503 Service Unavailable",
                    "Content-Length: 0\r\n",
                    b"",
                );
            } else {
                file(stream, b"alpha");
            }
        }))
    };
    for (n_failures, is_present) in [(1, true), (2, true), (3, false)] {
        let server = busy(n_failures);
        let world = World::new();
        world.add(&toy(&server.git()));
        let found = world.resolve_here("toy", |_, _| ());
        assert_eq!(
            found.resolved.is_present(),
            is_present,
            "{}",
            found.reason()
        );
        assert_eq!(server.n_requests(), 3.min(n_failures + 1));
    }
}

#[test]
fn an_attempt_starts_anew_where_the_one_before_broke_off() {
    let server = Server::start(Box::new(|number, stream| {
        let body: &[u8] = if number == 0 { b"XYZ" } else { b"alpha" };
        send(stream, "200 OK", "Content-Length: 5\r\n", body);
    }));
    let world = World::new();
    world.add(&toy(&server.git()));
    let found = world.resolve_here("toy", |_, _| ());
    assert!(found.resolved.is_present(), "{}", found.reason());
    assert_eq!(fs::read(world.path("cache/toy/a.txt")).unwrap(), b"alpha");
    assert_eq!(server.n_requests(), 2);
}

/// Resolves against a server that always gives `answer`; returns the reason and the requests.
fn refused(answer: Answer) -> (String, usize) {
    let server = Server::start(answer);
    let world = World::new();
    world.add(&toy(&server.git()));
    let found = world.resolve_here("toy", |_, _| ());
    assert!(!found.resolved.is_present());
    assert_eq!(world.cached(), Vec::<String>::new(), "nothing bad is kept");
    (found.reason(), server.n_requests())
}

#[test]
fn bad_answers_are_refused_and_leave_nothing() {
    let (reason, n) = refused(Box::new(|_, stream| {
        send(stream, "404 Not Found", "Content-Length: 0\r\n", b"");
    }));
    assert!(reason.contains("404") && n == 1, "{reason} ({n})");

    let (reason, n) = refused(Box::new(|_, stream| file(stream, b"alphA")));
    assert!(
        reason.contains("it gave bytes with sha256") && n == 1,
        "{reason} ({n})"
    );

    let (reason, n) = refused(Box::new(|_, stream| file(stream, b"alpha and more")));
    assert!(
        reason.contains("it offers 14 bytes, 5 are expected") && n == 1,
        "{reason} ({n})"
    );

    // Five bytes are promised, three come.
    let (reason, n) = refused(Box::new(|_, stream| {
        send(stream, "200 OK", "Content-Length: 5\r\n", b"alp");
    }));
    assert!(
        reason.contains("stopped in the middle") && n == 3,
        "{reason} ({n})"
    );

    // Without a promised length, the end of the connection is the end of the file.
    let (reason, n) = refused(Box::new(|_, stream| send(stream, "200 OK", "", b"alp")));
    assert!(
        reason.contains("it gave 3 bytes, 5 are expected") && n == 1,
        "{reason} ({n})"
    );
}

#[test]
fn a_page_for_a_person_is_told_from_data() {
    let page = b"<!DOCTYPE html><html><title>Log in</title></html>";
    let (reason, _) = refused(Box::new(|_, stream| {
        send(
            stream,
            "200 OK",
            "Content-Type: text/html; charset=utf-8\r\n",
            page,
        );
    }));
    assert!(
        reason.contains("a web page instead of the file"),
        "{reason}"
    );

    // Servers mislabel; the page is told by its own beginning too, longer or shorter than the file.
    for bytes in [vec![1; 20], vec![1; page.len()], vec![1; 1000]] {
        let server = Server::start(Box::new(|_, stream| send(stream, "200 OK", "", page)));
        let world = World::new();
        world.add(
            &Draft::new("toy")
                .file("a.txt", &bytes)
                .source(&server.git()),
        );
        let reason = world.resolve_here("toy", |_, _| ()).reason();
        assert!(
            reason.contains("a web page instead of the file"),
            "{reason}"
        );
    }

    // Data that a server merely calls a page is taken.
    let server = Server::start(Box::new(|_, stream| {
        send(
            stream,
            "200 OK",
            "Content-Type: text/html\r\nContent-Length: 5\r\n",
            b"alpha",
        );
    }));
    let world = World::new();
    world.add(&toy(&server.git()));
    assert!(world.resolve_here("toy", |_, _| ()).resolved.is_present());
}

#[test]
fn a_body_without_end_is_cut_at_the_manifest_s_length() {
    let sent = Arc::new(Mutex::new(0_usize));
    let counter = Arc::clone(&sent);
    let (reason, n) = refused(Box::new(move |_, stream| {
        send(stream, "200 OK", "", b"");
        let block = [b'x'; 1 << 16];
        for _ in 0..1600 {
            if stream.write_all(&block).is_err() {
                return;
            }
            *counter.lock().unwrap() += block.len();
        }
    }));
    assert!(
        reason.contains("more than the 5 bytes expected") && n == 1,
        "{reason} ({n})"
    );
    let sent = *sent.lock().unwrap();
    assert!(
        sent < 50_000_000,
        "the client hung up early, after {sent} bytes"
    );
}

#[test]
fn a_source_that_fails_is_reported_and_the_next_one_serves() {
    let dead = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let server = Server::start(Box::new(|_, stream| file(stream, b"alpha")));
    let first = server.git().replace(&server.address, &dead);
    let world = World::new();
    world.add(&toy(&first).source(&server.git()));
    let found = world.resolve_here("toy", |_, _| ());
    assert!(found.resolved.is_present());
    let told = found
        .said
        .iter()
        .any(|line| line.contains(&dead) && line.contains("3 attempts"));
    assert!(told, "{:?}", found.said);
}

#[test]
fn the_hub_is_asked_with_its_token_and_the_token_never_shows() {
    let server = Server::start(Box::new(|_, stream| file(stream, b"alpha")));
    let world = World::new();
    let source = "kind = \"hub\"\nrepo = \"org/toy\"\nrepo_type = \"dataset\"\nrevision = \"v1\"\n\
                  files = { \"a.txt\" = \"data/a.txt\" }";
    world.add(&toy(source));
    let found = world.resolve_here("toy", |places, _| {
        places.hub_endpoint = Some(server.address.clone());
        places.hub_token = Some(Secret::new("hf_canary".to_owned()));
    });
    assert!(found.resolved.is_present(), "{}", found.reason());
    let request = server.seen.lock().unwrap()[0].to_lowercase();
    assert!(
        request.starts_with("get /datasets/org/toy/resolve/v1/data/a.txt "),
        "{request}"
    );
    assert!(
        request.contains("authorization: bearer hf_canary"),
        "{request}"
    );
    assert!(!format!("{:?}{:?}", found.said, found.resolved).contains("canary"));

    // A token that a login left in the hub's folder serves as well.
    let world = World::new();
    world.add(&toy(source));
    world.write("hf/token", b"hf_left\n");
    let mut command = world.command(&["fetch", "toy"]);
    let done = Done::of(
        command
            .env("HF_ENDPOINT", &server.address)
            .output()
            .unwrap(),
    );
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(!done.stderr.contains("hf_left"));
    assert!(
        server.seen.lock().unwrap()[1]
            .to_lowercase()
            .contains("bearer hf_left")
    );
}

#[test]
fn offline_switches_say_so_and_ask_nobody() {
    let server = Server::start(Box::new(|_, stream| file(stream, b"alpha")));
    let hub = "kind = \"hub\"\nrepo = \"org/toy\"\nrevision = \"v1\"";
    let world = World::new();
    world.add(&toy(hub));
    let mut command = world.command(&["fetch", "toy"]);
    command
        .env("HF_ENDPOINT", &server.address)
        .env("HF_HUB_OFFLINE", "1");
    let done = Done::of(command.output().unwrap());
    assert_eq!(done.code, 6);
    assert!(
        done.stderr
            .contains("`HF_HUB_OFFLINE=1` forbids asking the hub"),
        "{}",
        done.stderr
    );

    let world = World::new();
    world.add(&toy(&server.git()));
    let done = world.run(&["fetch", "--offline", "toy"]);
    assert_eq!(done.code, 6);
    assert!(
        done.stderr.contains("`--offline` forbids the network"),
        "{}",
        done.stderr
    );
    assert_eq!(server.n_requests(), 0);
}

#[test]
fn terms_are_shown_and_accepted_before_any_download() {
    let server = Server::start(Box::new(|_, stream| file(stream, b"alpha")));
    let world = World::new();
    world.add(&toy(&server.git()).terms("Be kind: https://example.org/terms"));
    let done = world.run(&["fetch", "toy"]);
    assert_eq!(done.code, 6);
    for words in [
        "Be kind: https://example.org/terms",
        "cargo xtask data fetch toy --accept toy",
    ] {
        assert!(done.stderr.contains(words), "{}", done.stderr);
    }
    assert_eq!(server.n_requests(), 0);
    assert_eq!(world.run(&["fetch", "toy", "--accept", "toi"]).code, 2);
    assert_eq!(world.run(&["fetch", "toy", "--accept", "toy"]).code, 0);
    assert_eq!(
        world.run(&["fetch", "toy"]).code,
        0,
        "what is here needs no new consent"
    );
}

#[test]
fn processes_that_fetch_at_the_same_time_do_the_work_once() {
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|idx| (idx % 251) as u8).collect();
    let body = bytes.clone();
    let server = Server::start(Box::new(move |_, stream| file(stream, &body)));
    let world = World::new();
    world.add(
        &Draft::new("toy")
            .file("a.bin", &bytes)
            .source(&server.git()),
    );
    let start = |_| {
        let mut command = world.command(&["resolve", "toy"]);
        command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    let children: Vec<_> = (0..4).map(start).collect();
    let mut answers = Vec::new();
    for child in children {
        let done = Done::of(child.wait_with_output().unwrap());
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stdout.contains("\"present\""), "{}", done.stdout);
        answers.push(done.stdout);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(server.n_requests(), 1);
    assert_eq!(world.cached().len(), 1);
}
