//! The inputs of a run: which data sets and weights are there, where, and with which bytes.
//!
//! `inputs.json` is written by the `data` program, which alone knows sources and the network, and
//! is kept in the run folder. The engine reads it, checks digests again before use, and never
//! fetches anything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Error, Result};

/// The format version of `inputs.json`.
pub const FORMAT: u32 = 1;

/// Every input a run may use, by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Format version.
    pub format: u32,
    /// The inputs by name: `uci-multiple-features`, `models/smollm2-135m`.
    pub inputs: BTreeMap<String, Input>,
}

/// One data set or one set of weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Version of the data set.
    pub version: String,
    /// Licence: an SPDX expression, or a name.
    pub licence: String,
    /// Whether it can be used, and if not, why.
    pub state: InputState,
    /// The files by their names in the manifest; empty unless present.
    pub files: BTreeMap<String, InputFile>,
}

/// Whether an input can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", deny_unknown_fields)]
pub enum InputState {
    /// Every file is on this machine with the pinned bytes.
    Present,
    /// Some file is not on this machine.
    Missing {
        /// Which, and where it was looked for.
        reason: String,
        /// The command that would bring it.
        fetch: String,
    },
    /// Some file is there with other bytes than the pinned ones.
    Mismatch {
        /// Which file, the digest expected, and the digest found.
        reason: String,
        /// The command that would replace it.
        fetch: String,
    },
}

/// One verified file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// The digest its bytes must have.
    pub sha256: Digest,
}

impl Inputs {
    /// No inputs at all.
    #[must_use]
    pub fn none() -> Self {
        Self {
            format: FORMAT,
            inputs: BTreeMap::new(),
        }
    }

    /// Reads `inputs.json`.
    ///
    /// # Errors
    /// The file cannot be read, or is not in this format.
    pub fn read(path: &Path) -> Result<Self> {
        let inputs: Self = crate::fs::read_json(path)?;
        if inputs.format == FORMAT {
            return Ok(inputs);
        }
        Err(
            Error::internal(format!("`{}` has format {}", path.display(), inputs.format)).hint(
                format!("this program reads format {FORMAT}; run the workspace's own `data`"),
            ),
        )
    }
}
