//! `cx.chat(role)` in a cell, without a network.

use std::path::Path;

use eval::{Cell, Cx, Inputs};
use model::chat::{ChatRoles, ChatSpec, CxChat, Endpoint, Replay, block_on};

use crate::server::{Server, reply, says};
use crate::support::{request, settings};

fn cx(cell: &Cell, folder: &Path) -> Cx {
    Cx::in_process("paper", cell, folder, Inputs::none()).unwrap()
}

fn roles(spec: &str) -> ChatRoles {
    ChatRoles {
        roles: [("player".to_owned(), spec.parse::<ChatSpec>().unwrap())].into(),
        endpoints: Default::default(),
    }
}

#[test]
fn the_condition_comes_before_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let roles = roles("scripted:echo");
    let plain = cx(&Cell::new("e", 0), &folder.path().join("a"));
    assert_eq!(
        plain.chat("player", &roles).unwrap().name(),
        "scripted:echo"
    );
    let cell = Cell::new("e", 0).with("player", "scripted:say:x");
    let other = cx(&cell, &folder.path().join("b"));
    assert_eq!(other.chat("player", &roles).unwrap().name(), "scripted:say");
    for (role, condition, named) in [
        ("judge", "x", "nobody plays the role `judge`"),
        ("player", "gpt", "`gpt` names nobody"),
        ("player", "local:m", "`models/m`"),
        ("player", "replay:no-such-file", "no-such-file"),
    ] {
        let cell = Cell::new("e", 0).with("player", condition);
        let cx = cx(&cell, &folder.path().join("c"));
        let report = cx.chat(role, &roles).err().unwrap().report();
        assert!(report.contains(named), "{report}");
    }
}

#[test]
fn a_transcript_can_be_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let requests = [request("a"), request("b"), request("c")];
    let mut live = cx(&Cell::new("e", 0), folder.path());
    let chat = live.chat("player", &roles("scripted:echo")).unwrap();
    let batch = chat.complete_all(&mut live, &requests).unwrap();
    assert_eq!((batch.n_attempted, batch.n_failed), (3, 0));
    live.finish().unwrap();
    let spec = format!(
        "replay:{}",
        folder.path().join("transcript.jsonl").display()
    );
    let mut cx = cx(&Cell::new("e", 0), &folder.path().join("again"));
    let chat = cx.chat("player", &roles(&spec)).unwrap();
    let again = chat.complete_all(&mut cx, &requests).unwrap();
    for (a, b) in batch.answers.iter().zip(&again.answers) {
        assert_eq!(a.as_ref().unwrap().choices, b.as_ref().unwrap().choices);
    }
}

#[test]
fn failures_and_attempts_are_in_the_transcript() {
    let script = |idx: usize, _: &_| match idx {
        0 => reply(503, "", "later"),
        1 => says("yes"),
        _ => reply(400, "", "never"),
    };
    let server = block_on(Server::with(script)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut roles = roles("endpoint:mine");
    roles
        .endpoints
        .insert("mine".to_owned(), settings(&server.address));
    let mut cx = cx(&Cell::new("e", 0), folder.path());
    let chat = cx.chat("player", &roles).unwrap();
    for text in ["a", "b"] {
        chat.complete_all(&mut cx, &[request(text)]).unwrap();
    }
    cx.finish().unwrap();
    let path = folder.path().join("transcript.jsonl");
    let lines: Vec<serde_json::Value> = std::fs::read_to_string(&path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0]["answer"]["choices"][0]["text"], "yes");
    assert_eq!(lines[1]["attempts"]["attempts"][0]["status"], 503);
    assert!(lines[2]["error"].as_str().unwrap().contains("`never`"));
    assert_eq!(lines[3]["attempts"]["attempts"][0]["status"], 400);
    assert_eq!(Replay::open(&path).unwrap().n_requests(), 1);
}

#[tokio::test]
async fn blocking_inside_a_task_is_refused() {
    assert!(
        block_on(async {})
            .unwrap_err()
            .report()
            .contains("asynchronous task")
    );
}

#[test]
fn connections_outlive_a_blocking_call() {
    const N_QUESTIONS: usize = 20;
    let server = block_on(Server::start(vec![says("x")])).unwrap();
    let endpoint = Endpoint::new(settings(&server.address)).unwrap();
    for idx in 0..N_QUESTIONS {
        let asked = block_on(endpoint.ask(&request(&idx.to_string()))).unwrap();
        assert_eq!(asked.answer.unwrap().attempts, 1);
    }
    // The runtime's worker gives a connection back a moment after its answer; a question that is
    // faster opens one more.
    let n_connections = server.n_connections();
    assert!(n_connections < N_QUESTIONS / 2, "{n_connections}");
}
