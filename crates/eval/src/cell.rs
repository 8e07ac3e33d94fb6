//! The cell: one experiment under one condition with one seed.
//!
//! It is the unit of work, of caching, of failure, and of distribution.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The name of a cell, unique in its paper and safe as a folder name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CellId(String);

impl CellId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for CellId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// One unit of measurement: experiment × condition × seed.
///
/// ```
/// use eval::Cell;
/// let cell = Cell::new("timing", 3).with("d", 64).with("solver", "thin").needs("digits");
/// assert_eq!(cell.get("solver"), Some("thin"));
/// assert!(cell.id().as_str().starts_with("timing-d=64-solver=thin-s3-"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// The experiment; claims in `paper.toml` name the experiments they rest on.
    pub experiment: String,
    /// The condition as sorted key and value pairs.
    pub condition: BTreeMap<String, String>,
    /// The seed of every random stream of the cell.
    pub seed: u64,
    /// Data sets and weights (names of `datasets/<name>`) without which the cell cannot run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// Whether the cell measures time and so must not share the machine with another cell.
    #[serde(default)]
    pub exclusive: bool,
}

impl Cell {
    /// A cell with an empty condition.
    pub fn new(experiment: impl Into<String>, seed: u64) -> Self {
        Self {
            experiment: experiment.into(),
            condition: BTreeMap::new(),
            seed,
            needs: Vec::new(),
            exclusive: false,
        }
    }

    /// Adds one key of the condition.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl std::fmt::Display) -> Self {
        self.condition.insert(key.into(), value.to_string());
        self
    }

    /// Declares an input without which the cell cannot run.
    #[must_use]
    pub fn needs(mut self, name: impl Into<String>) -> Self {
        self.needs.push(name.into());
        self
    }

    /// Declares that the cell measures time: nothing else runs beside it.
    #[must_use]
    pub fn exclusive(mut self) -> Self {
        self.exclusive = true;
        self
    }

    /// The value of one key of the condition.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.condition.get(key).map(String::as_str)
    }

    /// The cell's name: readable start, then 8 hex digits that make it unique.
    ///
    /// It depends on experiment, condition, and seed alone.
    #[must_use]
    pub fn id(&self) -> CellId {
        const READABLE_CHARS_MAX: usize = 80;
        let mut identity = format!("{}\n", self.experiment);
        let mut readable = safe(&self.experiment);
        for (key, value) in &self.condition {
            identity.push_str(&format!("{key}\t{value}\n"));
            readable.push_str(&format!("-{}={}", safe(key), safe(value)));
        }
        identity.push_str(&self.seed.to_string());
        readable.truncate(READABLE_CHARS_MAX);
        let digest = Digest::of(identity.as_bytes());
        CellId(format!(
            "{readable}-s{}-{}",
            self.seed,
            &digest.as_hex()[..8]
        ))
    }
}

/// Keeps letters, digits, `.`, and `_`; everything else becomes `_`.
fn safe(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' || c == '_' {
                c
            } else {
                '_'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_where_readable_parts_collide() {
        let a = Cell::new("e", 0).with("k", "a/b");
        let b = Cell::new("e", 0).with("k", "a b");
        assert_ne!(a.id(), b.id());
    }

    #[test]
    fn ids_are_safe_folder_names() {
        let id = Cell::new("../e", 7).with("k", "x/../../y").id();
        assert!(!id.as_str().contains('/'));
        assert!(!id.as_str().starts_with('.') || !id.as_str().starts_with("../"));
    }

    #[test]
    fn ids_ignore_needs_and_the_order_of_conditions() {
        let a = Cell::new("e", 1).with("a", 1).with("b", 2);
        let b = Cell::new("e", 1)
            .with("b", 2)
            .with("a", 1)
            .needs("digits")
            .exclusive();
        assert_eq!(a.id(), b.id());
    }
}
