//! What a manifest must not say, and how the refusal points at it.

use std::path::Path;

use data::Manifest;

use crate::world::Draft;

const GIT: &str = "kind = \"git\"\nhost = \"https://example.org\"\nrepo = \"a/b\"\n\
                   commit = \"0123456789abcdef0123456789abcdef01234567\"";

fn sound() -> String {
    Draft::new("toy")
        .file("a.txt", b"a")
        .file("b.txt", b"b")
        .source("kind = \"vendored\"")
        .toml()
}

/// Parses a sound manifest in which `from` was replaced by `to`, and compares the refusal.
fn refused(from: &str, to: &str, line_and_key: &str, words: &str) {
    let text = sound();
    assert!(text.contains(from), "`{from}` is in the sound manifest");
    let text = text.replacen(from, to, 1);
    let error = Manifest::parse(&text, "datasets/toy/dataset.toml", Path::new("."))
        .expect_err(&format!("`{to}` is refused"));
    let shown = error.report();
    assert_eq!(error.exit_code(), eval::exit::USAGE);
    assert!(
        shown.contains("`datasets/toy/dataset.toml` line"),
        "{shown}"
    );
    assert!(
        shown.contains(line_and_key),
        "{shown} should contain {line_and_key}"
    );
    assert!(shown.contains(words), "{shown} should contain {words}");
}

#[test]
fn the_sound_manifest_is_accepted() {
    let manifest = Manifest::parse(&sound(), "x", Path::new(".")).unwrap();
    assert_eq!(manifest.bytes(), 2);
    assert_eq!(manifest.files[1].name, "b.txt");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    refused(
        "homepage",
        "homepgae",
        "line 8, key `homepgae`",
        "did you mean `homepage`?",
    );
    refused(
        "spdx = ",
        "spd = ",
        "line 11, key `licence.spd`",
        "did you mean `spdx`?",
    );
    refused(
        "bytes = 1",
        "bites = 1",
        "line 16, key `files[0].bites`",
        "did you mean `bytes`?",
    );
}

#[test]
fn a_missing_or_wrong_value_is_refused_at_its_key() {
    refused(
        "version = \"1\"\n",
        "",
        "key `version`",
        "this key is missing",
    );
    refused(
        "version = \"1\"",
        "version = 1",
        "line 3, key `version`",
        "must be text, not integer",
    );
    refused(
        "description = \"A toy.\"",
        "description = \" \"",
        "line 4",
        "must not be empty",
    );
    refused(
        "bytes = 1",
        "bytes = -1",
        "line 16, key `files[0].bytes`",
        "at least 0",
    );
    refused(
        "bytes = 1",
        "bytes = \"1\"",
        "line 16, key `files[0].bytes`",
        "a whole number",
    );
    refused(
        "redistributable = true",
        "redistributable = \"yes\"",
        "line 12",
        "true or false",
    );
    refused(
        "format = 1",
        "format = 2",
        "line 1, key `format`",
        "2 is not the format 1",
    );
    refused(
        "published = \"2020\"",
        "published = \"May 2020\"",
        "line 6",
        "written like",
    );
    refused(
        "spdx = \"MIT\"",
        "spdx = \"MIT License\"",
        "line 11",
        "no SPDX expression",
    );
    refused(
        "spdx = \"MIT\"",
        "name = \"Own\"",
        "key `licence.url`",
        "needs the address",
    );
    refused("format = 1", "format = ", "line 1", "");
}

#[test]
fn a_name_that_leaves_its_folder_is_refused() {
    for bad in ["../a.txt", "/etc/passwd", "x/../../a", "a\\\\b", "C:a"] {
        refused(
            "name = \"a.txt\"",
            &format!("name = \"{bad}\""),
            "line 15, key `files[0].name`",
            "",
        );
    }
    refused(
        "name = \"toy\"",
        "name = \"../toy\"",
        "line 2, key `name`",
        "no name of a data set",
    );
    let vendored = "kind = \"vendored\"";
    let pip = "kind = \"pip\"\npackage = \"p\"\nversion = \"1\"\nfiles = { \"a.txt\" = \"../x\" }";
    refused(
        vendored,
        pip,
        "line 28, key `sources[0].files.a.txt`",
        "relative path",
    );
    let mirror = "kind = \"mirror\"\ndir = \"../other\"";
    refused(
        vendored,
        mirror,
        "line 26, key `sources[0].dir`",
        "relative path",
    );
    let option = "kind = \"pip\"\npackage = \"--index-url\"\nversion = \"1\"";
    refused(
        vendored,
        option,
        "line 26, key `sources[0].package`",
        "must begin with",
    );
}

#[test]
fn a_file_listed_twice_is_refused() {
    refused(
        "name = \"b.txt\"",
        "name = \"a.txt\"",
        "line 20, key `files[1].name`",
        "there twice",
    );
    refused(
        "name = \"b.txt\"",
        "name = \"A.TXT\"",
        "line 20, key `files[1].name`",
        "there twice",
    );
}

#[test]
fn a_digest_must_be_a_digest() {
    let digest = eval::digest::Digest::of(b"a").to_string();
    refused(
        &digest,
        &digest.to_uppercase(),
        "line 17, key `files[0].sha256`",
        "is no sha256",
    );
    refused(
        &digest,
        &digest[1..],
        "line 17, key `files[0].sha256`",
        "is no sha256",
    );
}

#[test]
fn a_source_has_exactly_what_its_kind_needs() {
    let vendored = "kind = \"vendored\"";
    refused(
        vendored,
        "kind = \"vendord\"",
        "line 25",
        "did you mean `vendored`?",
    );
    refused(
        vendored,
        "kind = \"vendored\"\nrepo = \"a/b\"",
        "line 26",
        "unknown here",
    );
    refused(
        vendored,
        "kind = \"git\"\nrepo = \"a/b\"",
        "key `sources[0].host`",
        "missing",
    );
    let branch = GIT.replace("0123456789abcdef0123456789abcdef01234567", "main");
    refused(
        vendored,
        &branch,
        "line 28, key `sources[0].commit`",
        "a branch moves",
    );
    let plain = GIT.replace("https:", "http:");
    refused(
        vendored,
        &plain,
        "line 26, key `sources[0].host`",
        "https://",
    );
    let generated = "kind = \"generated\"\nfunction = \"noisy-xr\"\nseed = 0";
    refused(
        vendored,
        generated,
        "line 26, key `sources[0].function`",
        "noisy-xor",
    );
    refused(
        vendored,
        "kind = \"pip\"\nversion = \"1\"",
        "key `sources[0].package`",
        "no package",
    );
}

#[test]
fn a_source_names_only_files_of_the_manifest() {
    let vendored = "kind = \"vendored\"";
    let renamed = format!("{GIT}\nfiles = {{ \"a.text\" = \"a\" }}");
    refused(
        vendored,
        &renamed,
        "line 29, key `sources[0].files.a.text`",
        "did you mean `a.txt`?",
    );
    let twice = format!(
        "{GIT}\nfiles = {{ \"a.txt\" = \"a\" }}\nparts = [{{ file = \"a.txt\", from = \"p\" }}]"
    );
    refused(
        vendored,
        &twice,
        "line 30, key `sources[0].parts[0].file`",
        "in `files` already",
    );
}

#[test]
fn a_source_with_a_map_has_the_files_of_the_map_alone() {
    let source = format!(
        "{GIT}\nfiles = {{ \"a.txt\" = \"x/a\" }}\n\
         parts = [{{ file = \"b.txt\", from = \"b1\" }}, {{ file = \"b.txt\", from = \"b2\" }}]"
    );
    let text = Draft::new("toy")
        .file("a.txt", b"a")
        .file("b.txt", b"b")
        .file("c.txt", b"c")
        .source(&source)
        .toml();
    let manifest = Manifest::parse(&text, "x", Path::new(".")).unwrap();
    let pieces = &manifest.sources[0].pieces;
    assert_eq!(pieces.keys().collect::<Vec<_>>(), ["a.txt", "b.txt"]);
    let from: Vec<&str> = pieces["b.txt"]
        .iter()
        .map(|piece| piece.from.as_str())
        .collect();
    assert_eq!(from, ["b1", "b2"]);
}
