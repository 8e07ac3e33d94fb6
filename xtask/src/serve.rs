//! `serve`: pinned weights by name, or weights by path, behind OpenAI's protocol.
//!
//! The program `data` finds or fetches the weights and checks their digests, `model serve` serves
//! them. This program then is that server, so that signals reach it and its exit code is ours.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use eval::{Error, Input, Result, exit};

use crate::cli::ServeArgs;
use crate::launcher::Launcher;
use crate::weights::{self, Permission, pinned};
use crate::workspace::{Workspace, unknown};
use crate::{output, programs};

/// Which weights are meant.
#[derive(Debug, PartialEq)]
enum Weights {
    /// Those of `datasets/models/<name>`.
    Named(String),
    /// A file or folder.
    At(PathBuf),
}

/// Builds, finds the weights, and becomes the server.
///
/// # Errors
/// There are no such weights, the build failed, or the weights cannot be had.
pub fn serve(launcher: &Launcher, args: &ServeArgs) -> Result<u8> {
    let Some((word, options)) = args.args.split_first() else {
        return Err(Error::usage("no weights are named"));
    };
    if options
        .iter()
        .any(|option| option == "--help" || option == "-h")
    {
        let programs = programs::build(launcher, &["model"])?;
        return launcher.become_program(programs.command("model")?.args(["serve", "--help"]));
    }
    let weights = meant(launcher.workspace(), word)?;
    let mut names = vec!["model"];
    if matches!(weights, Weights::Named(_)) {
        names.push("data");
    }
    let programs = programs::build_with(launcher, &names, feature(args.device.as_deref()))?;
    let mut command = programs.command("model")?;
    command.arg("serve");
    match &weights {
        Weights::At(path) => command.arg(path),
        Weights::Named(name) => {
            let permission = Permission {
                offline: args.offline,
                accept: args.accept.clone(),
            };
            let input = weights::resolve(launcher, &programs, &permission, name)?;
            output::note(&format!("{name} {}: {}", input.version, input.licence));
            command.arg(file_of(&input).ok_or_else(|| {
                Error::inputs(format!("`{name}` has no `.gguf` file and no `config.json`"))
            })?);
            if !options.iter().any(|option| names_the_model(option)) {
                command.args(["--name", name]);
            }
            &mut command
        }
    };
    if let Some(device) = &args.device {
        command.args(["--device", device]);
    }
    launcher.become_program(command.args(options))
}

fn names_the_model(option: &OsStr) -> bool {
    let option = option.to_string_lossy();
    option == "--name" || option.starts_with("--name=")
}

/// The cargo feature behind a device.
fn feature(device: Option<&str>) -> Option<&'static str> {
    match device?.split(':').next()? {
        "cuda" => Some("model/cuda"),
        "metal" => Some("model/metal"),
        _ => None,
    }
}

/// A name where there are weights of that name, else a path.
fn meant(workspace: &Workspace, word: &OsString) -> Result<Weights> {
    let known = pinned(workspace);
    let text = word.to_string_lossy();
    let name = text.strip_prefix("models/").unwrap_or(&text);
    if known.iter().any(|known| known == name) {
        return Ok(Weights::Named(name.to_owned()));
    }
    let path = Path::new(word);
    if path.exists() {
        let path = std::path::absolute(path).map_err(|e| Error::io("find", path, e))?;
        return Ok(Weights::At(path));
    }
    if path.components().count() > 1 || path.extension().is_some() {
        return Err(Error::new(
            exit::INPUTS,
            format!("there is no file or folder `{text}`"),
        ));
    }
    Err(unknown("weights", name, known.iter().map(String::as_str)))
}

/// The one file that holds everything, else the folder of the configuration.
fn file_of(input: &Input) -> Option<PathBuf> {
    let paths = || input.files.values().map(|file| file.path.as_path());
    let gguf = paths().find(|path| path.extension().is_some_and(|e| e == "gguf"));
    let config = || paths().find(|path| path.ends_with("config.json"))?.parent();
    gguf.or_else(config).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_needs_the_feature_of_its_name() {
        assert_eq!(feature(None), None);
        assert_eq!(feature(Some("cpu")), None);
        assert_eq!(feature(Some("cuda")), Some("model/cuda"));
        assert_eq!(feature(Some("cuda:1")), Some("model/cuda"));
        assert_eq!(feature(Some("metal")), Some("model/metal"));
    }

    #[test]
    fn weights_are_a_gguf_file_or_the_folder_of_a_configuration() {
        let with = |names: &[&str]| {
            let file = |name: &&str| {
                let digest = eval::digest::Digest::of(b"").to_string();
                format!(r#""{name}":{{"path":"/w/{name}","bytes":1,"sha256":"{digest}"}}"#)
            };
            let files: Vec<String> = names.iter().map(file).collect();
            let json = format!(
                r#"{{"version":"1","licence":"l","state":{{"state":"present"}},"files":{{{}}}}}"#,
                files.join(",")
            );
            file_of(&serde_json::from_str::<Input>(&json).unwrap())
        };
        assert_eq!(with(&["LICENSE", "m.gguf"]), Some("/w/m.gguf".into()));
        let hub = ["config.json", "model.safetensors", "tokenizer.json"];
        assert_eq!(with(&hub), Some("/w".into()));
        assert_eq!(with(&["a.txt"]), None);
    }
}
