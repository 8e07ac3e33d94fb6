//! Files that lie on this machine.

use std::fs;

use data::generate::noisy_xor;
use eval::digest::Digest;

use crate::world::{Draft, World};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn toy(source: &str) -> Draft {
    Draft::new("toy").file("a.txt", b"alpha").source(source)
}

#[test]
fn the_answer_is_the_same_whatever_the_source() {
    let hub = "kind = \"hub\"\nrepo = \"org/toy\"\nrepo_type = \"dataset\"\nrevision = \"main\"";
    let snapshot = "hf/hub/datasets--org--toy";
    for (source, places) in [
        ("kind = \"vendored\"", vec!["root/datasets/toy/a.txt"]),
        ("kind = \"mirror\"", vec!["mirror/toy/a.txt"]),
        (
            "kind = \"mirror\"\ndir = \"other/x\"",
            vec!["mirror/other/x/a.txt"],
        ),
        (
            "kind = \"mirror\"\nfiles = { \"a.txt\" = \"in/b.txt\" }",
            vec!["mirror/toy/in/b.txt"],
        ),
        (hub, vec!["hf/hub/datasets--org--toy/snapshots/abc/a.txt"]),
        (
            "kind = \"manual\"\ninstructions = \"Ask.\"",
            vec!["cache/toy/a.txt"],
        ),
    ] {
        let world = World::new();
        world.add(&toy(source));
        world.write(&format!("{snapshot}/refs/main"), b"abc");
        let paths: Vec<_> = places
            .iter()
            .map(|place| world.write(place, b"alpha"))
            .collect();
        let input = world.resolve("toy");
        assert_eq!(input["state"]["state"], "present", "{source}");
        let file = &input["files"]["a.txt"];
        assert_eq!(file["path"], paths[0].to_str().unwrap(), "{source}");
        assert_eq!(file["sha256"], Digest::of(b"alpha").as_hex());
        assert_eq!(file["bytes"], 5);
    }
}

#[test]
fn a_hub_snapshot_is_found_by_its_commit_alone() {
    let world = World::new();
    let source = format!("kind = \"hub\"\nrepo = \"org/toy\"\nrevision = \"{COMMIT}\"");
    world.add(&toy(&source));
    world.write(
        &format!("hf/hub/models--org--toy/snapshots/{COMMIT}/a.txt"),
        b"alpha",
    );
    assert_eq!(world.resolve("toy")["state"]["state"], "present");
}

#[test]
fn weights_lie_one_folder_deeper() {
    let world = World::new();
    world.add(
        &Draft::new("models/tiny")
            .file("w.gguf", b"w")
            .source("kind = \"vendored\""),
    );
    world.write("root/datasets/models/tiny/w.gguf", b"w");
    assert_eq!(world.resolve("models/tiny")["state"]["state"], "present");
}

#[test]
fn altered_truncated_and_oversized_files_are_mismatches_that_name_what_was_found() {
    for (bytes, words) in [
        (&b"alphA"[..], format!("sha256 {}", Digest::of(b"alphA"))),
        (b"alph", "has 4 bytes, 5 are expected".to_owned()),
        (b"alpha+", "has 6 bytes, 5 are expected".to_owned()),
        (b"", "has 0 bytes, 5 are expected".to_owned()),
    ] {
        for (source, place) in [
            ("kind = \"vendored\"", "root/datasets/toy/a.txt"),
            ("kind = \"mirror\"", "mirror/toy/a.txt"),
            (
                "kind = \"manual\"\ninstructions = \"Ask.\"",
                "cache/toy/a.txt",
            ),
        ] {
            let world = World::new();
            world.add(&toy(source));
            let path = world.write(place, bytes);
            let input = world.resolve("toy");
            let reason = input["state"]["reason"].as_str().unwrap();
            assert_eq!(input["state"]["state"], "mismatch", "{reason}");
            assert!(
                reason.contains(&words) && reason.contains(path.to_str().unwrap()),
                "{reason}"
            );
            assert_eq!(input["state"]["fetch"], "cargo xtask data fetch toy");
            assert!(input["files"].as_object().unwrap().is_empty());
            assert_eq!(fs::read(path).unwrap(), bytes, "the file is left as it was");
        }
    }
}

#[test]
fn an_altered_copy_does_not_hide_a_good_one() {
    let world = World::new();
    world.add(&toy("kind = \"vendored\"").source("kind = \"mirror\""));
    world.write("root/datasets/toy/a.txt", b"alphA");
    let good = world.write("mirror/toy/a.txt", b"alpha");
    assert_eq!(
        world.resolve("toy")["files"]["a.txt"]["path"],
        good.to_str().unwrap()
    );
}

#[test]
fn what_nobody_has_is_missing_with_every_reason() {
    let world = World::new();
    world.add(
        &toy("kind = \"vendored\"")
            .source("kind = \"mirror\"")
            .source("kind = \"manual\"\ninstructions = \"Write to the authors\""),
    );
    let input = world.resolve("toy");
    assert_eq!(input["state"]["state"], "missing");
    let reason = input["state"]["reason"].as_str().unwrap();
    for words in [
        "the data set's folder: there is no",
        "the mirror folder",
        "Write to the authors",
    ] {
        assert!(reason.contains(words), "{reason}");
    }
    let place = world.path("cache/toy/a.txt");
    assert!(
        reason.contains(place.to_str().unwrap()),
        "{reason} says where to put it"
    );
}

#[test]
fn parts_are_joined_in_order_and_checked_as_a_whole() {
    let world = World::new();
    let part = |from: &str| format!("{{ file = \"a.txt\", from = \"{from}\" }}");
    let source = format!(
        "kind = \"mirror\"\nparts = [{}, {}]",
        part("p1"),
        part("p2")
    );
    world.add(&toy(&source));
    world.write("mirror/toy/p1", b"alp");
    world.write("mirror/toy/p2", b"hX");
    let input = world.resolve("toy");
    assert_eq!(input["state"]["state"], "missing");
    assert_eq!(
        world.cached(),
        Vec::<String>::new(),
        "bad bytes never get a name"
    );
    world.write("mirror/toy/p2", b"ha");
    let input = world.resolve("toy");
    let path = input["files"]["a.txt"]["path"].as_str().unwrap();
    assert_eq!(fs::read(path).unwrap(), b"alpha");
    assert_eq!(path, world.path("cache/toy/a.txt").to_str().unwrap());
}

#[test]
fn a_generated_file_is_made_once_and_kept() {
    let world = World::new();
    let bytes = noisy_xor(5);
    let source =
        |seed: u64| format!("kind = \"generated\"\nfunction = \"noisy-xor\"\nseed = {seed}");
    world.add(
        &Draft::new("gate")
            .file("gate.csv", &bytes)
            .source(&source(5)),
    );
    let done = world.run(&["resolve", "--offline", "gate"]);
    assert!(
        done.stderr.contains("making `gate/gate.csv`"),
        "{}",
        done.stderr
    );
    assert_eq!(fs::read(world.path("cache/gate/gate.csv")).unwrap(), bytes);
    let again = world.run(&["resolve", "--offline", "gate"]);
    assert_eq!(again.stdout, done.stdout);
    assert_eq!(again.stderr, "");

    world.add(
        &Draft::new("gate2")
            .file("gate.csv", &bytes)
            .source(&source(6)),
    );
    let input = world.resolve("gate2");
    assert_eq!(
        input["state"]["state"], "missing",
        "another seed gives other bytes"
    );
}

#[test]
fn a_cache_that_cannot_be_written_is_a_reason_and_no_crash() {
    let world = World::new();
    let bytes = noisy_xor(5);
    let source = "kind = \"generated\"\nfunction = \"noisy-xor\"\nseed = 5";
    world.add(&Draft::new("gate").file("gate.csv", &bytes).source(source));
    world.write("cache", b"a file where the folder should be");
    let input = world.resolve("gate");
    let reason = input["state"]["reason"].as_str().unwrap();
    assert!(reason.contains("cannot write below"), "{reason}");
    assert_eq!(world.run(&["fetch", "gate"]).code, 6);
}

#[test]
fn what_a_killed_program_left_is_swept() {
    let world = World::new();
    let bytes = noisy_xor(5);
    let source = "kind = \"generated\"\nfunction = \"noisy-xor\"\nseed = 5";
    world.add(&Draft::new("gate").file("gate.csv", &bytes).source(source));
    world.write("cache/gate/.part-abc", b"torn");
    world.write("cache/gate/.part-pip-x/wheels/y.whl", b"torn");
    assert_eq!(world.resolve("gate")["state"]["state"], "present");
    assert_eq!(
        world.cached(),
        [world.path("cache/gate/gate.csv").to_str().unwrap()]
    );
}
