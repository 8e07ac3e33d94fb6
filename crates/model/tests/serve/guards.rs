//! Who may ask, limits, and errors.

use std::io::Write;

use model::serve::Key;
use serde_json::json;

use crate::http::{Server, chat_body, read_response, settings};

const CHAT: &str = "POST /v1/chat/completions";
const JSON: &str = "Content-Type: application/json";

#[test]
fn the_models_are_one() {
    let server = Server::new(settings());
    let list = server.get("/v1/models").ok();
    let model = json!({
        "id": "fake", "object": "model", "created": list["data"][0]["created"], "owned_by": "local",
    });
    assert!(model["created"].is_u64());
    assert_eq!(list, json!({"object": "list", "data": [model]}));
    assert_eq!(server.get("/v1/models/fake").ok(), model);
    let missing = (404, "model".into(), "model_not_found".into());
    assert_eq!(server.get("/v1/models/some/other").error(), missing);
    assert_eq!(
        server.chat("say a", &json!({"model": "x"})).error(),
        missing
    );
    let none = (400, "model".into(), "invalid_value".into());
    assert_eq!(server.chat("say a", &json!({"model": null})).error(), none);
    assert_eq!(server.get("/health").ok(), json!({"status": "ok"}));
}

#[test]
fn other_routes_and_methods_are_errors_of_the_protocol() {
    let server = Server::new(settings());
    let code = |status: u16, code: &str| (status, json!(null), json!(code));
    assert_eq!(server.get("/").error(), code(404, "unknown_url"));
    assert_eq!(
        server.get("/v1/completions").error(),
        code(405, "method_not_allowed")
    );
}

#[test]
fn a_page_in_a_browser_cannot_use_the_server() {
    let server = Server::new(settings());
    let body = chat_body("say a", &json!({})).to_string();
    let host = format!("Host: {}", server.address);
    // The name of another site that was made to point here.
    for host in [
        "Host: rebound.example",
        "Host: 127.0.0.1.example:80",
        "Host: 192.168.0.1",
        "Host:",
    ] {
        let answer = server.send(CHAT, &[host, JSON], &body);
        assert_eq!(answer.error().0, 403, "{host}");
        assert_eq!(answer.error().2, "host_not_allowed", "{host}");
        assert_eq!(server.send("GET /v1/models", &[host], "").status, 403);
        assert_eq!(server.send("GET /health", &[host], "").status, 403);
    }
    assert_eq!(server.send(CHAT, &[JSON], &body).status, 403);
    // A page that knows the right address.
    for header in [
        "Origin: https://site.example",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
    ] {
        let answer = server.send(CHAT, &[&host, JSON, header], &body);
        assert_eq!(answer.error().2, "origin_not_allowed", "{header}");
    }
    // A form needs no leave from the server, but cannot send JSON.
    for kind in [
        "Content-Type: text/plain",
        "Content-Type: application/jsonp",
        "X: y",
    ] {
        let answer = server.send(CHAT, &[&host, kind], &body);
        assert_eq!(
            answer.error(),
            (415, json!(null), "unsupported_media_type".into())
        );
    }
    // The leave that a browser asks for is not given.
    let asks = [
        "Origin: https://site.example",
        "Access-Control-Request-Method: POST",
    ];
    let answer = server.send(
        "OPTIONS /v1/chat/completions",
        &[&host, asks[0], asks[1]],
        "",
    );
    assert_eq!(answer.status, 403);
    for answer in [
        answer,
        server.get("/v1/models"),
        server.chat("say a", &json!({})),
    ] {
        assert!(!answer.head.contains("access-control"), "{}", answer.head);
    }
    for host in [
        "Host: localhost",
        "Host: LocalHost:1",
        "Host: [::1]:8080",
        "Host: 127.0.0.1",
    ] {
        assert_eq!(
            server.send(CHAT, &[host, JSON], &body).status,
            200,
            "{host}"
        );
    }
    let kind = "content-type: Application/JSON; charset=utf-8";
    assert_eq!(server.send(CHAT, &[&host, kind], &body).status, 200);
}

#[test]
fn on_other_interfaces_any_host_is_right() {
    let mut settings = settings();
    settings.is_loopback = false;
    let server = Server::new(settings);
    assert_eq!(
        server
            .send("GET /v1/models", &["Host: box.example"], "")
            .status,
        200
    );
    let page = ["Host: box.example", "Origin: https://site.example"];
    assert_eq!(server.send("GET /v1/models", &page, "").status, 403);
}

#[test]
fn a_key_is_asked_for_where_there_is_one() {
    let mut settings = settings();
    settings.key = Some(Key::new("canary-7431".to_owned()).unwrap());
    let server = Server::new(settings);
    let host = format!("Host: {}", server.address);
    let with = |header: &str| server.send("GET /v1/models", &[&host, header], "");
    for header in [
        "X: y",
        "Authorization: canary-7431",
        "Authorization: Basic canary-7431",
        "Authorization: Bearer canary-743",
        "Authorization: Bearer canary-74312",
        "Authorization: Bearer ",
    ] {
        let answer = with(header);
        assert_eq!(
            answer.error(),
            (401, json!(null), "invalid_api_key".into()),
            "{header}"
        );
        assert!(!answer.body.contains("canary"), "{}", answer.body);
        assert!(answer.head.contains("www-authenticate: bearer"));
    }
    for header in [
        "Authorization: Bearer canary-7431",
        "authorization: bearer canary-7431",
    ] {
        assert_eq!(with(header).status, 200, "{header}");
    }
    assert_eq!(server.get("/health").status, 200);
}

#[test]
fn a_body_that_is_no_request_is_refused() {
    let server = Server::new(settings());
    for body in [
        "",
        "{",
        "[]",
        "\"a\"",
        "{\"a\":1}x",
        "nul",
        "{\"model\":\"fake\",}",
    ] {
        assert_eq!(
            server.post_text("/v1/chat/completions", body).error().0,
            400,
            "{body}"
        );
    }
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(server.post_text("/v1/completions", &deep).error().0, 400);
    let answer = server.chat(&"a".repeat(100_000), &json!({}));
    assert_eq!(answer.error(), (413, json!(null), "body_too_large".into()));
}

#[test]
fn a_body_that_never_ends_is_not_waited_for() {
    let mut settings = settings();
    settings.limits.body_wait = std::time::Duration::from_millis(20);
    let server = Server::new(settings);
    let mut stream = server.connect();
    let head = format!(
        "{CHAT} HTTP/1.1\r\nHost: {}\r\n{JSON}\r\nContent-Length: 50\r\n\r\n{{",
        server.address
    );
    stream.write_all(head.as_bytes()).unwrap();
    let answer = read_response(stream);
    assert_eq!(answer.error(), (408, json!(null), "body_timeout".into()));
}
