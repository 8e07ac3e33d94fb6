//! What the tests share: a workspace in a temporary folder, a manifest, a server.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use data::console::Console;
use data::{Catalog, Places, Policy, Resolved, Resolver};
use eval::digest::Digest;
use serde_json::Value;

/// A workspace, a cache, a mirror, and a hub cache in one temporary folder.
pub struct World {
    folder: tempfile::TempDir,
}

/// What the program did.
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl World {
    pub fn new() -> Self {
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        world.write("root/Cargo.lock", b"");
        fs::create_dir_all(world.path("root/crates")).unwrap();
        world
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub fn write(&self, below: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Puts a manifest into the workspace.
    pub fn add(&self, draft: &Draft) {
        self.write(
            &format!("root/datasets/{}/dataset.toml", draft.name),
            draft.toml().as_bytes(),
        );
    }

    /// The program, ready to run below this world with nothing of the caller's environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_data"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "")
            .env("HOME", self.path("home"))
            .env("DATASETS_CACHE", self.path("cache"))
            .env("DATASETS_MIRROR", self.path("mirror"))
            .env("HF_HOME", self.path("hf"))
            .current_dir(self.path("root"));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Done {
        Done::of(self.command(arguments).output().unwrap())
    }

    /// Runs `data resolve` on one name and returns its entry in the answer.
    pub fn resolve(&self, name: &str) -> Value {
        let done = self.run(&["resolve", name]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let inputs: Value = serde_json::from_str(&done.stdout).unwrap();
        inputs["inputs"][name].clone()
    }

    /// Resolves in this process, without pauses between attempts.
    pub fn resolve_here(&self, name: &str, change: impl FnOnce(&mut Places, &mut Policy)) -> Found {
        let mut places = Places {
            datasets: self.path("root/datasets"),
            cache: self.path("cache"),
            mirror: Some(self.path("mirror")),
            hub_cache: Some(self.path("hf/hub")),
            hub_endpoint: Some("http://127.0.0.1:9".to_owned()),
            hub_token: None,
        };
        let mut policy = Policy {
            offline: None,
            hub_offline: None,
            accepted: BTreeSet::new(),
            retry_pause: Duration::from_millis(1),
        };
        change(&mut places, &mut policy);
        let manifest = Catalog::open(&places.datasets).unwrap().load(name).unwrap();
        let said = Lines::default();
        let resolver = Resolver {
            places: &places,
            policy: &policy,
            console: &said,
        };
        let resolved = resolver.resolve(&manifest);
        Found {
            resolved,
            said: said.0.into_inner(),
        }
    }

    /// Every file in the cache, but for locks.
    pub fn cached(&self) -> Vec<String> {
        let mut files = Vec::new();
        walk(&self.path("cache"), &mut files);
        files.retain(|file| !file.ends_with(".lock"));
        files
    }
}

/// What became of a data set, and what was said meanwhile.
pub struct Found {
    pub resolved: Resolved,
    pub said: Vec<String>,
}

impl Found {
    /// Why the data set is not there.
    pub fn reason(&self) -> String {
        match self.resolved.state() {
            eval::InputState::Present => "present".to_owned(),
            eval::InputState::Missing { reason, .. }
            | eval::InputState::Mismatch { reason, .. } => reason,
        }
    }
}

#[derive(Default)]
struct Lines(RefCell<Vec<String>>);

impl Console for Lines {
    fn line(&self, text: &str) {
        self.0.borrow_mut().push(text.to_owned());
    }

    fn status(&self, _: &str) {
        panic!("no terminal");
    }

    fn is_terminal(&self) -> bool {
        false
    }
}

impl Done {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A manifest in the making.
pub struct Draft {
    pub name: String,
    files: Vec<(String, u64, String)>,
    sources: Vec<String>,
    terms: Option<String>,
}

impl Draft {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            files: Vec::new(),
            sources: Vec::new(),
            terms: None,
        }
    }

    /// Adds a file that must have `bytes`.
    pub fn file(mut self, name: &str, bytes: &[u8]) -> Self {
        let digest = Digest::of(bytes).to_string();
        self.files
            .push((name.to_owned(), bytes.len() as u64, digest));
        self
    }

    /// Adds a source: the lines below `[[sources]]`.
    pub fn source(mut self, lines: &str) -> Self {
        self.sources.push(lines.to_owned());
        self
    }

    pub fn terms(mut self, terms: &str) -> Self {
        self.terms = Some(terms.to_owned());
        self
    }

    pub fn toml(&self) -> String {
        let mut toml = format!(
            "format = 1\nname = \"{}\"\nversion = \"1\"\ndescription = \"A toy.\"\n\
             creators = [\"Nobody\"]\npublished = \"2020\"\ncitation = \"None.\"\n\
             homepage = \"https://example.org\"\n\n[licence]\nspdx = \"MIT\"\n\
             redistributable = true\n",
            self.name
        );
        if let Some(terms) = &self.terms {
            toml.push_str(&format!("terms = \"{terms}\"\n"));
        }
        for (name, bytes, sha256) in &self.files {
            toml.push_str(&format!(
                "\n[[files]]\nname = \"{name}\"\nbytes = {bytes}\nsha256 = \"{sha256}\"\n"
            ));
        }
        for source in &self.sources {
            toml.push_str(&format!("\n[[sources]]\n{source}\n"));
        }
        toml
    }
}

fn walk(folder: &Path, files: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path.display().to_string());
        }
    }
}
