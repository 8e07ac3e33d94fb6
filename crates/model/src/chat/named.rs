//! From a name on the command line to a verified weight file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use eval::digest::Digest;
use eval::{Error, InputState, Result};

/// The weight file that `named` means: a path, or a name below `datasets/models/`, which the
/// program `data` finds without fetching anything.
///
/// # Errors
/// There is no such file; the message says what would bring it.
pub fn weights_file(named: &str) -> Result<PathBuf> {
    let path = Path::new(named);
    if path.exists() {
        return Ok(path.to_owned());
    }
    if named.ends_with(".gguf") || named.contains('/') {
        return Err(Error::inputs(format!("there is no weight file `{named}`"))
            .hint("give a path, or a name below `datasets/models/`"));
    }
    let here = std::env::current_dir().map_err(|e| Error::io("find", ".", e))?;
    let root = eval::source::find_root(&here)?;
    let name = format!("models/{named}");
    let inputs = eval::engine::resolve_inputs(&root, &BTreeSet::from([name.clone()]), true)?;
    let input = inputs
        .inputs
        .get(&name)
        .ok_or_else(|| Error::inputs(format!("there are no weights `{name}`")))?;
    match &input.state {
        InputState::Present => {}
        InputState::Missing { reason, fetch } | InputState::Mismatch { reason, fetch } => {
            let message = format!("the weights `{name}` cannot be used: {reason}");
            return Err(Error::inputs(message).hint(format!("`{fetch}`")));
        }
    }
    for file in input.files.values() {
        if file
            .path
            .extension()
            .is_some_and(|extension| extension == "gguf")
        {
            let found = Digest::of_file(&file.path)?;
            if found == file.sha256 {
                return Ok(file.path.clone());
            }
            let path = file.path.display();
            return Err(Error::inputs(format!("`{path}` has not the pinned bytes")));
        }
    }
    Err(Error::inputs(format!("`{name}` holds no GGUF file")))
}
