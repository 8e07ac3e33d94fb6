//! `new` writes a whole paper or nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::fake::Fake;

/// Every file below a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn a_new_paper_is_found_by_place_and_no_existing_file_changes() {
    let fake = Fake::new();
    let before = files(fake.root());
    let title = "A \"quoted\" title: über ";
    let answer = fake.xtask_with(&[
        "new",
        "my-paper",
        "--arxiv",
        "2501.01234v3",
        "--title",
        title,
    ]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(answer.stdout, "crates/my-paper\n");
    assert!(
        answer
            .stderr
            .contains("cargo xtask reproduce my-paper --scale smoke")
    );
    let mut after = files(fake.root());
    let new: Vec<&str> = after
        .keys()
        .filter(|name| !before.contains_key(*name))
        .map(String::as_str)
        .collect();
    assert_eq!(
        new,
        [
            "crates/my-paper/Cargo.toml",
            "crates/my-paper/paper.toml",
            "crates/my-paper/src/main.rs"
        ]
    );
    after.retain(|name, _| before.contains_key(name));
    assert_eq!(after, before);

    let shown = fake.xtask("show my-paper");
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(
        shown
            .stdout
            .starts_with("my-paper: A \"quoted\" title: über\n"),
        "{}",
        shown.stdout
    );
    assert!(shown.stdout.contains("2501.01234v3"), "{}", shown.stdout);
    assert!(fake.xtask("list").stdout.contains("my-paper  1"));
}

#[test]
fn the_scaffold_is_formatted() {
    let fake = Fake::new();
    assert_eq!(fake.xtask("new my-paper --arxiv 2501.01234").code, 0);
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rustfmt.toml");
    if config.is_file() {
        std::fs::copy(config, fake.root().join("rustfmt.toml")).unwrap();
    }
    let output = Command::new("rustfmt")
        .args(["--check", "--edition", "2024"])
        .arg(fake.root().join("crates/my-paper/src/main.rs"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_name_that_is_taken_or_makes_no_sense_writes_nothing() {
    let fake = Fake::new();
    let before = files(fake.root());
    for (words, expected) in [
        (
            "new alpha --arxiv 2501.01234",
            "`crates/alpha` exists already",
        ),
        (
            "new shared --arxiv 2501.01234",
            "`crates/shared` exists already",
        ),
        (
            "new taken --arxiv 2501.01234",
            "a crate `taken` is in use already",
        ),
        ("new match --arxiv 2501.01234", "Rust or cargo keeps it"),
        ("new ../evil --arxiv 2501.01234", "cannot name a paper"),
        ("new My_Paper --arxiv 2501.01234", "cannot name a paper"),
        ("new my-paper --arxiv 1234", "is no arXiv identifier"),
        ("new my-paper", "--arxiv"),
    ] {
        let answer = fake.xtask(words);
        assert_eq!(answer.code, 2, "{words}: {}", answer.stderr);
        assert!(
            answer.stderr.contains(expected),
            "{words}: {}",
            answer.stderr
        );
        assert_eq!(files(fake.root()), before, "{words}");
    }
}
