//! `model.safetensors.index.json`: which tensor lies in which file of a sharded model.

use std::collections::BTreeMap;
use std::path::Path;

use eval::Result;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::capped::Capped;
use super::header::shown_cause;
use crate::weights::source::{damaged, shown};

/// More files than any published model has.
const N_SHARDS_MAX: usize = 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    /// Total size and notes; the files themselves say it better.
    #[serde(rename = "metadata")]
    _metadata: Option<IgnoredAny>,
    weight_map: Capped<String>,
}

/// Per file (its name, without any folder) the tensors that `text`, the index at `path`, expects
/// in it.
pub(in crate::weights) fn shards(
    path: &Path,
    text: &[u8],
) -> Result<BTreeMap<String, Vec<String>>> {
    let file = path.display().to_string();
    let index: Index =
        serde_json::from_slice(text).map_err(|cause| damaged(&file, shown_cause(&cause)))?;
    let mut shards: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (tensor, shard) in index.weight_map.0 {
        // A name from a file must not lead out of the folder.
        let is_plain = shard.ends_with(".safetensors")
            && !shard.starts_with('.')
            && shard
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c));
        if !is_plain {
            return Err(damaged(
                &file,
                format_args!(
                    "it says that `{}` lies in `{}`, which is no plain name of a safetensors file",
                    shown(&tensor),
                    shown(&shard)
                ),
            ));
        }
        shards.entry(shard).or_default().push(tensor);
        if shards.len() > N_SHARDS_MAX {
            return Err(damaged(
                &file,
                format_args!("it names more than {N_SHARDS_MAX} files"),
            ));
        }
    }
    if shards.is_empty() {
        return Err(damaged(&file, "it names no file"));
    }
    Ok(shards)
}
