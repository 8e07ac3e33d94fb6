//! `pip`, through a stand-in for the interpreter.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;
use zip::write::SimpleFileOptions;

use crate::world::{Done, Draft, World};

/// Stands in for the interpreter: hands out prepared wheels and notes how it was called.
const PYTHON: &str = r#"#!/bin/sh
echo "$@" >> "$CALLS"
[ "$1 $2 $3" = "-m pip download" ] || { echo "not a download" >&2; exit 9; }
while [ $# -gt 1 ]; do
  if [ "$1" = --dest ]; then dest="$2"; fi
  shift
done
[ "$dest" = "$PWD" ] || { echo "runs in a folder of others" >&2; exit 9; }
if [ ! -f "$WHEELS/$1.whl" ]; then
  echo "ERROR: No matching distribution found for $1" >&2
  exit 1
fi
cp "$WHEELS/$1.whl" "$dest/package-1-py3-none-any.whl"
"#;

struct Shop {
    world: World,
}

impl Shop {
    fn new(draft: &Draft) -> Self {
        let world = World::new();
        world.add(draft);
        let python = world.write("bin/python3", PYTHON.as_bytes());
        fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all(world.path("wheels")).unwrap();
        Self { world }
    }

    fn wheel(&self, requirement: &str, members: &[(&str, &[u8])]) {
        let path = self.world.path(&format!("wheels/{requirement}.whl"));
        let mut archive = zip::ZipWriter::new(fs::File::create(path).unwrap());
        for (name, bytes) in members {
            archive
                .start_file(*name, SimpleFileOptions::default())
                .unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Done {
        let path = format!("{}:/usr/bin:/bin", self.world.path("bin").display());
        let mut command = self.world.command(arguments);
        command
            .env("PATH", path)
            .env("WHEELS", self.world.path("wheels"))
            .env("CALLS", self.world.path("calls"));
        Done::of(command.output().unwrap())
    }

    fn resolve(&self) -> Value {
        let done = self.run(&["resolve", "toy"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let inputs: Value = serde_json::from_str(&done.stdout).unwrap();
        inputs["inputs"]["toy"].clone()
    }

    fn calls(&self) -> usize {
        fs::read_to_string(self.world.path("calls")).map_or(0, |calls| calls.lines().count())
    }
}

fn package(more: &str) -> String {
    format!("kind = \"pip\"\npackage = \"toy-data\"\nversion = \"1.0\"\n{more}")
}

#[test]
fn members_of_one_wheel_come_with_one_download_and_nothing_of_it_runs() {
    let files = "files = { \"a.txt\" = \"toy/a.txt\", \"b.txt\" = \"toy/sub/b.txt\" }";
    let draft = Draft::new("toy")
        .file("a.txt", b"alpha")
        .file("b.txt", b"beta")
        .source(&package(files));
    let shop = Shop::new(&draft);
    let run_me = b"import os; os.abort()".as_slice();
    shop.wheel(
        "toy-data==1.0",
        &[
            ("toy/a.txt", b"alpha"),
            ("toy/sub/b.txt", b"beta"),
            ("toy/__init__.py", run_me),
        ],
    );
    let input = shop.resolve();
    let path = input["files"]["b.txt"]["path"].as_str().unwrap();
    assert_eq!(fs::read(path).unwrap(), b"beta");
    assert_eq!(shop.calls(), 1);
    let calls = fs::read_to_string(shop.world.path("calls")).unwrap();
    assert!(calls.contains("--no-deps --only-binary=:all:"), "{calls}");
    assert_eq!(
        shop.world.cached().len(),
        2,
        "the wheel is gone: {:?}",
        shop.world.cached()
    );
    shop.resolve();
    assert_eq!(shop.calls(), 1, "the second time the cache serves");
}

#[test]
fn parts_come_from_several_packages() {
    let parts = "kind = \"pip\"\nversion = \"1.0\"\nparts = [\n\
        { file = \"a.txt\", package = \"part-1\", from = \"p/1\" },\n\
        { file = \"a.txt\", package = \"part-2\", from = \"p/2\" },\n]";
    let shop = Shop::new(&Draft::new("toy").file("a.txt", b"alpha").source(parts));
    shop.wheel("part-1==1.0", &[("p/1", b"alp")]);
    shop.wheel("part-2==1.0", &[("p/2", b"ha")]);
    let input = shop.resolve();
    let path = input["files"]["a.txt"]["path"].as_str().unwrap();
    assert_eq!(fs::read(path).unwrap(), b"alpha");
    assert_eq!(shop.calls(), 2);
}

/// Runs a wheel that cannot serve and returns the reason.
fn refused(members: &[(&str, &[u8])]) -> String {
    let draft = Draft::new("toy")
        .file("a.txt", b"alpha")
        .source(&package(""));
    let shop = Shop::new(&draft);
    shop.wheel("toy-data==1.0", members);
    let input = shop.resolve();
    assert_eq!(input["state"]["state"], "missing");
    assert_eq!(shop.world.cached(), Vec::<String>::new());
    let outside = Path::new("/escaped.txt");
    assert!(!outside.exists(), "nothing is unpacked outside");
    input["state"]["reason"].as_str().unwrap().to_owned()
}

#[test]
fn a_wheel_that_does_not_fit_is_refused() {
    let reason = refused(&[("b.txt", b"alpha")]);
    assert!(reason.contains("has no member `a.txt`"), "{reason}");
    let reason = refused(&[("../../../../../../../../escaped.txt", b"alpha")]);
    assert!(reason.contains("has no member `a.txt`"), "{reason}");
    let reason = refused(&[("a.txt", b"alphA")]);
    assert!(reason.contains("it gave bytes with sha256"), "{reason}");
    // A bomb: a few kilobytes that unpack to many megabytes.
    let reason = refused(&[("a.txt", &vec![0; 50_000_000])]);
    assert!(
        reason.contains("more than the 5 bytes expected"),
        "{reason}"
    );
}

#[test]
fn the_words_of_a_failing_pip_are_repeated_and_the_next_source_asked() {
    let draft = Draft::new("toy")
        .file("a.txt", b"alpha")
        .file("b.txt", b"beta")
        .source(&package(""))
        .source("kind = \"manual\"\ninstructions = \"Ask.\"");
    let shop = Shop::new(&draft);
    let input = shop.resolve();
    let reason = input["state"]["reason"].as_str().unwrap();
    assert!(
        reason.contains("No matching distribution found for toy-data==1.0"),
        "{reason}"
    );
    assert!(reason.contains("by hand: Ask."), "{reason}");
    assert_eq!(
        shop.calls(),
        1,
        "a failed download is not repeated for the second file"
    );
}

#[test]
fn without_an_interpreter_the_reason_says_so() {
    let world = World::new();
    world.add(
        &Draft::new("toy")
            .file("a.txt", b"alpha")
            .source(&package("")),
    );
    let input = world.resolve("toy");
    let reason = input["state"]["reason"].as_str().unwrap();
    assert!(reason.contains("cannot start `python3 -m pip`"), "{reason}");
}

#[test]
fn offline_no_package_is_asked_for() {
    let shop = Shop::new(
        &Draft::new("toy")
            .file("a.txt", b"alpha")
            .source(&package("")),
    );
    shop.wheel("toy-data==1.0", &[("a.txt", b"alpha")]);
    let done = shop.run(&["fetch", "--offline", "toy"]);
    assert_eq!(done.code, 6);
    assert!(
        done.stderr.contains("`--offline` forbids the network"),
        "{}",
        done.stderr
    );
    assert_eq!(shop.calls(), 0);
}
