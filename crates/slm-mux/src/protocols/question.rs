//! A question with one reference answer.

use serde::{Deserialize, Serialize};

/// A question `x` with its reference answer `y°(x)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Unique in its benchmark.
    pub id: String,
    /// What kind of question it is; questions of one task share their examples.
    pub task: String,
    /// The question as it is put.
    pub text: String,
    /// The reference answer, normalised as answers are.
    pub reference: String,
}

impl Question {
    /// Whether a normalised answer is the reference answer.
    #[must_use]
    pub fn is_right(&self, answer: Option<&str>) -> bool {
        answer == Some(self.reference.as_str())
    }
}
