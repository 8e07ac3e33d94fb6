//! A workspace with one or two papers, and programs that are shell scripts.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A paper with the claims C1 and C2.
const PAPER: &str = r#"format = 1
[paper]
id = "alpha"
title = "A title"
authors = ["A. Author", "B. Author"]
arxiv = "2510.00000"
version = "v1"
idea = "The idea."
limits = "The limits."
[seeds]
smoke = 1
quick = 3
full = 10
paper = 10
[[claim]]
id = "C1"
says = "The sentence of the first claim."
where = "Table 7"
tier = "theory"
published = 0.625
resolution = 0.001
unit = "bits"
measures = "the first measurement"
experiments = ["e"]
estimate = { recipe = "mean", metric = "m" }
test = { kind = "matches", margin = 0.1 }
[[claim]]
id = "C2"
says = "The sentence of the second claim."
where = "Theorem 3"
tier = "scaled"
unit = "1"
measures = "the second measurement"
experiments = ["e"]
gate = false
estimate = { recipe = "max", metric = "m" }
test = { kind = "at_most", bound = 1e-8 }
"#;

/// A stored answer of the two claims.
const SUMMARY: &str = r#"{"format":1,"paper":"alpha","run":"R1","scale":"quick",
"source":"SOURCE","rows":"r","claims":[
{"id":"C1","says":"s","where":"w","tier":"theory","published":0.625,"test":"t","unit":"bits",
"measures":"m","estimate":null,"verdict":"reproduced","reason":"r","gate":true},
{"id":"C2","says":"s","where":"w","tier":"scaled","published":null,"test":"t","unit":"1",
"measures":"m","estimate":null,"verdict":"inconclusive","reason":"r","gate":false}]}"#;

/// A workspace in a folder of its own.
pub struct Fake {
    folder: TempDir,
}

/// What `xtask` answered.
pub struct Answer {
    /// Exit code.
    pub code: i32,
    /// Data.
    pub stdout: String,
    /// Everything else.
    pub stderr: String,
}

impl Fake {
    /// A workspace with the paper `alpha`, a shared crate `shared`, and no runs.
    pub fn new() -> Self {
        let fake = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fake.write("Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]\n");
        fake.write(
            "Cargo.lock",
            "[[package]]\nname = \"taken\"\nversion = \"1.0.0\"\n",
        );
        fake.write("crates/shared/Cargo.toml", "[package]\nname = \"shared\"\n");
        fake.paper("alpha");
        fake
    }

    /// Adds a package to `Cargo.lock`.
    fn lock(&self, name: &str) {
        let packages = self.read("Cargo.lock");
        let package = format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n");
        self.write("Cargo.lock", &format!("{packages}{package}"));
    }

    /// Adds a paper.
    pub fn paper(&self, id: &str) {
        let text = PAPER.replace("\"alpha\"", &format!("\"{id}\""));
        self.lock(id);
        self.write(&format!("crates/{id}/paper.toml"), &text);
        self.write(
            &format!("crates/{id}/Cargo.toml"),
            &format!("[package]\nname = \"{id}\"\n"),
        );
        self.write(&format!("crates/{id}/src/main.rs"), "//! A paper.\n");
    }

    /// The root folder.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file below the root.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.root().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Reads a file below the root; a missing file is empty.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.root().join(name)).unwrap_or_default()
    }

    /// Writes the summary of a run of `alpha`, measured with this source digest.
    pub fn summary(&self, file: &str, source: &str) {
        self.write(file, &SUMMARY.replace("SOURCE", source));
    }

    /// Makes `name` a program with this shell script; `cargo build` announces it.
    pub fn program(&self, name: &str, script: &str) {
        self.script(&format!("bin/{name}"), script);
        let path = self.root().join("bin").join(name);
        let line = format!(
            r#"{{"reason":"compiler-artifact","target":{{"name":"{name}"}},"executable":"{}"}}"#,
            path.display()
        );
        let lines = format!("{}{line}\n", self.read("artifacts"));
        self.write("artifacts", &lines);
    }

    /// Makes `cargo` a script that notes its words and then does this.
    pub fn cargo(&self, script: &str) {
        let root = self.root().display();
        self.script(
            "bin/cargo",
            &format!("echo \"cargo $*\" >> {root}/started\n{script}"),
        );
    }

    /// A `cargo` that announces all programs.
    pub fn cargo_builds(&self) {
        self.cargo(&format!(
            "echo building >&2\ncat {}/artifacts",
            self.root().display()
        ));
    }

    /// Writes a program that is not announced by `cargo build`, first on the search path.
    pub fn tool(&self, name: &str, script: &str) {
        self.script(&format!("bin/{name}"), script);
    }

    fn script(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        self.write(name, &format!("#!/bin/sh\n{script}\n"));
        let everyone = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.root().join(name), everyone).unwrap();
    }

    /// What was started, one line each.
    pub fn started(&self) -> String {
        self.read("started")
    }

    /// Runs `xtask` with these words.
    pub fn xtask(&self, words: &str) -> Answer {
        self.xtask_with(&words.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs `xtask` with words that may hold spaces.
    pub fn xtask_with(&self, words: &[&str]) -> Answer {
        let path = std::env::var("PATH").unwrap();
        let output: Output = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(words)
            .current_dir(self.root())
            .env("PAPERS_ROOT", self.root())
            .env(
                "PATH",
                format!("{}:{path}", self.root().join("bin").display()),
            )
            .env("CARGO", self.root().join("bin/cargo"))
            .env_remove("MODEL_WEIGHTS")
            .output()
            .unwrap();
        Answer {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The folder of a run of `alpha`, made now.
    pub fn run_folder(&self, name: &str) -> PathBuf {
        let folder = self.root().join("results/alpha").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }
}

impl Answer {
    /// The only JSON document on stdout.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }
}
