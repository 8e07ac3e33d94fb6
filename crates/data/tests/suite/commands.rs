//! Commands and their exit codes.

use std::fs;

use serde_json::Value;

use crate::world::{Draft, World};

fn world() -> World {
    let world = World::new();
    world.add(
        &Draft::new("here")
            .file("a.txt", b"alpha")
            .source("kind = \"vendored\""),
    );
    world.write("root/datasets/here/a.txt", b"alpha");
    world.add(
        &Draft::new("models/away")
            .file("w.bin", b"weights")
            .source("kind = \"mirror\""),
    );
    world
}

#[test]
fn resolve_writes_inputs_the_engine_reads_and_never_fails_for_a_missing_one() {
    let world = world();
    let out = world.path("inputs.json");
    let arguments = [
        "resolve",
        "--out",
        out.to_str().unwrap(),
        "here",
        "models/away",
        "heree",
    ];
    let done = world.run(&arguments);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (0, ""),
        "{}",
        done.stderr
    );
    let inputs = eval::Inputs::read(&out).unwrap();
    let state = |name: &str| inputs.inputs[name].state.clone();
    assert_eq!(state("here"), eval::InputState::Present);
    let eval::InputState::Missing { fetch, .. } = state("models/away") else {
        panic!("{:?}", state("models/away"));
    };
    assert_eq!(fetch, "cargo xtask data fetch models/away");
    let eval::InputState::Missing { reason, .. } = state("heree") else {
        panic!("{:?}", state("heree"));
    };
    assert_eq!(reason, "there is no data set `heree`; did you mean `here`?");
}

#[test]
fn a_manifest_that_cannot_be_understood_stops_what_asks_for_it_and_nothing_else() {
    let world = world();
    world.write(
        "root/datasets/broken/dataset.toml",
        b"format = 1\nnam = \"broken\"\n",
    );
    for arguments in [
        ["resolve", "broken"],
        ["fetch", "broken"],
        ["verify", "broken"],
    ] {
        let done = world.run(&arguments);
        assert_eq!(
            (done.code, done.stdout.as_str()),
            (2, ""),
            "{}",
            done.stderr
        );
        let place = "`datasets/broken/dataset.toml` line 2, key `nam`";
        assert!(done.stderr.contains(place), "{}", done.stderr);
        assert!(
            done.stderr.contains("did you mean `name`?"),
            "{}",
            done.stderr
        );
    }
    assert_eq!(world.run(&["resolve", "here"]).code, 0);
}

#[test]
fn a_manifest_in_the_wrong_folder_is_refused() {
    let world = World::new();
    let text = Draft::new("here")
        .file("a.txt", b"a")
        .source("kind = \"vendored\"")
        .toml();
    world.write("root/datasets/there/dataset.toml", text.as_bytes());
    let done = world.run(&["resolve", "there"]);
    assert_eq!(done.code, 2);
    assert!(
        done.stderr.contains("`here` is not the folder's name"),
        "{}",
        done.stderr
    );
}

#[test]
fn usage_errors_have_their_exit_code() {
    let world = world();
    for arguments in [
        vec![],
        vec!["frobnicate"],
        vec!["resolve"],
        vec!["fetch"],
        vec!["fetch", "--all", "here"],
        vec!["fetch", "heree"],
        vec!["verify", "heree"],
        vec!["croissant", "heree"],
        vec!["list", "--format", "xml"],
    ] {
        let done = world.run(&arguments);
        assert_eq!(
            (done.code, done.stdout.as_str()),
            (2, ""),
            "{arguments:?}: {}",
            done.stderr
        );
    }
    assert!(
        world
            .run(&["fetch", "heree"])
            .stderr
            .contains("did you mean `here`?")
    );
    let outside = world.command(&["list"]).current_dir("/").output().unwrap();
    assert_eq!(outside.status.code(), Some(2), "no workspace");
}

#[test]
fn list_and_licenses_come_as_table_and_json() {
    let world = world();
    let table = world.run(&["list"]).stdout;
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[1][..5], ["here", "1", "5", "B", "MIT"]);
    assert_eq!(lines[2], ["models/away", "1", "7", "B", "MIT", "missing"]);
    let json: Value =
        serde_json::from_str(&world.run(&["list", "--format", "json"]).stdout).unwrap();
    assert_eq!(json[0]["state"], "present");
    assert_eq!(json[1]["bytes"], 7);
    let json = world.run(&["licenses", "--format", "json"]).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["licence"], "MIT");
    assert_eq!(json[0]["redistributable"], true);
    assert!(world.run(&["licenses"]).stdout.contains("models/away"));
}

#[test]
fn verify_hashes_every_byte_and_names_what_is_wrong() {
    let world = world();
    let done = world.run(&["verify", "here"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stdout.lines().nth(1).unwrap().contains("ok"),
        "{}",
        done.stdout
    );
    world.write("root/datasets/here/a.txt", b"alphA");
    // The length is right, so a look at lengths does not see it.
    assert!(
        world
            .run(&["list"])
            .stdout
            .lines()
            .nth(1)
            .unwrap()
            .contains("present")
    );
    let done = world.run(&["verify"]);
    assert_eq!(done.code, 6);
    assert!(
        done.stdout.contains("mismatch") && done.stdout.contains("missing"),
        "{}",
        done.stdout
    );
    for words in [
        "here",
        "a.txt",
        "sha256 8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8",
        eval::digest::Digest::of(b"alphA").as_hex(),
        "cargo xtask data fetch here",
        "cargo xtask data fetch models/away",
    ] {
        assert!(
            done.stderr.contains(words),
            "{} should contain {words}",
            done.stderr
        );
    }
}

#[test]
fn fetch_all_brings_what_it_can_and_says_what_it_cannot() {
    let world = world();
    let done = world.run(&["fetch", "--all"]);
    assert_eq!(done.code, 6);
    assert!(
        done.stderr.contains("`here` is complete (5 B)"),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.contains("these data sets cannot be had"),
        "{}",
        done.stderr
    );
    world.write("mirror/models/away/w.bin", b"weights");
    assert_eq!(world.run(&["fetch", "--all"]).code, 0);
}

#[test]
fn the_root_can_be_given_by_option_or_environment() {
    let world = world();
    let root = world.path("root");
    let by_option = world
        .command(&["list", "--root", root.to_str().unwrap()])
        .current_dir("/")
        .output()
        .unwrap();
    assert!(by_option.status.success());
    let by_environment = world
        .command(&["list"])
        .env("PAPERS_ROOT", &root)
        .current_dir("/")
        .output()
        .unwrap();
    assert_eq!(by_option.stdout, by_environment.stdout);
}

#[test]
fn without_cache_and_home_the_platform_s_folder_is_used() {
    let world = World::new();
    let bytes = data::generate::noisy_xor(1);
    let source = "kind = \"generated\"\nfunction = \"noisy-xor\"\nseed = 1";
    world.add(&Draft::new("gate").file("gate.csv", &bytes).source(source));
    let mut command = world.command(&["fetch", "gate"]);
    command
        .env_remove("DATASETS_CACHE")
        .env("XDG_CACHE_HOME", world.path("xdg"));
    assert!(command.output().unwrap().status.success());
    if cfg!(target_os = "linux") {
        assert!(world.path("xdg/papers/datasets/gate/gate.csv").is_file());
    }
}

#[test]
fn croissant_names_every_file_with_its_digest_and_type() {
    let world = world();
    let out = world.path("croissant.json");
    let done = world.run(&["croissant", "here", "--out", out.to_str().unwrap()]);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (0, ""),
        "{}",
        done.stderr
    );
    let json: Value = serde_json::from_slice(&fs::read(out).unwrap()).unwrap();
    assert_eq!(json["conformsTo"], "http://mlcommons.org/croissant/1.0");
    assert_eq!(json["@context"]["cr"], "http://mlcommons.org/croissant/");
    assert_eq!(json["version"], "1.0.0");
    let file = &json["distribution"][0];
    assert_eq!(file["@type"], "cr:FileObject");
    assert_eq!(file["contentUrl"], "a.txt");
    assert_eq!(file["encodingFormat"], "text/plain");
    assert_eq!(file["sha256"], eval::digest::Digest::of(b"alpha").as_hex());
}

#[test]
fn help_shows_examples_and_exit_codes() {
    let done = world().run(&["--help"]);
    assert_eq!(done.code, 0);
    assert!(done.stdout.contains("Examples:") && done.stdout.contains("Exit codes:"));
}
