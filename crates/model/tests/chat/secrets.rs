//! A canary key is searched in everything that comes out: this program runs itself again with the
//! key in its environment, through every fault, with every library's log switched on.

use std::path::Path;
use std::process::Command;

use crate::server::{Server, answer_of, json, reply};
use crate::support::{FOLDER_ENV, KEY_ENV, ask, endpoint, report, request, settings};

const CANARY: &str = "canary-7f3a9c51e2b84d06";

/// The canary, as a server could spell it too.
fn spellings() -> Vec<String> {
    let escaped: String = CANARY.bytes().map(|b| format!("\\u{b:04x}")).collect();
    let spelled_bytes: String = CANARY.bytes().map(|b| format!("{b}, ")).collect();
    vec![
        CANARY.to_owned(),
        CANARY[..16].to_owned(),
        escaped,
        spelled_bytes,
    ]
}

fn search(place: &str, bytes: &[u8]) {
    for spelling in spellings() {
        let found = bytes
            .windows(spelling.len())
            .any(|w| w == spelling.as_bytes());
        assert!(!found, "the key is in {place}");
    }
}

fn search_folder(folder: &Path) -> usize {
    let mut n_files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        search("a file's name", path.to_string_lossy().as_bytes());
        if path.is_dir() {
            n_files += search_folder(&path);
        } else {
            search(&path.display().to_string(), &std::fs::read(&path).unwrap());
            n_files += 1;
        }
    }
    n_files
}

#[test]
fn no_output_holds_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["faults::", "account::", "secrets::inner::", "--nocapture"])
        .env(KEY_ENV, CANARY)
        .env(FOLDER_ENV, folder.path())
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    search("stdout", &output.stdout);
    search("stderr", &output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(search_folder(folder.path()) > 10, "caches were written");
    for part in ["log:hyper", "log:model::chat", "[redacted]", "Endpoint {"] {
        assert!(stderr.contains(part), "`{part}` was to be searched too");
    }
}

/// What only the run with the key does.
mod inner {
    use super::*;

    fn has_key() -> bool {
        std::env::var_os(KEY_ENV).is_some()
    }

    #[tokio::test]
    async fn the_key_is_sent_where_it_belongs() {
        let server = Server::start(vec![json(&answer_of(&["x"]))]).await;
        ask(&endpoint(settings(&server.address)), &request("a"))
            .await
            .answer
            .unwrap();
        let head = server.seen()[0].head.to_ascii_lowercase();
        let sent = head.contains(&format!("authorization: bearer {CANARY}"));
        // Not `assert_eq!`, which would print the head.
        assert!(sent == has_key(), "the key was to be sent if there is one");
    }

    #[tokio::test]
    async fn a_server_that_repeats_the_key_is_not_believed() {
        if !has_key() {
            return;
        }
        let long = format!("{}{CANARY}{}", "x".repeat(290), "y".repeat(500));
        let spelled: String = CANARY.bytes().map(|b| format!("\\u{b:04x}")).collect();
        for said in [CANARY, &long, &spelled] {
            let refusals = [
                format!(r#"{{"error": {{"message": "wrong key {said}"}}}}"#),
                format!("wrong key {said}"),
            ];
            for refusal in &refusals {
                if refusal.contains("\\u") && !refusal.starts_with('{') {
                    continue;
                }
                let server = Server::start(vec![reply(401, "", refusal)]).await;
                let asked = ask(&endpoint(settings(&server.address)), &request("a")).await;
                assert!(report(&asked).contains("wrong key") || said == long);
            }
            let bodies = [
                format!(
                    r#"{{"model": "{said}", "choices": [{{"message": {{"content": "a {said}",
                    "reasoning": "{said}"}}, "finish_reason": "stop"}}]}}"#
                ),
                format!(r#"{{"choices": [{{"message": {{}}, "finish_reason": "{said}"}}]}}"#),
                format!(r#"{{"choices": "{said}"}}"#),
                format!(r#"{{"choices": [], "error": "{said}"}}"#),
            ];
            for body in &bodies {
                let server = Server::start(vec![json(body)]).await;
                ask(&endpoint(settings(&server.address)), &request("a"))
                    .await
                    .attempts[0]
                    .status
                    .unwrap();
            }
            let kind = format!("content-type: text/{said}\r\n");
            let server = Server::start(vec![reply(200, &kind, "")]).await;
            ask(&endpoint(settings(&server.address)), &request("a")).await;
        }
    }

    #[tokio::test]
    async fn other_machines_get_the_key_encrypted_or_not_at_all() {
        if !has_key() {
            return;
        }
        let error = model::chat::Endpoint::new(settings("http://192.0.2.1/v1")).unwrap_err();
        assert!(error.report().contains("key_over_plain_http"));
        assert!(model::chat::Endpoint::new(settings("https://192.0.2.1/v1")).is_ok());
    }
}
