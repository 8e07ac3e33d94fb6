//! Inputs, asked of the `data` program, which alone knows sources and the network.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::{Input, InputState, Inputs, env, exit};

/// Resolves `names`, fetching what is missing unless `offline`.
///
/// # Errors
/// A manifest is not understood, or the `data` program broke. An input that cannot be had is no
/// error: its state says why.
pub fn resolve(root: &Path, names: &BTreeSet<String>, offline: bool) -> Result<Inputs> {
    if names.is_empty() {
        return Ok(Inputs::none());
    }
    let Some(program) = data_program() else {
        return Ok(unresolved(names));
    };
    let mut command = Command::new(&program);
    command.arg("resolve").arg("--root").arg(root);
    if offline {
        command.arg("--offline");
    }
    command
        .args(names)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = command
        .output()
        .map_err(|e| Error::io("start", &program, e))?;
    if !output.status.success() {
        let code = match output.status.code() {
            Some(code) if code == i32::from(exit::USAGE) => exit::USAGE,
            _ => exit::INTERNAL,
        };
        let message = format!("`{}` could not resolve the inputs", program.display());
        return Err(Error::new(code, message).hint("its own message stands above"));
    }
    let inputs: Inputs = serde_json::from_slice(&output.stdout)
        .map_err(|e| Error::internal("`data resolve` printed no inputs").caused_by(e))?;
    Ok(inputs)
}

/// The program named in the environment, else the one beside the running program.
fn data_program() -> Option<PathBuf> {
    let named = std::env::var_os(env::DATA_PROGRAM).map(PathBuf::from);
    named.or_else(|| {
        let beside = std::env::current_exe().ok()?.with_file_name("data");
        beside.is_file().then_some(beside)
    })
}

fn unresolved(names: &BTreeSet<String>) -> Inputs {
    let input = |name: &String| Input {
        version: String::new(),
        licence: String::new(),
        state: InputState::Missing {
            reason: "the program `data`, which finds inputs, was not built".to_owned(),
            fetch: format!("cargo xtask data fetch {name}"),
        },
        files: BTreeMap::new(),
    };
    let inputs = names
        .iter()
        .map(|name| (name.clone(), input(name)))
        .collect();
    Inputs {
        inputs,
        ..Inputs::none()
    }
}
