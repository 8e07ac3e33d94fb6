//! Signals, in a process of its own: this test program, started again with a variable set.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use model::serve::{Address, App, listen};

use crate::fake::{self, FakeCodec};
use crate::http::settings;

/// Set in the process that serves.
const VARIABLE: &str = "MODEL_TEST_SERVES";

/// Serves in the process that another test starts; elsewhere there is nothing to do.
#[test]
fn serves_until_a_signal() {
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    // The strings stay: with the gate closed, gated answers wait for ever.
    let (model, _strings) = fake::model();
    let mut settings = settings();
    settings.limits.stop_wait = std::time::Duration::from_secs(30);
    let app = App::new(model, Arc::new(FakeCodec { has_chat: true }), settings).unwrap();
    let address = Address::new("127.0.0.1".parse().unwrap(), 0, false).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let outcome = runtime.block_on(listen(app, address, |bound| println!("listening {bound}")));
    std::process::exit(i32::from(outcome.unwrap().exit_code()));
}

fn start() -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "signals::serves_until_a_signal", "--nocapture"])
        .env(VARIABLE, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map(|line| line.unwrap());
    let found = lines.find_map(|line| line.split_once("listening ").map(|(_, a)| a.to_owned()));
    // The rest of the output is read, so that the process never waits for us.
    std::thread::spawn(move || lines.for_each(drop));
    (child, found.unwrap())
}

fn kill(child: &Child, signal: &str) {
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args([signal, &id])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn a_request_to_terminate_ends_the_server_with_0_and_an_interrupt_with_130() {
    for (signal, code) in [("-TERM", 0), ("-INT", 130)] {
        let (mut child, _) = start();
        kill(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");
    }
}

#[test]
fn a_second_signal_does_not_wait_for_running_answers() {
    use std::io::Write;
    let (mut child, address) = start();
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    let body = crate::http::chat_body("say a", &serde_json::json!({"stream": true})).to_string();
    // Half a request keeps the connection busy.
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
        body.len(),
        &body[..5]
    );
    stream.write_all(head.as_bytes()).unwrap();
    kill(&child, "-INT");
    // A server that was asked to stop lets nobody in; two signals at once could come in any order.
    while std::net::TcpStream::connect(&address).is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    kill(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn other_machines_are_let_in_only_on_demand() {
    for host in ["0.0.0.0", "192.168.1.2", "::"] {
        let host = host.parse().unwrap();
        let error = Address::new(host, 1, false).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.next_step().unwrap().contains("--allow-remote"));
        assert!(!Address::new(host, 1, true).unwrap().is_loopback());
    }
    for host in ["127.0.0.1", "127.3.2.1", "::1"] {
        assert!(
            Address::new(host.parse().unwrap(), 1, false)
                .unwrap()
                .is_loopback()
        );
    }
}
