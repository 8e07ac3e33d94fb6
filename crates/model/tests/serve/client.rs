//! A real OpenAI client works unchanged: the Python package `openai`, where there is one.
//!
//! `MODEL_PEER_PYTHON` names a Python that has it. Without the variable the test says so and checks
//! nothing; everything it would see is tested in the other modules with a client of our own.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use model::serve::Key;

use crate::http::{Server, settings};

#[test]
fn the_python_client_works_unchanged() {
    let Some(python) = std::env::var_os("MODEL_PEER_PYTHON") else {
        let note = "NOT TESTED with the Python client: MODEL_PEER_PYTHON names no Python with the \
                    package `openai` (pip install openai)\n";
        std::io::stderr().write_all(note.as_bytes()).unwrap();
        return;
    };
    let mut settings = settings();
    settings.key = Some(Key::new("canary-7431".to_owned()).unwrap());
    settings.limits.n_requests_max = 2;
    let server = Server::new(settings);
    // The script may ask for as many gated tokens as it likes.
    for _ in 0..10_000 {
        let _ = server.strings.gate.send(());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/serve/client.py");
    let output = Command::new(python)
        .arg(script)
        .arg(format!("http://{}/v1", server.address))
        .env("OPENAI_API_KEY", "canary-7431")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(
        String::from_utf8_lossy(&output.stdout).ends_with("all of it works\n"),
        "{said}"
    );
}
