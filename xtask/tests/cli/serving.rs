//! `serve`: weights by name or by path, and the server that is started.

use crate::fake::Fake;

/// A workspace with the pinned weights `tiny`, which `data` says are there or not.
fn workspace(is_present: bool) -> Fake {
    let fake = Fake::new();
    fake.cargo_builds();
    fake.write("datasets/models/tiny/dataset.toml", "");
    let root = fake.root().display().to_string();
    let note = format!("echo \"$(basename $0) $*\" >> {root}/started");
    let digest = "0".repeat(64);
    let input = match is_present {
        true => format!(
            r#""state":{{"state":"present"}},
            "files":{{"LICENSE":{{"path":"/cache/LICENSE","bytes":1,"sha256":"{digest}"}},
            "tiny.gguf":{{"path":"/cache/tiny.gguf","bytes":1,"sha256":"{digest}"}}}}"#
        ),
        false => r#""state":{"state":"missing","reason":"no file",
            "fetch":"cargo xtask data fetch models/tiny"},"files":{}"#
            .to_owned(),
    };
    fake.write(
        "inputs.json",
        &format!(
            r#"{{"format":1,"inputs":{{"models/tiny":{{"version":"1","licence":"MIT",{input}}}}}}}"#
        ),
    );
    fake.program("data", &format!("{note}\ncat {root}/inputs.json"));
    fake.program(
        "model",
        &format!("{note}\necho http://address/v1\nexit 130"),
    );
    fake
}

const BUILD: &str = "--message-format=json-render-diagnostics\n";

#[test]
fn named_weights_are_resolved_and_served_under_their_name() {
    for word in ["tiny", "models/tiny"] {
        let fake = workspace(true);
        let answer = fake.xtask(&format!("serve {word} --port 9 --max-requests 2"));
        // The program becomes the server: its output and its exit code are the server's.
        assert_eq!(
            (answer.code, answer.stdout.as_str()),
            (130, "http://address/v1\n")
        );
        let expected = format!(
            "cargo build --release --workspace --bin model --bin data {BUILD}\
             data resolve models/tiny\n\
             model serve /cache/tiny.gguf --name tiny --port 9 --max-requests 2\n"
        );
        assert_eq!(fake.started(), expected);
        assert!(answer.stderr.contains("tiny 1: MIT"), "{}", answer.stderr);
    }
}

#[test]
fn options_before_the_weights_say_how_to_find_and_build_them() {
    let fake = workspace(true);
    fake.xtask("serve --offline --accept tiny --device cuda:1 tiny --name mine");
    let expected = format!(
        "cargo build --release --workspace --features model/cuda --bin model --bin data {BUILD}\
         data resolve --offline --accept models/tiny models/tiny\n\
         model serve /cache/tiny.gguf --device cuda:1 --name mine\n"
    );
    assert_eq!(fake.started(), expected);
    assert_eq!(fake.xtask("serve --device gpu tiny").code, 2);
}

#[test]
fn weights_at_a_path_are_served_as_they_are() {
    let fake = workspace(true);
    fake.write("my.gguf", "");
    fake.xtask("serve my.gguf");
    let path = fake.root().join("my.gguf").display().to_string();
    let expected =
        format!("cargo build --release --workspace --bin model {BUILD}model serve {path}\n");
    assert_eq!(fake.started(), expected);
}

#[test]
fn weights_that_are_not_there_are_told_with_the_next_step() {
    let fake = workspace(false);
    let answer = fake.xtask("serve tiny");
    assert_eq!(answer.code, 6, "{}", answer.stderr);
    assert!(
        answer
            .stderr
            .contains("hint: cargo xtask data fetch models/tiny")
    );
    assert!(
        !fake.started().contains("model serve"),
        "{}",
        fake.started()
    );
    let fake = workspace(true);
    let answer = fake.xtask("serve tini");
    assert_eq!(answer.code, 2);
    assert!(
        answer.stderr.contains("did you mean `tiny`?"),
        "{}",
        answer.stderr
    );
    assert_eq!(fake.xtask("serve away/my.gguf").code, 6);
    assert_eq!(fake.started(), "");
}

#[test]
fn the_doctor_names_pinned_weights() {
    let answer = workspace(true).xtask("doctor --format json");
    let checks = answer.json()["checks"].clone();
    let models = checks
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["check"] == "model weights");
    let found = models.unwrap()["found"].as_str().unwrap().to_owned();
    assert!(found.contains("tiny"), "{found}");
}
