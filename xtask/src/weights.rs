//! Pinned weights: which there are, and, by the program `data`, where they are on this machine.

use std::path::Path;

use eval::{Error, Input, InputState, Inputs, Result, exit};

use crate::launcher::Launcher;
use crate::programs::Programs;
use crate::workspace::Workspace;

/// Where weights are below `datasets/`, and in the names that `data` knows.
const MODELS: &str = "models";

/// What may be done to have weights.
pub struct Permission {
    /// Never touch the network.
    pub offline: bool,
    /// Weights whose terms are accepted.
    pub accept: Vec<String>,
}

/// The names of pinned weights, sorted.
pub fn pinned(workspace: &Workspace) -> Vec<String> {
    let folder = workspace.root().join("datasets").join(MODELS);
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok())
        .filter(|entry| entry.path().join("dataset.toml").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Finds, or fetches, weights and checks their digests.
///
/// # Errors
/// They cannot be had; the hint is the command that fetches them.
pub fn resolve(
    launcher: &Launcher,
    programs: &Programs,
    permission: &Permission,
    name: &str,
) -> Result<Input> {
    let full = format!("{MODELS}/{name}");
    let mut command = programs.command("data")?;
    command.arg("resolve");
    if permission.offline {
        command.arg("--offline");
    }
    for accepted in &permission.accept {
        let accepted = accepted.strip_prefix("models/").unwrap_or(accepted);
        command.args(["--accept", &format!("{MODELS}/{accepted}")]);
    }
    let (code, text) = launcher.capture(command.arg(&full))?;
    match code {
        exit::COMPLETE => {}
        exit::INTERRUPTED => return Err(Error::new(exit::INTERRUPTED, "interrupted")),
        code => return Err(Error::new(code, format!("`data resolve {full}` failed"))),
    }
    let mut inputs: Inputs = serde_json::from_str(&text)
        .map_err(|e| Error::internal("cannot understand `data resolve`").caused_by(e))?;
    let input = inputs.inputs.remove(&full);
    let input = input.ok_or_else(|| Error::internal(format!("`data` is silent about `{full}`")))?;
    match &input.state {
        InputState::Present => Ok(input),
        InputState::Missing { reason, fetch } | InputState::Mismatch { reason, fetch } => {
            let message = format!("the weights `{name}` cannot be had: {reason}");
            Err(Error::inputs(message).hint(fetch))
        }
    }
}

/// Puts links to the files of weights into a folder, where programs find them by file name.
///
/// # Errors
/// The folder cannot be written.
pub fn link(input: &Input, folder: &Path) -> Result<()> {
    eval::fs::create_folder(folder)?;
    for file in input.files.values() {
        if let Some(name) = file.path.file_name() {
            let link = folder.join(name);
            // A link of an earlier run may point to a place that is gone.
            let _ = std::fs::remove_file(&link);
            std::os::unix::fs::symlink(&file.path, &link)
                .map_err(|e| Error::io("link", &link, e))?;
        }
    }
    Ok(())
}
