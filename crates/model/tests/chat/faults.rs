//! Every fault has a bounded end, a named error, and the attempts one expects.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use crate::server::{Server, Step, answer_of, json, reply, says};
use crate::support::{SHORT_MS, ask, endpoint, outcomes, report, request, settings};

/// Asks once; the attempts must end as expected and the error must name what is wrong. Without
/// `named`, the answer must be `ok`.
async fn check(acts: Vec<Vec<Step>>, expected: &[&str], named: Option<&str>) -> Server {
    let server = Server::start(acts).await;
    let endpoint = endpoint(settings(&server.address));
    let asked = ask(&endpoint, &request("hello")).await;
    assert_eq!(outcomes(&asked.attempts), expected);
    assert_eq!(endpoint.spent().n_requests, expected.len() as u64);
    match named {
        Some(named) => {
            let report = report(&asked);
            assert!(report.contains(named), "`{named}` is not in: {report}");
        }
        None => {
            let answer = asked.answer.unwrap();
            assert_eq!(answer.choices[0].text, "ok");
            assert_eq!(answer.attempts as usize, expected.len());
        }
    }
    server
}

/// As [`check`], where the server answers once with this body.
async fn check_body(body: &str, named: &str) {
    check(vec![json(body)], &["200 content"], Some(named)).await;
}

fn send(text: &str) -> Step {
    Step::Send(text.as_bytes().to_vec())
}

#[tokio::test]
async fn a_good_answer_takes_one_attempt() {
    check(vec![says("ok")], &["200"], None).await;
}

#[tokio::test]
async fn busy_and_failing_servers_are_asked_again() {
    for status in [408, 409, 425, 429, 500, 502, 503, 504, 529] {
        let name = status.to_string();
        let acts = vec![reply(status, "", "busy"), reply(status, "", ""), says("ok")];
        check(acts, &[&name, &name, "200"], None).await;
    }
}

#[tokio::test]
async fn a_burst_longer_than_the_attempts_ends_them() {
    let acts = vec![reply(500, "", "out of order\u{1b}[2J")];
    let expected = ["500", "500", "500", "500"];
    check(acts, &expected, Some("`out of order\\u{1b}[2J`")).await;
}

#[tokio::test]
async fn refusals_are_final() {
    for (status, named) in [
        (400, "status 400"),
        (401, "key"),
        (403, "key"),
        (404, "base_url"),
        (422, "status 422"),
    ] {
        let name = status.to_string();
        let body = r#"{"error": {"message": "no"}}"#;
        check(vec![reply(status, "", body)], &[&name], Some(named)).await;
    }
}

/// The pause before the second attempt, when the first was refused with this header.
async fn pause_ms(retry_after: &str) -> u64 {
    let busy = reply(429, &format!("retry-after: {retry_after}\r\n"), "");
    let server = Server::start(vec![busy, says("ok")]).await;
    let endpoint = endpoint(settings(&server.address));
    let asked = ask(&endpoint, &request("hello")).await;
    assert_eq!(outcomes(&asked.attempts), ["429", "200"]);
    assert_eq!(asked.attempts[1].wait_ms, 0);
    asked.attempts[0].wait_ms
}

#[tokio::test]
async fn retry_after_is_honoured_up_to_the_cap() {
    // The cap of these settings is 30 ms, the longest pause without the header 1 ms.
    let far = SystemTime::now() + Duration::from_secs(3600);
    let far = httpdate::fmt_http_date(far);
    for (asked, expected) in [
        ("1", 30..=30),
        ("99999999999999999999999", 30..=30),
        (far.as_str(), 30..=30),
        ("0", 0..=1),
        ("-5", 0..=1),
        ("1e9", 0..=1),
        ("soon", 0..=1),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0..=1),
    ] {
        let wait_ms = pause_ms(asked).await;
        assert!(expected.contains(&wait_ms), "{asked}: {wait_ms} ms");
    }
}

#[tokio::test]
async fn malformed_answers_are_named_and_not_asked_again() {
    check_body("{\"choices\": [", "malformed JSON").await;
    check_body("", "malformed JSON").await;
    check_body("not json", "malformed JSON").await;
    check_body(r#"{"choices": []}"#, "`choices` is empty").await;
    check_body(r#"{"id": 1, "id": 2}"#, "`choices` is missing").await;
    check_body(r#"{"choices": 1}"#, "malformed JSON").await;
    check_body(r#"{"error": "overloaded"}"#, "`overloaded`").await;
    let two = answer_of(&["a", "b"]);
    check_body(&two, "1 samples were asked for and 2 came").await;
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    check_body(&format!(r#"{{"choices": {deep}}}"#), "malformed JSON").await;
    check_body(&format!(r#"{{"error": {deep}}}"#), "recursion").await;
    check_body(&format!(r#"{{"other": {deep}}}"#), "`choices` is missing").await;
}

#[tokio::test]
async fn answers_without_ids_or_with_two_are_good() {
    let without = r#"{"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}"#;
    check(vec![json(without)], &["200"], None).await;
    let twice = without.replacen('{', r#"{"id": 1, "id": "2", "#, 1);
    check(vec![json(&twice)], &["200"], None).await;
}

#[tokio::test]
async fn invalid_text_is_named() {
    let mut bytes = b"HTTP/1.1 200 X\r\ncontent-length: 15\r\n\r\n{\"choices\": \"".to_vec();
    bytes.extend([0xff, b'"']);
    let acts = vec![vec![Step::Send(bytes)]];
    check(acts, &["200 content"], Some("invalid UTF-8 after 13 bytes")).await;
}

#[tokio::test]
async fn other_content_types_are_named() {
    let page = reply(200, "content-type: text/html; charset=utf-8\r\n", "<html>");
    check(vec![page], &["200 content"], Some("`text/html`")).await;
    let body = answer_of(&["ok"]);
    for kind in [
        "",
        "content-type: application/vnd.x+json; charset=utf-8\r\n",
    ] {
        check(vec![reply(200, kind, &body)], &["200"], None).await;
    }
}

#[tokio::test]
async fn broken_connections_are_asked_again() {
    let head =
        "HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{\"a\"";
    let chunked = "HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n";
    for steps in [
        vec![Step::Close],
        vec![Step::Reset],
        vec![send(head), Step::Close],
        vec![send(head), Step::Reset],
        vec![send(chunked), Step::Close],
        vec![send("HTTP/1.1 2"), Step::Close],
        vec![send("SSH-2.0-OpenSSH_9.2\r\n"), Step::Close],
        vec![send("\u{0}\u{1}\u{2}garbage\r\n\r\n"), Step::Close],
    ] {
        check(vec![steps, says("ok")], &["broken", "200"], None).await;
    }
    let acts = vec![vec![send("220 mail ready\r\n"), Step::Close]];
    let expected = ["broken", "broken", "broken", "broken"];
    check(acts, &expected, Some("spoke no HTTP")).await;
}

#[tokio::test]
async fn nobody_there_is_a_fault_of_connection() {
    let address = Server::start(vec![says("ok")]).await.address.clone();
    let endpoint = endpoint(settings(&address));
    let asked = ask(&endpoint, &request("hello")).await;
    assert_eq!(outcomes(&asked.attempts), ["connect"; 4]);
    assert!(report(&asked).contains("4 requests sent"));
    assert_eq!(endpoint.spent().n_tokens_uncertain, 0, "nothing was sent");
}

#[tokio::test]
async fn silence_ends_at_the_limit_it_falls_under() {
    let head = "HTTP/1.1 200 X\r\ncontent-length: 90\r\n\r\n{";
    type Limit = fn(&mut model::chat::Timeouts);
    let first: Limit = |timeouts| timeouts.first_byte_ms = SHORT_MS;
    let between: Limit = |timeouts| timeouts.between_bytes_ms = SHORT_MS;
    let total: Limit = |timeouts| timeouts.total_ms = SHORT_MS;
    let drip = Step::Drip(vec![b' '; 100_000], Duration::from_millis(5));
    for (limit, steps, expected) in [
        (first, vec![Step::Silence], "timeout_first_byte"),
        (
            first,
            vec![send("HTTP/1.1 200"), Step::Silence],
            "timeout_first_byte",
        ),
        (
            first,
            vec![send("HTTP/1.1 200 X\r\nx: "), drip.clone()],
            "timeout_first_byte",
        ),
        (
            between,
            vec![send(head), Step::Silence],
            "timeout_between_bytes",
        ),
        (
            total,
            vec![send(&head.replace("90", "900000")), drip],
            "timeout_total",
        ),
        (total, vec![Step::Silence], "timeout_total"),
    ] {
        let server = Server::start(vec![steps]).await;
        let mut settings = settings(&server.address);
        limit(&mut settings.timeouts);
        settings.retry.n_attempts_max = 2;
        let endpoint = endpoint(settings);
        let asked = ask(&endpoint, &request("hello")).await;
        assert_eq!(outcomes(&asked.attempts), [expected, expected]);
        assert!(endpoint.spent().n_tokens_uncertain > 0, "it may be billed");
    }
}

#[tokio::test]
async fn huge_answers_stop_at_the_cap() {
    const CAP: usize = 256 << 10;
    // What the sockets of both sides may hold beyond what the client reads.
    const BUFFERS: usize = 16 << 20;
    let announced = "HTTP/1.1 200 X\r\ncontent-length: 4000000000\r\n\r\n";
    let chunked = "HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n";
    let endless = "HTTP/1.1 200 X\r\n\r\n";
    let spaces = vec![b' '; 1 << 16];
    let chunk = [b"10000\r\n".as_slice(), &spaces, b"\r\n"].concat();
    for (head, piece) in [
        (announced, spaces.clone()),
        (chunked, chunk),
        (endless, spaces),
    ] {
        let acts = vec![vec![send(head), Step::Flood(piece, 4 << 10), Step::Close]];
        let server = Server::start(acts).await;
        let mut settings = settings(&server.address);
        settings.response_bytes_max = CAP;
        let asked = ask(&endpoint(settings), &request("hello")).await;
        assert_eq!(outcomes(&asked.attempts), ["200 content"]);
        let report = report(&asked);
        assert!(report.contains("larger than allowed"), "{report}");
        let n_bytes: usize = report
            .split_whitespace()
            .find_map(|word| word.parse().ok())
            .unwrap();
        assert!(n_bytes <= 2 * CAP, "read {n_bytes} bytes");
        let n_sent = server.notes.n_bytes_sent.load(Ordering::SeqCst);
        assert!(n_sent <= BUFFERS, "the server got rid of {n_sent} bytes");
    }
}

#[tokio::test]
async fn huge_heads_and_huge_refusals_stop_too() {
    let line = format!("x-filler: {}\r\n", "y".repeat(1 << 14)).into_bytes();
    let acts = vec![vec![send("HTTP/1.1 200 X\r\n"), Step::Flood(line, 4 << 10)]];
    let server = check(acts, &["broken"; 4], Some("spoke no HTTP")).await;
    let n_sent = server.notes.n_bytes_sent.load(Ordering::SeqCst);
    assert!(n_sent <= 64 << 20, "the server got rid of {n_sent} bytes");
    let flood = Step::Flood(vec![b'z'; 1 << 16], 4 << 10);
    let acts = vec![vec![send("HTTP/1.1 400 X\r\n\r\n"), flood]];
    let server = check(acts, &["400"], Some("more characters")).await;
    let n_sent = server.notes.n_bytes_sent.load(Ordering::SeqCst);
    assert!(n_sent <= 16 << 20, "the server got rid of {n_sent} bytes");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Server::start(vec![says("stolen")]).await;
    for status in [301, 302, 303, 307, 308] {
        let headers = format!("location: {}/chat/completions\r\n", elsewhere.address);
        let acts = vec![reply(status, &headers, "")];
        let name = status.to_string();
        check(acts, &[&name], Some("redirects are not followed")).await;
    }
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn one_connection_serves_many_questions() {
    let server = Server::start(vec![says("ok")]).await;
    let endpoint = endpoint(settings(&server.address));
    for idx in 0..20 {
        ask(&endpoint, &request(&idx.to_string()))
            .await
            .answer
            .unwrap();
    }
    // A connection is given back a moment after its answer; a question that is faster opens one
    // more.
    let n_connections = server.n_connections();
    assert!(n_connections < 10, "{n_connections}");
}

#[tokio::test]
async fn the_server_never_sees_more_at_once_than_allowed() {
    let mut slow = vec![Step::Pause(Duration::from_millis(20))];
    slow.extend(says("ok"));
    let server = Server::start(vec![slow]).await;
    let mut settings = settings(&server.address);
    settings.n_concurrent = 3;
    let endpoint = endpoint(settings);
    let requests: Vec<_> = (0..30).map(|i| request(&i.to_string())).collect();
    let asked = requests.iter().map(|request| ask(&endpoint, request));
    let asked = futures_util::future::join_all(asked).await;
    assert!(asked.iter().all(|asked| asked.answer.is_ok()));
    let n_max = server.notes.n_in_flight_max.load(Ordering::SeqCst);
    assert!((2..=3).contains(&n_max), "{n_max} at once");
}

#[tokio::test]
async fn who_gives_up_gives_the_turn_back() {
    let server = Server::start(vec![vec![Step::Silence], says("ok")]).await;
    let mut settings = settings(&server.address);
    settings.n_concurrent = 1;
    let endpoint = endpoint(settings);
    let (first, second) = (request("first"), request("second"));
    tokio::select! {
        _ = endpoint.ask(&first) => panic!("nobody answers that"),
        () = server.wait_for(1) => {}
    }
    assert!(endpoint.spent().n_tokens_uncertain > 0, "it was sent");
    let asked = ask(&endpoint, &second).await;
    assert_eq!(asked.answer.unwrap().choices[0].text, "ok");
}

#[tokio::test]
async fn nothing_answered_is_lost_when_others_fail() {
    let server = Server::with(|_, seen| {
        if seen.body.contains("bad") {
            reply(400, "", "no")
        } else {
            says("ok")
        }
    })
    .await;
    let endpoint = endpoint(settings(&server.address));
    let texts = ["a", "bad", "b", "bad too", "c"];
    let requests: Vec<_> = texts.iter().map(|text| request(text)).collect();
    let mut n_heard = 0;
    let batch = model::chat::complete_all(&endpoint, &requests, 2, &mut |n_done, n_total| {
        n_heard += 1;
        assert_eq!((n_done, n_total), (n_heard, 5));
        std::ops::ControlFlow::Continue(())
    })
    .await;
    let answered: Vec<bool> = batch.answers.iter().map(Result::is_ok).collect();
    assert_eq!(answered, [true, false, true, false, true]);
    assert_eq!((batch.n_attempted, batch.n_failed), (5, 2));
    let log = model::chat::ChatModel::attempts(&endpoint).unwrap().take();
    assert_eq!(log.len(), 5, "failed requests are in the log too");
    let n_refused = log
        .iter()
        .filter(|r| r.attempts[0].status == Some(400))
        .count();
    assert_eq!(n_refused, 2);
}

#[tokio::test]
async fn a_server_without_encryption_is_no_secure_server() {
    let server = Server::start(vec![says("x")]).await;
    let mut settings = settings(&server.address.replace("http:", "https:"));
    // It waits for a line end that the first message of TLS never brings.
    settings.timeouts.connect_ms = SHORT_MS;
    match model::chat::Endpoint::new(settings) {
        Ok(endpoint) => {
            let asked = ask(&endpoint, &request("hello")).await;
            assert_eq!(outcomes(&asked.attempts), ["timeout_connect"; 4]);
        }
        // A machine without certificates cannot verify anybody.
        Err(error) => assert!(error.report().contains("certificates"), "{error}"),
    }
}

/// This program again, where the system has no certificates.
#[test]
fn plain_http_needs_no_certificates() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "faults::a_good_answer",
            "faults::a_server_without_encryption",
        ])
        .env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("2 passed"), "{stdout}");
}
